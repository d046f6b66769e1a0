//! The layer that encrypts the records of a store.

use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::KeyError;
use super::ring::KeyRing;
use crate::auth::{
    ConnectionFilter, ConnectionRecord, Lease, RecordData, RecordError, StoreError, StoreFuture,
    Swap, TokenStore,
};

/// The number of records that [`EncryptedStore::reencrypt`] loads at once.
const PAGE_SIZE: usize = 500;

/// The duration of the lease of a record that is encrypted again.
const LEASE_TTL: Duration = Duration::from_secs(2);

/// The time after which a lease that another process holds is ignored: 5 s, which is longer than most
/// refreshes.
const LEASE_PATIENCE: Duration = Duration::from_secs(5);

/// The limits of the delay between two attempts to acquire a lease.
const MIN_LEASE_POLL: Duration = Duration::from_millis(50);
const MAX_LEASE_POLL: Duration = Duration::from_millis(500);

/// A token store that encrypts the tokens of another one.
///
/// The fields of a record that a store can search are not encrypted: user, scopes, times, tenant.
#[derive(Clone)]
pub struct EncryptedStore<S> {
    store: S,
    keys: KeyRing,
    accepts_plain_records: bool,
}

/// The result of [`EncryptedStore::reencrypt`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reencrypted {
    /// The number of records that were encrypted with the key that writes.
    pub changed: usize,
    /// The number of records that had been encrypted with it before.
    pub unchanged: usize,
    /// The number of records that cannot be decrypted.
    pub unreadable: usize,
}

impl<S: TokenStore> EncryptedStore<S> {
    /// Encrypts the records of `store`.
    #[must_use]
    pub fn new(store: S, keys: KeyRing) -> Self {
        Self {
            store,
            keys,
            accepts_plain_records: false,
        }
    }

    /// Accepts records that are not encrypted, while an existing store is migrated.
    ///
    /// Default: they are refused, because somebody may have planted them. Call
    /// [`reencrypt`](Self::reencrypt) to encrypt them, then remove this setting.
    #[must_use]
    pub fn accept_plain_records(mut self) -> Self {
        self.accepts_plain_records = true;
        self
    }

    /// Encrypts all records with the key that writes.
    ///
    /// Other processes may use the store meanwhile: each record is changed under the lease of its
    /// user.
    ///
    /// # Errors
    ///
    /// Returns an error if the store fails; call it again to continue.
    pub async fn reencrypt(&self) -> Result<Reencrypted, StoreError> {
        let owner = lease_owner()?;
        let (filter, mut after) = (ConnectionFilter::new(), None);
        let mut result = Reencrypted::default();
        loop {
            let page = self
                .store
                .list(&filter, after.as_deref(), PAGE_SIZE)
                .await?;
            let is_last_page = page.len() < PAGE_SIZE;
            after = page.last().map(|record| record.key.clone());
            for listed in page {
                if self.keys.is_current(&listed) {
                    result.unchanged += 1;
                    continue;
                }
                self.wait_for_lease(&listed.key, &owner).await?;
                let renewed = self.renew(&listed.key, &mut result).await;
                // A lease that cannot be released expires.
                let _expires = self.store.release(&listed.key, &owner).await;
                renewed?;
            }
            if is_last_page {
                return Ok(result);
            }
        }
    }

    /// Acquires a lease, without which another process could change the record and keep its
    /// generation. The lease is advisory, so that one that is held for long is ignored.
    async fn wait_for_lease(&self, key: &str, owner: &str) -> Result<(), StoreError> {
        let started = Instant::now();
        while let Lease::Held { remaining } = self.store.lease(key, owner, LEASE_TTL).await? {
            if started.elapsed() >= LEASE_PATIENCE {
                return Ok(());
            }
            sleep(remaining.clamp(MIN_LEASE_POLL, MAX_LEASE_POLL)).await;
        }
        Ok(())
    }

    /// Encrypts a record as it is now.
    async fn renew(&self, key: &str, result: &mut Reencrypted) -> Result<(), StoreError> {
        loop {
            let Some(mut record) = self.store.load(key).await? else {
                return Ok(());
            };
            if self.keys.is_current(&record) {
                result.unchanged += 1;
                return Ok(());
            }
            if self.open(&mut record).is_err() {
                result.unreadable += 1;
                return Ok(());
            }
            let expected = Some(record.generation);
            self.keys.seal(&mut record).map_err(StoreError::new)?;
            if let Swap::Done = self.store.compare_and_swap(expected, record).await? {
                result.changed += 1;
                return Ok(());
            }
        }
    }

    fn open(&self, record: &mut ConnectionRecord) -> Result<(), RecordError> {
        if record.data.is_sealed() {
            self.keys.open(record)
        } else if self.accepts_plain_records {
            Ok(())
        } else {
            Err(RecordError::NotEncrypted)
        }
    }

    fn opened(
        &self,
        record: Option<ConnectionRecord>,
    ) -> Result<Option<ConnectionRecord>, StoreError> {
        let opened = record.map(|mut record| self.open(&mut record).map(|()| record));
        opened.transpose().map_err(StoreError::from)
    }

    fn opened_swap(&self, swap: Swap) -> Result<Swap, StoreError> {
        Ok(match swap {
            Swap::Done => Swap::Done,
            Swap::Lost(present) => Swap::Lost(self.opened(present)?),
        })
    }
}

/// Returns a lease owner that no other task of any process has.
fn lease_owner() -> Result<String, StoreError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| StoreError::new(KeyError::NoRandomness))?;
    Ok(format!("reencrypt-{:032x}", u128::from_le_bytes(random)))
}

impl<S: TokenStore> TokenStore for EncryptedStore<S> {
    fn load<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Option<ConnectionRecord>> {
        Box::pin(async move { self.opened(self.store.load(key).await?) })
    }

    fn compare_and_swap(
        &self,
        expected: Option<u64>,
        mut new: ConnectionRecord,
    ) -> StoreFuture<'_, Swap> {
        Box::pin(async move {
            self.keys.seal(&mut new).map_err(StoreError::new)?;
            self.opened_swap(self.store.compare_and_swap(expected, new).await?)
        })
    }

    fn delete<'a>(&'a self, key: &'a str, expected: Option<u64>) -> StoreFuture<'a, Swap> {
        Box::pin(async move { self.opened_swap(self.store.delete(key, expected).await?) })
    }

    /// A record that cannot be decrypted is returned as it is, so that it costs only itself.
    fn list<'a>(
        &'a self,
        filter: &'a ConnectionFilter,
        after: Option<&'a str>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<ConnectionRecord>> {
        Box::pin(async move {
            let mut page = self.store.list(filter, after, limit).await?;
            for record in &mut page {
                if self.open(record).is_err() && !record.data.is_sealed() {
                    // A plain record could be decoded.
                    record.data = RecordData::new(Vec::new());
                }
            }
            Ok(page)
        })
    }

    fn lease<'a>(&'a self, key: &'a str, owner: &'a str, ttl: Duration) -> StoreFuture<'a, Lease> {
        self.store.lease(key, owner, ttl)
    }

    fn release<'a>(&'a self, key: &'a str, owner: &'a str) -> StoreFuture<'a, ()> {
        self.store.release(key, owner)
    }

    fn lease_and_load<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
    ) -> StoreFuture<'a, (Lease, Option<ConnectionRecord>)> {
        Box::pin(async move {
            let (lease, record) = self.store.lease_and_load(key, owner, ttl).await?;
            Ok((lease, self.opened(record)?))
        })
    }

    fn swap_and_release<'a>(
        &'a self,
        expected: Option<u64>,
        mut new: ConnectionRecord,
        owner: &'a str,
    ) -> StoreFuture<'a, Swap> {
        Box::pin(async move {
            self.keys.seal(&mut new).map_err(StoreError::new)?;
            let swap = self.store.swap_and_release(expected, new, owner);
            self.opened_swap(swap.await?)
        })
    }
}

impl<S> fmt::Debug for EncryptedStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptedStore")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}
