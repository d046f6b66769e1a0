//! A token endpoint that fails while many users have expired tokens.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use fullscript::auth::OAuthApp;
use fullscript::testing::Fault;
use fullscript::{Error, ErrorKind};
use futures_util::future::join_all;

use crate::support::{Connected, TWO_HOURS, connect};

const USERS: usize = 100;

/// Makes a call for each user and returns the errors.
async fn call_all(app: &OAuthApp) -> Vec<Error> {
    let calls = (0..USERS).map(|number| {
        let call = app.client(format!("user-{number}")).get_clinic();
        tokio::spawn(call.send())
    });
    let results = join_all(calls).await.into_iter();
    results.filter_map(|result| result.unwrap().err()).collect()
}

/// Returns the largest number of refresh requests of one user.
fn most_requests_of_a_user(connected: &Connected) -> usize {
    let mut requests: HashMap<String, usize> = HashMap::new();
    for request in connected.fake.requests() {
        let body = request.body.unwrap_or_default();
        if let Some(token) = body["refresh_token"].as_str() {
            *requests.entry(token.into()).or_default() += 1;
        }
    }
    requests.into_values().max().unwrap_or(0)
}

#[tokio::test]
async fn an_outage_of_the_token_endpoint_disturbs_no_user_with_a_valid_token() {
    for fault in [
        Fault::status(503),
        Fault::status(500),
        Fault::html(),
        Fault::reset_before_headers(),
        Fault::truncated_body(),
    ] {
        let connected = Connected::new().await;
        let app = &connected.app;
        for number in 0..USERS {
            connect(&connected.fake, app, &format!("user-{number}")).await;
        }
        connected.expire();
        connect(&connected.fake, app, "healthy").await;
        connected.fake.fault("create_oauth_token", fault);
        for _ in 0..5 {
            let errors = call_all(app).await;
            assert_eq!(errors.len(), USERS);
            for error in &errors {
                assert!(error.is_transient() && !error.needs_reconnect(), "{error}");
                assert_eq!(error.kind(), ErrorKind::Auth);
            }
            app.client("healthy").get_clinic().send().await.unwrap();
        }
        // The requests in flight when the circuit opened, and one probe.
        let refreshes = connected.refreshes();
        assert!(refreshes <= 40, "{refreshes}");
        assert_eq!(most_requests_of_a_user(&connected), 1);
        let errors = call_all(app).await;
        let text = errors[0].auth_error().unwrap().to_string();
        assert!(text.contains("circuit breaker open, retry after"), "{text}");
        assert!(errors[0].retry_after().is_some());

        connected.fake.end_faults();
        let ended = Instant::now();
        while !call_all(app).await.is_empty() {
            assert!(ended.elapsed() < Duration::from_secs(10));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn a_single_user_sends_no_token_request_in_a_loop() {
    let connected = Connected::new().await;
    connected.clock.advance(TWO_HOURS);
    connected
        .fake
        .fault("create_oauth_token", Fault::status(503));
    let client = connected.app.client("practitioner");
    for _ in 0..50 {
        assert!(client.get_clinic().send().await.is_err());
    }
    // The four attempts of the first refresh, and the one that opens the circuit.
    assert_eq!(connected.refreshes(), 5);
}

#[tokio::test]
async fn a_token_endpoint_that_hangs_is_asked_by_few_users() {
    let connected = Connected::new().await;
    let http = reqwest::Client::builder().timeout(Duration::from_millis(300));
    let app = connected.another().token_http_client(http.build().unwrap());
    let app = app.build().unwrap();
    for number in 0..USERS {
        connect(&connected.fake, &app, &format!("user-{number}")).await;
    }
    connected.expire();
    connect(&connected.fake, &app, "healthy").await;
    connected.fake.fault("create_oauth_token", Fault::silence());
    let before = connected.refreshes();
    let (errors, healthy) = tokio::join!(call_all(&app), async {
        app.client("healthy").get_clinic().send().await
    });
    healthy.unwrap();
    assert_eq!(errors.len(), USERS);
    let refreshes = connected.refreshes() - before;
    assert!(refreshes <= 40, "{refreshes}");
}
