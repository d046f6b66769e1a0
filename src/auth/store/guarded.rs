//! The store of an app, whose calls end within a timeout and do not panic.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::health::Health;
use super::{ConnectionFilter, Fault, Lease, StoreError, StoreFuture, Swap, TokenStore};
use crate::auth::event::{Events, StoreAccess};
use crate::auth::record::{ConnectionRecord, record_key};
use crate::auth::token::TokenSet;
use crate::auth::user::UserKey;

/// The timeout of each call of the store: 10 s.
pub(in crate::auth) const STORE_TIMEOUT: Duration = Duration::from_secs(10);

/// The users of one app in the application's store. A call that hangs or panics returns an error.
pub(in crate::auth) struct Store {
    store: Arc<dyn TokenStore>,
    /// The environment and the client id.
    issuer: String,
    health: Health,
    events: Arc<Events>,
}

/// The result of a swap or a deletion.
#[allow(
    clippy::large_enum_variant,
    reason = "a result is created and matched once"
)]
pub(in crate::auth) enum Swapped {
    Done,
    /// The generation differed; contains the token set that is stored now.
    Lost(Option<TokenSet>),
}

impl Store {
    pub(in crate::auth) fn new(
        store: Arc<dyn TokenStore>,
        issuer: String,
        events: Arc<Events>,
    ) -> Self {
        Self {
            store,
            issuer,
            health: Health::default(),
            events,
        }
    }

    /// Returns the environment and the client id, separated by a slash.
    pub(in crate::auth) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(in crate::auth) async fn load(
        &self,
        user: &UserKey,
    ) -> Result<Option<TokenSet>, StoreError> {
        let key = self.key(user);
        let record = self
            .call(StoreAccess::Read, "load", || self.store.load(&key))
            .await?;
        decode(&key, record)
    }

    pub(in crate::auth) async fn compare_and_swap(
        &self,
        expected: Option<u64>,
        new: &TokenSet,
    ) -> Result<Swapped, StoreError> {
        let record = new.to_record();
        let key = record.key.clone();
        let swap = self.call(StoreAccess::Write, "compare_and_swap", || {
            self.store.compare_and_swap(expected, record)
        });
        swapped(&key, swap.await?)
    }

    pub(in crate::auth) async fn delete(
        &self,
        user: &UserKey,
        expected: Option<u64>,
    ) -> Result<Swapped, StoreError> {
        let key = self.key(user);
        let swap = self.call(StoreAccess::Write, "delete", || {
            self.store.delete(&key, expected)
        });
        swapped(&key, swap.await?)
    }

    /// Returns the records of this app that match, after the given key.
    pub(in crate::auth) async fn list(
        &self,
        filter: &ConnectionFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ConnectionRecord>, StoreError> {
        self.call(StoreAccess::Read, "list", || {
            self.store.list(filter, after, limit)
        })
        .await
    }

    pub(in crate::auth) async fn lease(
        &self,
        user: &UserKey,
        owner: &str,
        ttl: Duration,
    ) -> Result<Lease, StoreError> {
        let key = self.key(user);
        self.call(StoreAccess::Write, "lease", || {
            self.store.lease(&key, owner, ttl)
        })
        .await
    }

    pub(in crate::auth) async fn release(
        &self,
        user: &UserKey,
        owner: &str,
    ) -> Result<(), StoreError> {
        let key = self.key(user);
        self.call(StoreAccess::Write, "release", || {
            self.store.release(&key, owner)
        })
        .await
    }

    /// Acquires a lease, and returns the tokens that are stored now if it was granted.
    pub(in crate::auth) async fn lease_and_load(
        &self,
        user: &UserKey,
        owner: &str,
        ttl: Duration,
    ) -> Result<(Lease, Option<TokenSet>), StoreError> {
        let key = self.key(user);
        let leased = self.call(StoreAccess::Write, "lease_and_load", || {
            self.store.lease_and_load(&key, owner, ttl)
        });
        let (lease, record) = leased.await?;
        Ok((lease, decode(&key, record)?))
    }

    /// Swaps, and releases the lease of `owner`.
    pub(in crate::auth) async fn swap_and_release(
        &self,
        expected: Option<u64>,
        new: &TokenSet,
        owner: &str,
    ) -> Result<Swapped, StoreError> {
        let record = new.to_record();
        let key = record.key.clone();
        let swap = self.call(StoreAccess::Write, "swap_and_release", || {
            self.store.swap_and_release(expected, record, owner)
        });
        swapped(&key, swap.await?)
    }

    pub(in crate::auth) fn key(&self, user: &UserKey) -> String {
        record_key(&self.issuer, user)
    }

    /// Calls a method, and reports a store that starts to fail, or that works again.
    async fn call<'a, T>(
        &self,
        access: StoreAccess,
        method: &'static str,
        call: impl FnOnce() -> StoreFuture<'a, T>,
    ) -> Result<T, StoreError> {
        let started = Instant::now();
        let result = guarded(method, call).await;
        // A record that cannot be decoded is no failure of the store.
        let failed = result.as_ref().is_err_and(|error| !error.is_unreadable());
        if let Some(event) = self.health.note(access, failed, started.elapsed()) {
            self.events.emit(&event);
        }
        result
    }
}

fn swapped(key: &str, swap: Swap) -> Result<Swapped, StoreError> {
    Ok(match swap {
        Swap::Done => Swapped::Done,
        Swap::Lost(present) => Swapped::Lost(decode(key, present)?),
    })
}

/// Decodes a record that was loaded with this key.
fn decode(key: &str, record: Option<ConnectionRecord>) -> Result<Option<TokenSet>, StoreError> {
    let Some(record) = record else {
        return Ok(None);
    };
    if record.key != key {
        return Err(StoreError::new(Fault::OtherRecord).transient(false));
    }
    let tokens = TokenSet::from_record(&record)?;
    Ok(Some(tokens))
}

/// Calls a method of the store, within the timeout and without unwinding further.
pub(super) async fn guarded<'a, T>(
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
