//! A store in which tests block, fail or observe each step.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fullscript::auth::{
    ConnectionFilter, ConnectionRecord, Lease, StoreError, StoreFuture, Swap, TokenStore,
};
use tokio::sync::Notify;

/// A step of a store method, before or after its work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    Load,
    Lease,
    Swap,
    Swapped,
    Delete,
    Release,
    Released,
    /// After a page was read, of no user.
    Listed,
}

impl Step {
    /// The steps of a refresh at which a test can stop it, in order.
    pub(crate) const OF_A_REFRESH: [Self; 5] = [
        Self::Load,
        Self::Lease,
        Self::Swap,
        Self::Swapped,
        Self::Release,
    ];
}

/// Runs at each step; the method returns its error.
pub(crate) trait Hook: Send + Sync + 'static {
    fn at<'a>(&'a self, user: &'a str, step: Step) -> StoreFuture<'a, ()>;
}

/// A store with a hook.
pub(crate) struct Hooked<S, H> {
    pub(crate) inner: S,
    pub(crate) hook: Arc<H>,
}

impl<S: TokenStore, H: Hook> TokenStore for Hooked<S, H> {
    fn load<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Option<ConnectionRecord>> {
        Box::pin(async move {
            self.hook.at(user(key), Step::Load).await?;
            self.inner.load(key).await
        })
    }

    fn compare_and_swap(
        &self,
        expected: Option<u64>,
        new: ConnectionRecord,
    ) -> StoreFuture<'_, Swap> {
        Box::pin(async move {
            let key = new.key.clone();
            self.hook.at(user(&key), Step::Swap).await?;
            let swap = self.inner.compare_and_swap(expected, new).await?;
            self.hook.at(user(&key), Step::Swapped).await?;
            Ok(swap)
        })
    }

    fn delete<'a>(&'a self, key: &'a str, expected: Option<u64>) -> StoreFuture<'a, Swap> {
        Box::pin(async move {
            self.hook.at(user(key), Step::Delete).await?;
            self.inner.delete(key, expected).await
        })
    }

    fn list<'a>(
        &'a self,
        filter: &'a ConnectionFilter,
        after: Option<&'a str>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<ConnectionRecord>> {
        Box::pin(async move {
            let page = self.inner.list(filter, after, limit).await?;
            self.hook.at("", Step::Listed).await?;
            Ok(page)
        })
    }

    fn lease<'a>(&'a self, key: &'a str, owner: &'a str, ttl: Duration) -> StoreFuture<'a, Lease> {
        Box::pin(async move {
            self.hook.at(user(key), Step::Lease).await?;
            self.inner.lease(key, owner, ttl).await
        })
    }

    fn release<'a>(&'a self, key: &'a str, owner: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.hook.at(user(key), Step::Release).await?;
            self.inner.release(key, owner).await?;
            self.hook.at(user(key), Step::Released).await
        })
    }
}

/// Returns the vendor's id in the key of a record.
fn user(key: &str) -> &str {
    key.rsplit('/').next().unwrap()
}

/// Fails the given number of saves.
#[derive(Default)]
pub(crate) struct Failures(AtomicUsize);

impl Failures {
    pub(crate) fn set(&self, left: usize) {
        self.0.store(left, Ordering::SeqCst);
    }
}

impl Hook for Failures {
    fn at<'a>(&'a self, _: &'a str, step: Step) -> StoreFuture<'a, ()> {
        let take = |left: usize| left.checked_sub(1);
        let fails = step == Step::Swap
            && self
                .0
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
                .is_ok();
        let full = || StoreError::new(std::io::Error::from(std::io::ErrorKind::StorageFull));
        let ended = if fails { Err(full()) } else { Ok(()) };
        Box::pin(std::future::ready(ended))
    }
}

/// Blocks one user at one step until it is opened.
#[derive(Default)]
pub(crate) struct Gate {
    closed: Mutex<Option<(&'static str, Step)>>,
    reached: Notify,
    opened: Notify,
    released: Notify,
}

impl Gate {
    pub(crate) fn close(&self, user: &'static str, step: Step) {
        *self.closed.lock().unwrap() = Some((user, step));
    }

    /// Waits until the user has reached the closed step.
    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }

    pub(crate) fn open(&self) {
        *self.closed.lock().unwrap() = None;
        self.opened.notify_one();
    }

    /// Stops nobody from now on. Who has stopped already goes on after [`open`](Self::open).
    pub(crate) fn open_for_later(&self) {
        *self.closed.lock().unwrap() = None;
    }

    /// Waits until a refresh has released its lease, its last step.
    pub(crate) async fn released(&self) {
        self.released.notified().await;
    }
}

impl Hook for Gate {
    fn at<'a>(&'a self, user: &'a str, step: Step) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let closed = *self.closed.lock().unwrap();
            if closed == Some((user, step)) {
                self.reached.notify_one();
                self.opened.notified().await;
            }
            if step == Step::Released {
                self.released.notify_one();
            }
            Ok(())
        })
    }
}
