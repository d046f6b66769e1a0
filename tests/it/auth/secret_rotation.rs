//! Replacing the client secret without an outage.

use std::time::Duration;

use fullscript::auth::{OAuthApp, OAuthAppBuilder};
use fullscript::testing::Fault;

use crate::support::{Connected, connect, consent};

/// Returns a process with these client secrets.
fn process(builder: OAuthAppBuilder, secret: &str, alternate: Option<&str>) -> OAuthApp {
    let builder = builder.client_secret(secret);
    let builder = match alternate {
        Some(alternate) => builder.alternate_client_secret(alternate),
        None => builder,
    };
    builder.build().unwrap()
}

async fn call(app: &OAuthApp) {
    let client = app.client("practitioner");
    client.get_clinic().send().await.unwrap();
}

#[tokio::test]
async fn a_secret_is_replaced_by_rolling_deployments_without_a_failed_call() {
    let connected = Connected::unlimited().await;
    let new_process = |secret, alternate| process(connected.another(), secret, alternate);
    connected.fake.accept_client_secrets(["old"]);
    // One process after another is restarted with the next configuration. The dashboard changes
    // when all processes know both secrets.
    let configurations = [
        ("old", None),
        ("old", Some("new")),
        ("new", Some("old")),
        ("new", None),
    ];
    let mut processes = vec![new_process("old", None), new_process("old", None)];
    for (step, (secret, alternate)) in configurations.into_iter().enumerate() {
        for index in 0..processes.len() {
            // A browser leaves one process and returns to another.
            let request = processes[index].authorize();
            let callback = connected.fake.approve(request.url(), "practitioner");
            processes[index] = new_process(secret, alternate);
            let other = &processes[(index + 1) % 2];
            let code = other.callback(&callback, request.state()).unwrap();
            other.exchange(code).await.unwrap();
            for process in &processes {
                connected.expire();
                call(process).await;
            }
        }
        if step == 1 {
            connected.fake.accept_client_secrets(["new"]);
        }
    }
    processes[0].revoke("practitioner").await.unwrap();
}

#[tokio::test]
async fn the_other_secret_is_tried_once_and_the_accepted_one_is_kept() {
    let connected = Connected::unlimited().await;
    connected.fake.accept_client_secrets(["second"]);
    let app = process(connected.another(), "first", Some("second"));
    for expected in [2, 3, 4] {
        connected.expire();
        call(&app).await;
        assert_eq!(connected.refreshes(), expected);
    }
    // The server accepts the first one again.
    connected.fake.accept_client_secrets(["first"]);
    connected.expire();
    call(&app).await;
    assert_eq!(connected.refreshes(), 6);
    // Neither is accepted: two requests, and the app is misconfigured, not the user disconnected.
    connected.fake.accept_client_secrets(["third"]);
    connected.expire();
    let client = app.client("practitioner");
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(error.auth_error().unwrap().is_misconfigured(), "{error}");
    assert_eq!(connected.refreshes(), 8);
    // Replaced at run time.
    app.set_client_secrets("third", Some("first")).unwrap();
    call(&app).await;
    assert_eq!(connected.refreshes(), 9);
    app.revoke("practitioner").await.unwrap();
}

#[tokio::test]
async fn a_code_is_exchanged_and_a_token_revoked_with_the_other_secret() {
    let connected = Connected::unlimited().await;
    connected.fake.accept_client_secrets(["second"]);
    let app = process(connected.another(), "first", Some("second"));
    connect(&connected.fake, &app, "other").await;
    let app = process(connected.another(), "first", Some("second"));
    app.revoke("other").await.unwrap();
    assert_eq!(connected.fake.count("revoke_oauth_token"), 2);
    // Without the other secret, the code is not spent by a request that was rejected.
    let alone = process(connected.another(), "first", None);
    let code = consent(&connected.fake, &alone, "third");
    let error = alone.exchange(code).await.unwrap_err();
    assert!(error.is_misconfigured(), "{error}");
}

#[tokio::test]
async fn other_refusals_are_not_repeated_with_the_other_secret() {
    let connected = Connected::unlimited().await;
    let app = process(connected.another(), "first", Some("second"));
    connected.fake.end_connection("practitioner");
    let client = app.client("practitioner");
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(error.needs_reconnect(), "{error}");
    assert_eq!(connected.refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_replaced_during_a_refresh_is_used_for_it() {
    for alternate in [None, Some("old"), Some("")] {
        let connected = Connected::unlimited().await;
        let app = process(connected.another(), "old", Some("older"));
        connected.fake.accept_client_secrets(["new"]);
        let slow = Fault::delay(Duration::from_secs(2));
        connected.fake.fault("create_oauth_token", slow);
        connected.expire();
        let refresh = tokio::spawn({
            let app = app.clone();
            async move { call(&app).await }
        });
        while connected.refreshes() == 0 {
            tokio::task::yield_now().await;
        }
        app.set_client_secrets("new", alternate).unwrap();
        refresh.await.unwrap();
        assert_eq!(connected.refreshes(), 2, "{alternate:?}");
    }
}

#[tokio::test]
async fn an_empty_secret_replaces_none_and_is_never_used() {
    let connected = Connected::unlimited().await;
    let app = process(connected.another(), "first", None);
    let request = app.authorize();
    let callback = connected.fake.approve(request.url(), "practitioner");
    let error = app.set_client_secrets("", Some("second")).unwrap_err();
    assert!(error.to_string().contains("client secret"), "{error}");
    app.callback(&callback, request.state()).unwrap();
    app.set_client_secrets("second", Some("")).unwrap();
    connected.fake.accept_client_secrets(["third"]);
    connected.expire();
    let client = app.client("practitioner");
    client.get_clinic().send().await.unwrap_err();
    assert_eq!(connected.refreshes(), 1);
}
