//! The OAuth app: its credentials and its connected users.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Url;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::authorize::{AuthorizationCode, AuthorizationRequest, Authorize, State};
use super::client_secrets::Secrets;
use super::error::{AuthError, Kind};
use super::randomness::Randomness;
use super::session::Session;
use super::shared::AppShared;
use super::shutdown::Unfinished;
use super::token::{ClientSecret, Scope, TokenSet};
use super::token_endpoint::Outcome;
use super::user::UserKey;
use crate::lock::lock;
use crate::transport::{BuildError, Connected};

/// The number of sessions below which idle sessions are not removed.
const MIN_SESSIONS_TO_CLEAR: usize = 1_024;

/// An app that is registered in the vendor's dashboard, with its connected users.
///
/// Cloning is cheap. Clones share the users, the token store, the limits and the HTTP client.
#[derive(Clone)]
pub struct OAuthApp {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) shared: Arc<AppShared>,
    pub(super) authorize_url: Url,
    pub(super) pkce: bool,
    pub(super) state_lifetime: Duration,
    pub(super) randomness: Randomness,
    pub(super) connected: Connected,
    pub(super) sessions: Mutex<Sessions>,
}

#[derive(Default)]
pub(super) struct Sessions {
    by_user: HashMap<UserKey, Arc<Session>>,
    /// The number of sessions at which idle sessions are removed.
    clear_at: usize,
}

/// A connected user.
#[derive(Clone)]
pub struct User {
    key: UserKey,
    scopes: Vec<Scope>,
}

impl User {
    /// Returns the key that identifies the user in all methods of the app.
    ///
    /// Store its [text](UserKey::as_str) beside the user in your own database.
    #[must_use]
    pub fn key(&self) -> &UserKey {
        &self.key
    }

    /// Returns the vendor's id of the user.
    #[must_use]
    pub fn id(&self) -> &str {
        self.key.id()
    }

    /// Returns the kind of user: `Practitioner`, `Staff`, or `Clinic` for apps older than August
    /// 2021.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.key.kind()
    }

    /// Returns the scopes that the tokens were issued with.
    ///
    /// A scope that is added in the dashboard later takes effect when the user reconnects.
    #[must_use]
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("kind", &self.kind())
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

impl OAuthApp {
    /// Starts a connection.
    ///
    /// Send the browser to the `url` of the request, and remember its `state` in the user's own
    /// session.
    #[must_use]
    pub fn authorize(&self) -> AuthorizationRequest {
        self.authorizer(&self.secrets()).request("")
    }

    /// Starts a connection with a payload that is returned with the code and cannot be forged.
    ///
    /// Use it, for example, to remember which page to show after the callback.
    /// The payload is signed but not encrypted: the browser and the vendor can read it. Use an id
    /// of your own, and no patient data.
    ///
    /// # Errors
    ///
    /// Returns an error if the payload is longer than 1,024 bytes.
    pub fn authorize_with(&self, payload: &str) -> Result<AuthorizationRequest, AuthError> {
        self.authorizer(&self.secrets()).request_with(payload)
    }

    /// Reads the callback, and returns its authorization code.
    ///
    /// `callback` is the URL that the browser was redirected to, its path and query, or its query.
    ///
    /// # Errors
    ///
    /// Returns an error with [`AuthError::is_denied`] if the user declined, with
    /// [`AuthError::is_state_mismatch`] if the callback does not belong to the remembered request
    /// or the state is older than its lifetime (default 1 h), and other errors that their text
    /// explains.
    pub fn callback(
        &self,
        callback: &str,
        remembered: &State,
    ) -> Result<AuthorizationCode, AuthError> {
        self.authorizer(&self.secrets())
            .callback(callback, remembered)
    }

    /// Replaces the client secret at run time, without a restart.
    ///
    /// `alternate` is tried once if the server rejects the other secret, and states that were
    /// signed with it are accepted: pass the old secret, or the one that becomes valid next. See
    /// [`OAuthAppBuilder::alternate_client_secret`](super::OAuthAppBuilder::alternate_client_secret).
    /// An empty `alternate` is ignored.
    ///
    /// # Errors
    ///
    /// Returns an error if `secret` is empty; the secrets are unchanged.
    pub fn set_client_secrets(
        &self,
        secret: impl Into<String>,
        alternate: Option<impl Into<String>>,
    ) -> Result<(), BuildError> {
        let secrets = &self.inner.shared.endpoint.secrets;
        secrets.replace(ClientSecret::new(secret), alternate.map(ClientSecret::new))
    }

    fn secrets(&self) -> Arc<Secrets> {
        self.inner.shared.endpoint.secrets.get()
    }

    fn authorizer<'a>(&'a self, secrets: &'a Secrets) -> Authorize<'a> {
        let endpoint = &self.inner.shared.endpoint;
        Authorize {
            authorize_url: &self.inner.authorize_url,
            client_id: &endpoint.client_id,
            secrets,
            redirect_uri: &endpoint.redirect_uri,
            pkce: self.inner.pkce,
            state_lifetime: self.inner.state_lifetime,
            now: self.inner.shared.now(),
            randomness: &self.inner.randomness,
        }
    }

    /// Exchanges an authorization code for tokens, and saves them.
    ///
    /// The code is sent only once, because the server accepts it only once.
    /// The exchange runs on its own task, which continues if the future is dropped.
    ///
    /// # Errors
    ///
    /// - [`AuthError::is_code_expired`]: the code is expired or spent, or may be spent because no
    ///   response arrived, or the redirect URI differs from the dashboard's. Start the connection
    ///   again.
    /// - [`AuthError::is_transient`]: the server did not process the request. The code is not
    ///   spent: read the callback again, and retry the exchange.
    /// - [`AuthError::is_store`]: the store failed. The tokens stay in memory, and saving is
    ///   retried until it succeeds. [`AuthEvent::SaveFailed`](super::AuthEvent::SaveFailed) names
    ///   the user.
    /// - [`AuthError::is_misconfigured`]: the server rejected the client id, the client secret or
    ///   the redirect URI.
    pub async fn exchange(&self, code: AuthorizationCode) -> Result<User, AuthError> {
        self.inner.shared.ensure_open()?;
        let app = self.clone();
        let running = self.inner.shared.task();
        let task = tokio::spawn(async move {
            let _running = running;
            app.run_exchange(code).await
        });
        task.await
            .unwrap_or_else(|_| Err(AuthError::new(Kind::CodeUnanswered(None))))
    }

    async fn run_exchange(&self, mut code: AuthorizationCode) -> Result<User, AuthError> {
        let shared = &self.inner.shared;
        let requested_at = shared.now();
        if code.is_expired(requested_at) {
            return Err(AuthError::new(Kind::CodeExpired));
        }
        let issued = match shared
            .endpoint
            .exchange(code.expose(), code.verifier())
            .await
        {
            Outcome::Done(issued) => issued,
            Outcome::Refused => return Err(AuthError::new(Kind::CodeRefused)),
            Outcome::Misconfigured(reason) => {
                return Err(AuthError::new(Kind::Misconfigured(reason)));
            }
            Outcome::Unclear { error, .. } => return Err(error),
        };
        let Some(owner) = issued.owner else {
            shared.revoke_in_background(vec![issued.access_token]);
            return Err(AuthError::new(Kind::NoOwner));
        };
        if !issued.access_token.is_sendable() {
            return Err(AuthError::new(Kind::CodeUnanswered(None)));
        }
        let user = User {
            key: owner.key(),
            scopes: issued.scopes.clone(),
        };
        let mut tokens = TokenSet::new(
            user.key(),
            issued.access_token,
            shared.store.issuer(),
            requested_at,
            issued.lifetime,
        )
        .scopes(issued.scopes);
        tokens.refresh_token = issued.refresh_token;
        tokens.tenant = code.take_tenant();
        tokens.connection = self.inner.randomness.text().to_string();
        self.session(user.key()).connect(tokens).await?;
        Ok(user)
    }

    /// Disconnects a user: revokes the tokens at the server, then deletes them from the store.
    ///
    /// Revokes the token set that is stored at that moment, also if another process has just
    /// refreshed it, and the one that it replaced. Ends or fails within 2 minutes.
    /// Another process stops using its cached tokens after 30 s at most, and they are invalid
    /// at once.
    /// Tokens that were [imported](Self::import) without an access token, and not refreshed since,
    /// are revoked by their refresh token, which a server must accept (RFC 7009) and which the
    /// vendor does not document.
    ///
    /// # Errors
    ///
    /// Returns an error if the server cannot be reached; the tokens stay in the store, so that the
    /// revocation can be retried. Returns an error if the user has no tokens
    /// ([`AuthError::needs_reconnect`]).
    pub async fn revoke(&self, user: impl Into<UserKey>) -> Result<(), AuthError> {
        self.inner.shared.ensure_open()?;
        self.session(&user.into()).revoke().await
    }

    /// Deletes a user's tokens from the store without revoking them at the server.
    ///
    /// A call of this process that starts later does not use them. Another process compares its
    /// cached tokens with the store every 30 s, so it stops using them after 30 s at most, unless
    /// the store fails. Ends or fails within 2 minutes.
    ///
    /// # Errors
    ///
    /// Returns an error if the store fails.
    pub async fn forget(&self, user: impl Into<UserKey>) -> Result<(), AuthError> {
        self.inner.shared.ensure_open()?;
        self.session(&user.into()).forget().await
    }

    /// Sets or removes the application's own reference of a connected user, for example the id of a
    /// clinic or tenant.
    ///
    /// Refreshes and reconnects keep it. Ends or fails within 2 minutes.
    ///
    /// # Errors
    ///
    /// Returns an error if the user is not connected ([`AuthError::needs_reconnect`]), or if the
    /// store fails.
    pub async fn set_tenant(
        &self,
        user: impl Into<UserKey>,
        tenant: Option<&str>,
    ) -> Result<(), AuthError> {
        self.inner.shared.ensure_open()?;
        let session = self.session(&user.into());
        session.set_tenant(tenant.map(String::from)).await
    }

    /// Shuts down the app: waits for calls in flight, running token requests and saves, for
    /// `deadline` at most.
    ///
    /// From now on, calls of all clients of this app fail before they are sent, and so do
    /// [`exchange`](Self::exchange), [`revoke`](Self::revoke) and [`forget`](Self::forget), with an
    /// error whose [`AuthError::is_shut_down`] is true. Requests that were sent already are not
    /// interrupted.
    /// A refresh that ends releases its lease; the lease of one that does not expires 2 s after its
    /// process ended.
    /// A token set that the store could not save is saved again. Call this before the process
    /// ends, and before the runtime does.
    ///
    /// # Errors
    ///
    /// Returns the users whose tokens, and the number of calls, that were not finished before the
    /// deadline.
    pub async fn shutdown(&self, deadline: Duration) -> Result<(), Unfinished> {
        let shared = &self.inner.shared;
        shared.shut_down();
        let limiter = &self.inner.connected.calls.limiter;
        limiter.close();
        let finished = async {
            shared.idle().await;
            let mut saves = JoinSet::new();
            for session in self.sessions_with(Session::has_unsaved) {
                saves.spawn(async move { session.save_unsaved().await });
            }
            while saves.join_next().await.is_some() {}
            shared.idle().await;
            // Last, because a call in flight may take until the deadline.
            limiter.drained().await;
        };
        let _reported_below = timeout(deadline, finished).await;
        let users = |sessions: Vec<Arc<Session>>| {
            let users = sessions.iter().map(|session| session.user().clone());
            users.collect::<Vec<_>>()
        };
        let unfinished = Unfinished {
            calls: limiter.in_flight(),
            unsaved: users(self.sessions_with(Session::has_unsaved)),
            running: users(self.sessions_with(Session::is_busy)),
            tasks: shared.running().tasks,
        };
        unfinished.into_result()
    }

    fn sessions_with(&self, has: impl Fn(&Session) -> bool) -> Vec<Arc<Session>> {
        let sessions = lock(&self.inner.sessions);
        let found = sessions.by_user.values().filter(|session| has(session));
        found.map(Arc::clone).collect()
    }

    /// Returns the HTTP client and the limits that the clients of this app share.
    pub(crate) fn connected(&self) -> &Connected {
        &self.inner.connected
    }

    /// Returns the session of a user, and creates a missing one.
    ///
    /// The lock is held for a look-up, and occasionally for removing idle sessions.
    pub(crate) fn session(&self, user: &UserKey) -> Arc<Session> {
        let mut sessions = lock(&self.inner.sessions);
        if let Some(session) = sessions.by_user.get(user) {
            return Arc::clone(session);
        }
        if sessions.by_user.len() >= sessions.clear_at {
            sessions
                .by_user
                .retain(|_, session| Arc::strong_count(session) > 1 || !session.is_idle());
            sessions.clear_at = (2 * sessions.by_user.len()).max(MIN_SESSIONS_TO_CLEAR);
        }
        let session = Arc::new(Session::new(Arc::clone(&self.inner.shared), user.clone()));
        sessions.by_user.insert(user.clone(), Arc::clone(&session));
        session
    }
}

impl fmt::Debug for OAuthApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthApp")
            .field("base_url", &self.inner.connected.base.as_str())
            .finish_non_exhaustive()
    }
}
