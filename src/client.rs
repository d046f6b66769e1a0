//! Building a client.

use std::fmt;
use std::time::Duration;

use crate::auth::AccessToken;
use crate::environment::Environment;
use crate::generated::client::Client;
use crate::hooks::Context;

/// Long enough for a handshake across an ocean on a bad day.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The whole of one call, answer included.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);

/// One request to the token endpoint, answer included: a few of them must fit
/// into the time that a caller is ready to wait.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(10);

/// The name that the client gives itself.
const USER_AGENT: &str = concat!("fullscript-rust/", env!("CARGO_PKG_VERSION"));

impl Client {
    /// Starts a client for an environment.
    ///
    /// ```
    /// use fullscript::{AccessToken, Client, Environment};
    ///
    /// let client = Client::builder(Environment::UsSandbox)
    ///     .access_token(AccessToken::new("from the token endpoint"))
    ///     .build()?;
    /// # Ok::<_, fullscript::BuildError>(())
    /// ```
    #[must_use]
    pub fn builder(environment: Environment) -> ClientBuilder {
        ClientBuilder {
            base_url: environment.base_url().into(),
            token: None,
            http: None,
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base_url", &self.baseurl)
            .finish_non_exhaustive()
    }
}

/// What a client is made of; see [`Client::builder`].
pub struct ClientBuilder {
    base_url: String,
    token: Option<AccessToken>,
    http: Option<reqwest::Client>,
}

/// Shows nothing: an address not checked yet may hold a password, and an HTTP
/// client of the caller's shows its headers.
impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").finish_non_exhaustive()
    }
}

impl ClientBuilder {
    /// The token that every call carries.
    #[must_use]
    pub fn access_token(mut self, token: AccessToken) -> Self {
        self.token = Some(token);
        self
    }

    /// Another address than the environment's: of a proxy, or of a fake.
    ///
    /// `https`, or `http` to a loopback address.
    #[must_use]
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = base_url.into();
        self
    }

    /// An HTTP client of your own: proxy, time-outs, TLS, user agent.
    ///
    /// Let it follow no redirects to other hosts; the default one follows
    /// none at all.
    #[must_use]
    pub fn http_client(mut self, http: reqwest::Client) -> Self {
        self.http = Some(http);
        self
    }

    /// Makes the client.
    ///
    /// # Errors
    /// When the address is none, or is neither `https` nor loopback, or when
    /// TLS can't be set up.
    pub fn build(self) -> Result<Client, BuildError> {
        let url = base_url(&self.base_url)?;
        let http = match self.http {
            Some(http) => http,
            None => default_http_client()?,
        };
        Ok(Client::new_with_client(
            // As requests will spell it, so that their paths can be compared.
            url.as_str().trim_end_matches('/'),
            http,
            Context::new(self.token),
        ))
    }
}

/// An address that tokens and health data may travel to: `https`, or
/// loopback; nothing but scheme, host, port and path.
pub(crate) fn base_url(text: &str) -> Result<reqwest::Url, BuildError> {
    let url =
        reqwest::Url::parse(text).map_err(|_| BuildError::new("the base URL is not a URL"))?;
    let plain = url.scheme() == "http" && is_loopback(&url);
    if url.scheme() != "https" && !plain {
        return Err(BuildError::new(
            "the base URL is not https: tokens and health data travel over it",
        ));
    }
    let has_user = !url.username().is_empty() || url.password().is_some();
    if url.query().is_some() || url.fragment().is_some() || has_user {
        return Err(BuildError::new(
            "the base URL has more than scheme, host, port and path",
        ));
    }
    Ok(url)
}

fn is_loopback(url: &reqwest::Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host.parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

pub(crate) fn default_http_client() -> Result<reqwest::Client, BuildError> {
    build(http_client_builder())
}

/// For the token endpoint: replies are small, and none is unpacked.
pub(crate) fn token_http_client() -> Result<reqwest::Client, BuildError> {
    let builder = http_client_builder().timeout(TOKEN_TIMEOUT);
    build(builder.no_gzip().no_brotli().no_deflate().no_zstd())
}

fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, BuildError> {
    builder
        .build()
        .map_err(|_| BuildError::new("TLS could not be set up"))
}

fn http_client_builder() -> reqwest::ClientBuilder {
    // Without a provider rustls would panic at the first handshake; one that
    // the application has installed already stays.
    #[cfg(feature = "rustls-ring")]
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _lost_a_race = rustls::crypto::ring::default_provider().install_default();
    }
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TOTAL_TIMEOUT)
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
}

/// A client that can't be built; says why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildError {
    reason: &'static str,
}

impl BuildError {
    pub(crate) fn new(reason: &'static str) -> Self {
        Self { reason }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason)
    }
}

impl std::error::Error for BuildError {}
