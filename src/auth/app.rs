//! The app that users connect to: its credentials, its users.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Url;

use super::authorize::{AuthorizationCode, AuthorizationRequest, Authorize, State};
use super::error::{AuthError, Kind};
use super::randomness::Randomness;
use super::session::Session;
use super::shared::AppShared;
use super::token::{Owner, Scope, TokenSet};
use super::token_endpoint::Outcome;
use crate::transport::Connected;

/// With fewer sessions than this none is worth taking out.
const FEW_SESSIONS: usize = 1_024;

/// An app as registered in the vendor's dashboard, with the users who have
/// connected their accounts to it.
///
/// Cheap to clone; clones share users, store and connections.
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
    of_users: HashMap<String, Arc<Session>>,
    /// At so many, those without tokens are taken out.
    clear_at: usize,
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

impl OAuthApp {
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

    /// What the clients of this app send with.
    pub(crate) fn connected(&self) -> &Connected {
        &self.inner.connected
    }

    /// The session of a user, made where there is none. The lock is held for
    /// a look-up alone, and now and then for clearing out those of users whom
    /// nobody knows.
    pub(crate) fn session(&self, user: &str) -> Arc<Session> {
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
