//! A backup that was restored: which connections still work, and which are listed as disconnected.

use fullscript::auth::{ConnectionFilter, OAuthApp, TokenStore};
use fullscript::postgres::PostgresStore;
use fullscript::testing::{FakeFullscript, RefreshMode};
use fullscript::webhook::{Claim, EventKey, EventLog};

use crate::cluster::Cluster;

fn app(fake: &FakeFullscript, store: impl TokenStore) -> OAuthApp {
    fake.app_builder().store(store).build().unwrap()
}

async fn connect(fake: &FakeFullscript, app: &OAuthApp, user: &str) {
    let request = app.authorize();
    let callback = fake.approve(request.url(), user);
    let code = app.callback(&callback, request.state()).unwrap();
    app.exchange(code).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restore_only_users_who_were_refreshed_since_the_backup_must_reconnect() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let fake = FakeFullscript::start().await.unwrap();
    fake.refresh_mode(RefreshMode::RevokeOnFirstUse);
    let builder = PostgresStore::builder(cluster.direct());
    builder.migrate().await.unwrap();
    let store = builder.connect().await.unwrap();
    let before = app(&fake, store.clone());
    connect(&fake, &before, "active").await;
    connect(&fake, &before, "idle").await;
    let log = store.event_log();
    let (key, now) = (EventKey::new("1"), std::time::UNIX_EPOCH);
    let Claim::Granted(grant) = log.claim(&key, now, now).await.unwrap() else {
        panic!("a new event is granted")
    };
    log.acknowledge(&grant, now).await.unwrap();
    cluster.command("copy");
    fake.expire_access_tokens();
    before.client("active").get_clinic().send().await.unwrap();
    drop(before);
    let url = format!("postgres://postgres@127.0.0.1:{}/restored", cluster.port);
    let store = PostgresStore::connect(url).await.unwrap();
    assert!(store.event_log().is_processed(&key).await.unwrap());
    let after = app(&fake, store);
    fake.expire_access_tokens();
    after.client("idle").get_clinic().send().await.unwrap();
    let error = after
        .client("active")
        .get_clinic()
        .send()
        .await
        .unwrap_err();
    assert!(error.needs_reconnect(), "{error:?}");
    let disconnected = ConnectionFilter::new().needs_reconnect(true);
    let mut listed = after.connections(disconnected);
    let first = listed.next().await.unwrap().unwrap();
    assert_eq!(first.user.id(), "active");
    assert!(listed.next().await.is_none());
}
