//! The requests of a limiter to the store of a shared limit.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use tokio::time::{Instant, timeout};

use super::budget::{Nanos, nanos};
use super::rate_limit::Listener;
use super::shared_limit::{Permits, SharedLimit, SharedLimitError, SharedLimitEvent};
use super::supply::{Ask, STORE_TIMEOUT};
use super::{Limiter, wake};

/// The store of a shared limit.
pub(super) struct Store {
    pub(super) limit: Arc<dyn SharedLimit>,
    pub(super) app: Arc<str>,
    pub(super) limiter: Weak<Limiter>,
    pub(super) listener: Option<Listener>,
}

/// The reason why a store gave no response.
enum Fault {
    Failed(SharedLimitError),
    TimedOut,
    Panicked,
    /// The task of the request was dropped, with the runtime that it was on.
    Dropped,
}

impl Limiter {
    /// Sends a request to the store, on a task of its own, because the future of a call may be
    /// dropped or not polled.
    pub(super) fn send(&self, (ask, event): (Option<Ask>, Option<SharedLimitEvent>)) {
        self.report(event, || Fault::Dropped);
        let limiter = self
            .store
            .as_ref()
            .and_then(|store| store.limiter.upgrade());
        let Some((ask, limiter)) = ask.zip(limiter) else {
            return;
        };
        tokio::spawn(async move {
            let _applied = limiter.take(&ask).await;
        });
    }

    /// Asks the store for an OAuth request, and returns the time before which it cannot be sent.
    pub(super) async fn ask_for_oauth(&self, ask: Ask) -> Option<Nanos> {
        match self.take(&ask).await {
            Some(Permits { granted: 1.., .. }) => None,
            Some(permits) => {
                let now = self.nanos(Instant::now());
                Some(now.saturating_add(nanos(permits.wait).max(1)))
            }
            // The part of this process is asked next.
            None => Some(0),
        }
    }

    /// Asks the store and applies the response, or its failure.
    async fn take(&self, ask: &Ask) -> Option<Permits> {
        let answer = self.store.as_ref()?.take(ask).await;
        let permits = answer.as_ref().ok().copied();
        let mut woken = Vec::new();
        let (mut queue, now) = self.lock();
        let event = queue.answered(now, ask, permits, &mut woken);
        drop(queue);
        wake(woken);
        self.report(event, || answer.err().unwrap_or(Fault::Dropped));
        permits
    }

    /// Reports that the store failed, or that it is back.
    fn report(&self, event: Option<SharedLimitEvent>, fault: impl FnOnce() -> Fault) {
        let Some(event) = event else {
            return;
        };
        log(event, &fault());
        let listener = self
            .store
            .as_ref()
            .and_then(|store| store.listener.as_ref());
        if let Some(listener) = listener
            && catch_unwind(AssertUnwindSafe(|| listener(event))).is_err()
        {
            #[cfg(feature = "tracing")]
            tracing::error!(
                target: "fullscript",
                "the on_shared_limit_event listener panicked; fix the listener"
            );
        }
    }
}

impl Store {
    /// Returns the response of the store, which must not take too long.
    async fn take(&self, ask: &Ask) -> Result<Permits, Fault> {
        let (limit, app, request) = (Arc::clone(&self.limit), Arc::clone(&self.app), ask.request);
        // A panic ends this task only.
        let mut call = tokio::spawn(async move { limit.take(&app, request).await });
        match timeout(STORE_TIMEOUT, &mut call).await {
            Ok(Ok(answer)) => answer.map_err(Fault::Failed),
            Ok(Err(_)) => Err(Fault::Panicked),
            Err(_) => {
                call.abort();
                Err(Fault::TimedOut)
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => {
                let source = std::error::Error::source(error);
                source.map_or(Ok(()), |source| fmt::Display::fmt(source, f))
            }
            Self::TimedOut => f.write_str("no response within 1 s"),
            Self::Panicked => f.write_str("the store panicked"),
            Self::Dropped => f.write_str("the request was dropped"),
        }
    }
}

#[cfg(feature = "tracing")]
fn log(event: SharedLimitEvent, fault: &Fault) {
    match event {
        SharedLimitEvent::Failed => tracing::warn!(
            target: "fullscript",
            error = %fault,
            "rate limit: the store of the shared limit failed; this process uses its part"
        ),
        SharedLimitEvent::Recovered => tracing::info!(
            target: "fullscript",
            "rate limit: the store of the shared limit is back"
        ),
    }
}

#[cfg(not(feature = "tracing"))]
fn log(_: SharedLimitEvent, _: &Fault) {}
