//! Shutting down an app.

use std::sync::Arc;
use std::time::Duration;

use fullscript::CallOptions;
use fullscript::auth::{Lease, OAuthApp, TokenStore, UserKey};
use fullscript::testing::{Fault, Script};
use serde_json::json;
use tokio::time::Instant;

use crate::support::{
    Act, Connected, Failures, Gate, Misbehaving, Step, connect, consent, record_key,
};

const SOON: Duration = Duration::from_secs(5);

async fn call(app: OAuthApp) -> Result<(), fullscript::Error> {
    let client = app.client("practitioner");
    client.get_clinic().send().await.map(|_| ())
}

#[tokio::test]
async fn an_app_that_was_shut_down_sends_nothing() {
    // The tokens are valid, or have expired.
    for expired in [false, true] {
        let connected = Connected::new().await;
        let app = connected.app.clone();
        let client = app.client("practitioner");
        client.get_clinic().send().await.unwrap();
        let code = consent(&connected.fake, &app, "practitioner");
        if expired {
            connected.expire();
        }
        for _ in 0..2 {
            app.shutdown(SOON).await.unwrap();
        }
        let before = connected.fake.requests().len();
        let error = client.get_clinic().send().await.unwrap_err();
        assert!(error.auth_error().unwrap().is_shut_down(), "{error}");
        let error = call(app.clone()).await.unwrap_err();
        assert!(error.to_string().contains("shut down"), "{error}");
        for error in [
            app.exchange(code).await.unwrap_err(),
            app.revoke("practitioner").await.unwrap_err(),
            app.forget("practitioner").await.unwrap_err(),
        ] {
            assert!(error.is_shut_down() && !error.needs_reconnect(), "{error}");
        }
        assert_eq!(connected.fake.requests().len(), before);
        // Another process goes on.
        call(connected.another().build().unwrap()).await.unwrap();
    }
}

#[tokio::test]
async fn a_shutdown_waits_for_a_refresh_and_releases_its_lease() {
    for step in Step::OF_A_REFRESH {
        let gate = Arc::new(Gate::default());
        let connected = Connected::hooked(&gate).await;
        let before = connected.stored().await.generation;
        connected.expire();
        gate.close("practitioner", step);
        let caller = tokio::spawn(call(connected.app.clone()));
        gate.reached().await;
        let app = connected.app.clone();
        let shutdown = tokio::spawn(async move { app.shutdown(SOON).await });
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!shutdown.is_finished(), "{step:?}");
        gate.open();
        shutdown.await.unwrap().unwrap();
        assert_eq!(connected.stored().await.generation, before + 1, "{step:?}");
        let ttl = Duration::from_secs(2);
        let lease = connected
            .store
            .lease(&record_key("practitioner"), "next", ttl)
            .await;
        assert_eq!(lease.unwrap(), Lease::Granted, "{step:?}");
        let _before_or_after = caller.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_at_its_deadline_and_names_the_users_with_running_refreshes() {
    for deadline in [Duration::ZERO, Duration::from_millis(300), SOON] {
        let gate = Arc::new(Gate::default());
        let connected = Connected::hooked(&gate).await;
        connected.expire();
        gate.close("practitioner", Step::Swap);
        let caller = tokio::spawn(call(connected.app.clone()));
        gate.reached().await;
        let started = Instant::now();
        let unfinished = connected.app.shutdown(deadline).await.unwrap_err();
        let waited = started.elapsed();
        assert!(waited <= deadline + Duration::from_millis(10), "{waited:?}");
        assert_eq!(unfinished.running_users(), [UserKey::from("practitioner")]);
        assert_eq!(unfinished.unsaved_users(), [UserKey::from("practitioner")]);
        assert_eq!(unfinished.running_tasks(), 1);
        let shown = format!("{unfinished} {unfinished:?}");
        assert!(!shown.contains("practitioner"), "{shown}");
        gate.open();
        let _before_or_after = caller.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_saves_tokens_that_could_not_be_saved_before() {
    for repaired in [true, false] {
        let failures = Arc::new(Failures::default());
        let connected = Connected::hooked(&failures).await;
        let before = connected.stored().await.generation;
        connected.expire();
        failures.set(usize::MAX);
        call(connected.app.clone()).await.unwrap_err();
        if repaired {
            failures.set(0);
        }
        let ended = connected.app.shutdown(2 * SOON).await;
        let stored = connected.stored().await.generation;
        if repaired {
            ended.unwrap();
            assert_eq!(stored, before + 1);
        } else {
            let unfinished = ended.unwrap_err();
            assert_eq!(unfinished.unsaved_users(), [UserKey::from("practitioner")]);
            assert_eq!(stored, before);
        }
        assert_eq!(connected.refreshes(), 1);
    }
}

#[tokio::test]
async fn a_shutdown_waits_for_an_exchange_and_for_revocations() {
    let gate = Arc::new(Gate::default());
    let connected = Connected::hooked(&gate).await;
    connect(&connected.fake, &connected.app, "other").await;
    gate.close("practitioner", Step::Swap);
    let code = consent(&connected.fake, &connected.app, "practitioner");
    let app = connected.app.clone();
    let exchange = tokio::spawn(async move { app.exchange(code).await });
    gate.reached().await;
    let app = connected.app.clone();
    let shutdown = tokio::spawn(async move { app.shutdown(SOON).await });
    tokio::task::yield_now().await;
    assert!(!shutdown.is_finished());
    gate.open();
    exchange.await.unwrap().unwrap();
    shutdown.await.unwrap().unwrap();
    // The token set of the earlier connection.
    assert_eq!(connected.fake.count("revoke_oauth_token"), 1);
}

#[tokio::test]
async fn a_shutdown_waits_for_calls_in_flight() {
    let connected = Connected::new().await;
    let slow = Fault::delay(Duration::from_millis(300));
    connected.fake.fault("get_clinic", slow);
    for of_app in [true, false] {
        let app = connected.another().build().unwrap();
        let client = if of_app {
            app.client("practitioner")
        } else {
            connected.fake.client()
        };
        let before = connected.fake.count("get_clinic");
        let calls: Vec<_> = (0..5)
            .map(|_| tokio::spawn(client.get_clinic().send()))
            .collect();
        while connected.fake.count("get_clinic") < before + 5 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let shutdown = async |deadline| {
            if of_app {
                app.shutdown(deadline).await
            } else {
                client.shutdown(deadline).await
            }
        };
        let unfinished = shutdown(Duration::ZERO).await.unwrap_err();
        assert_eq!(unfinished.calls(), 5);
        assert!(unfinished.to_string().contains("5 calls"), "{unfinished}");
        shutdown(SOON).await.unwrap();
        for call in calls {
            call.await.unwrap().unwrap();
        }
        let error = client.get_clinic().send().await.unwrap_err();
        assert!(error.to_string().contains("shut down"), "{error}");
        assert_eq!(connected.fake.count("get_clinic"), before + 5);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_shutdown_interrupts_says_that_it_was_sent() {
    let connected = Connected::unlimited().await;
    let options = CallOptions::new().idempotency_key("key-1");
    let client = connected.app.client("practitioner").with_options(options);
    let refusal = Script::json(503, &json!({})).header("retry-after", "10");
    connected.fake.answer_times("get_clinic", 1, refusal);
    let call = tokio::spawn(client.get_clinic().send());
    while connected.fake.count("get_clinic") == 0 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    connected
        .app
        .shutdown(Duration::from_secs(20))
        .await
        .unwrap();
    let error = call.await.unwrap().unwrap_err();
    assert!(error.may_have_arrived());
    assert!(!error.to_string().contains("not sent"), "{error}");
}

#[tokio::test]
async fn a_client_of_an_app_that_was_shut_down_downloads_nothing() {
    let connected = Connected::unlimited().await;
    let pdf = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n%PDF-";
    let host = Misbehaving::start([Act::Answer(pdf.into())]).await;
    connected
        .app
        .shutdown(Duration::from_secs(5))
        .await
        .unwrap();
    let client = connected.app.client("practitioner");
    let download = client
        .download(&format!("{}/file.pdf", host.url()))
        .allow_host("127.0.0.1");
    let error = download.send().await.unwrap_err();
    assert!(error.to_string().contains("shut down"), "{error}");
    assert!(host.requests().is_empty());
}

#[tokio::test]
async fn a_shutdown_under_load_is_prompt() {
    let connected = Connected::unlimited().await;
    let app = connected.another().concurrency(4).build().unwrap();
    let slow = Fault::delay(Duration::from_millis(100));
    connected.fake.fault("get_clinic", slow);
    let calls: Vec<_> = (0..300)
        .map(|_| tokio::spawn(app.client("practitioner").get_clinic().send()))
        .collect();
    while connected.fake.count("get_clinic") < 4 {
        tokio::task::yield_now().await;
    }
    let started = Instant::now();
    let deadline = Duration::from_secs(10);
    app.shutdown(deadline).await.unwrap();
    assert!(started.elapsed() < deadline / 2);
    for call in calls {
        let _sent_or_refused = call.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_does_not_keep_a_shutdown_from_saving() {
    let failures = Arc::new(Failures::default());
    let connected = Connected::hooked(&failures).await;
    let before = connected.stored().await.generation;
    connected.expire();
    connect(&connected.fake, &connected.app, "other").await;
    failures.set(usize::MAX);
    call(connected.app.clone()).await.unwrap_err();
    // The delays between the background retries grow to 20 s.
    tokio::time::sleep(Duration::from_secs(120)).await;
    connected.fake.fault("list_patients", Fault::silence());
    let hangs = connected.app.client("other").list_patients().send();
    let hangs = tokio::spawn(hangs);
    while connected.fake.count("list_patients") == 0 {
        tokio::task::yield_now().await;
    }
    failures.set(0);
    let deadline = Duration::from_secs(1);
    let unfinished = connected.app.shutdown(deadline).await.unwrap_err();
    assert_eq!(unfinished.calls(), 1);
    assert!(unfinished.unsaved_users().is_empty());
    assert_eq!(connected.stored().await.generation, before + 1);
    hangs.abort();
}
