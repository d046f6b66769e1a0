//! How a job refreshes tokens: paced, and patient until too many refreshes have failed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;

use crate::auth::app::OAuthApp;
use crate::auth::error::AuthError;
use crate::auth::shared::AppShared;
use crate::auth::token::RefreshFailureCause;
use crate::lock::lock;

/// The number of attempts for a user while the rate limiter or the circuit breaker asks to wait.
const ATTEMPTS: u32 = 3;

/// The longest wait for the circuit breaker: 5 s.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// The longest wait for the rate limiter: 60 s.
const MAX_PERMIT_WAIT: Duration = Duration::from_secs(60);

/// The number of failures in a row after which a job gives up: 16.
///
/// In an outage of the token endpoint, a job over many users ends soon, and its next run repeats
/// the refreshes that failed.
const MAX_FAILURES: u32 = 16;

/// The refreshes of a job.
pub(in crate::auth) struct Patience {
    app: Arc<AppShared>,
    failures: Mutex<Failures>,
}

#[derive(Default)]
struct Failures {
    in_a_row: u32,
    /// The error of all further refreshes.
    given_up: Option<AuthError>,
}

impl Patience {
    pub(in crate::auth) fn of(app: &OAuthApp) -> Self {
        Self {
            app: Arc::clone(&app.inner.shared),
            failures: Mutex::default(),
        }
    }

    /// Makes a refresh when its turn has come, and repeats it if it was refused without a request.
    pub(in crate::auth) async fn run<T, W>(
        &self,
        mut refresh: impl FnMut() -> W,
    ) -> Result<T, AuthError>
    where
        W: Future<Output = Result<T, AuthError>>,
    {
        let mut attempts = 1;
        loop {
            if let Some(error) = self.given_up() {
                return Err(error);
            }
            self.app.pace_job().await;
            let error = match refresh().await {
                Ok(done) => {
                    lock(&self.failures).in_a_row = 0;
                    return Ok(done);
                }
                Err(error) => error,
            };
            let longest = if error.is_rate_limited() {
                MAX_PERMIT_WAIT
            } else {
                MAX_WAIT
            };
            let wait = error.retry_after().filter(|_| attempts < ATTEMPTS);
            let Some(wait) = wait else {
                self.note_failure(&error);
                return Err(error);
            };
            attempts += 1;
            sleep(wait.min(longest)).await;
        }
    }

    fn given_up(&self) -> Option<AuthError> {
        lock(&self.failures).given_up.clone()
    }

    fn note_failure(&self, error: &AuthError) {
        // These concern one user.
        if matches!(
            error.refresh_failure(),
            None | Some(RefreshFailureCause::Unusable)
        ) {
            return;
        }
        let mut failures = lock(&self.failures);
        failures.in_a_row += 1;
        if failures.in_a_row >= MAX_FAILURES {
            failures.given_up.get_or_insert_with(|| error.clone());
        }
    }
}
