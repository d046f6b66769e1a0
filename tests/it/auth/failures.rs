//! Token endpoints with errors or unreadable responses, stores that cannot save, and the resulting
//! state of the tokens.

use std::sync::Arc;
use std::time::Duration;

use fullscript::auth::{AuthEvent, MemoryStore, TokenSet, TokenStore};
use fullscript::testing::{FakeFullscript, Script};
use serde_json::json;

use crate::support::{Connected, Failures, Hooked, TWO_HOURS, connect, consent, record_key};

#[tokio::test]
async fn a_rejection_is_final_until_the_user_reconnects_and_keeps_the_token_set() {
    let connected = Connected::new().await;
    connected.fake.end_connection("practitioner");
    let client = connected.app.client("practitioner");
    for _ in 0..3 {
        let error = client.get_clinic().send().await.unwrap_err();
        assert!(error.needs_reconnect(), "{error}");
    }
    assert_eq!(connected.refreshes(), 1);
    let stored = connected.stored().await;
    assert!(stored.needs_reconnect.is_some() && stored.refresh_token.is_some());
    let events = connected.events();
    let marked = events
        .iter()
        .filter(|event| event.name() == "needs_reconnect");
    let timings: Vec<_> = marked.filter_map(AuthEvent::timing).collect();
    assert_eq!(timings.len(), 1);
    assert_eq!(timings[0].requests, 1);
    connect(&connected.fake, &connected.app, "practitioner").await;
    client.get_clinic().send().await.unwrap();
}

#[tokio::test]
async fn an_unreadable_response_is_retried_with_the_same_token() {
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
async fn only_a_rejection_loses_the_token_set() {
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

#[tokio::test(start_paused = true)]
async fn an_unsaved_token_set_is_not_used_and_not_lost() {
    let failures = Arc::new(Failures::default());
    let connected = Connected::hooked(&failures).await;
    connected.expire();
    failures.set(usize::MAX);
    let client = connected.app.client("practitioner");
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(error.auth_error().unwrap().is_store(), "{error}");
    assert_eq!(connected.fake.count("get_clinic"), 0);
    // The store works again: the unsaved token set is saved, and no other is requested.
    failures.set(0);
    client.get_clinic().send().await.unwrap();
    assert_eq!(connected.fake.count("create_oauth_token"), 2);
    let saved = connected.stored().await;
    assert!(
        saved.access_token.expose().ends_with("-3"),
        "the second pair"
    );
}

#[tokio::test(start_paused = true)]
async fn the_tokens_of_a_code_wait_for_a_store_that_fails() {
    let fake = FakeFullscript::start().await.unwrap();
    let (inner, failures) = (MemoryStore::new(), Arc::new(Failures::default()));
    let store = Hooked {
        inner: inner.clone(),
        hook: Arc::clone(&failures),
    };
    let app = fake.app_builder().store(store).build().unwrap();
    let code = consent(&fake, &app, "practitioner");
    failures.set(usize::MAX);
    let error = app.exchange(code).await.unwrap_err();
    assert!(error.is_store(), "{error}");
    failures.set(0);
    app.client("practitioner")
        .get_clinic()
        .send()
        .await
        .unwrap();
    assert_eq!(fake.count("create_oauth_token"), 1);
    assert!(
        inner
            .load(&record_key("practitioner"))
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_set_is_saved_eventually_without_another_call() {
    let failures = Arc::new(Failures::default());
    let connected = Connected::hooked(&failures).await;
    let before = connected.stored().await;
    connected.clock.advance(TWO_HOURS);
    failures.set(10);
    let client = connected.app.client("practitioner");
    client.get_clinic().send().await.unwrap_err();
    let save_failed = |event: &AuthEvent| matches!(event, AuthEvent::SaveFailed { .. });
    assert!(connected.events().iter().any(save_failed));
    // Paused time, so the test does not wait.
    tokio::time::sleep(Duration::from_secs(120)).await;
    let after = connected.stored().await;
    assert_eq!(after.generation, before.generation + 1);
}
