//! The builder of an [`OAuthApp`].

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
use crate::environment::{AUTHORIZE_PATH, Environment, REVOKE_PATH, TOKEN_PATH};
use crate::transport::{BuildError, Connection, base_url, connection_setters};

impl OAuthApp {
    /// Creates a builder of an app for an environment.
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
            listener: None,
            pkce: false,
            token_http: None,
        }
    }
}

/// A builder of an [`OAuthApp`], created by [`OAuthApp::builder`].
pub struct OAuthAppBuilder {
    connection: Connection,
    authorize_url: Option<String>,
    token_url: Option<String>,
    revoke_url: Option<String>,
    client_id: Option<String>,
    client_secret: Option<ClientSecret>,
    redirect_uri: Option<String>,
    store: Arc<dyn TokenStore>,
    listener: Option<Listener>,
    pkce: bool,
    token_http: Option<reqwest::Client>,
}

impl OAuthAppBuilder {
    /// Sets the client id from the dashboard. Required.
    #[must_use]
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// Sets the client secret from the dashboard. Required.
    #[must_use]
    pub fn client_secret(mut self, client_secret: impl Into<String>) -> Self {
        self.client_secret = Some(ClientSecret::new(client_secret));
        self
    }

    /// Sets the redirect URI, exactly as in the dashboard. Required.
    #[must_use]
    pub fn redirect_uri(mut self, redirect_uri: impl Into<String>) -> Self {
        self.redirect_uri = Some(redirect_uri.into());
        self
    }

    /// Sets the token store.
    ///
    /// Default: a [`MemoryStore`], which loses all tokens when the process ends.
    #[must_use]
    pub fn store(mut self, store: impl TokenStore) -> Self {
        self.store = Arc::new(store);
        self
    }

    /// Overrides the authorization URL.
    ///
    /// Default: derived from the base URL, like the other OAuth URLs. Older guides of the vendor use the host of the web app.
    #[must_use]
    pub fn authorize_url(mut self, url: impl Into<String>) -> Self {
        self.authorize_url = Some(url.into());
        self
    }

    /// Overrides the URL of the token endpoint.
    #[must_use]
    pub fn token_url(mut self, url: impl Into<String>) -> Self {
        self.token_url = Some(url.into());
        self
    }

    /// Overrides the URL of the revocation endpoint.
    #[must_use]
    pub fn revoke_url(mut self, url: impl Into<String>) -> Self {
        self.revoke_url = Some(url.into());
        self
    }

    /// Enables PKCE (RFC 7636).
    ///
    /// Default: `false`, because the vendor does not document PKCE.
    #[must_use]
    pub fn pkce(mut self, pkce: bool) -> Self {
        self.pkce = pkce;
        self
    }

    /// Sets a listener for [`AuthEvent`]s.
    ///
    /// It runs on the task that caused the event and must not block.
    /// A panic of the listener is logged and fails no call.
    #[must_use]
    pub fn on_event(mut self, listener: impl Fn(&AuthEvent) + Send + Sync + 'static) -> Self {
        self.listener = Some(Box::new(listener));
        self
    }

    connection_setters!();

    /// Sets the HTTP client for the token endpoint, for example to configure a proxy or TLS.
    ///
    /// The client secret and the tokens are sent in its bodies, so it should follow no redirects
    /// and decompress no responses.
    /// Default: a client with the settings of this builder, which does not depend on
    /// [`http_client`](Self::http_client), and with a timeout of 10 s per request.
    #[must_use]
    pub fn token_http_client(mut self, http: reqwest::Client) -> Self {
        self.token_http = Some(http);
        self
    }

    /// Creates the app.
    ///
    /// # Errors
    ///
    /// Returns an error if the client id, the client secret or the redirect URI is missing, if a
    /// URL is not valid, or if a URL is neither `https` nor a loopback address.
    pub fn build(self) -> Result<OAuthApp, BuildError> {
        let token_http = match self.token_http {
            Some(http) => http,
            None => self.connection.token_http_client()?,
        };
        let environment = self.connection.environment;
        let connected = self.connection.open()?;
        let url = |given: Option<String>, path: &str| {
            let base = connected.base.as_str().trim_end_matches('/');
            base_url(&given.unwrap_or_else(|| format!("{base}{path}")))
        };
        let redirect_uri = required(
            self.redirect_uri.filter(|uri| !uri.is_empty()),
            "redirect URI: missing; set it with `redirect_uri`",
        )?;
        let randomness = Randomness::new()
            .map_err(|_| BuildError::new("the operating system provides no random numbers"))?;
        let endpoint = Endpoint {
            http: token_http,
            calls: Arc::clone(&connected.calls),
            token_url: url(self.token_url, TOKEN_PATH)?,
            revoke_url: url(self.revoke_url, REVOKE_PATH)?,
            client_id: required(
                self.client_id.filter(|id| !id.is_empty()),
                "client id: missing; set it with `client_id`",
            )?,
            client_secret: required(
                self.client_secret
                    .filter(|secret| !secret.expose().is_empty()),
                "client secret: missing; set it with `client_secret`",
            )?,
            redirect_uri: parse_redirect_uri(&redirect_uri)?,
        };
        let issuer = format!("{}/{}", environment.name(), endpoint.client_id);
        let shared = AppShared::new(
            self.store,
            endpoint,
            issuer,
            randomness.text().to_string(),
            self.listener,
        );
        Ok(OAuthApp {
            inner: Arc::new(Inner {
                shared: Arc::new(shared),
                authorize_url: url(self.authorize_url, AUTHORIZE_PATH)?,
                pkce: self.pkce,
                randomness,
                connected,
                sessions: Mutex::default(),
            }),
        })
    }
}

fn required<T>(value: Option<T>, missing: &'static str) -> Result<T, BuildError> {
    value.ok_or_else(|| BuildError::new(missing))
}

/// Parses the redirect URI, and rejects a spelling that parsing changes.
///
/// The server compares the redirect URI byte by byte, so it must be sent exactly as it is in the
/// dashboard.
fn parse_redirect_uri(redirect_uri: &str) -> Result<Url, BuildError> {
    let url =
        Url::parse(redirect_uri).map_err(|_| BuildError::new("redirect URI: not a valid URL"))?;
    if url.as_str() != redirect_uri {
        return Err(BuildError::new(
            "redirect URI: not normalized; use a lower-case host, a path (at least `/`) and no \
             default port",
        ));
    }
    Ok(url)
}

impl fmt::Debug for OAuthAppBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthAppBuilder").finish_non_exhaustive()
    }
}
