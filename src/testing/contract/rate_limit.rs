//! The requirements of a shared rate limit.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::transport::shared_limit::{PermitRequest, Permits, SharedLimit};

/// A window that does not pass during a check.
const DAY: Duration = Duration::from_secs(86_400);

/// The time within which a limit with a short window must grant a permit.
const SOON: Duration = Duration::from_secs(30);

/// Checks that a shared limit meets the requirements of [`SharedLimit`].
///
/// `new` creates a limit without state for each check. A limit in a database may return a handle to
/// a new schema or table.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use fullscript::shared_limit::MemoryLimit;
/// use fullscript::testing::contract;
///
/// contract::rate_limit(async || MemoryLimit::new()).await;
/// # });
/// ```
///
/// # Panics
/// Panics with the requirement that the limit does not meet.
pub async fn rate_limit<L: SharedLimit>(new: impl AsyncFn() -> L) {
    begins_without_a_burst_and_keeps_the_state(&new().await).await;
    keeps_apps_apart(&new().await).await;
    keeps_permits_for_oauth_requests(&new().await).await;
    grants_permits_as_time_passes(&new().await).await;
    grants_no_permit_twice(Arc::new(new().await)).await;
}

async fn take(limit: &dyn SharedLimit, app: &str, request: PermitRequest) -> Permits {
    limit.take(app, request).await.expect("`take` succeeds")
}

/// Takes permits for calls of a limit of 10 in a day, which grants one every few hours.
async fn calls(limit: &dyn SharedLimit, app: &str, permits: u32) -> Permits {
    take(limit, app, PermitRequest::of_calls(10, DAY, permits)).await
}

async fn begins_without_a_burst_and_keeps_the_state(limit: &dyn SharedLimit) {
    let first = calls(limit, "app", 5).await;
    assert_eq!(first.granted, 1, "a limit without state grants no burst");
    assert!(
        !first.wait.is_zero(),
        "a limit says when the next permit comes, if it grants too few"
    );
    let second = calls(limit, "app", 1).await;
    assert_eq!(second.granted, 0, "the state is kept between two calls");
    assert!(
        second.wait <= first.wait,
        "a refused request does not delay the next permit"
    );
    let none = calls(limit, "app", 0).await;
    assert_eq!(
        none.granted, 0,
        "no more permits are granted than requested"
    );
}

async fn keeps_apps_apart(limit: &dyn SharedLimit) {
    let odd = "x'); DROP TABLE limits; --\"\n\u{1f600}%_\\";
    let long = "a".repeat(1_000);
    for app in ["us-sandbox/a", "us-sandbox/A", "us-sandbox", "", odd, &long] {
        let granted = calls(limit, app, 1).await.granted;
        assert_eq!(granted, 1, "each app has a state of its own: {app:?}");
        let granted = calls(limit, app, 1).await.granted;
        assert_eq!(granted, 0, "the state of the app is found again: {app:?}");
    }
}

async fn keeps_permits_for_oauth_requests(limit: &dyn SharedLimit) {
    while calls(limit, "app", 5).await.granted > 0 {}
    let request = PermitRequest::of_oauth(10, DAY, 1);
    let oauth = take(limit, "app", request).await;
    assert_eq!(oauth.granted, 1, "OAuth requests do not wait behind calls");
}

async fn grants_permits_as_time_passes(limit: &dyn SharedLimit) {
    // About one permit in a millisecond.
    let request = PermitRequest::of_calls(1_000, Duration::from_millis(100), 20);
    let all = async {
        let mut granted = 0;
        while granted < 100 {
            let permits = take(limit, "app", request).await;
            assert!(
                permits.granted <= 20,
                "no more permits are granted than requested"
            );
            assert!(
                permits.wait < SOON,
                "the clock of the limit moves with time"
            );
            granted += permits.granted;
            sleep(permits.wait).await;
        }
    };
    let all = timeout(SOON, all).await;
    assert!(all.is_ok(), "permits are granted as time passes");
}

async fn grants_no_permit_twice<L: SharedLimit>(limit: Arc<L>) {
    let takes: Vec<_> = (0..50)
        .map(|_| {
            let limit = Arc::clone(&limit);
            tokio::spawn(async move { calls(&*limit, "app", 1).await.granted })
        })
        .collect();
    let mut granted = 0;
    for take in takes {
        granted += take.await.expect("`take` does not panic");
    }
    assert_eq!(
        granted, 1,
        "one of many concurrent requests gets the permit"
    );
}
