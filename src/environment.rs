//! The four places where the API lives.

use std::fmt;

/// The paths of OAuth, the same in every environment.
pub(crate) const AUTHORIZE_PATH: &str = "/api/oauth/authorize";
pub(crate) const TOKEN_PATH: &str = "/api/oauth/token";
pub(crate) const REVOKE_PATH: &str = "/api/oauth/revoke";

/// One of the vendor's environments; a token works only where it was issued.
///
/// Source: the environments table of the vendor's "for AI" page, 2026.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Environment {
    /// United States, made-up patients, no real orders.
    UsSandbox,
    /// Canada, made-up patients, no real orders.
    CaSandbox,
    /// United States, real patients.
    UsProduction,
    /// Canada, real patients.
    CaProduction,
}

impl Environment {
    /// All four.
    pub const ALL: [Self; 4] = [
        Self::UsSandbox,
        Self::CaSandbox,
        Self::UsProduction,
        Self::CaProduction,
    ];

    /// The address that the paths of the operations are appended to, without
    /// a slash at its end: `https://api-us-snd.fullscript.io`.
    #[must_use]
    pub fn base_url(self) -> &'static str {
        match self {
            Self::UsSandbox => "https://api-us-snd.fullscript.io",
            Self::CaSandbox => "https://api-ca-snd.fullscript.io",
            Self::UsProduction => "https://api-us.fullscript.com",
            Self::CaProduction => "https://api-ca.fullscript.com",
        }
    }

    /// Where the browser is sent to connect an account:
    /// `https://api-us-snd.fullscript.io/api/oauth/authorize`.
    #[must_use]
    pub fn authorize_url(self) -> String {
        self.base_url().to_string() + AUTHORIZE_PATH
    }

    /// Where codes and refresh tokens are turned into tokens:
    /// `https://api-us-snd.fullscript.io/api/oauth/token`.
    #[must_use]
    pub fn token_url(self) -> String {
        self.base_url().to_string() + TOKEN_PATH
    }

    /// Where tokens are revoked:
    /// `https://api-us-snd.fullscript.io/api/oauth/revoke`.
    #[must_use]
    pub fn revoke_url(self) -> String {
        self.base_url().to_string() + REVOKE_PATH
    }

    /// The name that tokens remember: `us-sandbox`, `ca-sandbox`,
    /// `us-production` or `ca-production`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UsSandbox => "us-sandbox",
            Self::CaSandbox => "ca-sandbox",
            Self::UsProduction => "us-production",
            Self::CaProduction => "ca-production",
        }
    }

    /// Whether real patients are behind it.
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
