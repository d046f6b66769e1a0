//! Refreshing tokens before they expire, without calls.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{JobReport, Patience};
use crate::auth::app::OAuthApp;
use crate::auth::error::AuthError;
use crate::auth::store::ConnectionFilter;

/// The default number of users that are refreshed concurrently: 8.
///
/// A job makes 3.3 OAuth requests a second, so more would only wait.
const CONCURRENCY: usize = 8;

/// The longest window: 10 years. All tokens expire within it.
const MAX_WINDOW: Duration = Duration::from_secs(10 * 365 * 86_400);

impl OAuthApp {
    /// Refreshes the tokens that expire within a window, including those that have expired.
    ///
    /// Run it from time to time, for example before the busy hours of the day, so that the calls of
    /// users wait for no refresh.
    /// It refreshes 8 users concurrently, and all jobs of the app together take half of the part of
    /// the rate limit that is reserved for OAuth: one user every 300 ms with the vendor's limit.
    /// So neither calls nor refreshes that calls wait for are delayed.
    /// After 16 failures in a row, for example in an outage of the token endpoint, the job gives up,
    /// and reports the remaining users as failed.
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
        let before = now.checked_add(self.window.min(MAX_WINDOW)).unwrap_or(now);
        let mut filter = ConnectionFilter::new()
            .needs_reconnect(false)
            .expires_before(before);
        if let Some(time) = self.used_within {
            filter = filter.used_since(now.checked_sub(time).unwrap_or(SystemTime::UNIX_EPOCH));
        }
        let patience = Arc::new(Patience::of(&self.app));
        let app = self.app.clone();
        let job = self
            .app
            .for_each_user(filter, self.concurrency, |connection| {
                let (session, patience) = (app.session(&connection.user), Arc::clone(&patience));
                async move { patience.run(|| session.refresh_ahead(before)).await }
            });
        job.run().await
    }
}
