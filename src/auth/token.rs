//! Tokens, scopes and token sets.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::record::millis;
use super::user::UserKey;

/// Defines a type for a secret text.
macro_rules! secret {
    ($(#[$docs:meta])* $name:ident) => {
        $(#[$docs])*
        ///
        /// `Debug` does not show the text, and the memory is wiped on drop.
        #[derive(Clone)]
        pub struct $name(Zeroizing<String>);

        impl $name {
            /// Wraps the text as it was issued.
            pub fn new(text: impl Into<String>) -> Self {
                Self(Zeroizing::new(text.into()))
            }

            /// Returns the secret text; keep it out of logs, URLs and messages.
            #[must_use]
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(***)"))
            }
        }
    };
}

secret! {
    /// An OAuth 2.0 access token.
    ///
    /// It is valid for 2 hours, for one user, in the environment that issued it.
    AccessToken
}

secret! {
    /// An OAuth 2.0 refresh token.
    ///
    /// It does not expire, and every token refresh replaces it.
    RefreshToken
}

secret! {
    /// The client secret of an app, from the dashboard.
    ClientSecret
}

impl AccessToken {
    /// Returns whether there is no token: another system's was imported without it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether the token can be sent in a header: it consists of visible ASCII.
    pub(crate) fn is_sendable(&self) -> bool {
        !self.0.is_empty() && self.0.bytes().all(|byte| byte.is_ascii_graphic())
    }
}

/// Returns the end of a lifetime. A lifetime that overflows is treated as 0.
pub(super) fn expires_at(issued_at: SystemTime, lifetime: Duration) -> SystemTime {
    issued_at.checked_add(lifetime).unwrap_or(issued_at)
}

/// Returns a text that identifies a refresh token without revealing it.
pub(super) fn fingerprint(token: &RefreshToken) -> Box<str> {
    let digest = Sha256::new()
        .chain_update("imported refresh token: ")
        .chain_update(token.expose());
    URL_SAFE_NO_PAD.encode(digest.finalize()).into()
}

/// A permission of an access token.
///
/// The set is open: the vendor documents the scopes below, and third parties report more.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(Cow<'static, str>);

impl Scope {
    /// Reads the catalog. Every app has this scope.
    pub const CATALOG_READ: &'static str = "catalog:read";
    /// Reads the clinic and its practitioners.
    pub const CLINIC_READ: &'static str = "clinic:read";
    /// Changes the clinic and acts for its practitioners.
    pub const CLINIC_WRITE: &'static str = "clinic:write";
    /// Reads patients, and the treatment plans that were created through the API.
    pub const PATIENTS_READ: &'static str = "patients:read";
    /// Creates and changes patients.
    pub const PATIENTS_WRITE: &'static str = "patients:write";
    /// Reads all treatment plans.
    pub const TREATMENT_PLAN_HISTORY: &'static str = "patients:treatment_plan_history";
    /// Reads orders.
    pub const ORDER_HISTORY: &'static str = "patients:order_history";

    const KNOWN: [&'static str; 7] = [
        Self::CATALOG_READ,
        Self::CLINIC_READ,
        Self::CLINIC_WRITE,
        Self::PATIENTS_READ,
        Self::PATIENTS_WRITE,
        Self::TREATMENT_PLAN_HISTORY,
        Self::ORDER_HISTORY,
    ];

    /// Creates a scope, in lower case.
    ///
    /// The vendor's guides capitalize some scopes, but tokens contain them in lower case.
    pub fn new(scope: impl AsRef<str>) -> Self {
        let scope = scope.as_ref().to_lowercase();
        // Known scopes take no memory for each user.
        let known = Self::KNOWN.into_iter().find(|known| *known == scope);
        Self(known.map_or(Cow::Owned(scope), Cow::Borrowed))
    }

    /// Returns the scope as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Scope {
    fn from(scope: &str) -> Self {
        Self::new(scope)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The mark of a user who must reconnect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NeedsReconnect {
    /// The time at which the mark was set.
    #[serde(with = "millis")]
    pub since: SystemTime,
    /// The reason.
    pub reason: ReconnectReason,
}

impl NeedsReconnect {
    /// Creates a mark.
    #[must_use]
    pub fn new(since: SystemTime, reason: ReconnectReason) -> Self {
        Self { since, reason }
    }
}

/// The reason why a user must reconnect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReconnectReason {
    /// The server rejected the refresh token.
    RefreshTokenRejected,
    /// The access token expired, and the server issued no refresh token.
    NoRefreshToken,
    /// A reason that a later version of this crate has recorded.
    #[serde(other)]
    Other,
}

/// The first of the token refreshes in a row that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RefreshFailure {
    /// The time of the failure.
    #[serde(with = "millis")]
    pub since: SystemTime,
    /// The cause.
    pub cause: RefreshFailureCause,
}

/// The cause of a token refresh that failed, while the refresh token was not rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefreshFailureCause {
    /// No response, or a temporary failure of the token endpoint.
    Unreachable,
    /// A response that is not a token response.
    Unreadable,
    /// A token set that cannot be used.
    Unusable,
    /// The client id or the client secret was rejected.
    Misconfigured,
    /// The rate limiter had no permit in time.
    RateLimited,
    /// The circuit breaker of the token endpoint is open.
    CircuitOpen,
    /// The token store failed.
    Store,
    /// Any other cause, also one that a later version of this crate has recorded.
    #[serde(other)]
    Other,
}

impl RefreshFailureCause {
    /// Returns the name of the cause for metrics, such as `circuit_open`, which later versions
    /// keep.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Unreadable => "unreadable",
            Self::Unusable => "unusable",
            Self::Misconfigured => "misconfigured",
            Self::RateLimited => "rate_limited",
            Self::CircuitOpen => "circuit_open",
            Self::Store => "store",
            Self::Other => "other",
        }
    }
}

/// A user's access token and refresh token with their metadata.
///
/// The token sets of a user are ordered: `generation` grows with each change of the tokens.
/// A store saves a token set as a [`ConnectionRecord`](super::ConnectionRecord).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenSet {
    /// The token that is sent with calls.
    pub access_token: AccessToken,
    /// The token with which the next token set is requested.
    pub refresh_token: Option<RefreshToken>,
    /// The owner of the tokens.
    pub user: UserKey,
    /// The scopes that the server issued the tokens with.
    pub scopes: Vec<Scope>,
    /// The environment and the app that the tokens were issued to: the
    /// [name](crate::Environment::name) of the environment, a slash, and the client id.
    ///
    /// The tokens are valid only there (RFC 6749, section 6), and are sent nowhere else.
    pub issuer: String,
    /// The time at which the access token was requested, by this machine's clock.
    pub issued_at: SystemTime,
    /// The lifetime of the access token, counted from `issued_at`.
    pub lifetime: Duration,
    /// The version number of the token set, which grows with each change.
    ///
    /// A new connection starts at the current time in milliseconds since 1970, so that a number is
    /// never reused for a user.
    pub generation: u64,
    /// The random id of the connection, which differs after a reconnect.
    pub connection: String,
    /// The last refresh that a call caused.
    ///
    /// A user who makes calls is refreshed once in the lifetime of an access token (2 hours), so
    /// the last use is at most that much later.
    pub used_at: SystemTime,
    /// The application's own reference, for example the id of a clinic or tenant.
    pub tenant: Option<String>,
    /// The mark that the user must reconnect.
    pub needs_reconnect: Option<NeedsReconnect>,
    /// The failure of the last token refresh, if it failed.
    pub failure: Option<RefreshFailure>,
    /// The access token of the token set that this one replaced.
    ///
    /// The server accepts the replaced token set until this one is first used, so
    /// [`OAuthApp::revoke`](super::OAuthApp::revoke) revokes it too.
    pub replaced_access_token: Option<AccessToken>,
    /// The fingerprint of the refresh token that was imported from another system.
    pub(super) imported: Option<Box<str>>,
    /// Fields that a later version of this crate has recorded.
    pub(super) unknown: Map<String, Value>,
}

impl TokenSet {
    /// Creates a token set of generation 1 without a refresh token and without scopes.
    ///
    /// `issuer` is the [name](crate::Environment::name) of the environment, a slash, and the
    /// client id; `lifetime` counts from `issued_at`.
    #[must_use]
    pub fn new(
        user: impl Into<UserKey>,
        access_token: AccessToken,
        issuer: impl Into<String>,
        issued_at: SystemTime,
        lifetime: Duration,
    ) -> Self {
        Self {
            access_token,
            refresh_token: None,
            user: user.into(),
            scopes: Vec::new(),
            issuer: issuer.into(),
            issued_at,
            lifetime,
            generation: 1,
            connection: String::new(),
            used_at: issued_at,
            tenant: None,
            needs_reconnect: None,
            failure: None,
            replaced_access_token: None,
            imported: None,
            unknown: Map::new(),
        }
    }

    /// Sets the refresh token.
    #[must_use]
    pub fn refresh_token(mut self, refresh_token: RefreshToken) -> Self {
        self.refresh_token = Some(refresh_token);
        self
    }

    /// Sets the scopes.
    #[must_use]
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = Scope>) -> Self {
        self.scopes = scopes.into_iter().collect();
        self
    }

    /// Sets the generation.
    #[must_use]
    pub fn generation(mut self, generation: u64) -> Self {
        self.generation = generation;
        self
    }

    /// Sets the mark that the user must reconnect.
    #[must_use]
    pub fn needs_reconnect(mut self, mark: NeedsReconnect) -> Self {
        self.needs_reconnect = Some(mark);
        self
    }

    /// Sets the application's own reference.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Sets the access token of the token set that this one replaced.
    #[must_use]
    pub fn replaced_access_token(mut self, access_token: AccessToken) -> Self {
        self.replaced_access_token = Some(access_token);
        self
    }

    /// Returns the time at which the access token expires, by this machine's clock.
    ///
    /// The lifetime is counted from the request, so a wrong server clock has no effect.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        expires_at(self.issued_at, self.lifetime)
    }
}
