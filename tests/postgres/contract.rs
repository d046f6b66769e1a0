//! The requirements of every store and event log, directly and through PgBouncer.

use fullscript::encryption::{EncryptedStore, EncryptionKey, KeyRing};
use fullscript::testing::contract;

use crate::cluster::{Cluster, shared};

fn urls(cluster: &Cluster) -> [String; 2] {
    [cluster.direct(), cluster.pooled()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_postgres_store_meets_all_requirements() {
    let Some(cluster) = shared() else { return };
    for url in urls(cluster) {
        let open = async || cluster.builder(url.clone()).await.connect().await.unwrap();
        contract::token_store(open).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_encrypted_postgres_store_meets_all_requirements() {
    let Some(cluster) = shared() else { return };
    for url in urls(cluster) {
        let keys = KeyRing::new(EncryptionKey::generate().unwrap());
        let open = async || {
            let store = cluster.builder(url.clone()).await.connect().await.unwrap();
            EncryptedStore::new(store, keys.clone())
        };
        contract::token_store(open).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_postgres_event_log_meets_all_requirements() {
    let Some(cluster) = shared() else { return };
    for url in urls(cluster) {
        let open = async || {
            let store = cluster.builder(url.clone()).await.connect().await.unwrap();
            store.event_log()
        };
        contract::processed_events(open).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_postgres_rate_limit_meets_all_requirements() {
    let Some(cluster) = shared() else { return };
    for url in urls(cluster) {
        let open = async || {
            let store = cluster.builder(url.clone()).await.connect().await.unwrap();
            store.rate_limit()
        };
        contract::rate_limit(open).await;
    }
}
