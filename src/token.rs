//! The access token that a call carries.

use std::fmt;

use zeroize::Zeroizing;

/// An OAuth 2.0 access token: good for two hours, for one user, on the
/// environment that issued it.
///
/// Never shown by `Debug`, and wiped from memory when dropped.
#[derive(Clone)]
pub struct AccessToken(Zeroizing<String>);

impl AccessToken {
    /// Takes a token as the token endpoint issued it.
    pub fn new(token: impl Into<String>) -> Self {
        Self(Zeroizing::new(token.into()))
    }

    /// The token itself. Keep it out of logs, addresses and error messages.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(***)")
    }
}
