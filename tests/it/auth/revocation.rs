//! Disconnecting: which token sets are revoked, and when other processes stop using them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fullscript::auth::{AccessToken, OAuthApp, RefreshToken, TokenStore};
use fullscript::testing::FakeFullscript;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Connected, Gate, Hooked, Step, TWO_HOURS, connect, record_key};

async fn call(app: &OAuthApp) -> Result<(), fullscript::Error> {
    let client = app.client("practitioner");
    client.get_clinic().send().await.map(|_| ())
}

/// Requests a token refresh without the crate, as another process does.
async fn refreshed_elsewhere(fake: &FakeFullscript, refresh_token: &str) -> Option<Value> {
    let body = json!({
        "grant_type": "refresh_token",
        "client_id": "fake-client-id",
        "client_secret": "fake-client-secret",
        "refresh_token": refresh_token,
    });
    let url = format!("{}/api/oauth/token", fake.url());
    let http = reqwest::Client::new();
    let request = http.post(url).header("content-type", "application/json");
    let response = request.body(body.to_string()).send().await.unwrap();
    let is_issued = response.status().is_success();
    let text = response.text().await.unwrap();
    is_issued.then(|| serde_json::from_str::<Value>(&text).unwrap()["oauth"].clone())
}

/// Returns the refresh tokens of all responses so far that the server still accepts.
async fn alive(fake: &FakeFullscript) -> BTreeSet<String> {
    let issued = fake.count("create_oauth_token") * 2;
    let mut alive = BTreeSet::new();
    for number in 1..=issued {
        let token = format!("fake-refresh-{number}");
        if refreshed_elsewhere(fake, &token).await.is_some() {
            alive.insert(token);
        }
    }
    alive
}

/// Waits until the background revocations have reached the server.
async fn revocations(fake: &FakeFullscript, number: usize) {
    while fake.count("revoke_oauth_token") < number {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn nothing_is_alive_after_a_revocation() {
    type Before = fn(&Connected) -> futures_util::future::BoxFuture<'_, ()>;
    let cases: [(&str, Before); 6] = [
        ("a new connection", |_| Box::pin(async {})),
        ("a used token set", |connected| {
            Box::pin(async {
                connected.expire();
                call(&connected.app).await.unwrap();
                call(&connected.app).await.unwrap();
            })
        }),
        ("a token set that was never used", |connected| {
            Box::pin(async { refresh_unused(connected).await })
        }),
        ("two token sets that were never used", |connected| {
            Box::pin(async {
                refresh_unused(connected).await;
                refresh_unused(connected).await;
                revocations(&connected.fake, 1).await;
            })
        }),
        ("an earlier connection", |connected| {
            Box::pin(async {
                connect(&connected.fake, &connected.app, "practitioner").await;
                revocations(&connected.fake, 1).await;
            })
        }),
        (
            "an earlier connection with an unused token set",
            |connected| {
                Box::pin(async {
                    refresh_unused(connected).await;
                    connect(&connected.fake, &connected.app, "practitioner").await;
                    call(&connected.app).await.unwrap();
                    revocations(&connected.fake, 2).await;
                })
            },
        ),
    ];
    for (case, before) in cases {
        let connected = Connected::unlimited().await;
        before(&connected).await;
        connected.app.revoke("practitioner").await.unwrap();
        assert_eq!(alive(&connected.fake).await, BTreeSet::new(), "{case}");
        let stored = connected.store.load(&record_key("practitioner")).await;
        assert!(stored.unwrap().is_none(), "{case}");
    }
}

/// Refreshes in another process that makes no call with the new tokens.
async fn refresh_unused(connected: &Connected) {
    let gate = Arc::new(Gate::default());
    let store = Hooked {
        inner: connected.store.clone(),
        hook: Arc::clone(&gate),
    };
    let app = connected.another().store(store).build().unwrap();
    connected.expire();
    gate.close("practitioner", Step::Swap);
    let caller = tokio::spawn(async move { call(&app).await });
    gate.reached().await;
    caller.abort();
    gate.open();
    gate.released().await;
}

#[tokio::test]
async fn tokens_that_another_process_saves_during_a_revocation_are_revoked_too() {
    let gate = Arc::new(Gate::default());
    let connected = Connected::hooked(&gate).await;
    gate.close("practitioner", Step::Delete);
    let app = connected.app.clone();
    let revoking = tokio::spawn(async move { app.revoke("practitioner").await });
    gate.reached().await;
    // The other process had requested its token set before, and saves it now.
    connect(
        &connected.fake,
        &connected.another().build().unwrap(),
        "practitioner",
    )
    .await;
    gate.open();
    revoking.await.unwrap().unwrap();
    let stored = connected.store.load(&record_key("practitioner")).await;
    assert!(stored.unwrap().is_none());
    assert_eq!(alive(&connected.fake).await, BTreeSet::new());
}

#[tokio::test]
async fn a_revocation_waits_for_the_refresh_of_another_process() {
    let gate = Arc::new(Gate::default());
    let connected = Connected::unlimited().await;
    let store = Hooked {
        inner: connected.store.clone(),
        hook: Arc::clone(&gate),
    };
    let other = connected.another().store(store).build().unwrap();
    connected.expire();
    gate.close("practitioner", Step::Swap);
    let theirs = tokio::spawn(async move { call(&other).await });
    gate.reached().await;
    let app = connected.app.clone();
    let revoking = tokio::spawn(async move { app.revoke("practitioner").await });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(connected.fake.count("revoke_oauth_token"), 0);
    gate.open();
    revoking.await.unwrap().unwrap();
    let _before_or_after = theirs.await.unwrap();
    assert_eq!(alive(&connected.fake).await, BTreeSet::new());
}

#[tokio::test]
async fn a_token_set_that_lost_a_swap_is_revoked() {
    // The other process has refreshed, has forgotten the user, or the user has reconnected.
    for forgets in [false, true] {
        let gate = Arc::new(Gate::default());
        let connected = Connected::hooked(&gate).await;
        connected.expire();
        gate.close("practitioner", Step::Swap);
        let app = connected.app.clone();
        let caller = tokio::spawn(async move { call(&app).await });
        gate.reached().await;
        if forgets {
            let other = connected.another().build().unwrap();
            other.forget("practitioner").await.unwrap();
        } else {
            let mut stored = connected.stored().await;
            let token = stored.refresh_token.clone().unwrap();
            let issued = refreshed_elsewhere(&connected.fake, token.expose()).await;
            let issued = issued.unwrap();
            let text = |name: &str| issued[name].as_str().unwrap().to_string();
            let before = stored.generation;
            stored.generation += 1;
            stored.issued_at = fullscript::Clock::now(&connected.clock);
            stored.access_token = AccessToken::new(text("access_token"));
            stored.refresh_token = Some(RefreshToken::new(text("refresh_token")));
            let store = &connected.store;
            let swap = store.compare_and_swap(Some(before), stored.to_record());
            swap.await.unwrap();
        }
        gate.open();
        let ended = caller.await.unwrap();
        assert_eq!(ended.is_err(), forgets, "{ended:?}");
        revocations(&connected.fake, 1).await;
        // The lost token set was the third that was issued: after the code and its tokens.
        let lost = refreshed_elsewhere(&connected.fake, "fake-refresh-3").await;
        assert!(lost.is_none());
        if !forgets {
            call(&connected.app).await.unwrap();
        }
    }
}

#[tokio::test]
async fn revoking_a_user_without_tokens_is_an_error() {
    let connected = Connected::new().await;
    connected.app.revoke("practitioner").await.unwrap();
    for user in ["nobody", "", "practitioner"] {
        let before = connected.fake.requests().len();
        let error = connected.app.revoke(user).await.unwrap_err();
        assert!(error.needs_reconnect() && !error.is_transient(), "{error}");
        assert!(error.to_string().contains("not connected"), "{error}");
        assert_eq!(connected.fake.requests().len(), before);
        connected.app.forget(user).await.unwrap();
    }
}

/// The time after which cached tokens are compared with the store.
const BOUND: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn a_forgotten_user_makes_no_call_in_another_process_after_thirty_seconds() {
    // The other process is idle, or makes calls all the time.
    for calls in [0, 1, 20] {
        let connected = Connected::unlimited().await;
        let other = connected.another().build().unwrap();
        call(&other).await.unwrap();
        connected.app.forget("practitioner").await.unwrap();
        let forgotten = Instant::now();
        for _ in 0..calls {
            let _before_or_after = call(&other).await;
            tokio::time::sleep(BOUND / (calls + 1)).await;
        }
        tokio::time::sleep_until(forgotten + BOUND).await;
        let before = connected.fake.count("get_clinic");
        let error = call(&other).await.unwrap_err();
        assert!(error.needs_reconnect(), "{error}");
        assert_eq!(connected.fake.count("get_clinic"), before);
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_who_reconnected_elsewhere_is_noticed_without_a_failed_call() {
    let connected = Connected::unlimited().await;
    let other = connected.another().build().unwrap();
    call(&other).await.unwrap();
    connected.app.revoke("practitioner").await.unwrap();
    connected.clock.advance(BOUND);
    connect(&connected.fake, &connected.app, "practitioner").await;
    tokio::time::sleep(BOUND).await;
    let before = connected.fake.count("get_clinic");
    call(&other).await.unwrap();
    assert_eq!(connected.fake.count("get_clinic"), before + 1);
    assert_eq!(connected.refreshes(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_early_refresh_of_another_process_is_noticed_without_a_failed_call() {
    const STEP: Duration = Duration::from_secs(10);
    for _ in 0..5 {
        let connected = Connected::unlimited().await;
        let other = connected.another().build().unwrap();
        let mut calls = 0;
        connected.clock.advance(TWO_HOURS - 31 * STEP);
        // Each process refreshes at a random time between 300 s and 150 s before the expiry.
        while connected.refreshes() == 0 || calls < 10 {
            for app in [&connected.app, &other] {
                call(app).await.unwrap();
                calls += 1;
                tokio::time::sleep(STEP / 2).await;
            }
            connected.clock.advance(STEP);
        }
        for app in [&connected.app, &other] {
            call(app).await.unwrap();
            calls += 1;
            tokio::time::sleep(STEP / 2).await;
        }
        assert_eq!(connected.fake.count("get_clinic"), calls);
        assert_eq!(connected.refreshes(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_does_not_end_the_use_of_valid_tokens() {
    let gate = Arc::new(Gate::default());
    let connected = Connected::hooked(&gate).await;
    for _ in 0..3 {
        tokio::time::sleep(BOUND).await;
        gate.close("practitioner", Step::Load);
        let started = Instant::now();
        for _ in 0..10 {
            call(&connected.app).await.unwrap();
        }
        let waited = started.elapsed();
        assert!(waited <= Duration::from_secs(4), "{waited:?}");
    }
    assert_eq!(connected.refreshes(), 0);
}

#[tokio::test]
async fn calls_do_not_read_the_store_more_often_than_every_thirty_seconds() {
    let gate = Arc::new(Gate::default());
    let connected = Connected::hooked(&gate).await;
    call(&connected.app).await.unwrap();
    // A load would stop here.
    gate.close("practitioner", Step::Load);
    for _ in 0..100 {
        call(&connected.app).await.unwrap();
    }
}
