//! The errors of connecting users and of obtaining tokens.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::store::StoreError;
use super::token::RefreshFailureCause;
use crate::transport::retry::whole_seconds;

/// A failed OAuth operation: authorization, token exchange, token refresh or revocation.
///
/// `Display` names the failure and what to do next.
/// Neither `Display` nor `Debug` shows a token, a secret, a code or an address.
/// Cloning is cheap: calls that waited for the same token refresh get the same error.
#[derive(Clone)]
pub struct AuthError {
    kind: Arc<Kind>,
}

pub(super) enum Kind {
    /// The app's settings are wrong, or the server does not know the app.
    Misconfigured(&'static str),
    /// The callback contains no valid code.
    Callback(CallbackFault),
    /// More than 10 minutes passed between the callback and the exchange.
    CodeExpired,
    /// The server rejected the authorization code.
    CodeRefused,
    /// The exchange got no usable response, and the code may be spent.
    CodeUnanswered(Option<AuthError>),
    /// The server did not act on the exchange, so the code is not spent.
    CodeUnspent {
        cause: AuthError,
        retry_after: Option<Duration>,
    },
    /// The response to the exchange has tokens, but does not say whose they are.
    NoOwner,
    /// The store has no tokens of this user.
    NotConnected,
    /// The server rejected the refresh token.
    NeedsReconnect,
    /// No response, or a temporary failure of the server; no token is lost.
    Unreachable(Option<reqwest::Error>),
    /// The response is not a token response; the text describes it without quoting it.
    Unreadable(Cow<'static, str>),
    /// The rate limiter has no permit within the time that a token request waits for one; a
    /// permit may be available after this duration.
    NoPermit(Duration),
    /// The circuit breaker of the token endpoint is open; a refresh may be permitted after this
    /// duration.
    CircuitOpen(Duration),
    /// The store failed to load, change or delete tokens, or to grant a lease.
    Store(StoreError),
    /// The store failed to save a new token set, which stays in memory.
    Unsaved(StoreError),
    /// The task that changes the user's tokens did not end within this time.
    Overdue(Duration),
    /// The endpoint issued a token set that is not used, for this reason.
    Unusable(&'static str),
    /// The app was shut down.
    ShutDown,
}

impl AuthError {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind: Arc::new(kind),
        }
    }

    /// Converts the error of a token request into that of a code exchange.
    ///
    /// A code can be used only once, so it may be spent if the server may have acted on it.
    pub(super) fn of_a_code(self, acted: bool, retry_after: Option<Duration>) -> Self {
        Self::new(if acted {
            Kind::CodeUnanswered(Some(self))
        } else {
            Kind::CodeUnspent {
                cause: self,
                retry_after,
            }
        })
    }

    pub(super) fn unreachable(error: reqwest::Error) -> Self {
        Self::new(Kind::Unreachable(Some(error.without_url())))
    }

    /// Returns whether the user must reconnect.
    ///
    /// Show "Connect my Fullscript account", and start with
    /// [`OAuthApp::authorize`](super::OAuthApp::authorize).
    #[must_use]
    pub fn needs_reconnect(&self) -> bool {
        matches!(*self.kind, Kind::NeedsReconnect | Kind::NotConnected)
    }

    /// Returns whether the user declined the authorization.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(*self.kind, Kind::Callback(CallbackFault::Denied))
    }

    /// Returns whether the callback does not belong to the remembered authorization request, or
    /// the request is too old.
    ///
    /// The callback may be forged, or may come from an old browser tab.
    #[must_use]
    pub fn is_state_mismatch(&self) -> bool {
        matches!(
            *self.kind,
            Kind::Callback(
                CallbackFault::NoState
                    | CallbackFault::StateMismatch
                    | CallbackFault::StateForged
                    | CallbackFault::StateExpired
                    | CallbackFault::Empty("remembered state")
            )
        )
    }

    /// Returns whether the authorization code is expired (after 10 minutes), spent or possibly
    /// spent.
    ///
    /// Start the connection again.
    #[must_use]
    pub fn is_code_expired(&self) -> bool {
        matches!(
            *self.kind,
            Kind::CodeExpired | Kind::CodeRefused | Kind::CodeUnanswered(_) | Kind::NoOwner
        )
    }

    /// Returns whether a retry may succeed; the tokens are unchanged.
    ///
    /// To retry an exchange, read the callback again: the code can be used for 10 minutes.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            *self.kind,
            Kind::Unreachable(_)
                | Kind::Unreadable(_)
                | Kind::NoPermit(_)
                | Kind::CircuitOpen(_)
                | Kind::CodeUnspent { .. }
                | Kind::Overdue(_)
                | Kind::Unusable(_)
        ) || self.store_error().is_some_and(StoreError::is_transient)
    }

    /// Returns the time to wait before a retry, if the rate limiter had no permit, the circuit
    /// breaker of the token endpoint is open, or the server asks for it.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match *self.kind {
            Kind::NoPermit(wait) | Kind::CircuitOpen(wait) => Some(wait),
            Kind::CodeUnspent { retry_after, .. } => retry_after,
            _ => None,
        }
    }

    /// Returns whether [`OAuthApp::shutdown`](super::OAuthApp::shutdown) was called.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        matches!(*self.kind, Kind::ShutDown)
    }

    /// Returns whether the rate limiter had no permit for a token request.
    pub(crate) fn is_rate_limited(&self) -> bool {
        matches!(*self.kind, Kind::NoPermit(_))
    }

    /// Returns the cause of a failed refresh, or `None` if the error is an answer: the user must
    /// connect, or the app was shut down.
    pub(super) fn refresh_failure(&self) -> Option<RefreshFailureCause> {
        Some(match *self.kind {
            Kind::NeedsReconnect | Kind::NotConnected | Kind::ShutDown => return None,
            Kind::Unreachable(_) => RefreshFailureCause::Unreachable,
            Kind::Unreadable(_) => RefreshFailureCause::Unreadable,
            Kind::Unusable(_) => RefreshFailureCause::Unusable,
            Kind::Misconfigured(_) => RefreshFailureCause::Misconfigured,
            Kind::NoPermit(_) => RefreshFailureCause::RateLimited,
            Kind::CircuitOpen(_) => RefreshFailureCause::CircuitOpen,
            Kind::Store(_) | Kind::Unsaved(_) => RefreshFailureCause::Store,
            _ => RefreshFailureCause::Other,
        })
    }

    /// Returns whether the record of the user was read and cannot be decoded.
    pub(crate) fn is_unreadable_record(&self) -> bool {
        matches!(&*self.kind, Kind::Store(error) if error.is_unreadable())
    }

    /// Returns whether the token store failed.
    #[must_use]
    pub fn is_store(&self) -> bool {
        matches!(*self.kind, Kind::Store(_) | Kind::Unsaved(_))
    }

    /// Returns the failure of the token store, if it failed.
    #[must_use]
    pub fn store_error(&self) -> Option<&StoreError> {
        match &*self.kind {
            Kind::Store(error) | Kind::Unsaved(error) => Some(error),
            _ => None,
        }
    }

    /// Returns whether the app's settings are wrong: the client id, the client secret, the
    /// redirect URI or a URL.
    #[must_use]
    pub fn is_misconfigured(&self) -> bool {
        matches!(*self.kind, Kind::Misconfigured(_))
    }
}

impl From<CallbackFault> for AuthError {
    fn from(fault: CallbackFault) -> Self {
        Self::new(Kind::Callback(fault))
    }
}

impl From<StoreError> for AuthError {
    fn from(error: StoreError) -> Self {
        Self::new(Kind::Store(error))
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.kind {
            Kind::Misconfigured(reason) => f.write_str(reason),
            Kind::Callback(fault) => fault.fmt(f),
            Kind::CodeExpired => f.write_str(
                "token exchange: the authorization code is older than 10 minutes; start the \
                 connection again",
            ),
            Kind::CodeRefused => f.write_str(
                "token exchange: the server rejected the authorization code (invalid_grant): it \
                 is spent or expired, or the redirect URI is not exactly the one in the \
                 dashboard; compare the redirect URI, then start the connection again",
            ),
            Kind::CodeUnanswered(_) => f.write_str(
                "token exchange: no usable response from the token endpoint, the authorization \
                 code may be spent; start the connection again",
            ),
            Kind::CodeUnspent { .. } => f.write_str(
                "token exchange: the server did not process the request, the authorization code \
                 is not spent; read the callback again, and retry the exchange within 10 minutes",
            ),
            Kind::NoOwner => f.write_str(
                "token exchange: the response has tokens but no owner (resource_owner), so they \
                 were not saved; compare the URL of the token endpoint with the environment, then \
                 start the connection again",
            ),
            Kind::NotConnected => f.write_str(
                "the user is not connected to this app in this environment; start a connection",
            ),
            Kind::NeedsReconnect => {
                f.write_str("the user must reconnect (refresh token rejected by the server)")
            }
            Kind::CircuitOpen(wait) => write!(
                f,
                "token refresh: not sent, the token endpoint failed several times in a row \
                 (circuit breaker open, retry after {} s)",
                whole_seconds(*wait)
            ),
            Kind::NoPermit(wait) => write!(
                f,
                "rate limit: no permit for a token request (retry after {} s)",
                whole_seconds(*wait)
            ),
            Kind::Unreachable(Some(error)) if error.is_timeout() => {
                f.write_str("timed out waiting for the token endpoint; retry later")
            }
            Kind::Unreachable(Some(_)) => {
                f.write_str("the connection to the token endpoint failed; retry later")
            }
            Kind::Unreachable(None) => {
                f.write_str("the token endpoint is temporarily unavailable; retry later")
            }
            Kind::Unreadable(response) => write!(
                f,
                "the token endpoint returned an unreadable response ({response}); retry later, \
                 and check firewalls, proxies and the OAuth URLs if it persists"
            ),
            Kind::Store(_) => {
                f.write_str("the token store failed; no token set is lost, fix the store and retry")
            }
            Kind::Unsaved(_) => f.write_str(
                "the token store failed to save the new token set; it stays in the memory of this \
                 process, and saving is retried until the process ends, so fix the store before",
            ),
            Kind::Overdue(limit) => write!(
                f,
                "timed out: the user's token operation was not finished within {} s; retry later",
                limit.as_secs()
            ),
            Kind::Unusable(reason) => write!(
                f,
                "token refresh: the token endpoint issued an unusable token set ({reason}), which \
                 was not saved; retry later"
            ),
            Kind::ShutDown => f.write_str(
                "the app was shut down; send the request to another process, or build a new app",
            ),
        }
    }
}

/// Shows the message and the messages of all sources.
impl fmt::Debug for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sources = Vec::new();
        let mut source = self.source();
        while let Some(cause) = source {
            sources.push(cause.to_string());
            source = cause.source();
        }
        f.debug_struct("AuthError")
            .field("message", &format_args!("{self}"))
            .field("sources", &sources)
            .finish()
    }
}

impl Error for AuthError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &*self.kind {
            Kind::Unreachable(error) => error.as_ref().map(|error| error as _),
            Kind::CodeUnanswered(error) => error.as_ref().map(|error| error as _),
            Kind::CodeUnspent { cause, .. } => Some(cause),
            Kind::Store(error) | Kind::Unsaved(error) => Some(error),
            _ => None,
        }
    }
}

/// The reason why an authorization request could not be created or a callback has no valid code.
///
/// Neither `Display` nor `Debug` shows the state, the code, or a description that could name a
/// person.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum CallbackFault {
    NoState,
    StateMismatch,
    StateForged,
    StateExpired,
    NoCode,
    Duplicate(&'static str),
    Empty(&'static str),
    TooLong(&'static str),
    WrongAddress,
    Denied,
    Refused {
        /// The server's error code, empty if it is not a plain word.
        error: String,
        /// The server's description, unfiltered: it may contain personal data.
        description: Option<String>,
    },
    PayloadTooLong {
        limit: usize,
    },
}

impl fmt::Display for CallbackFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoState => f.write_str(
                "callback: state is missing; start the connection again, and pass on the \
                 callback with its whole query",
            ),
            Self::StateMismatch => f.write_str(
                "callback: state differs from the remembered state (another browser, an older \
                 attempt or a forgery); start the connection again",
            ),
            Self::StateForged => f.write_str(
                "state: not signed by this app with this client secret; start the connection \
                 again, and check who could have changed the session",
            ),
            Self::StateExpired => f.write_str(
                "state: too old, the user took longer than the lifetime of the state; start the \
                 connection again",
            ),
            Self::NoCode => {
                f.write_str("callback: code and error are both missing; start the connection again")
            }
            Self::Duplicate(name) => write!(
                f,
                "callback: {name} occurs more than once; start the connection again"
            ),
            Self::Empty(name) => write!(f, "callback: {name} is empty; start the connection again"),
            Self::TooLong(name) => write!(
                f,
                "callback: {name} is longer than the server or this app creates; start the \
                 connection again"
            ),
            Self::WrongAddress => f.write_str(
                "callback: address differs from the redirect URI; configure the address that the \
                 browser sees, or pass on only the query if a proxy rewrites the address",
            ),
            Self::Denied => f.write_str(
                "authorization: the user declined; offer to connect again when the user asks for \
                 it",
            ),
            Self::Refused { error, description } => {
                f.write_str("authorization: refused by the server")?;
                let description = description.as_deref().filter(|text| is_presentable(text));
                match (error.as_str(), description) {
                    ("", None) => {}
                    ("", Some(text)) | (text, None) => write!(f, " ({text})")?,
                    (error, Some(description)) => write!(f, " ({error}: {description})")?,
                }
                f.write_str(
                    "; check the app in the vendor's dashboard, then start the connection again",
                )
            }
            Self::PayloadTooLong { limit } => write!(
                f,
                "authorization: payload is longer than {limit} bytes; keep it in the session and \
                 pass a reference to it"
            ),
        }
    }
}

impl fmt::Debug for CallbackFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallbackFault({self})")
    }
}

/// Returns whether a description can be shown: short, one line of ASCII, and without an `@`,
/// which an email address would contain.
fn is_presentable(text: &str) -> bool {
    text.len() <= MAX_SHOWN_DESCRIPTION
        && text
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~') && byte != b'@')
}

/// The longest description that is shown, in bytes.
const MAX_SHOWN_DESCRIPTION: usize = 200;
