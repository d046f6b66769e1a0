//! What can go wrong between a user and a token.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::store::StoreError;

/// A step of OAuth that did not succeed.
///
/// `Display` says what to do next; neither it nor `Debug` shows a token, a
/// secret, a code or an address. Cheap to clone: calls that waited for the
/// same refresh get the same error.
#[derive(Clone)]
pub struct AuthError {
    kind: Arc<Kind>,
}

pub(super) enum Kind {
    /// The app was put together wrongly, or the server does not know it.
    Misconfigured(&'static str),
    /// The browser came back with something else than a code of ours.
    Callback(CallbackFault),
    /// More than ten minutes between the callback and the exchange.
    CodeExpired,
    /// The server does not take the code.
    CodeRefused,
    /// No answer to the code, which may be spent.
    CodeUnanswered(Option<reqwest::Error>),
    /// The store holds no tokens of this user.
    NotConnected,
    /// The server has ended the connection.
    NeedsReconnect,
    /// The tokens were issued in another environment or to another app.
    WrongEnvironment,
    /// No answer, or one of a server in trouble; nothing is lost.
    Unreachable(Option<reqwest::Error>),
    /// An answer that is none of a token endpoint.
    Unreadable,
    /// The limit of requests leaves no room now; after this long it may.
    Busy(Duration),
    /// The store failed; a new pair waits in memory to be saved.
    Store(StoreError),
}

impl AuthError {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind: Arc::new(kind),
        }
    }

    /// What it means where a code was sent: nobody can send that code again.
    pub(super) fn of_a_code(self) -> Self {
        match Arc::into_inner(self.kind) {
            Some(Kind::Unreachable(error)) => Self::new(Kind::CodeUnanswered(error)),
            Some(Kind::Unreadable) | None => Self::new(Kind::CodeUnanswered(None)),
            Some(other) => Self::new(other),
        }
    }

    pub(super) fn unreachable(error: reqwest::Error) -> Self {
        Self::new(Kind::Unreachable(Some(error.without_url())))
    }

    /// Whether the user must connect again: show "Connect my Fullscript
    /// account" and start with [`OAuthApp::authorize`](super::OAuthApp::authorize).
    #[must_use]
    pub fn needs_reconnect(&self) -> bool {
        matches!(
            *self.kind,
            Kind::NeedsReconnect | Kind::NotConnected | Kind::WrongEnvironment
        )
    }

    /// Whether the user said no.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(*self.kind, Kind::Callback(CallbackFault::Denied))
    }

    /// Whether the callback does not belong to the request that was
    /// remembered: perhaps a forgery, perhaps an old tab.
    #[must_use]
    pub fn is_state_mismatch(&self) -> bool {
        matches!(
            *self.kind,
            Kind::Callback(
                CallbackFault::NoState
                    | CallbackFault::StateMismatch
                    | CallbackFault::StateForged
                    | CallbackFault::Empty("remembered state")
            )
        )
    }

    /// Whether the code is older than its ten minutes, or spent, or may be:
    /// start the connection again.
    #[must_use]
    pub fn is_code_expired(&self) -> bool {
        matches!(
            *self.kind,
            Kind::CodeExpired | Kind::CodeRefused | Kind::CodeUnanswered(_)
        )
    }

    /// Whether trying again later may help; the tokens are as they were.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            *self.kind,
            Kind::Unreachable(_) | Kind::Unreadable | Kind::Busy(_) | Kind::Store(_)
        )
    }

    /// How long to wait before trying again, where the limit of requests left
    /// no room.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match *self.kind {
            Kind::Busy(wait) => Some(wait),
            _ => None,
        }
    }

    /// Whether the store failed.
    #[must_use]
    pub fn is_store(&self) -> bool {
        matches!(*self.kind, Kind::Store(_))
    }

    /// Whether the app's own settings are wrong: client id, secret, redirect
    /// URI, addresses.
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
            Kind::CodeExpired => {
                f.write_str("the code is older than ten minutes, start the connection again")
            }
            Kind::CodeRefused => {
                f.write_str("the server does not take the code, start the connection again")
            }
            Kind::NotConnected => f.write_str("the user has not connected an account yet"),
            Kind::NeedsReconnect => {
                f.write_str("the connection has ended, the user must connect again")
            }
            Kind::WrongEnvironment => f.write_str(
                "the tokens were issued in another environment or to another app, the user must connect to this one",
            ),
            Kind::CodeUnanswered(_) => f.write_str(
                "the token endpoint did not answer, and the code may be spent, start the connection again",
            ),
            Kind::Busy(_) => f.write_str("the limit of requests leaves no room now, try again later"),
            Kind::Unreachable(_) => {
                f.write_str("the token endpoint could not be reached, try again later")
            }
            Kind::Unreadable => {
                f.write_str("the token endpoint gave an answer that is none, try again later")
            }
            Kind::Store(_) => {
                f.write_str("the token store failed, the tokens are kept and will be saved later")
            }
        }
    }
}

impl fmt::Debug for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthError")
            .field("message", &format_args!("{self}"))
            .finish_non_exhaustive()
    }
}

impl std::error::Error for AuthError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.kind {
            Kind::Unreachable(error) | Kind::CodeUnanswered(error) => {
                error.as_ref().map(|error| error as _)
            }
            Kind::Store(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a request could not be made or a callback gave no code.
///
/// Neither Display nor Debug shows the state, the code, or a description that
/// could name a person.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum CallbackFault {
    NoState,
    StateMismatch,
    StateForged,
    NoCode,
    Duplicate(&'static str),
    Empty(&'static str),
    TooLong(&'static str),
    WrongAddress,
    Denied,
    Refused {
        /// Empty where the server's was no plain word.
        error: String,
        /// As the server sent it, so it may say anything about anyone.
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
                "callback carries no state, so nothing says who asked for it: \
                 start the connection again, and pass the callback on with its whole query",
            ),
            Self::StateMismatch => f.write_str(
                "callback's state is not the one remembered, so another browser or an older \
                 attempt may have asked for it: start the connection again",
            ),
            Self::StateForged => f.write_str(
                "state was not made by this app with this client secret: \
                 start the connection again, and check who could have changed the session",
            ),
            Self::NoCode => f.write_str(
                "callback carries neither a code nor an error: start the connection again",
            ),
            Self::Duplicate(name) => write!(
                f,
                "callback carries {name} more than once: start the connection again"
            ),
            Self::Empty(name) => write!(f, "{name} is empty: start the connection again"),
            Self::TooLong(name) => write!(
                f,
                "{name} is longer than any the server or this app makes: \
                 start the connection again"
            ),
            Self::WrongAddress => f.write_str(
                "callback came to another address than the redirect URI: configure the one \
                 the browser sees, or pass on only the query if a proxy rewrites it",
            ),
            Self::Denied => {
                f.write_str("the user declined: offer to connect again when they ask for it")
            }
            Self::Refused { error, description } => {
                f.write_str("the server refused the authorization")?;
                let description = description.as_deref().filter(|text| is_presentable(text));
                match (error.as_str(), description) {
                    ("", None) => {}
                    ("", Some(text)) | (text, None) => write!(f, " ({text})")?,
                    (error, Some(description)) => write!(f, " ({error}: {description})")?,
                }
                f.write_str(": check the app in the vendor's dashboard, then start again")
            }
            Self::PayloadTooLong { limit } => write!(
                f,
                "payload is longer than {limit} bytes: \
                 keep it in the session and pass a reference to it"
            ),
        }
    }
}

impl fmt::Debug for CallbackFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallbackFault({self})")
    }
}

/// Whether a description can be shown: short, of one line, and without what
/// looks like a mail address.
fn is_presentable(text: &str) -> bool {
    text.len() <= MAX_SHOWN_DESCRIPTION
        && text
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~') && byte != b'@')
}

const MAX_SHOWN_DESCRIPTION: usize = 200;
