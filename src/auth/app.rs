//! The OAuth app: its credentials and its connected users.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use reqwest::Url;

use super::authorize::{AuthorizationCode, AuthorizationRequest, Authorize, State};
use super::error::{AuthError, Kind};
use super::randomness::Randomness;
use super::session::Session;
use super::shared::AppShared;
use super::token::{Owner, Scope, TokenSet};
use super::token_endpoint::Outcome;
use crate::lock::lock;
use crate::transport::Connected;

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
    pub(super) randomness: Randomness,
    pub(super) connected: Connected,
    pub(super) sessions: Mutex<Sessions>,
}

#[derive(Default)]
pub(super) struct Sessions {
    by_user: HashMap<String, Arc<Session>>,
    /// The number of sessions at which idle sessions are removed.
    clear_at: usize,
}

/// A connected user.
#[derive(Clone)]
pub struct User {
    owner: Owner,
    scopes: Vec<Scope>,
}

impl User {
    /// Returns the vendor's id of the user, which identifies the user in all methods of the app.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.owner.id
    }

    /// Returns the kind of user: `Practitioner`, `Staff`, or `Clinic` for apps older than August
    /// 2021.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.owner.kind
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
            .field("kind", &self.owner.kind)
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
        self.authorizer().request("")
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
        self.authorizer().request_with(payload)
    }

    /// Reads the callback, and returns its authorization code.
    ///
    /// `callback` is the URL that the browser was redirected to, its path and query, or its query.
    ///
    /// # Errors
    ///
    /// Returns an error with [`AuthError::is_denied`] if the user declined, with
    /// [`AuthError::is_state_mismatch`] if the callback does not belong to the remembered request,
    /// and other errors that their text explains.
    pub fn callback(
        &self,
        callback: &str,
        remembered: &State,
    ) -> Result<AuthorizationCode, AuthError> {
        let now = self.inner.shared.now();
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

    /// Exchanges an authorization code for tokens, and saves them.
    ///
    /// The code is sent only once, because the server accepts it only once.
    /// The exchange runs on its own task, which continues if the future is dropped.
    ///
    /// # Errors
    ///
    /// - [`AuthError::is_code_expired`]: the code is expired or spent, or may be spent because no
    ///   response arrived. Start the connection again.
    /// - [`AuthError::is_store`]: the store failed. The tokens stay in memory, and saving is
    ///   retried until it succeeds. [`AuthEvent::SaveFailed`](super::AuthEvent::SaveFailed) names
    ///   the user.
    /// - [`AuthError::is_misconfigured`]: the server rejected the client id, the client secret or
    ///   the redirect URI.
    pub async fn exchange(&self, code: AuthorizationCode) -> Result<User, AuthError> {
        let app = self.clone();
        let task = tokio::spawn(async move { app.run_exchange(code).await });
        task.await
            .unwrap_or_else(|_| Err(AuthError::new(Kind::CodeUnanswered(None))))
    }

    async fn run_exchange(&self, code: AuthorizationCode) -> Result<User, AuthError> {
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
            issued_at: requested_at,
            lifetime: issued.lifetime,
            generation: 1,
            needs_reconnect: false,
            owner,
        };
        self.session(user.id()).connect(tokens).await?;
        Ok(user)
    }

    /// Disconnects a user: revokes the tokens at the server, then deletes them from the store.
    ///
    /// # Errors
    ///
    /// Returns an error if the server cannot be reached; the tokens stay in the store, so that the
    /// revocation can be retried. Returns an error if the tokens were issued in another
    /// environment; revoke them there.
    pub async fn revoke(&self, user: &str) -> Result<(), AuthError> {
        self.session(user).revoke().await
    }

    /// Deletes a user's tokens from the store without revoking them at the server.
    ///
    /// # Errors
    ///
    /// Returns an error if the store fails.
    pub async fn forget(&self, user: &str) -> Result<(), AuthError> {
        self.session(user).forget().await
    }

    /// Returns the HTTP client and the limits that the clients of this app share.
    pub(crate) fn connected(&self) -> &Connected {
        &self.inner.connected
    }

    /// Returns the session of a user, and creates a missing one.
    ///
    /// The lock is held for a look-up, and occasionally for removing idle sessions.
    pub(crate) fn session(&self, user: &str) -> Arc<Session> {
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
        let session = Arc::new(Session::new(Arc::clone(&self.inner.shared), user.into()));
        sessions.by_user.insert(user.into(), Arc::clone(&session));
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
