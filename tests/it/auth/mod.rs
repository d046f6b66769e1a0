//! Connecting: the flow, the owner of the tokens, and disconnecting.

mod concurrent;
mod connect;
mod deadlines;
mod elsewhere;
mod errors;
mod failing;
mod failures;
mod import;
mod isolation;
mod jobs;
mod outage;
mod owners;
mod processes;
mod refreshes;
mod refusals;
mod revocation;
mod rollback;
mod rolling;
mod secret_rotation;
mod shutdown;
mod tenants;
mod token_endpoint;

use fullscript::auth::{AuthEvent, Scope};
use fullscript::testing::{FakeFullscript, Script};
use serde_json::json;

use crate::support::{Connected, connect};

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
async fn tokens_of_a_clinic_work_like_any_other() {
    let fake = FakeFullscript::start().await.unwrap();
    let tokens = json!({"oauth": {
        "access_token": fake.access_token().expose(), "refresh_token": "r", "expires_in": 7200,
        "resource_owner": {"id": "a-clinic", "type": "Clinic"},
    }});
    fake.answer("create_oauth_token", Script::json(200, &tokens));
    let app = fake.app_builder().build().unwrap();
    let user = connect(&fake, &app, "anybody").await;
    assert_eq!((user.id(), user.kind()), ("a-clinic", "Clinic"));
    app.client(user.key()).get_clinic().send().await.unwrap();
    app.client("Clinic/a-clinic").get_clinic().await.unwrap();
}

#[tokio::test]
async fn events_match_the_changes() {
    let connected = Connected::new().await;
    connected.expire();
    let client = connected.app.client("practitioner");
    client.get_clinic().send().await.unwrap();
    connected.app.revoke("practitioner").await.unwrap();
    let events = connected.events();
    let names: Vec<_> = events.iter().map(AuthEvent::name).collect();
    assert_eq!(names, ["connected", "refreshed", "revoked"]);
    let user = "practitioner".into();
    assert!(events.iter().all(|event| event.user() == Some(&user)));
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
async fn a_reconnect_after_a_revocation_elsewhere_is_detected() {
    let connected = Connected::new().await;
    let other = connected.another().build().unwrap();
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
async fn a_refusal_names_the_scope_that_the_token_was_not_issued_with() {
    let connected = Connected::new().await;
    connected.fake.grant_scopes([Scope::CLINIC_READ]);
    connect(&connected.fake, &connected.app, "practitioner").await;
    let forbidden = Script::json(403, &json!({"error": "Forbidden"}));
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
    assert!(text.contains("have the user reconnect"), "{text}");
    // The token has the required scope, so the cause is another one.
    let other = client.get_clinic().send().await.unwrap_err();
    assert!(!other.is_missing_scope() && other.missing_scopes().is_empty());
    assert_eq!(other.method(), Some("GET"));
    assert_eq!(other.path(), Some("/api/clinic"));
}

#[tokio::test]
async fn no_output_of_the_flow_contains_a_secret() {
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
