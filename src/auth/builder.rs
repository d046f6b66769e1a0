//! Builds an [`OAuthApp`].

use std::fmt;
use std::sync::{Arc, Mutex};

use reqwest::Url;

use super::app::{Inner, OAuthApp};
use super::event::AuthEvent;
use super::randomness::Randomness;
use super::shared::{AppShared, Listener};
use super::store::{MemoryStore, TokenStore};
use super::token::ClientSecret;
use super::token_endpoint::Endpoint;
use crate::clock::{Clock, SystemClock};
use crate::environment::{AUTHORIZE_PATH, Environment, REVOKE_PATH, TOKEN_PATH};
use crate::transport::{BuildError, Connection, base_url, connection_setters};

impl OAuthApp {
    /// Starts an app for an environment.
    #[must_use]
    pub fn builder(environment: Environment) -> OAuthAppBuilder {
        OAuthAppBuilder {
            connection: Connection::to(environment),
            authorize_url: None,
            token_url: None,
            revoke_url: None,
            client_id: None,
            client_secret: None,
            redirect_uri: None,
            store: Arc::new(MemoryStore::new()),
            clock: Arc::new(SystemClock),
            listener: None,
            pkce: false,
            token_http: None,
        }
    }
}

/// What an app is made of; see [`OAuthApp::builder`].
pub struct OAuthAppBuilder {
    connection: Connection,
    authorize_url: Option<String>,
    token_url: Option<String>,
    revoke_url: Option<String>,
    client_id: Option<String>,
    client_secret: Option<ClientSecret>,
    redirect_uri: Option<String>,
    store: Arc<dyn TokenStore>,
    clock: Arc<dyn Clock>,
    listener: Option<Listener>,
    pkce: bool,
    token_http: Option<reqwest::Client>,
}

impl OAuthAppBuilder {
    /// The client id that the dashboard shows.
    #[must_use]
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// The client secret that the dashboard shows.
    #[must_use]
    pub fn client_secret(mut self, client_secret: impl Into<String>) -> Self {
        self.client_secret = Some(ClientSecret::new(client_secret));
        self
    }

    /// The redirect URI, exactly as the dashboard has it.
    #[must_use]
    pub fn redirect_uri(mut self, redirect_uri: impl Into<String>) -> Self {
        self.redirect_uri = Some(redirect_uri.into());
        self
    }

    /// Where tokens are kept; in memory by default, which forgets them with
    /// the process.
    #[must_use]
    pub fn store(mut self, store: impl TokenStore) -> Self {
        self.store = Arc::new(store);
        self
    }

    /// Another address than the environment's: of a proxy, or of a fake. The
    /// OAuth addresses follow it, unless they are given too.
    #[must_use]
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.connection.base_url = base_url.into();
        self
    }

    /// Another authorize address: older guides name the web app's host.
    #[must_use]
    pub fn authorize_url(mut self, url: impl Into<String>) -> Self {
        self.authorize_url = Some(url.into());
        self
    }

    /// Another token address.
    #[must_use]
    pub fn token_url(mut self, url: impl Into<String>) -> Self {
        self.token_url = Some(url.into());
        self
    }

    /// Another revoke address.
    #[must_use]
    pub fn revoke_url(mut self, url: impl Into<String>) -> Self {
        self.revoke_url = Some(url.into());
        self
    }

    /// Whether to use PKCE (RFC 7636). The vendor does not document it, so it
    /// is off by default.
    #[must_use]
    pub fn pkce(mut self, pkce: bool) -> Self {
        self.pkce = pkce;
        self
    }

    /// Another clock, for tests.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Called with each event, on the task that it happened on: be quick.
    #[must_use]
    pub fn on_event(mut self, listener: impl Fn(&AuthEvent) + Send + Sync + 'static) -> Self {
        self.listener = Some(Box::new(listener));
        self
    }

    connection_setters!();

    /// An HTTP client of your own for the token endpoint: a proxy, TLS.
    ///
    /// Client secret and tokens travel in its bodies, so let it follow no
    /// redirects, and unpack no answers. By default the settings of this
    /// builder are used, whatever [`http_client`](Self::http_client) is.
    #[must_use]
    pub fn token_http_client(mut self, http: reqwest::Client) -> Self {
        self.token_http = Some(http);
        self
    }

    /// Makes the app.
    ///
    /// # Errors
    /// When client id, secret or redirect URI is missing, or an address is
    /// none, or is neither `https` nor loopback.
    pub fn build(self) -> Result<OAuthApp, BuildError> {
        let token_http = match self.token_http {
            Some(http) => http,
            None => self.connection.token_http_client()?,
        };
        let environment = self.connection.environment;
        let connected = self.connection.open(Arc::clone(&self.clock))?;
        let base = connected.base_url.clone();
        let address = |given: Option<String>, path: &str| {
            base_url(&given.unwrap_or_else(|| format!("{base}{path}")))
        };
        let needed = |value: Option<String>, missing: &'static str| {
            value
                .filter(|value| !value.is_empty())
                .ok_or_else(|| BuildError::new(missing))
        };
        let redirect_uri = needed(self.redirect_uri, "the redirect URI is missing")?;
        let randomness =
            Randomness::new().map_err(|_| BuildError::new("the machine has no randomness"))?;
        let endpoint = Endpoint {
            http: token_http,
            calls: Arc::clone(&connected.calls),
            token_url: address(self.token_url, TOKEN_PATH)?,
            revoke_url: address(self.revoke_url, REVOKE_PATH)?,
            client_id: needed(self.client_id, "the client id is missing")?,
            client_secret: self
                .client_secret
                .filter(|secret| !secret.expose().is_empty())
                .ok_or_else(|| BuildError::new("the client secret is missing"))?,
            redirect_uri: as_typed(&redirect_uri)?,
        };
        let issuer = format!("{}/{}", environment.name(), endpoint.client_id);
        let shared = AppShared {
            store: self.store,
            clock: self.clock,
            endpoint,
            issuer,
            lease_owner: randomness.text().to_string(),
            listener: self.listener,
        };
        Ok(OAuthApp {
            inner: Arc::new(Inner {
                shared: Arc::new(shared),
                authorize_url: address(self.authorize_url, AUTHORIZE_PATH)?,
                pkce: self.pkce,
                randomness,
                connected,
                sessions: Mutex::default(),
            }),
        })
    }
}

/// The server compares the redirect URI letter by letter, so it must be sent
/// as the dashboard has it, which a parsed address need not be.
fn as_typed(redirect_uri: &str) -> Result<Url, BuildError> {
    let url =
        Url::parse(redirect_uri).map_err(|_| BuildError::new("the redirect URI is not a URL"))?;
    if url.as_str() != redirect_uri {
        return Err(BuildError::new(
            "the redirect URI is not in its plain spelling: lower-case host, a path (`/` at least), no default port",
        ));
    }
    Ok(url)
}

impl fmt::Debug for OAuthAppBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthAppBuilder").finish_non_exhaustive()
    }
}
