//! Refreshing tokens before they expire, without calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use tokio::time::sleep;

use super::JobReport;
use crate::auth::app::OAuthApp;
use crate::auth::error::AuthError;
use crate::auth::store::ConnectionFilter;

/// The default number of users that are refreshed concurrently: 8.
///
/// The rate limit allows 6.7 OAuth requests a second, so more would only wait.
const CONCURRENCY: usize = 8;

/// The number of attempts for a user while the rate limiter or the circuit breaker asks to wait.
const ATTEMPTS: u32 = 3;

/// The longest wait before such an attempt: 5 s.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// The number of failures in a row after which a job no longer waits: 16.
///
/// In an outage of the token endpoint, a job over many users ends soon, and its next run repeats
/// the refreshes that failed.
const MAX_FAILURES: u32 = 16;

impl OAuthApp {
    /// Refreshes the tokens that expire within a window, including those that have expired.
    ///
    /// Run it from time to time, for example before the busy hours of the day, so that the calls of
    /// users wait for no refresh.
    /// It refreshes 8 users concurrently, and its requests use the part of the rate limit that is
    /// reserved for OAuth: two fifths, 6.7 requests a second, beside which calls continue.
    /// It does not count as a use ([`Connection::used_at`](crate::auth::Connection::used_at)).
    /// Users who must reconnect, and users without a refresh token, are left out.
    ///
    /// ```no_run
    /// # async fn example(app: fullscript::auth::OAuthApp) {
    /// use std::time::Duration;
    ///
    /// let day = Duration::from_secs(86_400);
    /// let report = app
    ///     .refresh_ahead(Duration::from_secs(3_600))
    ///     .used_within(30 * day)
    ///     .run()
    ///     .await;
    /// println!("{} refreshed or fresh, {} failed", report.done, report.failed);
    /// # }
    /// ```
    pub fn refresh_ahead(&self, window: Duration) -> RefreshAhead {
        RefreshAhead {
            app: self.clone(),
            window,
            concurrency: CONCURRENCY,
            used_within: None,
        }
    }
}

/// A job that refreshes tokens before they expire; returned by [`OAuthApp::refresh_ahead`].
#[derive(Debug)]
#[must_use = "a job does nothing until it runs"]
pub struct RefreshAhead {
    app: OAuthApp,
    window: Duration,
    concurrency: usize,
    used_within: Option<Duration>,
}

impl RefreshAhead {
    /// Sets the number of users that are refreshed concurrently, 1 to 256. Default: 8.
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Leaves out the users without a known use within this time. Default: refreshes all users.
    pub fn used_within(mut self, time: Duration) -> Self {
        self.used_within = Some(time);
        self
    }

    /// Runs the job.
    ///
    /// A refresh that failed is in the report; the stored tokens are unchanged, and the next call
    /// of the user or the next run repeats it.
    pub async fn run(self) -> JobReport<AuthError> {
        let now = self.app.inner.shared.now();
        let before = now.checked_add(self.window).unwrap_or(now);
        let mut filter = ConnectionFilter::new()
            .needs_reconnect(false)
            .expires_before(before);
        if let Some(time) = self.used_within {
            filter = filter.used_since(now.checked_sub(time).unwrap_or(SystemTime::UNIX_EPOCH));
        }
        let (app, patience) = (self.app.clone(), Arc::new(Patience::default()));
        let job = self.app.for_each_user(filter, self.concurrency, |connection| {
            let (session, patience) = (app.session(&connection.user), Arc::clone(&patience));
            async move { patience.run(|| session.refresh_ahead(before)).await }
        });
        job.run().await
    }
}

/// The patience of a job while the rate limiter or the circuit breaker asks to wait.
#[derive(Default)]
pub(in crate::auth) struct Patience {
    /// The number of failures in a row.
    failures: AtomicU32,
}

impl Patience {
    /// Repeats a refresh that was refused without a request, unless many others failed before it.
    pub(in crate::auth) async fn run<T, W>(&self, mut work: impl FnMut() -> W) -> Result<T, AuthError>
    where
        W: Future<Output = Result<T, AuthError>>,
    {
        let mut attempts = 1;
        loop {
            let error = match work().await {
                Ok(done) => {
                    self.failures.store(0, Ordering::Relaxed);
                    return Ok(done);
                }
                Err(error) if error.needs_reconnect() => return Err(error),
                Err(error) => error,
            };
            let is_patient = self.failures.load(Ordering::Relaxed) < MAX_FAILURES;
            let wait = error.retry_after().filter(|_| is_patient && attempts < ATTEMPTS);
            let Some(wait) = wait else {
                self.failures.fetch_add(1, Ordering::Relaxed);
                return Err(error);
            };
            attempts += 1;
            sleep(wait.min(MAX_WAIT)).await;
        }
    }
}
