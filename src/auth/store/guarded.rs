//! The store of an app, whose calls end within a timeout and do not panic.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;

use super::{Fault, Lease, StoreError, StoreFuture, Swap, TokenStore};
use crate::auth::token::TokenSet;

/// The timeout of each call of the store: 10 s.
pub(in crate::auth) const STORE_TIMEOUT: Duration = Duration::from_secs(10);

/// The application's store. A call that hangs or panics returns an error.
pub(in crate::auth) struct Store(Arc<dyn TokenStore>);

impl Store {
    pub(in crate::auth) fn new(store: Arc<dyn TokenStore>) -> Self {
        Self(store)
    }

    pub(in crate::auth) async fn load(&self, user: &str) -> Result<Option<TokenSet>, StoreError> {
        guarded("load", || self.0.load(user)).await
    }

    pub(in crate::auth) async fn compare_and_swap(
        &self,
        user: &str,
        expected: Option<u64>,
        new: TokenSet,
    ) -> Result<Swap, StoreError> {
        guarded("compare_and_swap", || {
            self.0.compare_and_swap(user, expected, new)
        })
        .await
    }

    pub(in crate::auth) async fn delete(
        &self,
        user: &str,
        expected: Option<u64>,
    ) -> Result<Swap, StoreError> {
        guarded("delete", || self.0.delete(user, expected)).await
    }

    pub(in crate::auth) async fn lease(
        &self,
        user: &str,
        owner: &str,
        ttl: Duration,
    ) -> Result<Lease, StoreError> {
        guarded("lease", || self.0.lease(user, owner, ttl)).await
    }

    pub(in crate::auth) async fn release(&self, user: &str, owner: &str) -> Result<(), StoreError> {
        guarded("release", || self.0.release(user, owner)).await
    }
}

/// Calls a method of the store, within the timeout and without unwinding further.
async fn guarded<'a, T>(
    method: &'static str,
    call: impl FnOnce() -> StoreFuture<'a, T>,
) -> Result<T, StoreError> {
    // A panic can leave only the store itself in an inconsistent state.
    let called = catch_unwind(AssertUnwindSafe(call));
    let mut future = called.map_err(|_| panicked(method))?;
    let polled = poll_fn(|context| {
        catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)))
            .unwrap_or_else(|_| Poll::Ready(Err(panicked(method))))
    });
    match timeout(STORE_TIMEOUT, polled).await {
        Ok(result) => result,
        Err(_) => Err(StoreError::new(Fault::TimedOut(method))),
    }
}

fn panicked(method: &'static str) -> StoreError {
    #[cfg(feature = "tracing")]
    tracing::error!(target: "fullscript", method, "the token store panicked");
    StoreError::new(Fault::Panicked(method))
}
