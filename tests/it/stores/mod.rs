//! The guarantees of every token store, tested with all implementations of the crate.

mod encryption;
pub(crate) mod sqlite;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fullscript::auth::{
    AccessToken, Lease, MemoryStore, Owner, RefreshToken, Scope, Swap, TokenSet, TokenStore,
};

use fullscript::sqlite::{EncryptionKey, SqliteStore};
use tempfile::TempDir;

use crate::support::at;

/// Strings that a store might handle incorrectly.
const ODD: &str = "x'); DROP TABLE tokens; --\"\u{0}\n\u{1f600} ünïcode\u{202e}%_\\";

pub(crate) fn tokens(generation: u64) -> TokenSet {
    TokenSet::new(
        Owner::new("practitioner", "Practitioner"),
        AccessToken::new(format!("planted-access-{generation}")),
        "https://api-us-snd.fullscript.io",
        at(0),
        Duration::from_secs(7_200),
    )
    .refresh_token(RefreshToken::new(format!("planted-refresh-{generation}")))
    .scopes([Scope::CATALOG_READ, Scope::CLINIC_READ].map(Scope::new))
    .replaced_access_token(AccessToken::new(format!("planted-replaced-{generation}")))
    .generation(generation)
}

/// All values of a token set, for comparison.
pub(crate) fn shown(tokens: &TokenSet) -> String {
    let TokenSet {
        access_token,
        refresh_token,
        owner,
        scopes,
        issuer,
        issued_at,
        lifetime,
        generation,
        needs_reconnect,
        replaced_access_token,
        ..
    } = tokens;
    let refresh_token = refresh_token.as_ref().map(RefreshToken::expose);
    let replaced = replaced_access_token.as_ref().map(AccessToken::expose);
    format!(
        "{:?} {refresh_token:?} {:?} {:?} {scopes:?} {issuer:?} {issued_at:?} {lifetime:?} \
         {generation} {needs_reconnect} {replaced:?}",
        access_token.expose(),
        owner.id,
        owner.kind,
    )
}

/// Runs the same check on a new store of each type.
async fn on_each<T: Future<Output = ()>>(check: impl Fn(Arc<dyn TokenStore>) -> T) {
    check(Arc::new(MemoryStore::new())).await;
    let directory = TempDir::new().unwrap();
    let plain = SqliteStore::open(directory.path().join("plain.db")).await;
    check(Arc::new(plain.unwrap())).await;
    let encrypted = SqliteStore::builder(directory.path().join("encrypted.db"))
        .encryption_key(EncryptionKey::generate().unwrap())
        .open();
    check(Arc::new(encrypted.await.unwrap())).await;
}

async fn loaded(store: &dyn TokenStore, user: &str) -> Option<String> {
    store.load(user).await.unwrap().as_ref().map(shown)
}

fn is_done(swap: &Swap) -> bool {
    matches!(swap, Swap::Done)
}

#[tokio::test]
async fn what_was_swapped_in_is_loaded() {
    on_each(async |store: Arc<dyn TokenStore>| {
        assert_eq!(loaded(&*store, "a").await, None);
        let swap = store.compare_and_swap("a", None, tokens(1)).await.unwrap();
        assert!(is_done(&swap));
        assert_eq!(loaded(&*store, "a").await, Some(shown(&tokens(1))));
        let swap = store.compare_and_swap("a", Some(1), tokens(2)).await;
        assert!(is_done(&swap.unwrap()));
        assert_eq!(loaded(&*store, "a").await, Some(shown(&tokens(2))));
        assert_eq!(loaded(&*store, "A").await, None);
        assert_eq!(loaded(&*store, "").await, None);
    })
    .await;
}

#[tokio::test]
async fn a_failed_swap_changes_nothing_and_returns_the_current_tokens() {
    on_each(async |store: Arc<dyn TokenStore>| {
        let swap = store.compare_and_swap("a", Some(1), tokens(2)).await;
        assert!(matches!(swap.unwrap(), Swap::Lost(None)));
        assert_eq!(loaded(&*store, "a").await, None);
        store.compare_and_swap("a", None, tokens(5)).await.unwrap();
        for expected in [None, Some(4), Some(6), Some(u64::MAX)] {
            let swap = store.compare_and_swap("a", expected, tokens(7)).await;
            let Swap::Lost(Some(present)) = swap.unwrap() else {
                panic!("a swap with {expected:?} was done on generation 5");
            };
            assert_eq!(shown(&present), shown(&tokens(5)));
        }
        assert_eq!(loaded(&*store, "a").await, Some(shown(&tokens(5))));
    })
    .await;
}

#[tokio::test]
async fn every_field_is_preserved() {
    let mut sets = vec![tokens(1); 8];
    sets[1].refresh_token = None;
    sets[1].replaced_access_token = None;
    sets[2].needs_reconnect = true;
    sets[3].scopes = Vec::new();
    sets[4].access_token = AccessToken::new("");
    sets[4].refresh_token = Some(RefreshToken::new(""));
    sets[4].owner.id = String::new();
    sets[4].issuer = String::new();
    sets[5].access_token = AccessToken::new(ODD.repeat(1_000));
    sets[5].refresh_token = Some(RefreshToken::new(ODD));
    sets[5].replaced_access_token = Some(AccessToken::new(ODD));
    sets[5].owner = Owner::new(ODD, ODD);
    sets[5].scopes = vec![Scope::new(ODD), Scope::new(""), Scope::new("a b,c\"")];
    sets[5].issuer = ODD.into();
    sets[6].issued_at = at(1) + Duration::from_nanos(123_456_789);
    sets[6].lifetime = Duration::new(7_199, 999_999_999);
    sets[7].issued_at = SystemTime::UNIX_EPOCH - Duration::from_millis(1_500);
    sets[7].lifetime = Duration::ZERO;
    sets[7].generation = u64::MAX;
    on_each(async |store: Arc<dyn TokenStore>| {
        for (number, set) in sets.iter().enumerate() {
            let user = format!("{ODD}{number}");
            let swap = store.compare_and_swap(&user, None, set.clone()).await;
            assert!(is_done(&swap.unwrap()));
            assert_eq!(loaded(&*store, &user).await, Some(shown(set)));
            let swap = store.compare_and_swap(&user, Some(set.generation), tokens(3));
            assert!(is_done(&swap.await.unwrap()));
        }
    })
    .await;
}

/// A duration that does not pass during a test.
const MINUTE: Duration = Duration::from_secs(60);

/// Returns whether another owner holds the lease, for a time within the duration of the lease.
fn is_held(lease: Lease) -> bool {
    matches!(lease, Lease::Held { remaining } if !remaining.is_zero() && remaining <= MINUTE)
}

#[tokio::test]
async fn a_deleted_user_leaves_nothing_and_can_reconnect() {
    on_each(async |store: Arc<dyn TokenStore>| {
        for user in ["a", "b"] {
            store.compare_and_swap(user, None, tokens(1)).await.unwrap();
        }
        assert!(is_done(&store.delete("a", None).await.unwrap()));
        let again = store.delete("a", None).await.unwrap();
        assert!(matches!(again, Swap::Lost(None)));
        assert_eq!(loaded(&*store, "a").await, None);
        assert_eq!(loaded(&*store, "b").await, Some(shown(&tokens(1))));
        let swap = store.compare_and_swap("a", None, tokens(1)).await.unwrap();
        assert!(is_done(&swap));
    })
    .await;
}

#[tokio::test]
async fn a_deletion_of_another_generation_deletes_nothing_and_returns_the_current_tokens() {
    on_each(async |store: Arc<dyn TokenStore>| {
        store.compare_and_swap("a", None, tokens(5)).await.unwrap();
        for expected in [0, 4, 6, u64::MAX] {
            let Swap::Lost(Some(present)) = store.delete("a", Some(expected)).await.unwrap() else {
                panic!("generation {expected} was deleted");
            };
            assert_eq!(shown(&present), shown(&tokens(5)));
        }
        let absent = store.delete("nobody", Some(5)).await.unwrap();
        assert!(matches!(absent, Swap::Lost(None)));
        assert!(is_done(&store.delete("a", Some(5)).await.unwrap()));
        assert_eq!(loaded(&*store, "a").await, None);
        let mut last = tokens(5);
        last.generation = u64::MAX;
        store.compare_and_swap("a", None, last).await.unwrap();
        let deleted = store.delete("a", Some(u64::MAX)).await.unwrap();
        assert!(is_done(&deleted));
    })
    .await;
}

#[tokio::test]
async fn a_lease_is_of_one_owner_until_it_expires_or_is_released() {
    on_each(async |store: Arc<dyn TokenStore>| {
        let lease = async |owner, ttl| store.lease("a", owner, ttl).await.unwrap();
        // This user has no tokens yet.
        assert_eq!(lease("first", MINUTE).await, Lease::Granted);
        assert!(is_held(lease("second", MINUTE).await));
        // A renewal replaces the duration; this one has expired at once.
        assert_eq!(lease("first", Duration::ZERO).await, Lease::Granted);
        assert_eq!(lease("second", MINUTE).await, Lease::Granted);
        assert!(is_held(lease("first", MINUTE).await));
        // No effect: the lease no longer belongs to the first owner.
        store.release("a", "first").await.unwrap();
        assert!(is_held(lease("first", MINUTE).await));
        store.release("a", "second").await.unwrap();
        assert_eq!(lease("first", MINUTE).await, Lease::Granted);
        store.release("nobody", "first").await.unwrap();
        let other = store.lease("b", "second", MINUTE).await.unwrap();
        assert_eq!(other, Lease::Granted);
    })
    .await;
}

#[tokio::test]
async fn swaps_and_deletions_ignore_leases_and_release_none() {
    on_each(async |store: Arc<dyn TokenStore>| {
        store.lease("a", "first", MINUTE).await.unwrap();
        let swap = store.compare_and_swap("a", None, tokens(1)).await.unwrap();
        assert!(is_done(&swap));
        assert!(is_held(store.lease("a", "second", MINUTE).await.unwrap()));
        assert!(is_done(&store.delete("a", Some(1)).await.unwrap()));
        assert!(is_held(store.lease("a", "second", MINUTE).await.unwrap()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_swaps_with_the_same_expectation_one_is_done() {
    on_each(async |store: Arc<dyn TokenStore>| {
        for expected in [None, Some(1), Some(2)] {
            let swaps = (0..100).map(|number: u64| {
                let store = Arc::clone(&store);
                let mut new = tokens(expected.unwrap_or(0) + 1);
                new.access_token = AccessToken::new(format!("planted-by-{number}"));
                tokio::spawn(async move {
                    let swap = store.compare_and_swap("a", expected, new.clone()).await;
                    (swap.unwrap(), shown(&new))
                })
            });
            let ended = futures_util::future::join_all(swaps.collect::<Vec<_>>()).await;
            let ended: Vec<_> = ended.into_iter().map(Result::unwrap).collect();
            let done: Vec<_> = ended.iter().filter(|(swap, _)| is_done(swap)).collect();
            assert_eq!(done.len(), 1);
            for (swap, _) in &ended {
                if let Swap::Lost(present) = swap {
                    assert_eq!(present.as_ref().map(shown).as_ref(), Some(&done[0].1));
                }
            }
            assert_eq!(loaded(&*store, "a").await.as_ref(), Some(&done[0].1));
        }
    })
    .await;
}

#[tokio::test]
async fn a_started_operation_completes_without_a_waiting_caller() {
    on_each(async |store: Arc<dyn TokenStore>| {
        drop(store.compare_and_swap("a", None, tokens(1)));
        drop(store.lease("a", "first", MINUTE));
        assert_eq!(loaded(&*store, "a").await, Some(shown(&tokens(1))));
        assert!(is_held(store.lease("a", "second", MINUTE).await.unwrap()));
    })
    .await;
}
