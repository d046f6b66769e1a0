//! The builder of an [`OAuthApp`].

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::app::{Inner, OAuthApp};
use super::authorize::RedirectUri;
use super::client_secrets::ClientSecrets;
use super::event::{AuthEvent, Events, Listener};
use super::randomness::Randomness;
use super::shared::AppShared;
use super::store::{MemoryStore, Store, TokenStore};
use super::token::ClientSecret;
use super::token_endpoint::{Endpoint, Target};
use crate::environment::{AUTHORIZE_PATH, Environment, REVOKE_PATH, TOKEN_PATH};
use crate::transport::{BuildError, Connection, HttpPools, connection_setters};

/// The default lifetime of a state: 1 h, for a user who signs in, or signs up, in between.
const STATE_LIFETIME: Duration = Duration::from_secs(3_600);

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
            alternate_client_secret: None,
            redirect_uri: None,
            store: Arc::new(MemoryStore::new()),
            listener: None,
            pkce: true,
            state_lifetime: STATE_LIFETIME,
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
    alternate_client_secret: Option<ClientSecret>,
    redirect_uri: Option<String>,
    store: Arc<dyn TokenStore>,
    listener: Option<Listener>,
    pkce: bool,
    state_lifetime: Duration,
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

    /// Sets a second client secret, to replace the secret without an outage.
    ///
    /// A token request that the server rejects as `invalid_client` is sent once more with the other
    /// secret, and the secret that the server accepted is used from then on. States are accepted if
    /// either secret has signed them, so that a browser that was away during a deployment can
    /// return.
    /// Deploy the new secret as the alternate one, replace it in the dashboard, then deploy it as
    /// the [client secret](Self::client_secret). Default: no second secret.
    #[must_use]
    pub fn alternate_client_secret(mut self, client_secret: impl Into<String>) -> Self {
        self.alternate_client_secret = Some(ClientSecret::new(client_secret));
        self
    }

    /// Sets the redirect URI, exactly as in the dashboard. Required.
    ///
    /// It is sent byte for byte, because the server compares it so.
    /// The scheme must be `https`, the custom scheme of a native app, or `http` on a loopback
    /// address or a host that [`allow_http_host`](Self::allow_http_host) names. A fragment is
    /// refused.
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

    /// Enables or disables PKCE (RFC 7636), which ties the code to the app that requested it.
    ///
    /// Default: `true`. The vendor does not document PKCE, and a server that does not support it
    /// must ignore its parameters (RFC 6749, sections 3.1 and 3.2). Disable it only if the server
    /// rejects the authorization request because of `code_challenge`.
    #[must_use]
    pub fn pkce(mut self, pkce: bool) -> Self {
        self.pkce = pkce;
        self
    }

    /// Sets the lifetime of a [`State`](super::State): the longest time between the authorization
    /// request and its callback.
    ///
    /// It includes the time that the user takes to sign in and to consent. An older callback is
    /// refused. Default: 1 h.
    #[must_use]
    pub fn state_lifetime(mut self, lifetime: Duration) -> Self {
        self.state_lifetime = lifetime;
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
    /// and decompress no responses. It should send HTTP/2 pings like the client for calls
    /// ([`http_client`](Self::http_client)).
    /// Each request has a timeout of 10 s, also with this client.
    /// Default: a client with the settings of this builder, which does not depend on
    /// [`http_client`](Self::http_client).
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
    /// URL is not valid, if the base URL ends with `/api`, or if a URL is neither `https` nor a
    /// loopback address nor on a host that [`allow_http_host`](Self::allow_http_host) names.
    pub fn build(self) -> Result<OAuthApp, BuildError> {
        let connection = &self.connection;
        let base = connection.base()?;
        let url = |given: Option<String>, path: &str| {
            let base = base.as_str().trim_end_matches('/');
            connection.url(&given.unwrap_or_else(|| format!("{base}{path}")))
        };
        let redirect_uri = required(
            self.redirect_uri.filter(|uri| !uri.is_empty()),
            "redirect URI: missing; set it with `redirect_uri`",
        )?;
        let randomness = Randomness::new()
            .map_err(|_| BuildError::new("the operating system provides no random numbers"))?;
        let authorize_url = url(self.authorize_url, AUTHORIZE_PATH)?;
        let token_url = url(self.token_url, TOKEN_PATH)?;
        let revoke_url = url(self.revoke_url, REVOKE_PATH)?;
        let given = self.token_http.map(HttpPools::of).map(Arc::new);
        let pools = |url| match &given {
            Some(pools) => Ok(Arc::clone(pools)),
            None => connection.token_http_pools(url).map(Arc::new),
        };
        let token_pools = pools(&token_url)?;
        // They differ in whether they use the proxies of the environment variables.
        let revoke_pools = if connection.is_local(&revoke_url) == connection.is_local(&token_url) {
            Arc::clone(&token_pools)
        } else {
            pools(&revoke_url)?
        };
        let redirect_uri = RedirectUri::parse(redirect_uri, connection)?;
        let environment = connection.environment;
        let connected = self.connection.open(self.client_id.as_deref())?;
        let endpoint = Endpoint {
            tokens: Target {
                url: token_url,
                http: token_pools,
            },
            revocation: Target {
                url: revoke_url,
                http: revoke_pools,
            },
            calls: Arc::clone(&connected.calls),
            client_id: required(
                self.client_id.filter(|id| !id.is_empty()),
                "client id: missing; set it with `client_id`",
            )?,
            secrets: ClientSecrets::new(self.client_secret, self.alternate_client_secret)?,
            redirect_uri,
        };
        let issuer = format!("{}/{}", environment.name(), endpoint.client_id);
        let events = Arc::new(Events::new(self.listener));
        let shared = AppShared::new(
            Store::new(self.store, issuer, Arc::clone(&events)),
            endpoint,
            randomness.text().to_string(),
            events,
        );
        Ok(OAuthApp {
            inner: Arc::new(Inner {
                shared: Arc::new(shared),
                authorize_url,
                pkce: self.pkce,
                state_lifetime: self.state_lifetime,
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

impl fmt::Debug for OAuthAppBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthAppBuilder").finish_non_exhaustive()
    }
}
