//! Operations that respond with 401 although the token is valid.

use std::time::Duration;

use fullscript::Error;
use fullscript::http::Method;
use fullscript::testing::{Fault, Script};

use serde_json::Value;

use crate::support::Connected;

/// Makes a call of each kind and returns the errors.
async fn calls(connected: &Connected) -> Vec<Error> {
    let client = connected.app.client("practitioner");
    let path = |path: &str| client.request(Method::GET, path);
    let results = [
        client.get_clinic().send().await.map(drop),
        client.list_patients().send().await.map(drop),
        client.list_practitioners().send().await.map(drop),
        path("/api/clinic/staff").send::<Value>().await.map(drop),
        path("/api/clinic/labs/orders")
            .send::<Value>()
            .await
            .map(drop),
    ];
    results.into_iter().filter_map(Result::err).collect()
}

#[tokio::test]
async fn an_api_that_refuses_every_token_causes_one_refresh() {
    let connected = Connected::new().await;
    for operation in [
        "get_clinic",
        "list_patients",
        "list_practitioners",
        "list_staff",
        "list_lab_orders",
    ] {
        connected.fake.fault(operation, Fault::expired_token());
    }
    for _ in 0..12 {
        let errors = calls(&connected).await;
        assert_eq!(errors.len(), 5);
        assert!(errors.iter().all(Error::is_unauthorized), "{errors:?}");
    }
    assert_eq!(connected.refreshes(), 1);
    // The API works again, and a token that is revoked later is refreshed.
    connected.fake.end_faults();
    assert!(calls(&connected).await.is_empty());
    assert_eq!(connected.refreshes(), 1);
    connected.fake.expire_access_tokens();
    assert!(calls(&connected).await.is_empty());
    assert_eq!(connected.refreshes(), 2);
}

#[tokio::test]
async fn operations_that_refuse_every_token_cause_one_refresh_each() {
    for refusing in [
        &["get_clinic"][..],
        &["get_clinic", "list_patients"],
        &["list_staff", "list_lab_orders"],
        &["list_patients", "list_staff", "list_lab_orders"],
    ] {
        let connected = Connected::new().await;
        for operation in refusing {
            connected.fake.fault(operation, Fault::expired_token());
        }
        for _ in 0..10 {
            assert_eq!(calls(&connected).await.len(), refusing.len());
        }
        let refreshes = connected.refreshes();
        assert!(refreshes <= refusing.len(), "{refusing:?}: {refreshes}");
        // The others still recover from a revoked token.
        connected.fake.expire_access_tokens();
        assert_eq!(calls(&connected).await.len(), refusing.len());
        assert_eq!(connected.refreshes(), refreshes + 1);
    }
}

#[tokio::test]
async fn a_wrong_clock_that_is_corrected_does_not_prolong_a_refusal() {
    let minute = Duration::from_secs(60);
    let connected = Connected::unlimited().await;
    let now = connected.stored().await.issued_at;
    for operation in ["get_clinic", "list_patients"] {
        connected.fake.fault(operation, Fault::expired_token());
    }
    assert_eq!(calls(&connected).await.len(), 2);
    connected.fake.end_faults();
    connected.clock.set(now - 24 * 60 * minute);
    connected.fake.expire_access_tokens();
    tokio::time::pause();
    tokio::time::advance(6 * minute).await;
    tokio::time::resume();
    let client = connected.app.client("practitioner");
    client.list_practitioners().send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_user_who_calls_one_operation_only_recovers_from_tokens_that_died_later() {
    let connected = Connected::unlimited().await;
    let client = connected.app.client("practitioner");
    connected.fake.fault("get_clinic", Fault::expired_token());
    let minute = Duration::from_secs(60);
    for _ in 0..20 {
        client.get_clinic().send().await.unwrap_err();
        tokio::time::sleep(minute).await;
    }
    assert_eq!(connected.refreshes(), 1);
    connected.fake.end_faults();
    connected.fake.expire_access_tokens();
    let mut minutes = 20;
    while client.get_clinic().send().await.is_err() {
        tokio::time::sleep(minute).await;
        minutes += 1;
    }
    assert!(minutes <= 31, "{minutes}");
    assert_eq!(connected.refreshes(), 2);
}

#[tokio::test]
async fn a_401_for_a_missing_scope_names_the_scope() {
    for (status, body) in [(401, "Unauthorized"), (403, "Forbidden")] {
        let connected = Connected::new().await;
        connected.fake.grant_scopes(["catalog:read", "clinic:read"]);
        crate::support::connect(&connected.fake, &connected.app, "other").await;
        let refusal = Script::html(status, body);
        connected.fake.answer("list_patients", refusal);
        let client = connected.app.client("other");
        let error = client.list_patients().send().await.unwrap_err();
        assert!(error.is_missing_scope(), "{error}");
        assert_eq!(error.missing_scopes(), ["patients:read"]);
        let text = error.to_string();
        assert!(text.contains("lacks the scope patients:read"), "{text}");
        assert!(!text.contains("get a new one"), "{text}");
    }
}
