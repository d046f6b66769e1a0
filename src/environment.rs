//! The four environments of the API.

use std::fmt;

/// The OAuth paths, the same in every environment.
pub(crate) const AUTHORIZE_PATH: &str = "/api/oauth/authorize";
pub(crate) const TOKEN_PATH: &str = "/api/oauth/token";
pub(crate) const REVOKE_PATH: &str = "/api/oauth/revoke";

/// An environment of the API.
///
/// A token is valid only in the environment that issued it.
///
/// Source: the environments table of the vendor's "for AI" page, 2026.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Environment {
    /// United States, test patients, no real orders.
    UsSandbox,
    /// Canada, test patients, no real orders.
    CaSandbox,
    /// United States, real patients.
    UsProduction,
    /// Canada, real patients.
    CaProduction,
}

impl Environment {
    /// All four environments.
    pub const ALL: [Self; 4] = [
        Self::UsSandbox,
        Self::CaSandbox,
        Self::UsProduction,
        Self::CaProduction,
    ];

    /// Returns the base URL of the operations, without a trailing slash:
    /// `https://api-us-snd.fullscript.io`.
    #[must_use]
    pub fn base_url(self) -> &'static str {
        match self {
            Self::UsSandbox => "https://api-us-snd.fullscript.io",
            Self::CaSandbox => "https://api-ca-snd.fullscript.io",
            Self::UsProduction => "https://api-us.fullscript.com",
            Self::CaProduction => "https://api-ca.fullscript.com",
        }
    }

    /// Returns the URL to which the browser is sent to connect an account:
    /// `https://api-us-snd.fullscript.io/api/oauth/authorize`.
    #[must_use]
    pub fn authorize_url(self) -> String {
        self.base_url().to_string() + AUTHORIZE_PATH
    }

    /// Returns the URL of the token endpoint, which exchanges codes and refreshes tokens:
    /// `https://api-us-snd.fullscript.io/api/oauth/token`.
    #[must_use]
    pub fn token_url(self) -> String {
        self.base_url().to_string() + TOKEN_PATH
    }

    /// Returns the URL of the revocation endpoint:
    /// `https://api-us-snd.fullscript.io/api/oauth/revoke`.
    #[must_use]
    pub fn revoke_url(self) -> String {
        self.base_url().to_string() + REVOKE_PATH
    }

    /// Returns the name that is stored with tokens: `us-sandbox`, `ca-sandbox`, `us-production` or
    /// `ca-production`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UsSandbox => "us-sandbox",
            Self::CaSandbox => "ca-sandbox",
            Self::UsProduction => "us-production",
            Self::CaProduction => "ca-production",
        }
    }

    /// Returns whether the environment has real patients.
    #[must_use]
    pub fn is_production(self) -> bool {
        matches!(self, Self::UsProduction | Self::CaProduction)
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UsSandbox => "US sandbox",
            Self::CaSandbox => "Canada sandbox",
            Self::UsProduction => "US production",
            Self::CaProduction => "Canada production",
        })
    }
}
