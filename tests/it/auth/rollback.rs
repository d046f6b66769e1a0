//! A store that lost saved tokens, as after a failover to a replica that lagged.

use std::sync::Arc;
use std::time::Duration;

use fullscript::auth::{AuthEvent, Swap, TokenSet, TokenStore};

use crate::support::{Connected, Failures, connect, record_key};

/// The time after which cached tokens are compared with the store.
const CHECKED: Duration = Duration::from_secs(31);

/// Replaces the record of the user, whatever is stored.
async fn overwrite(connected: &Connected, tokens: &TokenSet) {
    let key = record_key("practitioner");
    connected.store.delete(&key, None).await.unwrap();
    let swap = connected.store.compare_and_swap(None, tokens.to_record());
    assert!(matches!(swap.await.unwrap(), Swap::Done));
}

fn rolled_back(connected: &Connected) -> usize {
    let events = connected.events();
    let is_it = |event: &&AuthEvent| matches!(event, AuthEvent::RolledBack { .. });
    events.iter().filter(is_it).count()
}

async fn call(connected: &Connected) {
    let client = connected.app.client("practitioner");
    client.get_clinic().send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_lost_refreshes_gets_the_newest_tokens_again() {
    for refreshes in [1, 3] {
        let connected = Connected::unlimited().await;
        let old = connected.stored().await;
        for _ in 0..refreshes {
            connected.expire();
            call(&connected).await;
        }
        let newest = connected.stored().await;
        overwrite(&connected, &old).await;
        tokio::time::sleep(CHECKED).await;
        call(&connected).await;
        let restored = connected.stored().await;
        assert_eq!(restored.generation, newest.generation);
        assert_eq!(restored.access_token.expose(), newest.access_token.expose());
        assert_eq!(rolled_back(&connected), 1);
        // The old refresh token is invalid, and nobody uses it.
        connected.expire();
        let other = connected.another().build().unwrap();
        let client = other.client("practitioner");
        client.get_clinic().send().await.unwrap();
        assert!(connected.stored().await.needs_reconnect.is_none());
        tokio::time::sleep(CHECKED).await;
        call(&connected).await;
        assert_eq!(rolled_back(&connected), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_of_a_new_connection_are_no_rollback_whatever_their_generation() {
    let connected = Connected::unlimited().await;
    call(&connected).await;
    // Another process, whose clock is behind, has forgotten and reconnected the user.
    let other = connected.another().build().unwrap();
    other.forget("practitioner").await.unwrap();
    connect(&connected.fake, &other, "practitioner").await;
    let mut reconnected = connected.stored().await;
    reconnected.generation = 1;
    overwrite(&connected, &reconnected).await;
    tokio::time::sleep(CHECKED).await;
    call(&connected).await;
    let stored = connected.stored().await;
    assert_eq!(stored.connection, reconnected.connection);
    assert_eq!(stored.generation, 1);
    assert_eq!(rolled_back(&connected), 0);
}

#[tokio::test(start_paused = true)]
async fn token_sets_without_the_id_of_a_connection_are_not_restored() {
    let connected = Connected::unlimited().await;
    let mut first = connected.stored().await;
    first.connection = String::new();
    overwrite(&connected, &first).await;
    let app = connected.another().build().unwrap();
    let client = app.client("practitioner");
    client.get_clinic().send().await.unwrap();
    let mut older = first.clone();
    older.generation -= 1;
    overwrite(&connected, &older).await;
    tokio::time::sleep(CHECKED).await;
    client.get_clinic().send().await.unwrap();
    assert_eq!(connected.stored().await.generation, older.generation);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_is_reported_when_the_tokens_are_saved_again() {
    let failures = Arc::new(Failures::default());
    let connected = Connected::hooked(&failures).await;
    let old = connected.stored().await;
    connected.expire();
    call(&connected).await;
    let newest = connected.stored().await;
    overwrite(&connected, &old).await;
    failures.set(1);
    tokio::time::sleep(CHECKED).await;
    // The tokens in the cache are valid, so a store that fails ends no call.
    call(&connected).await;
    assert_eq!(rolled_back(&connected), 0);
    tokio::time::sleep(CHECKED).await;
    call(&connected).await;
    assert_eq!(rolled_back(&connected), 1);
    assert_eq!(connected.stored().await.generation, newest.generation);
}
