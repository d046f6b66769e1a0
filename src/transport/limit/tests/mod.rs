mod policy;
mod simulation;
mod waiting;

use tokio::time::Instant;

use super::{Limiter, NoPermit, Permit, Waits};

impl Limiter {
    /// Acquires a permit without the times of the wait.
    async fn acquire(&self, user: &str, until: Instant) -> Result<Permit<'_>, NoPermit> {
        let mut waits = Waits::default();
        self.acquire_timed(user, until, &mut waits).await
    }
}
