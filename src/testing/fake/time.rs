//! The clock of a fake.

use std::time::Duration;

use super::FakeFullscript;
use crate::clock::Clock;
use crate::testing::clock::ManualClock;

impl FakeFullscript {
    /// Returns the clock of the fake.
    ///
    /// The apps of [`app_builder`](Self::app_builder) and the clients of
    /// [`client_builder`](Self::client_builder) use the same clock. It starts at the machine's time
    /// and runs, unless [`FakeBuilder::clock`](crate::testing::FakeBuilder::clock) set another.
    /// Move it with [`advance`](Self::advance).
    #[must_use]
    pub fn clock(&self) -> ManualClock {
        self.shared.clock.clone()
    }

    /// Moves the fake's [`clock`](Self::clock) forward without waiting.
    ///
    /// Tokens and grants expire as the vendor documents (source: the vendor's pages): access tokens
    /// after 2 hours, as their `expires_in` says, authorization codes after 10 minutes, session
    /// grants after 120 seconds. Refresh tokens are valid until they are replaced or revoked. The
    /// token of [`access_token`](Self::access_token) never expires.
    ///
    /// Deliveries to a [webhook](Self::subscribe) that become due in this time are made at their
    /// due times, and are complete when this method returns.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use std::time::Duration;
    ///
    /// use fullscript::testing::FakeFullscript;
    ///
    /// let fake = FakeFullscript::start().await?;
    /// let app = fake.app_builder().build()?;
    /// let request = app.authorize();
    /// let callback = fake.approve(request.url(), "practitioner");
    /// let user = app.exchange(app.callback(&callback, request.state())?).await?;
    ///
    /// fake.advance(Duration::from_secs(2 * 3600)).await;
    /// app.client(user.id()).get_clinic().send().await?;
    /// // One request for the code, one for the refresh.
    /// assert_eq!(fake.count("create_oauth_token"), 2);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn advance(&self, by: Duration) {
        let clock = &self.shared.clock;
        self.deliveries_done().await;
        let end = clock.now() + by;
        while let Some(due) = self.shared.webhooks.next_due().filter(|due| *due <= end) {
            clock.advance_to(due);
            self.deliveries_done().await;
        }
        clock.advance_to(end);
        self.deliveries_done().await;
    }
}
