//! Users who have connected, as nearly every test of the tokens begins.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fullscript::RateLimit;
use fullscript::auth::{
    AuthEvent, AuthorizationCode, MemoryStore, OAuthApp, OAuthAppBuilder, TokenSet, TokenStore,
    User,
};
use fullscript::testing::{FakeFullscript, ManualClock, RefreshMode};

use super::store::{Hook, Hooked};

/// How long an access token lives.
pub(crate) const TWO_HOURS: Duration = Duration::from_secs(7_200);

/// Every way in which the old pair may die after a refresh.
pub(crate) const MODES: [RefreshMode; 3] = [
    RefreshMode::RevokeOnFirstUse,
    RefreshMode::RevokeAtOnce,
    RefreshMode::RevokeFamilyOnReuse,
];

/// An app to which `practitioner` has just connected.
pub(crate) struct Connected {
    pub(crate) fake: FakeFullscript,
    pub(crate) app: OAuthApp,
    /// Where the tokens are in the end, whatever hook the app has before it.
    pub(crate) store: MemoryStore,
    pub(crate) clock: ManualClock,
    limit: RateLimit,
    events: Arc<Mutex<Vec<AuthEvent>>>,
}

impl Connected {
    pub(crate) async fn new() -> Self {
        Self::set_up(RateLimit::default(), |store| store).await
    }

    /// No limit holds the requests back.
    pub(crate) async fn unlimited() -> Self {
        Self::set_up(RateLimit::off(), |store| store).await
    }

    /// The app has this hook in its store, and no limit.
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
            .rate_limit(limit)
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

    /// Another app, as in another process: store and clock are all it shares.
    pub(crate) fn another(&self) -> OAuthAppBuilder {
        self.fake
            .app_builder()
            .rate_limit(self.limit)
            .store(self.store.clone())
            .clock(self.clock.clone())
    }

    /// Two hours pass, here and at the server.
    pub(crate) fn expire(&self) {
        self.clock.advance(TWO_HOURS);
        self.fake.expire_access_tokens();
    }

    /// How often a refresh was asked for.
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
        self.store.load("practitioner").await.unwrap().unwrap()
    }

    /// What the app was told so far.
    pub(crate) fn events(&self) -> Vec<AuthEvent> {
        self.events.lock().unwrap().clone()
    }
}

/// The code of a user who has said yes.
pub(crate) fn consent(fake: &FakeFullscript, app: &OAuthApp, user: &str) -> AuthorizationCode {
    let request = app.authorize();
    let callback = fake.approve(request.url(), user);
    app.callback(&callback, request.state()).unwrap()
}

pub(crate) async fn connect(fake: &FakeFullscript, app: &OAuthApp, user: &str) -> User {
    app.exchange(consent(fake, app, user)).await.unwrap()
}
