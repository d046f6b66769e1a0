//! The requirements of a token store.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::auth::{
    AccessToken, ConnectionFilter, ConnectionRecord, Lease, NeedsReconnect, ReconnectReason,
    RecordData, RefreshFailure, RefreshFailureCause, RefreshToken, Scope, Swap, TokenSet,
    TokenStore, UserKey,
};

/// Strings that a store might handle incorrectly.
const ODD: &str = "x'); DROP TABLE tokens; --\"\n\u{1f600} ünïcode\u{202e}%_\\";

/// A duration that does not pass during a check.
const MINUTE: Duration = Duration::from_secs(60);

/// Checks that a token store meets the requirements of [`TokenStore`].
///
/// `new` creates an empty store for each check. A store in a database may return a handle to a new
/// schema or table.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use fullscript::auth::MemoryStore;
/// use fullscript::testing::contract;
///
/// contract::token_store(async || MemoryStore::new()).await;
/// # });
/// ```
///
/// # Panics
/// Panics with the requirement that the store does not meet.
pub async fn token_store<S: TokenStore>(new: impl AsyncFn() -> S) {
    saves_and_loads(&new().await).await;
    swaps_only_the_expected_generation(&new().await).await;
    keeps_every_field(&new().await).await;
    deletes_only_the_expected_generation(&new().await).await;
    leases_to_one_owner_at_a_time(&new().await).await;
    keeps_leases_and_records_apart(&new().await).await;
    leases_and_loads_in_one_step(&new().await).await;
    swaps_and_releases_in_one_step(&new().await).await;
    refreshes_one_after_the_other(Arc::new(new().await)).await;
    lists_in_pages_with_filters(&new().await).await;
    one_of_many_swaps_is_done(Arc::new(new().await)).await;
}

fn tokens(id: &str, generation: u64) -> TokenSet {
    TokenSet::new(
        UserKey::new("Practitioner", id),
        AccessToken::new(format!("access-{generation}")),
        "us-sandbox/contract",
        at(0),
        Duration::from_secs(7_200),
    )
    .refresh_token(RefreshToken::new(format!("refresh-{generation}")))
    .scopes([Scope::CATALOG_READ, Scope::CLINIC_READ].map(Scope::new))
    .replaced_access_token(AccessToken::new(format!("replaced-{generation}")))
    .generation(generation)
}

fn record(id: &str, generation: u64) -> ConnectionRecord {
    tokens(id, generation).to_record()
}

fn key(id: &str) -> String {
    record(id, 1).key
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600 + seconds)
}

/// Compares whole records, whose `Debug` output shows no field.
#[track_caller]
fn assert_stored(found: Option<&ConnectionRecord>, expected: Option<&ConnectionRecord>) {
    let is_kept = found == expected;
    assert!(
        is_kept,
        "a record is returned as it was saved: {found:?}, {expected:?}"
    );
}

async fn load(store: &dyn TokenStore, id: &str) -> Option<ConnectionRecord> {
    store.load(&key(id)).await.expect("`load` succeeds")
}

async fn swap(store: &dyn TokenStore, expected: Option<u64>, new: ConnectionRecord) -> Swap {
    let swap = store.compare_and_swap(expected, new).await;
    swap.expect("`compare_and_swap` succeeds")
}

async fn save(store: &dyn TokenStore, expected: Option<u64>, new: ConnectionRecord) {
    let swap = swap(store, expected, new).await;
    assert!(is_done(&swap), "a swap of the expected generation is done");
}

fn is_done(swap: &Swap) -> bool {
    matches!(swap, Swap::Done)
}

/// Returns whether another owner holds the lease, for a time within the duration of the lease.
fn is_held(lease: Lease) -> bool {
    matches!(lease, Lease::Held { remaining } if remaining <= MINUTE)
}

async fn saves_and_loads(store: &dyn TokenStore) {
    assert_stored(load(store, "a").await.as_ref(), None);
    save(store, None, record("a", 1)).await;
    assert_stored(load(store, "a").await.as_ref(), Some(&record("a", 1)));
    save(store, Some(1), record("a", 2)).await;
    assert_stored(load(store, "a").await.as_ref(), Some(&record("a", 2)));
    // Keys are compared byte by byte.
    assert_stored(load(store, "A").await.as_ref(), None);
    assert_stored(load(store, "").await.as_ref(), None);
    // The same generation again, as when a record is only annotated or encrypted anew.
    let annotated = tokens("a", 2).tenant("clinic-7").to_record();
    save(store, Some(2), annotated.clone()).await;
    assert_stored(load(store, "a").await.as_ref(), Some(&annotated));
}

async fn swaps_only_the_expected_generation(store: &dyn TokenStore) {
    let lost = swap(store, Some(1), record("a", 2)).await;
    assert!(
        matches!(lost, Swap::Lost(None)),
        "a swap of an absent record is lost"
    );
    assert_stored(load(store, "a").await.as_ref(), None);
    save(store, None, record("a", 5)).await;
    for expected in [None, Some(4), Some(6), Some(u64::MAX)] {
        let Swap::Lost(present) = swap(store, expected, record("a", 7)).await else {
            panic!("a swap that expects {expected:?} is lost on generation 5");
        };
        assert_stored(present.as_ref(), Some(&record("a", 5)));
    }
    assert_stored(load(store, "a").await.as_ref(), Some(&record("a", 5)));
}

async fn keeps_every_field(store: &dyn TokenStore) {
    let mut sets = vec![tokens("a", 1); 7];
    sets[1].refresh_token = None;
    sets[1].replaced_access_token = None;
    let mark = NeedsReconnect::new(at(7), ReconnectReason::RefreshTokenRejected);
    sets[2].needs_reconnect = Some(mark);
    sets[3].scopes = Vec::new();
    sets[4].access_token = AccessToken::new(ODD.repeat(1_000));
    sets[4].user = UserKey::new(ODD, ODD);
    sets[4].scopes = vec![Scope::new(ODD)];
    sets[4].tenant = Some(ODD.into());
    sets[5].issued_at = SystemTime::UNIX_EPOCH - Duration::from_millis(1_500);
    sets[5].lifetime = Duration::ZERO;
    sets[6].generation = u64::MAX;
    for (number, set) in sets.iter().enumerate() {
        let mut set = set.clone();
        set.user = UserKey::new(set.user.kind(), format!("{}{number}", set.user.id()));
        let mut saved = set.to_record();
        save(store, None, saved.clone()).await;
        let found = store.load(&saved.key).await.expect("`load` succeeds");
        assert_stored(found.as_ref(), Some(&saved));
        // A later version of this crate, or an encryption, may save any bytes.
        saved.data = RecordData::new((0..=255).collect());
        save(store, Some(saved.generation), saved.clone()).await;
        let found = store.load(&saved.key).await.expect("`load` succeeds");
        assert_stored(found.as_ref(), Some(&saved));
    }
}

async fn deletes_only_the_expected_generation(store: &dyn TokenStore) {
    let delete = async |id, expected| {
        let deleted = store.delete(&key(id), expected).await;
        deleted.expect("`delete` succeeds")
    };
    save(store, None, record("a", 5)).await;
    save(store, None, record("b", 5)).await;
    for expected in [0, 4, 6, u64::MAX] {
        let Swap::Lost(present) = delete("a", Some(expected)).await else {
            panic!("a deletion that expects {expected} is lost on generation 5");
        };
        assert_stored(present.as_ref(), Some(&record("a", 5)));
    }
    assert!(
        is_done(&delete("a", Some(5)).await),
        "a deletion of the expected generation is done"
    );
    assert!(
        matches!(delete("a", Some(5)).await, Swap::Lost(None)),
        "a second one is lost"
    );
    assert!(
        matches!(delete("a", None).await, Swap::Lost(None)),
        "of any generation, too"
    );
    assert_stored(load(store, "a").await.as_ref(), None);
    assert_stored(load(store, "b").await.as_ref(), Some(&record("b", 5)));
    save(store, None, record("a", u64::MAX)).await;
    assert!(
        is_done(&delete("a", Some(u64::MAX)).await),
        "the largest generation can be deleted"
    );
    assert!(
        is_done(&delete("b", None).await),
        "a deletion of any generation is done"
    );
}

async fn leases_to_one_owner_at_a_time(store: &dyn TokenStore) {
    let a = key("a");
    let lease = async |owner, ttl| store.lease(&a, owner, ttl).await.expect("`lease` succeeds");
    let is_granted = |lease| assert_eq!(lease, Lease::Granted, "a free lease is granted");
    let is_refused = |lease| {
        assert!(
            is_held(lease),
            "a lease of another owner is held: {lease:?}"
        )
    };
    // There is no record with this key yet.
    is_granted(lease("first", MINUTE).await);
    is_refused(lease("second", MINUTE).await);
    // A renewal replaces the duration; this one expires at once.
    is_granted(lease("first", Duration::ZERO).await);
    is_granted(lease("second", MINUTE).await);
    is_refused(lease("first", MINUTE).await);
    // No effect: the lease belongs to another owner.
    store
        .release(&a, "first")
        .await
        .expect("`release` succeeds");
    is_refused(lease("first", MINUTE).await);
    store
        .release(&a, "second")
        .await
        .expect("`release` succeeds");
    is_granted(lease("first", MINUTE).await);
    store
        .release(&key("nobody"), "first")
        .await
        .expect("`release` succeeds");
    let other = store.lease(&key("b"), "second", MINUTE).await;
    is_granted(other.expect("`lease` succeeds"));
    // A duration that cannot be added to a time is as long as the store can.
    is_granted(lease("first", Duration::MAX).await);
    let held = lease("second", MINUTE).await;
    assert!(
        matches!(held, Lease::Held { remaining } if remaining > MINUTE),
        "a long lease is held: {held:?}"
    );
}

async fn keeps_leases_and_records_apart(store: &dyn TokenStore) {
    let lease = async |owner| store.lease(&key("a"), owner, MINUTE).await;
    lease("first").await.expect("`lease` succeeds");
    save(store, None, record("a", 1)).await;
    let held = lease("second").await.expect("`lease` succeeds");
    assert!(is_held(held), "a swap ignores and keeps the lease");
    store
        .delete(&key("a"), Some(1))
        .await
        .expect("`delete` succeeds");
    let held = lease("second").await.expect("`lease` succeeds");
    assert!(is_held(held), "a deletion ignores and keeps the lease");
}

async fn lease_and_load(
    store: &dyn TokenStore,
    id: &str,
    owner: &str,
) -> (Lease, Option<ConnectionRecord>) {
    let leased = store.lease_and_load(&key(id), owner, MINUTE).await;
    leased.expect("`lease_and_load` succeeds")
}

async fn swap_and_release(
    store: &dyn TokenStore,
    expected: Option<u64>,
    new: ConnectionRecord,
    owner: &str,
) -> Swap {
    let swap = store.swap_and_release(expected, new, owner).await;
    swap.expect("`swap_and_release` succeeds")
}

async fn leases_and_loads_in_one_step(store: &dyn TokenStore) {
    let (lease, loaded) = lease_and_load(store, "a", "first").await;
    assert_eq!(lease, Lease::Granted, "a free lease is granted");
    assert_stored(loaded.as_ref(), None);
    let (lease, _) = lease_and_load(store, "a", "second").await;
    assert!(
        is_held(lease),
        "a lease of another owner is held: {lease:?}"
    );
    save(store, None, record("a", 1)).await;
    // A renewal.
    let (lease, loaded) = lease_and_load(store, "a", "first").await;
    assert_eq!(lease, Lease::Granted, "an owner renews its lease");
    assert_stored(loaded.as_ref(), Some(&record("a", 1)));
    let (lease, loaded) = lease_and_load(store, "b", "second").await;
    assert_eq!(lease, Lease::Granted, "each key has a lease of its own");
    assert_stored(loaded.as_ref(), None);
    let lease = store.lease(&key("b"), "third", MINUTE).await;
    let lease = lease.expect("`lease` succeeds");
    assert!(is_held(lease), "both methods acquire the same lease");
}

async fn swaps_and_releases_in_one_step(store: &dyn TokenStore) {
    let is_free = async |expected: bool, what: &str| {
        let lease = store.lease(&key("a"), "other", Duration::ZERO).await;
        let lease = lease.expect("`lease` succeeds");
        assert_eq!(lease == Lease::Granted, expected, "{what}");
    };
    lease_and_load(store, "a", "first").await;
    let done = swap_and_release(store, None, record("a", 1), "first").await;
    assert!(is_done(&done), "a swap of the expected generation is done");
    is_free(true, "a swap that is done releases the lease").await;
    lease_and_load(store, "a", "first").await;
    let lost = swap_and_release(store, Some(7), record("a", 8), "first").await;
    let Swap::Lost(present) = lost else {
        panic!("a swap of another generation is lost");
    };
    assert_stored(present.as_ref(), Some(&record("a", 1)));
    is_free(true, "a swap that is lost releases the lease").await;
    lease_and_load(store, "a", "first").await;
    let done = swap_and_release(store, Some(1), record("a", 2), "second").await;
    assert!(is_done(&done), "a swap needs no lease");
    assert_stored(load(store, "a").await.as_ref(), Some(&record("a", 2)));
    is_free(false, "the lease of another owner is kept").await;
    let lost = swap_and_release(store, Some(1), record("b", 2), "second").await;
    assert!(
        matches!(lost, Swap::Lost(None)),
        "a swap of an absent record is lost"
    );
}

/// Each owner of the lease finds what the previous one saved.
async fn refreshes_one_after_the_other(store: Arc<dyn TokenStore>) {
    const OWNERS: u64 = 8;
    const EACH: u64 = 5;
    save(&*store, None, record("a", 1)).await;
    let owners: Vec<_> = (0..OWNERS)
        .map(|owner| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let owner = owner.to_string();
                let mut refreshed = 0;
                while refreshed < EACH {
                    let (lease, loaded) = lease_and_load(&*store, "a", &owner).await;
                    if lease != Lease::Granted {
                        tokio::task::yield_now().await;
                        continue;
                    }
                    let loaded = loaded.expect("the owner of a lease finds the record");
                    let generation = loaded.generation;
                    let new = record("a", generation + 1);
                    let swap = swap_and_release(&*store, Some(generation), new, &owner).await;
                    assert!(
                        is_done(&swap),
                        "the owner of a lease finds what the previous one saved"
                    );
                    refreshed += 1;
                }
            })
        })
        .collect();
    for owner in owners {
        owner.await.expect("each owner swaps");
    }
    let last = record("a", 1 + OWNERS * EACH);
    assert_stored(load(&*store, "a").await.as_ref(), Some(&last));
}

async fn lists_in_pages_with_filters(store: &dyn TokenStore) {
    let mut saved: Vec<ConnectionRecord> = Vec::new();
    for number in 0..25_u64 {
        let mut set = tokens(&format!("{number:02}"), 1);
        if number % 5 == 0 {
            let reason = ReconnectReason::NoRefreshToken;
            set.needs_reconnect = Some(NeedsReconnect::new(at(number), reason));
        }
        if number % 3 == 0 {
            let (since, cause) = (at(number), RefreshFailureCause::Unreachable);
            set.failure = Some(RefreshFailure { since, cause });
        }
        if number % 2 == 0 {
            set = set.tenant("even");
            set.scopes.push(Scope::new(Scope::ORDER_HISTORY));
        }
        set.issued_at = at(number);
        set.used_at = at(number);
        if number == 24 {
            set.issuer = "ca-sandbox/contract".into();
        }
        save(store, None, set.to_record()).await;
        saved.push(set.to_record());
    }
    saved.sort_by(|one, other| one.key.cmp(&other.key));
    let filters = [
        ConnectionFilter::new(),
        ConnectionFilter::new().app("us-sandbox/contract"),
        ConnectionFilter::new().app("us-sandbox"),
        ConnectionFilter::new().tenant("even"),
        ConnectionFilter::new().needs_reconnect(true),
        ConnectionFilter::new()
            .needs_reconnect(false)
            .tenant("even"),
        ConnectionFilter::new().failing(true),
        ConnectionFilter::new().lacks([Scope::ORDER_HISTORY].map(Scope::new)),
        ConnectionFilter::new().lacks([Scope::CATALOG_READ].map(Scope::new)),
        ConnectionFilter::new().lacks([Scope::CATALOG_READ, Scope::ORDER_HISTORY]),
        ConnectionFilter::new().not_used_since(at(10)),
        ConnectionFilter::new().used_since(at(10)),
        ConnectionFilter::new()
            .used_since(at(7))
            .not_used_since(at(17)),
        ConnectionFilter::new()
            .used_since(at(17))
            .not_used_since(at(7)),
        ConnectionFilter::new()
            .app("us-sandbox/contract")
            .tenant("even")
            .needs_reconnect(false)
            .failing(true)
            .lacks([Scope::PATIENTS_WRITE])
            .used_since(at(2))
            .not_used_since(at(23))
            .expires_before(at(7_200 + 20)),
        ConnectionFilter::new().expires_before(at(7_200 + 3)),
    ];
    for filter in &filters {
        let matching = saved.iter().filter(|record| filter.matches(record));
        let expected: Vec<_> = matching.cloned().collect();
        for limit in [1, 7, 100] {
            let mut listed: Vec<ConnectionRecord> = Vec::new();
            loop {
                let after = listed.last().map(|record| record.key.clone());
                let page = store.list(filter, after.as_deref(), limit).await;
                let page = page.expect("`list` succeeds");
                assert!(page.len() <= limit, "a page has at most `limit` records");
                let is_last_page = page.len() < limit;
                listed.extend(page);
                if is_last_page {
                    break;
                }
            }
            let is_whole = listed == expected;
            assert!(
                is_whole,
                "`list` returns all records that match {filter:?} in the order of their keys"
            );
        }
    }
}

async fn one_of_many_swaps_is_done(store: Arc<dyn TokenStore>) {
    for expected in [None, Some(1), Some(2)] {
        let swaps: Vec<_> = (0..50)
            .map(|number: u64| {
                let store = Arc::clone(&store);
                let mut new = tokens("a", expected.unwrap_or(0) + 1);
                new.access_token = AccessToken::new(format!("access-by-{number}"));
                let new = new.to_record();
                tokio::spawn(async move { (swap(&*store, expected, new.clone()).await, new) })
            })
            .collect();
        let mut done = Vec::new();
        let mut present = Vec::new();
        for swap in swaps {
            match swap.await.expect("a swap does not panic") {
                (Swap::Done, new) => done.push(new),
                (Swap::Lost(stored), _) => present.push(stored),
            }
        }
        assert_eq!(
            done.len(),
            1,
            "one of many swaps with the same expectation is done"
        );
        for stored in &present {
            assert_stored(stored.as_ref(), done.first());
        }
        assert_stored(load(&*store, "a").await.as_ref(), done.first());
    }
}
