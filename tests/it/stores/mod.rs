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
        ..
    } = tokens;
    let refresh_token = refresh_token.as_ref().map(RefreshToken::expose);
    format!(
        "{:?} {refresh_token:?} {:?} {:?} {scopes:?} {issuer:?} {issued_at:?} {lifetime:?} \
         {generation} {needs_reconnect}",
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
    sets[2].needs_reconnect = true;
    sets[3].scopes = Vec::new();
    sets[4].access_token = AccessToken::new("");
    sets[4].refresh_token = Some(RefreshToken::new(""));
    sets[4].owner.id = String::new();
    sets[4].issuer = String::new();
    sets[5].access_token = AccessToken::new(ODD.repeat(1_000));
    sets[5].refresh_token = Some(RefreshToken::new(ODD));
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

#[tokio::test]
async fn a_deleted_user_leaves_nothing_and_can_reconnect() {
    on_each(async |store: Arc<dyn TokenStore>| {
        for user in ["a", "b"] {
            store.compare_and_swap(user, None, tokens(1)).await.unwrap();
            store.lease(user, "first", at(0), at(60)).await.unwrap();
        }
        store.delete("a").await.unwrap();
        store.delete("a").await.unwrap();
        assert_eq!(loaded(&*store, "a").await, None);
        assert_eq!(loaded(&*store, "b").await, Some(shown(&tokens(1))));
        let lease = store.lease("a", "second", at(0), at(60)).await.unwrap();
        assert_eq!(lease, Lease::Granted);
        let lease = store.lease("b", "second", at(0), at(60)).await.unwrap();
        assert_eq!(lease, Lease::HeldUntil(at(60)));
        let swap = store.compare_and_swap("a", None, tokens(1)).await.unwrap();
        assert!(is_done(&swap));
    })
    .await;
}

#[tokio::test]
async fn a_lease_is_of_one_owner_until_its_deadline_or_release() {
    on_each(async |store: Arc<dyn TokenStore>| {
        let lease = async |owner, now, deadline| {
            let lease = store.lease("a", owner, at(now), at(deadline));
            lease.await.unwrap()
        };
        // This user has no tokens yet.
        assert_eq!(lease("first", 0, 10).await, Lease::Granted);
        assert_eq!(lease("second", 9, 19).await, Lease::HeldUntil(at(10)));
        assert_eq!(lease("first", 9, 20).await, Lease::Granted);
        assert_eq!(lease("second", 19, 29).await, Lease::HeldUntil(at(20)));
        assert_eq!(lease("second", 20, 30).await, Lease::Granted);
        // No effect: the lease no longer belongs to the first owner.
        store.release("a", "first").await.unwrap();
        assert_eq!(lease("first", 21, 31).await, Lease::HeldUntil(at(30)));
        store.release("a", "second").await.unwrap();
        assert_eq!(lease("first", 21, 31).await, Lease::Granted);
        store.release("nobody", "first").await.unwrap();
        let other = store.lease("b", "second", at(21), at(31)).await.unwrap();
        assert_eq!(other, Lease::Granted);
    })
    .await;
}

#[tokio::test]
async fn a_swap_ignores_leases_and_releases_none() {
    on_each(async |store: Arc<dyn TokenStore>| {
        store.lease("a", "first", at(0), at(10)).await.unwrap();
        let swap = store.compare_and_swap("a", None, tokens(1)).await.unwrap();
        assert!(is_done(&swap));
        let lease = store.lease("a", "second", at(1), at(11)).await.unwrap();
        assert_eq!(lease, Lease::HeldUntil(at(10)));
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
        drop(store.lease("a", "first", at(0), at(10)));
        assert_eq!(loaded(&*store, "a").await, Some(shown(&tokens(1))));
        let lease = store.lease("a", "second", at(1), at(11)).await.unwrap();
        assert_eq!(lease, Lease::HeldUntil(at(10)));
    })
    .await;
}
