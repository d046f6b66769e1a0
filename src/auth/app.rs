//! The app that users connect to: its credentials, its users.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Url;

use super::authorize::{AuthorizationCode, AuthorizationRequest, Authorize, State};
use super::clock::{Clock, SystemClock};
use super::error::{AuthError, Kind};
use super::exchange::{Endpoint, Outcome};
use super::randomness::Randomness;
use super::session::Session;
use super::store::{MemoryStore, TokenStore};
use super::token::{ClientSecret, Owner, Scope, TokenSet};
use crate::client::BuildError;
use crate::connection::{Connected, Connection, base_url, connection_setters};
use crate::environment::{AUTHORIZE_PATH, Environment, REVOKE_PATH, TOKEN_PATH};
use crate::generated::client::Client;
use crate::hooks::{Context, Credentials};
use crate::span;

/// With fewer sessions than this none is worth taking out.
const FEW_SESSIONS: usize = 1_024;

/// What an application does with events.
type Listener = Box<dyn Fn(&AuthEvent) + Send + Sync>;

/// An app as registered in the vendor's dashboard, with the users who have
/// connected their accounts to it.
///
/// Cheap to clone; clones share users, store and connections.
#[derive(Clone)]
pub struct OAuthApp {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<AppShared>,
    authorize_url: Url,
    pkce: bool,
    randomness: Randomness,
    connected: Connected,
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    of_users: HashMap<String, Arc<Session>>,
    /// At so many, those without tokens are taken out.
    clear_at: usize,
}

/// What the sessions of one app share.
pub(super) struct AppShared {
    pub(super) store: Arc<dyn TokenStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) endpoint: Endpoint,
    /// Environment and client id: tokens of others are neither used nor
    /// replaced.
    pub(super) issuer: String,
    /// Who we are when we ask for a lease; new for each process.
    pub(super) lease_owner: String,
    listener: Option<Listener>,
}

impl AppShared {
    pub(super) fn tell(&self, event: AuthEvent) {
        span::note_auth(&event);
        if let Some(listener) = &self.listener {
            listener(&event);
        }
    }
}

/// A user who has connected an account.
#[derive(Clone)]
pub struct User {
    owner: Owner,
    scopes: Vec<Scope>,
}

impl User {
    /// The vendor's id of the user; the key of everything here.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.owner.id
    }

    /// `Practitioner`, `Staff`, or `Clinic` for apps older than August 2021.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.owner.kind
    }

    /// What the tokens are good for. Scopes that the dashboard adds later
    /// need a new connection.
    #[must_use]
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("kind", &self.owner.kind)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

/// What happened to a user's connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthEvent {
    /// The user has connected; the tokens are saved.
    Connected {
        /// The user's id.
        user: String,
    },
    /// The tokens were replaced; the new ones are saved.
    Refreshed {
        /// The user's id.
        user: String,
    },
    /// The server has ended the connection: the user must connect again.
    NeedsReconnect {
        /// The user's id.
        user: String,
    },
    /// The store did not take new tokens; they are kept in memory, unused,
    /// and saved with the next call.
    SaveFailed {
        /// The user's id.
        user: String,
    },
    /// The connection was revoked, and the tokens deleted.
    Revoked {
        /// The user's id.
        user: String,
    },
}

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

    /// Begins a connection: send the browser to its `url`, remember its
    /// `state` in the user's own session.
    #[must_use]
    pub fn authorize(&self) -> AuthorizationRequest {
        self.authorizer().request("")
    }

    /// As [`OAuthApp::authorize`], with a note to self that comes back with
    /// the code and can't be forged: where to go on afterwards, for example.
    ///
    /// The note is signed, not hidden: browser and vendor can read it, so let
    /// it be an id of your own and nothing of a patient.
    ///
    /// # Errors
    /// When the note is longer than 1,024 bytes.
    pub fn authorize_with(&self, payload: &str) -> Result<AuthorizationRequest, AuthError> {
        self.authorizer().request_with(payload)
    }

    /// Reads the address that the browser came back to, or its query.
    ///
    /// # Errors
    /// [`AuthError::is_denied`] where the user said no,
    /// [`AuthError::is_state_mismatch`] where the callback is not of the
    /// request that was remembered, and others by their text.
    pub fn callback(
        &self,
        callback: &str,
        remembered: &State,
    ) -> Result<AuthorizationCode, AuthError> {
        let now = self.inner.shared.clock.now();
        self.authorizer().callback(callback, remembered, now)
    }

    fn authorizer(&self) -> Authorize<'_> {
        let endpoint = &self.inner.shared.endpoint;
        Authorize {
            authorize_url: &self.inner.authorize_url,
            client_id: &endpoint.client_id,
            client_secret: endpoint.client_secret.expose(),
            redirect_uri: &endpoint.redirect_uri,
            pkce: self.inner.pkce,
            randomness: &self.inner.randomness,
        }
    }

    /// Turns a code into tokens and saves them; sent once, for a code is good
    /// once.
    ///
    /// Runs on a task of its own: dropping the future loses nothing.
    ///
    /// # Errors
    /// [`AuthError::is_code_expired`] when the code is old or spent, or may be
    /// since no answer came: the user connects again. [`AuthError::is_store`]
    /// when the store failed: the tokens wait in memory, and saving is tried
    /// again until it is done; [`AuthEvent::SaveFailed`] names the user.
    pub async fn exchange(&self, code: AuthorizationCode) -> Result<User, AuthError> {
        let app = self.clone();
        let task = tokio::spawn(async move { app.exchange_here(code).await });
        task.await
            .unwrap_or_else(|_| Err(AuthError::new(Kind::CodeUnanswered(None))))
    }

    async fn exchange_here(&self, code: AuthorizationCode) -> Result<User, AuthError> {
        let shared = &self.inner.shared;
        let asked_at = shared.clock.now();
        if code.is_expired(asked_at) {
            return Err(AuthError::new(Kind::CodeExpired));
        }
        let issued = match shared
            .endpoint
            .exchange(code.expose(), code.verifier())
            .await
        {
            Outcome::Issued(issued) => issued,
            Outcome::Refused => return Err(AuthError::new(Kind::CodeRefused)),
            Outcome::Misconfigured(reason) => {
                return Err(AuthError::new(Kind::Misconfigured(reason)));
            }
            Outcome::Unclear { error, .. } => return Err(error.of_a_code()),
        };
        let Some(owner) = issued.owner.clone() else {
            return Err(AuthError::new(Kind::CodeUnanswered(None)));
        };
        let user = User {
            owner: owner.clone(),
            scopes: issued.scopes.clone(),
        };
        let tokens = TokenSet {
            access_token: issued.access_token,
            refresh_token: issued.refresh_token,
            scopes: issued.scopes,
            issuer: shared.issuer.clone(),
            issued_at: asked_at,
            lifetime: issued.lifetime,
            generation: 1,
            needs_reconnect: false,
            owner,
        };
        self.session(user.id()).connect(tokens).await?;
        Ok(user)
    }

    /// A client that makes calls for this user.
    ///
    /// A cheap handle: all clients of an app share connections, and all of a
    /// user their tokens. A user who has not connected is told of by the
    /// first call.
    #[must_use]
    pub fn client(&self, user: &str) -> Client {
        let connected = &self.inner.connected;
        let context = Context {
            base: Arc::clone(&connected.base),
            credentials: Credentials::User(self.session(user)),
            calls: Arc::clone(&connected.calls),
            options: connected.options.clone(),
        };
        Client::new_with_client(&connected.base_url, connected.http.clone(), context)
    }

    /// Ends a user's connection at the server, then deletes the tokens.
    ///
    /// # Errors
    /// When the server can't be reached: the tokens stay, to try again. When
    /// another environment issued them: revoke them there.
    pub async fn revoke(&self, user: &str) -> Result<(), AuthError> {
        self.session(user).revoke().await
    }

    /// Deletes a user's tokens without telling the server.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forget(&self, user: &str) -> Result<(), AuthError> {
        self.session(user).forget().await
    }

    /// The session of a user, made where there is none. The lock is held for
    /// a look-up alone, and now and then for clearing out those of users whom
    /// nobody knows.
    fn session(&self, user: &str) -> Arc<Session> {
        let mut sessions = self
            .inner
            .sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = sessions.of_users.get(user) {
            return Arc::clone(session);
        }
        if sessions.of_users.len() >= sessions.clear_at {
            sessions
                .of_users
                .retain(|_, session| Arc::strong_count(session) > 1 || !session.is_idle());
            sessions.clear_at = (2 * sessions.of_users.len()).max(FEW_SESSIONS);
        }
        let session = Arc::new(Session::new(Arc::clone(&self.inner.shared), user.into()));
        sessions.of_users.insert(user.into(), Arc::clone(&session));
        session
    }
}

impl fmt::Debug for OAuthApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthApp")
            .field("base_url", &self.inner.connected.base_url)
            .finish_non_exhaustive()
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
