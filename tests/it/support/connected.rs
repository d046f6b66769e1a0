//! An app with a connected user, the start of most token tests.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fullscript::RateLimit;
use fullscript::auth::{
    AuthEvent, AuthorizationCode, MemoryStore, OAuthApp, OAuthAppBuilder, TokenSet, TokenStore,
    User, UserKey,
};
use fullscript::testing::{FakeFullscript, ManualClock, RefreshMode};

use super::store::{Hook, Hooked};

/// The lifetime of an access token.
pub(crate) const TWO_HOURS: Duration = Duration::from_secs(7_200);

/// All ways in which the server may invalidate the old token set after a refresh.
pub(crate) const MODES: [RefreshMode; 3] = [
    RefreshMode::RevokeOnFirstUse,
    RefreshMode::RevokeAtOnce,
    RefreshMode::RevokeFamilyOnReuse,
];

/// An app to which `practitioner` has just connected.
pub(crate) struct Connected {
    pub(crate) fake: FakeFullscript,
    pub(crate) app: OAuthApp,
    /// The store that persists the tokens, behind the app's hook if it has one.
    pub(crate) store: MemoryStore,
    pub(crate) clock: ManualClock,
    limit: RateLimit,
    events: Arc<Mutex<Vec<AuthEvent>>>,
}

impl Connected {
    pub(crate) async fn new() -> Self {
        Self::set_up(RateLimit::default(), |store| store).await
    }

    /// Creates an app without a rate limit.
    pub(crate) async fn unlimited() -> Self {
        Self::set_up(RateLimit::off(), |store| store).await
    }

    /// Creates an app without a rate limit, with this hook in its store.
    pub(crate) async fn hooked(hook: &Arc<impl Hook>) -> Self {
        let hook = Arc::clone(hook);
        Self::set_up(RateLimit::off(), |inner| Hooked { inner, hook }).await
    }

    async fn set_up<S: TokenStore>(
        limit: RateLimit,
        hooked: impl FnOnce(MemoryStore) -> S,
    ) -> Self {
        let fake = FakeFullscript::start().await.unwrap();
        let (store, clock) = (MemoryStore::new(), ManualClock::default());
        let events = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&events);
        let app = fake
            .app_builder()
            .rate_limit(limit.clone())
            .store(hooked(store.clone()))
            .clock(clock.clone())
            .on_event(move |event| told.lock().unwrap().push(event.clone()))
            .build()
            .unwrap();
        connect(&fake, &app, "practitioner").await;
        Self {
            fake,
            app,
            store,
            clock,
            limit,
            events,
        }
    }

    /// Returns the builder of another app, as in another process: it shares only store and clock.
    pub(crate) fn another(&self) -> OAuthAppBuilder {
        self.fake
            .app_builder()
            .rate_limit(self.limit.clone())
            .store(self.store.clone())
            .clock(self.clock.clone())
    }

    /// Lets the access token expire, on the client's clock and on the server.
    pub(crate) fn expire(&self) {
        self.clock.advance(TWO_HOURS);
        self.fake.expire_access_tokens();
    }

    /// Returns the number of refresh requests.
    pub(crate) fn refreshes(&self) -> usize {
        let requests = self.fake.requests();
        let refreshes = requests.iter().filter(|request| {
            request
                .body
                .as_ref()
                .is_some_and(|body| body["grant_type"] == "refresh_token")
        });
        refreshes.count()
    }

    pub(crate) async fn stored(&self) -> TokenSet {
        self.stored_of("practitioner").await.unwrap()
    }

    /// Returns the token set in the store, if the user has one.
    pub(crate) async fn stored_of(&self, user: impl Into<UserKey>) -> Option<TokenSet> {
        let record = self.store.load(&record_key(user)).await.unwrap();
        record.map(|record| TokenSet::from_record(&record).unwrap())
    }

    /// Returns the events that the app's listener received.
    pub(crate) fn events(&self) -> Vec<AuthEvent> {
        self.events.lock().unwrap().clone()
    }
}

/// Returns the key under which the app of the fake saves the tokens of a user.
pub(crate) fn record_key(user: impl Into<UserKey>) -> String {
    format!("us-sandbox/fake-client-id/{}", user.into())
}

/// Returns the authorization code of a user who has consented.
pub(crate) fn consent(fake: &FakeFullscript, app: &OAuthApp, user: &str) -> AuthorizationCode {
    let request = app.authorize();
    let callback = fake.approve(request.url(), user);
    app.callback(&callback, request.state()).unwrap()
}

pub(crate) async fn connect(fake: &FakeFullscript, app: &OAuthApp, user: &str) -> User {
    app.exchange(consent(fake, app, user)).await.unwrap()
}
