//! State that the sessions of one app share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::breaker::Breaker;
use super::error::{AuthError, Kind};
use super::event::{AuthEvent, Events};
use super::store::Store;
use super::token::AccessToken;
use super::token_endpoint::Endpoint;
use crate::lock::lock;

/// The number of revocations that run in the background at the same time. Further ones are
/// skipped, because they only tidy up.
const MAX_BACKGROUND_REVOCATIONS: usize = 64;

/// State that the sessions of one app share.
pub(super) struct AppShared {
    pub(super) store: Store,
    pub(super) endpoint: Endpoint,
    pub(super) breaker: Breaker,
    events: Arc<Events>,
    /// The prefix of this process's lease owners, new for each process.
    lease_owner: String,
    /// The time of the next refresh of a job.
    next_job_refresh: Mutex<Option<Instant>>,
    leases: AtomicU64,
    is_shut_down: AtomicBool,
    /// The numbers of tasks that a shutdown waits for, and of background revocations among them.
    running: watch::Sender<Running>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Running {
    pub(super) tasks: usize,
    pub(super) revocations: usize,
}

/// Counts a running task until it is dropped.
pub(super) struct RunningTask {
    app: Arc<AppShared>,
    is_revocation: bool,
}

impl AppShared {
    pub(super) fn new(
        store: Store,
        endpoint: Endpoint,
        lease_owner: String,
        events: Arc<Events>,
    ) -> Self {
        Self {
            store,
            endpoint,
            breaker: Breaker::new(),
            events,
            lease_owner,
            next_job_refresh: Mutex::default(),
            leases: AtomicU64::new(0),
            is_shut_down: AtomicBool::new(false),
            running: watch::Sender::default(),
        }
    }

    pub(super) fn now(&self) -> SystemTime {
        self.endpoint.calls.clock.now()
    }

    /// Returns a lease owner that no other task of any process has.
    pub(super) fn new_lease_owner(&self) -> String {
        let number = self.leases.fetch_add(1, Ordering::Relaxed);
        format!("{}-{number}", self.lease_owner)
    }

    /// Logs an event and passes it to the listener.
    pub(super) fn emit(&self, event: AuthEvent) {
        self.events.emit(&event);
    }

    /// Waits until a job may make the next refresh.
    ///
    /// The jobs of the app leave half of the permits for OAuth requests to refreshes that calls
    /// wait for.
    pub(super) async fn pace_job(&self) {
        let Some(pace) = self.endpoint.calls.limiter.oauth_pace() else {
            return;
        };
        let at = {
            let mut next = lock(&self.next_job_refresh);
            let at = next.unwrap_or_else(Instant::now).max(Instant::now());
            *next = Some(at + pace);
            at
        };
        sleep_until(at).await;
    }

    /// Returns an error if the app was shut down.
    pub(super) fn ensure_open(&self) -> Result<(), AuthError> {
        if self.is_shut_down.load(Ordering::SeqCst) {
            Err(AuthError::new(Kind::ShutDown))
        } else {
            Ok(())
        }
    }

    pub(super) fn shut_down(&self) {
        self.is_shut_down.store(true, Ordering::SeqCst);
    }

    /// Counts a task that a shutdown waits for.
    pub(super) fn task(self: &Arc<Self>) -> RunningTask {
        self.running.send_modify(|running| running.tasks += 1);
        RunningTask {
            app: Arc::clone(self),
            is_revocation: false,
        }
    }

    pub(super) fn running(&self) -> Running {
        *self.running.borrow()
    }

    /// Waits until no task is running.
    pub(super) async fn idle(&self) {
        let mut running = self.running.subscribe();
        let idle = running.wait_for(|running| *running == Running::default());
        // The sender lives as long as `self`.
        let _idle = idle.await;
    }

    /// Revokes token sets that are saved nowhere, in the background.
    ///
    /// A failure leaves them valid at the server, but nobody has them.
    pub(super) fn revoke_in_background(self: &Arc<Self>, tokens: Vec<AccessToken>) {
        if tokens.is_empty() || self.running().revocations >= MAX_BACKGROUND_REVOCATIONS {
            return;
        }
        self.running.send_modify(|running| {
            running.tasks += 1;
            running.revocations += 1;
        });
        let task = RunningTask {
            app: Arc::clone(self),
            is_revocation: true,
        };
        tokio::spawn(async move {
            for token in tokens {
                let _only_tidies_up = task.app.endpoint.revoke(token.expose()).await;
            }
        });
    }
}

impl Drop for RunningTask {
    fn drop(&mut self) {
        self.app.running.send_modify(|running| {
            running.tasks -= 1;
            running.revocations -= usize::from(self.is_revocation);
        });
    }
}
