//! Tokens and what is known of them.

use std::fmt;
use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

/// Defines a text that must not be shown.
macro_rules! secret {
    ($(#[$docs:meta])* $name:ident) => {
        $(#[$docs])*
        ///
        /// Never shown by `Debug`, and wiped from memory when dropped.
        #[derive(Clone)]
        pub struct $name(Zeroizing<String>);

        impl $name {
            /// Takes it as it was issued.
            pub fn new(text: impl Into<String>) -> Self {
                Self(Zeroizing::new(text.into()))
            }

            /// The text itself. Keep it out of logs, addresses and messages.
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
    /// An OAuth 2.0 access token: good for two hours, for one user, on the
    /// environment that issued it.
    AccessToken
}

secret! {
    /// An OAuth 2.0 refresh token: does not expire, and is replaced by every
    /// refresh.
    RefreshToken
}

secret! {
    /// The secret that the dashboard shows beside the client id.
    ClientSecret
}

/// What a token is good for.
///
/// An open set: the vendor's documents name those below, and third parties
/// more.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(Box<str>);

impl Scope {
    /// Read the catalog; every app has it.
    pub const CATALOG_READ: &'static str = "catalog:read";
    /// Read the clinic and its practitioners.
    pub const CLINIC_READ: &'static str = "clinic:read";
    /// Change the clinic and act for its practitioners.
    pub const CLINIC_WRITE: &'static str = "clinic:write";
    /// Read patients, and the plans that were made through the API.
    pub const PATIENTS_READ: &'static str = "patients:read";
    /// Create and change patients.
    pub const PATIENTS_WRITE: &'static str = "patients:write";
    /// Read all treatment plans.
    pub const TREATMENT_PLAN_HISTORY: &'static str = "patients:treatment_plan_history";
    /// Read orders.
    pub const ORDER_HISTORY: &'static str = "patients:order_history";

    /// Takes a scope; guides write some with a capital, tokens none.
    pub fn new(scope: impl AsRef<str>) -> Self {
        Self(scope.as_ref().to_lowercase().into())
    }

    /// The scope as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
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

/// Whose tokens they are.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Owner {
    /// The vendor's id of the user, or of the clinic for apps older than
    /// August 2021.
    pub id: String,
    /// `Practitioner`, `Staff`, or `Clinic`; an open set.
    pub kind: String,
}

impl Owner {
    /// Creates an owner from the vendor's id and the kind of user.
    #[must_use]
    pub fn new(id: impl Into<String>, kind: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            kind: kind.into(),
        }
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// A pair of tokens with what is known of it; what a store keeps.
///
/// A value of this type has a place in one order: `generation` grows with each
/// change of the user's tokens.
/// A store that rebuilds a token set from its own columns starts with [`TokenSet::new`] and sets
/// every field that it has stored.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenSet {
    /// The token that calls carry.
    pub access_token: AccessToken,
    /// The token that the next pair is asked for with.
    pub refresh_token: Option<RefreshToken>,
    /// Whose tokens they are.
    pub owner: Owner,
    /// What they are good for, as the server said when it issued them.
    pub scopes: Vec<Scope>,
    /// Where and to whom they were issued: the
    /// [name](crate::Environment::name) of the environment, a slash, and the
    /// client id. They are good nowhere else and for nobody else (RFC 6749,
    /// section 6), and are not sent there.
    pub issuer: String,
    /// When the access token was asked for, by this machine's clock.
    pub issued_at: SystemTime,
    /// How long the access token is good for from then.
    pub lifetime: Duration,
    /// Grows with each change. A new connection begins at the time in
    /// milliseconds since 1970, so that no number comes twice for a user.
    pub generation: u64,
    /// Whether the server has said that the refresh token is no longer good:
    /// the user must connect again.
    pub needs_reconnect: bool,
}

impl TokenSet {
    /// Creates a token set of generation 1 without a refresh token and scopes.
    ///
    /// `issuer` is the [name](crate::Environment::name) of the environment, a slash, and the
    /// client id; `lifetime` counts from `issued_at`.
    #[must_use]
    pub fn new(
        owner: Owner,
        access_token: AccessToken,
        issuer: impl Into<String>,
        issued_at: SystemTime,
        lifetime: Duration,
    ) -> Self {
        Self {
            access_token,
            refresh_token: None,
            owner,
            scopes: Vec::new(),
            issuer: issuer.into(),
            issued_at,
            lifetime,
            generation: 1,
            needs_reconnect: false,
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

    /// Marks the user as one who must reconnect.
    #[must_use]
    pub fn needs_reconnect(mut self, needs_reconnect: bool) -> Self {
        self.needs_reconnect = needs_reconnect;
        self
    }

    /// When the access token expires, by this machine's clock.
    ///
    /// Counted from when it was asked for: that the server's clock is an hour
    /// off changes nothing.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        // A lifetime beyond all time is none to rely on.
        let expires_at = self.issued_at.checked_add(self.lifetime);
        expires_at.unwrap_or(self.issued_at)
    }
}
