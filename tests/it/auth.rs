//! Connect once, stay connected: the flow, refreshes, and what must survive.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fullscript::auth::{
    AuthEvent, MemoryStore, OAuthApp, OAuthAppBuilder, Scope, StoreError, StoreFuture, Swap,
    TokenSet, TokenStore,
};
use fullscript::testing::{FakeFullscript, ManualClock, RefreshMode, Script};
use serde_json::json;

pub(crate) const TWO_HOURS: Duration = Duration::from_secs(7_200);

struct Connected {
    fake: FakeFullscript,
    app: OAuthApp,
    store: MemoryStore,
    clock: ManualClock,
    events: Arc<Mutex<Vec<AuthEvent>>>,
}

impl Connected {
    /// An app to which `practitioner` has just connected.
    async fn new() -> Self {
        let fake = FakeFullscript::start().await.unwrap();
        let store = MemoryStore::new();
        let clock = ManualClock::default();
        let events = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&events);
        let app = fake
            .app_builder()
            .store(store.clone())
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
            events,
        }
    }

    /// Two hours pass, here and at the server.
    fn expire(&self) {
        self.clock.advance(TWO_HOURS);
        self.fake.expire_access_tokens();
    }

    fn refreshes(&self) -> usize {
        let requests = self.fake.requests();
        let refreshes = requests.iter().filter(|request| {
            request
                .body
                .as_ref()
                .is_some_and(|body| body["grant_type"] == "refresh_token")
        });
        refreshes.count()
    }

    async fn stored(&self) -> TokenSet {
        self.store.load("practitioner").await.unwrap().unwrap()
    }
}

pub(crate) async fn connect(fake: &FakeFullscript, app: &OAuthApp, user: &str) {
    let request = app.authorize();
    let callback = fake.approve(request.url(), user);
    let code = app.callback(&callback, request.state()).unwrap();
    app.exchange(code).await.unwrap();
}

#[tokio::test]
async fn a_user_connects_and_calls() {
    let fake = FakeFullscript::start().await.unwrap();
    let app = fake.app_builder().build().unwrap();
    let request = app.authorize_with("visit-42").unwrap();
    let callback = fake.approve(request.url(), "practitioner");
    let code = app.callback(&callback, request.state()).unwrap();
    assert_eq!(code.payload(), Some("visit-42"));
    let user = app.exchange(code).await.unwrap();
    assert_eq!((user.id(), user.kind()), ("practitioner", "Practitioner"));
    assert!(user.scopes().contains(&Scope::new(Scope::CLINIC_READ)));
    app.client(user.id()).get_clinic().send().await.unwrap();
    app.revoke(user.id()).await.unwrap();
    let error = app.client(user.id()).get_clinic().send().await.unwrap_err();
    assert!(error.needs_reconnect(), "{error}");
}

#[tokio::test]
async fn the_token_request_is_what_the_vendor_documents() {
    let connected = Connected::new().await;
    let request = &connected.fake.requests()[0];
    assert_eq!(request.target, "/api/oauth/token");
    let body = request.body.as_ref().unwrap();
    assert_eq!(body["grant_type"], "authorization_code");
    assert_eq!(
        body["redirect_uri"],
        "https://ehr.example/fullscript/callback"
    );
    let header = |name: &str| request.headers.iter().find(|(header, _)| header == name);
    assert_eq!(header("content-type").unwrap().1, "application/json");
    assert!(header("authorization").is_none());
}

#[tokio::test]
async fn a_body_is_replayed_with_the_new_token() {
    let connected = Connected::new().await;
    connected.fake.expire_access_tokens();
    let client = connected.app.client("practitioner");
    let body = fullscript::types::CreateStaffMemberRequest::builder()
        .email("staff@example.com")
        .first_name("A")
        .last_name("B");
    client
        .create_staff_member()
        .body(body)
        .send()
        .await
        .unwrap();
    let requests = connected.fake.requests();
    let sent: Vec<_> = requests
        .iter()
        .filter(|request| request.method == "POST" && request.target.ends_with("/staff"))
        .collect();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].body, sent[1].body);
}

#[tokio::test]
async fn each_refresh_follows_the_last_in_every_mode() {
    for mode in [
        RefreshMode::RevokeOnFirstUse,
        RefreshMode::RevokeAtOnce,
        RefreshMode::RevokeFamilyOnReuse,
    ] {
        let connected = Connected::new().await;
        connected.fake.refresh_mode(mode);
        let client = connected.app.client("practitioner");
        for _ in 0..5 {
            connected.expire();
            client.get_clinic().send().await.unwrap();
        }
        assert_eq!(connected.refreshes(), 5, "{mode:?}");
    }
}

#[tokio::test]
async fn a_dropped_call_leaves_the_refresh_going() {
    let connected = Connected::new().await;
    let before = connected.stored().await.generation;
    connected.expire();
    let client = connected.app.client("practitioner");
    // Dropped after each number of polls until the call ends by itself.
    for polls in 1.. {
        let mut call = Box::pin(client.get_clinic().send());
        let mut ended = false;
        for _ in 0..polls {
            let poll = std::future::poll_fn(|context| {
                std::task::Poll::Ready(call.as_mut().poll(context).is_ready())
            });
            ended = poll.await;
            if ended {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(call);
        if ended {
            break;
        }
    }
    let saved = connected.stored().await;
    assert_eq!(saved.generation, before + 1);
    client.get_clinic().send().await.unwrap();
    assert_eq!(connected.refreshes(), 1);
}

#[tokio::test]
async fn a_refusal_is_final_until_the_user_connects_again_and_keeps_the_pair() {
    let connected = Connected::new().await;
    connected.fake.end_connection("practitioner");
    let client = connected.app.client("practitioner");
    for _ in 0..3 {
        let error = client.get_clinic().send().await.unwrap_err();
        assert!(error.needs_reconnect(), "{error}");
    }
    assert_eq!(connected.refreshes(), 1);
    let stored = connected.stored().await;
    assert!(stored.needs_reconnect && stored.refresh_token.is_some());
    let told = AuthEvent::NeedsReconnect {
        user: "practitioner".into(),
    };
    assert_eq!(
        connected
            .events
            .lock()
            .unwrap()
            .iter()
            .filter(|event| **event == told)
            .count(),
        1
    );
    connect(&connected.fake, &connected.app, "practitioner").await;
    client.get_clinic().send().await.unwrap();
}

#[tokio::test]
async fn an_unclear_answer_is_asked_again_with_the_same_token() {
    for script in [
        Script::json(500, &json!({})),
        Script::html(502, "<html>bad gateway</html>"),
        Script::html(200, "<html>hello</html>"),
        Script::json(200, &json!({"oauth": {}})),
        Script::json(429, &json!({})),
    ] {
        let connected = Connected::new().await;
        connected.expire();
        connected
            .fake
            .answer_times("create_oauth_token", 2, script.clone());
        connected
            .app
            .client("practitioner")
            .get_clinic()
            .send()
            .await
            .unwrap();
        let tokens: Vec<_> = connected
            .fake
            .requests()
            .iter()
            .filter_map(|request| {
                request.body.as_ref()?["refresh_token"]
                    .as_str()
                    .map(str::to_string)
            })
            .collect();
        assert_eq!(tokens.len(), 3, "{script:?}");
        assert!(tokens.iter().all(|token| *token == tokens[0]));
    }
}

#[tokio::test]
async fn no_failure_but_a_refusal_costs_the_pair() {
    for script in [
        Script::json(500, &json!({"error": "invalid_grant"})),
        Script::json(401, &json!({"error": "invalid_client"})),
        Script::html(404, "not here"),
        Script::html(302, ""),
    ] {
        let connected = Connected::new().await;
        let before = connected.stored().await;
        connected.expire();
        connected.fake.answer("create_oauth_token", script.clone());
        let client = connected.app.client("practitioner");
        let error = client.get_clinic().send().await.unwrap_err();
        assert!(!error.needs_reconnect(), "{script:?}");
        assert!(error.auth_error().is_some(), "{script:?}: {error}");
        let after = connected.stored().await;
        assert_eq!(after.generation, before.generation);
        let refresh =
            |tokens: &TokenSet| tokens.refresh_token.as_ref().unwrap().expose().to_string();
        assert_eq!(refresh(&after), refresh(&before));
    }
}

/// A store that fails to save a number of times.
struct Failing {
    inner: MemoryStore,
    failures: Arc<AtomicUsize>,
}

impl TokenStore for Failing {
    fn load<'a>(&'a self, user: &'a str) -> StoreFuture<'a, Option<TokenSet>> {
        self.inner.load(user)
    }
    fn compare_and_swap<'a>(
        &'a self,
        user: &'a str,
        expected: Option<u64>,
        new: TokenSet,
    ) -> StoreFuture<'a, Swap> {
        let take = |left: usize| left.checked_sub(1);
        if self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
            .is_ok()
        {
            let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
            return Box::pin(async { Err(StoreError::new(full)) });
        }
        self.inner.compare_and_swap(user, expected, new)
    }
    fn delete<'a>(&'a self, user: &'a str) -> StoreFuture<'a, ()> {
        self.inner.delete(user)
    }
    fn lease<'a>(
        &'a self,
        user: &'a str,
        owner: &'a str,
        now: std::time::SystemTime,
        deadline: std::time::SystemTime,
    ) -> StoreFuture<'a, fullscript::auth::Lease> {
        self.inner.lease(user, owner, now, deadline)
    }
    fn release<'a>(&'a self, user: &'a str, owner: &'a str) -> StoreFuture<'a, ()> {
        self.inner.release(user, owner)
    }
}

#[tokio::test(start_paused = true)]
async fn a_pair_that_is_not_saved_is_not_used_and_not_lost() {
    let fake = FakeFullscript::start().await.unwrap();
    let (inner, failures) = (MemoryStore::new(), Arc::new(AtomicUsize::new(0)));
    let store = Failing {
        inner: inner.clone(),
        failures: Arc::clone(&failures),
    };
    let clock = ManualClock::default();
    let app = fake
        .app_builder()
        .store(store)
        .clock(clock.clone())
        .build()
        .unwrap();
    connect(&fake, &app, "practitioner").await;
    clock.advance(TWO_HOURS);
    fake.expire_access_tokens();
    failures.store(usize::MAX, Ordering::SeqCst);
    let client = app.client("practitioner");
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(error.auth_error().unwrap().is_store(), "{error}");
    assert_eq!(fake.count("get_clinic"), 0);
    // The store is back: the pair that waited is saved, no other is asked for.
    failures.store(0, Ordering::SeqCst);
    client.get_clinic().send().await.unwrap();
    assert_eq!(fake.count("create_oauth_token"), 2);
    let saved = inner.load("practitioner").await.unwrap().unwrap();
    assert!(
        saved.access_token.expose().ends_with("-3"),
        "the second pair"
    );
}

#[tokio::test(start_paused = true)]
async fn the_tokens_of_a_code_wait_for_a_store_that_fails() {
    let fake = FakeFullscript::start().await.unwrap();
    let (inner, failures) = (MemoryStore::new(), Arc::new(AtomicUsize::new(usize::MAX)));
    let store = Failing {
        inner: inner.clone(),
        failures: Arc::clone(&failures),
    };
    let app = fake.app_builder().store(store).build().unwrap();
    let request = app.authorize();
    let callback = fake.approve(request.url(), "practitioner");
    let code = app.callback(&callback, request.state()).unwrap();
    let error = app.exchange(code).await.unwrap_err();
    assert!(error.is_store(), "{error}");
    failures.store(0, Ordering::SeqCst);
    app.client("practitioner")
        .get_clinic()
        .send()
        .await
        .unwrap();
    assert_eq!(fake.count("create_oauth_token"), 1);
    assert!(inner.load("practitioner").await.unwrap().is_some());
}

#[tokio::test]
async fn two_apps_on_one_store_refresh_once() {
    for mode in [
        RefreshMode::RevokeOnFirstUse,
        RefreshMode::RevokeAtOnce,
        RefreshMode::RevokeFamilyOnReuse,
    ] {
        let connected = Connected::new().await;
        connected.fake.refresh_mode(mode);
        // As in another process: nothing shared but the store.
        let other = connected
            .fake
            .app_builder()
            .store(connected.store.clone())
            .clock(connected.clock.clone())
            .build()
            .unwrap();
        for round in 1..=10 {
            connected.expire();
            let clients = [
                connected.app.client("practitioner"),
                other.client("practitioner"),
            ];
            let calls = [
                clients[0].get_clinic().send(),
                clients[1].get_clinic().send(),
            ];
            for call in futures_util::future::join_all(calls).await {
                call.unwrap();
            }
            assert_eq!(connected.refreshes(), round, "{mode:?}");
        }
    }
}

#[tokio::test]
async fn the_clock_of_the_server_does_not_matter_and_ours_may_jump() {
    let connected = Connected::new().await;
    let client = connected.app.client("practitioner");
    let hour = Duration::from_secs(3_600);
    for by in [hour, hour * 24] {
        connected.clock.advance(by);
        for _ in 0..10 {
            client.get_clinic().send().await.unwrap();
        }
    }
    assert!(
        connected.refreshes() <= 1,
        "an hour is no reason, a day is one"
    );
    connected
        .clock
        .set(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600));
    connected.fake.expire_access_tokens();
    for _ in 0..10 {
        client.get_clinic().send().await.unwrap();
    }
    assert!(connected.refreshes() <= 2);
}

#[tokio::test]
async fn a_hung_refresh_delays_nobody_else() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let fake = FakeFullscript::start().await.unwrap();
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    // One place alone, which whoever waits for a token must not hold.
    let builder = || {
        let builder = fake.app_builder().concurrency(1);
        builder.store(store.clone()).clock(clock.clone())
    };
    let app = builder().build().unwrap();
    connect(&fake, &app, "slow").await;
    connect(&fake, &app, "other").await;
    let hangs = builder()
        .token_url(format!(
            "http://{}/api/oauth/token",
            silent.local_addr().unwrap()
        ))
        .build()
        .unwrap();
    hangs.client("other").get_clinic().send().await.unwrap();
    let mut slow = store.load("slow").await.unwrap().unwrap();
    let before = slow.generation;
    slow.lifetime = Duration::ZERO;
    slow.generation += 1;
    let swap = store.compare_and_swap("slow", Some(before), slow);
    swap.await.unwrap();
    let slow = hangs.client("slow");
    let hung = tokio::spawn(async move { slow.get_clinic().send().await.map(|_| ()) });
    let (_stream, _) = tokio::task::spawn_blocking(move || silent.accept())
        .await
        .unwrap()
        .unwrap();
    hangs.client("other").get_clinic().send().await.unwrap();
    assert!(!hung.is_finished());
    hung.abort();
}

#[tokio::test]
async fn tokens_are_not_sent_to_another_environment() {
    let connected = Connected::new().await;
    let elsewhere = FakeFullscript::start().await.unwrap();
    let app = OAuthApp::builder(fullscript::Environment::CaSandbox)
        .base_url(elsewhere.url())
        .client_id("id")
        .client_secret("secret")
        .redirect_uri("https://ehr.example/fullscript/callback")
        .store(connected.store.clone())
        .build()
        .unwrap();
    let client = app.client("practitioner");
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(error.needs_reconnect(), "{error}");
    let error = app.revoke("practitioner").await.unwrap_err();
    assert!(error.needs_reconnect(), "{error}");
    assert!(elsewhere.requests().is_empty());
    // Nor does a new connection there take the place of the one here.
    let request = app.authorize();
    let callback = elsewhere.approve(request.url(), "practitioner");
    let code = app.callback(&callback, request.state()).unwrap();
    let error = app.exchange(code).await.unwrap_err();
    assert!(error.is_misconfigured(), "{error}");
    let here = connected.app.client("practitioner");
    here.get_clinic().send().await.unwrap();
    assert_eq!(elsewhere.requests().len(), 1);
}

#[tokio::test]
async fn another_address_of_the_same_environment_keeps_the_tokens() {
    let connected = Connected::new().await;
    let moved = connected.fake.url().replace("127.0.0.1", "localhost");
    let app = connected.fake.app_builder().base_url(moved);
    let app = app
        .store(connected.store.clone())
        .clock(connected.clock.clone());
    let client = app.build().unwrap().client("practitioner");
    client.get_clinic().send().await.unwrap();
}

#[tokio::test]
async fn who_connects_again_after_a_revocation_elsewhere_is_heard_of() {
    let connected = Connected::new().await;
    let builder = connected.fake.app_builder().store(connected.store.clone());
    let other = builder.clock(connected.clock.clone()).build().unwrap();
    let theirs = other.client("practitioner");
    for _ in 0..5 {
        connected.expire();
        theirs.get_clinic().send().await.unwrap();
    }
    connected.app.revoke("practitioner").await.unwrap();
    let error = theirs.get_clinic().send().await.unwrap_err();
    assert!(error.needs_reconnect(), "{error}");
    connect(&connected.fake, &connected.app, "practitioner").await;
    let before = connected.refreshes();
    let calls = connected.fake.count("get_clinic");
    for _ in 0..5 {
        theirs.get_clinic().send().await.unwrap();
    }
    assert_eq!(connected.refreshes(), before);
    assert_eq!(connected.fake.count("get_clinic"), calls + 5);
}

#[tokio::test]
async fn a_lasting_401_is_no_reason_to_refresh_again_and_again() {
    let connected = Connected::new().await;
    let client = connected.app.client("practitioner");
    connected.fake.answer("list_orders", Script::html(401, ""));
    for _ in 0..5 {
        let error = client.list_orders().send().await.unwrap_err();
        assert!(error.is_unauthorized(), "{error}");
    }
    assert_eq!(connected.refreshes(), 1);
    // Other operations are not held to it.
    connected.fake.expire_access_tokens();
    client.get_clinic().send().await.unwrap();
    assert_eq!(connected.refreshes(), 2);
}

#[tokio::test]
async fn what_an_app_is_told_is_what_happened() {
    let connected = Connected::new().await;
    let user = || "practitioner".to_string();
    connected.expire();
    let client = connected.app.client("practitioner");
    client.get_clinic().send().await.unwrap();
    connected.app.revoke("practitioner").await.unwrap();
    let told = connected.events.lock().unwrap().clone();
    assert_eq!(
        told,
        [
            AuthEvent::Connected { user: user() },
            AuthEvent::Refreshed { user: user() },
            AuthEvent::Revoked { user: user() },
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_pair_is_saved_in_the_end_though_nobody_calls_again() {
    let fake = FakeFullscript::start().await.unwrap();
    let (inner, failures) = (MemoryStore::new(), Arc::new(AtomicUsize::new(0)));
    let store = Failing {
        inner: inner.clone(),
        failures: Arc::clone(&failures),
    };
    let (clock, saves_failed) = (ManualClock::default(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&saves_failed);
    let app = fake
        .app_builder()
        .store(store)
        .clock(clock.clone())
        .on_event(move |event| {
            if matches!(event, AuthEvent::SaveFailed { .. }) {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        })
        .build()
        .unwrap();
    connect(&fake, &app, "practitioner").await;
    let before = inner.load("practitioner").await.unwrap().unwrap();
    clock.advance(TWO_HOURS);
    failures.store(10, Ordering::SeqCst);
    let client = app.client("practitioner");
    client.get_clinic().send().await.unwrap_err();
    assert!(saves_failed.load(Ordering::SeqCst) >= 1);
    tokio::time::sleep(Duration::from_secs(120)).await;
    let after = inner.load("practitioner").await.unwrap().unwrap();
    assert_eq!(after.generation, before.generation + 1);
}

#[tokio::test]
async fn tokens_of_a_clinic_work_like_any_other() {
    let fake = FakeFullscript::start().await.unwrap();
    let tokens = json!({"oauth": {
        "access_token": fake.access_token().expose(), "refresh_token": "r", "expires_in": 7200,
        "resource_owner": {"id": "a-clinic", "type": "Clinic"},
    }});
    fake.answer("create_oauth_token", Script::json(200, &tokens));
    let app = fake.app_builder().build().unwrap();
    let request = app.authorize();
    let callback = fake.approve(request.url(), "anybody");
    let code = app.callback(&callback, request.state()).unwrap();
    let user = app.exchange(code).await.unwrap();
    assert_eq!((user.id(), user.kind()), ("a-clinic", "Clinic"));
    app.client("a-clinic").get_clinic().send().await.unwrap();
}

#[tokio::test]
async fn an_app_that_forgot_a_user_sends_nothing_of_theirs() {
    let connected = Connected::new().await;
    connected.app.forget("practitioner").await.unwrap();
    let client = connected.app.client("practitioner");
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(error.needs_reconnect(), "{error}");
    assert_eq!(connected.fake.count("get_clinic"), 0);
    assert_eq!(connected.fake.count("revoke_oauth_token"), 0);
}

#[tokio::test]
async fn an_early_refresh_that_fails_costs_the_caller_nothing() {
    for status in [503, 401, 404] {
        let connected = Connected::new().await;
        connected.clock.advance(TWO_HOURS - Duration::from_secs(60));
        let down = Script::html(status, "down");
        connected.fake.answer("create_oauth_token", down);
        let client = connected.app.client("practitioner");
        for _ in 0..30 {
            client.get_clinic().send().await.unwrap();
            tokio::task::yield_now().await;
        }
        assert!(connected.refreshes() <= 4, "{status}");
    }
}

#[tokio::test]
async fn nothing_of_the_flow_shows_a_secret() {
    let connected = Connected::new().await;
    let tokens = connected.stored().await;
    let request = connected.app.authorize();
    let shown = format!(
        "{:?} {:?} {tokens:?} {request:?} {:?}",
        connected.app,
        connected.store,
        connected.app.client("practitioner")
    );
    for secret in [
        "fake-access-",
        "fake-refresh-",
        "fake-client-secret",
        request.state().expose(),
    ] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[tokio::test]
async fn a_refusal_names_the_scope_that_the_token_was_not_issued_with() {
    let connected = Connected::new().await;
    let forbidden = Script::json(403, &json!({"error": "Forbidden"}));
    connected.fake.answer("list_orders", forbidden.clone());
    connected.fake.answer("get_clinic", forbidden);
    let client = connected.app.client("practitioner");
    let lacking = client.list_orders().send().await.unwrap_err();
    assert!(lacking.is_missing_scope(), "{lacking}");
    assert_eq!(lacking.missing_scopes(), [Scope::ORDER_HISTORY]);
    let text = lacking.to_string();
    assert!(
        text.contains("the token lacks the scope patients:order_history"),
        "{text}"
    );
    assert!(text.contains("have the user connect again"), "{text}");
    // Here it has what the operation needs, so it is something else.
    let other = client.get_clinic().send().await.unwrap_err();
    assert!(!other.is_missing_scope() && other.missing_scopes().is_empty());
    assert_eq!(other.method(), Some("GET"));
    assert_eq!(other.path(), Some("/api/clinic"));
}

/// Opens an address as a browser would, and follows no redirect.
async fn browse(url: &str) -> (u16, Option<String>, String) {
    let none = reqwest::redirect::Policy::none();
    let browser = reqwest::Client::builder().redirect(none).build().unwrap();
    let answer = browser.get(url).send().await.unwrap();
    let location = answer.headers().get("location");
    let location = location.map(|location| location.to_str().unwrap().to_string());
    (
        answer.status().as_u16(),
        location,
        answer.text().await.unwrap(),
    )
}

#[tokio::test]
async fn the_fakes_consent_page_asks_and_leads_back() {
    let fake = FakeFullscript::start().await.unwrap();
    let app = fake.app_builder().build().unwrap();
    let request = app.authorize();
    let (status, _, page) = browse(request.url().as_str()).await;
    assert_eq!(status, 200);
    assert!(
        page.contains("id=\"allow\"") && page.contains("id=\"deny\""),
        "{page}"
    );
    let allow = format!("{}&decision=allow&user=somebody", request.url());
    let (status, back, _) = browse(&allow).await;
    assert_eq!(status, 302);
    let code = app.callback(&back.unwrap(), request.state()).unwrap();
    assert_eq!(app.exchange(code).await.unwrap().id(), "somebody");
    let deny = format!("{}&decision=deny", request.url());
    let (_, back, _) = browse(&deny).await;
    let error = app.callback(&back.unwrap(), request.state()).unwrap_err();
    assert!(error.is_denied(), "{error}");
    let wrong = request.url().as_str().replace("response_type=code", "");
    assert_eq!(browse(&wrong).await.0, 404);
}

#[tokio::test]
async fn the_fake_takes_a_code_from_whom_it_was_given_to_and_once() {
    let fake = FakeFullscript::start().await.unwrap();
    let app = fake.app_builder().build().unwrap();
    let other = |builder: OAuthAppBuilder| builder.build().unwrap();
    let elsewhere = fake.app_builder().redirect_uri("https://ehr.example/other");
    for wrong in [
        other(fake.app_builder().client_id("another")),
        other(elsewhere),
    ] {
        let request = app.authorize();
        let callback = fake.approve(request.url(), "practitioner");
        let query = callback.split_once('?').unwrap().1;
        let code = wrong.callback(query, request.state()).unwrap();
        let error = wrong.exchange(code).await.unwrap_err();
        assert!(error.is_code_expired(), "{error}");
    }
    connect(&fake, &app, "practitioner").await;
}

#[tokio::test]
async fn tokens_of_another_app_are_neither_used_nor_marked() {
    let connected = Connected::new().await;
    let builder = connected.fake.app_builder().client_id("another");
    let other = builder.store(connected.store.clone()).build().unwrap();
    connected.expire();
    let client = other.client("practitioner");
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(error.to_string().contains("another app"), "{error}");
    assert!(!connected.stored().await.needs_reconnect);
    let client = connected.app.client("practitioner");
    client.get_clinic().send().await.unwrap();
}

#[tokio::test]
async fn the_fakes_account_page_ends_a_connection() {
    let fake = FakeFullscript::start().await.unwrap();
    let app = fake.app_builder().build().unwrap();
    let request = app.authorize();
    let back = fake.approve(request.url(), "somebody");
    let code = app.callback(&back, request.state()).unwrap();
    let user = app.exchange(code).await.unwrap();
    let client = app.client(user.id());
    client.get_clinic().send().await.unwrap();
    let (status, _, page) = browse(&fake.url()).await;
    assert!(status == 200 && page.contains("id=\"end\""), "{page}");
    assert_eq!(
        browse(&format!("{}/?end=somebody", fake.url())).await.0,
        200
    );
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(error.needs_reconnect());
}
