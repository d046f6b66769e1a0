//! The owner of rotated and of stored tokens, and access tokens that cannot be sent.

use std::time::Duration;

use fullscript::auth::{Swap, TokenStore};
use fullscript::testing::Script;
use serde_json::{Value, json};

use crate::support::{Connected, TWO_HOURS, connect, consent, record_key};

const UUID: &str = "0b1f2c3d-4e5f-6071-8293-a4b5c6d7e8f9";

/// Connects a user with this id, whose next refreshes get this response.
async fn rotating(user: &str, response: &Value) -> Connected {
    let connected = Connected::unlimited().await;
    connect(&connected.fake, &connected.app, user).await;
    connected.clock.advance(TWO_HOURS);
    let script = Script::json(200, &json!({ "oauth": response }));
    connected.fake.answer("create_oauth_token", script);
    connected
}

fn issued(owner: &Value) -> Value {
    json!({
        "access_token": "fake-access-99", "refresh_token": "fake-refresh-99",
        "expires_in": 7200, "resource_owner": owner,
    })
}

#[tokio::test]
async fn rotated_tokens_are_accepted_if_they_are_of_the_same_user() {
    for (user, owner) in [
        ("17", json!(null)),
        ("17", json!({})),
        ("17", json!({"type": "Practitioner"})),
        ("17", json!({"id": "17"})),
        ("17", json!({"id": 17, "type": "Practitioner"})),
        ("17", json!({"id": "17", "type": "Staff"})),
        ("17", json!({"id": UUID, "type": "Practitioner"})),
        ("17", json!({"id": "usr_17", "type": "practitioner"})),
        (UUID, json!({"id": 17, "type": "Practitioner"})),
        (
            UUID,
            json!({"id": UUID.to_uppercase(), "type": "Practitioner"}),
        ),
        (
            UUID,
            json!({"id": format!("usr_{UUID}"), "type": "Practitioner"}),
        ),
        ("practitioner", json!({"id": UUID, "type": "Practitioner"})),
    ] {
        let connected = rotating(user, &issued(&owner)).await;
        // The fake rejects the token, which it has not issued.
        let client = connected.app.client(user);
        client.get_clinic().send().await.unwrap_err();
        let stored = connected.stored_of(user).await.unwrap();
        assert_eq!(stored.access_token.expose(), "fake-access-99", "{owner}");
        // The application knows the user by the id of the connection.
        assert_eq!(stored.user.id(), user, "{owner}");
    }
}

#[tokio::test(start_paused = true)]
async fn unusable_rotated_tokens_are_requested_once_and_not_saved() {
    let token = |token: &str| json!({"access_token": token, "refresh_token": "r"});
    for (user, response, reason) in [
        (
            "17",
            issued(&json!({"id": "18", "type": "Practitioner"})),
            "another user",
        ),
        (
            "17",
            issued(&json!({"id": UUID, "type": "Staff"})),
            "another user",
        ),
        ("17", issued(&json!({"id": UUID})), "another user"),
        (
            UUID,
            issued(&json!({"id": UUID.replace('0', "1"), "type": "Practitioner"})),
            "another user",
        ),
        (
            "usr_17",
            issued(&json!({"id": "usr_18", "type": "Practitioner"})),
            "another user",
        ),
        (
            "anna",
            issued(&json!({"id": "berta", "type": "Practitioner"})),
            "another user",
        ),
        ("17", token("with a space"), "cannot be sent"),
        ("17", token("with\nnew line"), "cannot be sent"),
        ("17", token("t\u{f6}ken"), "cannot be sent"),
        ("17", token("nul\u{0}"), "cannot be sent"),
    ] {
        let connected = rotating(user, &response).await;
        let before = connected.stored_of(user).await.unwrap();
        let client = connected.app.client(user);
        for _ in 0..5 {
            let error = client.get_clinic().send().await.unwrap_err();
            let auth = error.auth_error().unwrap();
            assert!(auth.is_transient() && !auth.needs_reconnect(), "{error}");
            assert!(error.to_string().contains(reason), "{error}");
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        assert_eq!(connected.refreshes(), 1, "{response}");
        let after = connected.stored_of(user).await.unwrap();
        assert_eq!(after.generation, before.generation);
        assert_eq!(after.access_token.expose(), before.access_token.expose());
        assert_eq!(connected.fake.count("get_clinic"), 0, "{response}");
        tokio::time::sleep(Duration::from_secs(600)).await;
        client.get_clinic().send().await.unwrap_err();
        assert_eq!(connected.refreshes(), 2, "{response}");
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_sent_is_no_connection() {
    for token in ["with a space", "t\u{f6}ken", "nul\u{0}"] {
        let connected = Connected::unlimited().await;
        let code = consent(&connected.fake, &connected.app, "practitioner");
        let owner = json!({"id": "practitioner", "type": "Practitioner"});
        let mut response = issued(&owner);
        response["access_token"] = json!(token);
        let script = Script::json(200, &json!({ "oauth": response }));
        connected.fake.answer_times("create_oauth_token", 1, script);
        let error = connected.app.exchange(code).await.unwrap_err();
        assert!(error.is_code_expired(), "{error}");
        let client = connected.app.client("practitioner");
        client.get_clinic().send().await.unwrap();
    }
}

#[tokio::test]
async fn a_stored_token_set_of_another_user_is_not_used() {
    for other in ["somebody", "", "Staff/practitioner", "practitioner "] {
        let connected = Connected::unlimited().await;
        let mut wrong = connected.stored().await;
        let before = wrong.generation;
        wrong.user = other.into();
        wrong.generation += 1;
        let mut wrong = wrong.to_record();
        wrong.key = record_key("practitioner");
        let swap = connected.store.compare_and_swap(Some(before), wrong);
        assert!(matches!(swap.await.unwrap(), Swap::Done));
        // A process without cached tokens.
        let app = connected.another().build().unwrap();
        let client = app.client("practitioner");
        let error = client.get_clinic().send().await.unwrap_err();
        assert!(error.auth_error().unwrap().is_store(), "{error}");
        let shown = format!("{:?}", error.auth_error().unwrap());
        assert!(shown.contains("contradict"), "{shown}");
        let error = app.revoke("practitioner").await.unwrap_err();
        assert!(error.is_store(), "{error}");
        assert_eq!(connected.fake.count("get_clinic"), 0);
        assert_eq!(connected.fake.count("revoke_oauth_token"), 0);
        // Connecting again repairs the row, and revokes nothing of the other user.
        connect(&connected.fake, &app, "practitioner").await;
        client.get_clinic().send().await.unwrap();
        assert_eq!(connected.fake.count("revoke_oauth_token"), 0);
    }
}
