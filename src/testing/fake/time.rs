//! The time of a fake, which a test moves.

use std::time::Duration;

use super::FakeFullscript;
use crate::clock::Clock;
use crate::testing::clock::ManualClock;

impl FakeFullscript {
    /// The clock of the fake, which the apps of
    /// [`app_builder`](Self::app_builder) and the clients of
    /// [`client_builder`](Self::client_builder) have too.
    ///
    /// It begins with the machine's time and goes on by itself, unless
    /// [`FakeBuilder::clock`](crate::testing::FakeBuilder::clock) gave another; move it
    /// with [`advance`](Self::advance).
    #[must_use]
    pub fn clock(&self) -> ManualClock {
        self.shared.clock.clone()
    }

    /// Lets time pass in no time, for all who have the fake's
    /// [`clock`](Self::clock).
    ///
    /// What has a lifetime dies when the vendor lets it die (source: the
    /// vendor's pages): access tokens after the 2 hours of their `expires_in`,
    /// codes after 10 minutes, session grants after 120 seconds. Refresh tokens
    /// live until they are replaced or revoked. The token of
    /// [`access_token`](Self::access_token) never dies.
    ///
    /// Deliveries to a [webhook](Self::subscribe) that become due on the way are
    /// made when they are due, and are done when this ends.
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
