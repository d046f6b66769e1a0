//! Errors of the token store name what failed, its cause, and what is kept.

use std::error::Error;
use std::sync::{Arc, Mutex};

use fullscript::auth::{AuthError, StoreError, StoreFuture};

use crate::support::{Connected, Hook, Step, consent};

/// Fails one step with a cause.
#[derive(Default)]
struct Fails(Mutex<Option<(Step, &'static str)>>);

impl Hook for Fails {
    fn at<'a>(&'a self, _: &'a str, step: Step) -> StoreFuture<'a, ()> {
        let fails = *self.0.lock().unwrap();
        let failed = fails.filter(|(at, _)| *at == step);
        let ended = failed.map_or(Ok(()), |(_, cause)| {
            Err(StoreError::new(std::io::Error::other(cause)))
        });
        Box::pin(std::future::ready(ended))
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_error_names_its_cause_and_what_is_kept() {
    const KEPT: &str = "no token set is lost";
    const UNSAVED: &str = "it stays in the memory of this process";
    for (step, cause, kept) in [
        (Step::Load, "connection refused by the database", KEPT),
        (Step::Lease, "deadlock detected", KEPT),
        (Step::Swap, "no space left on the device", UNSAVED),
    ] {
        let hook = Arc::new(Fails::default());
        let connected = Connected::hooked(&hook).await;
        connected.expire();
        *hook.0.lock().unwrap() = Some((step, cause));
        let client = connected.app.client("practitioner");
        let error = client.get_clinic().send().await.unwrap_err();
        check(error.auth_error().unwrap(), cause, kept);
        assert!(format!("{error:?}").contains(kept), "{error:?}");
        if step == Step::Swap {
            let code = consent(&connected.fake, &connected.app, "another");
            let error = connected.app.exchange(code).await.unwrap_err();
            check(&error, cause, kept);
        }
    }
}

fn check(error: &AuthError, cause: &str, kept: &str) {
    assert!(error.is_store() && error.is_transient(), "{error}");
    assert!(error.to_string().contains(kept), "{error}");
    // The message leaves the cause to the source, as reporters print both.
    assert!(!error.to_string().contains(cause), "{error}");
    let store = error.source().unwrap();
    assert!(store.is::<StoreError>());
    assert_eq!(store.source().unwrap().to_string(), cause);
    assert!(format!("{error:?}").contains(cause), "{error:?}");
}
