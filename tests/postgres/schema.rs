//! The tables: what is missing is named, and each role needs only its own privileges.

use std::error::Error as _;
use std::time::{Duration, SystemTime};

use fullscript::auth::{ConnectionRecord, RecordData, Swap, TokenStore};
use fullscript::postgres::{Durability, PostgresError, PostgresStore};
use fullscript::webhook::{Claim, EventKey, EventLog};

use crate::cluster::{run_sql, shared};

fn record(key: &str, generation: u64) -> ConnectionRecord {
    ConnectionRecord::new(key, generation, RecordData::new(b"planted-data".to_vec()))
}

/// The error with its causes.
fn text(error: &PostgresError) -> String {
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    format!("{error}: {cause}")
}

#[tokio::test]
async fn missing_tables_are_named_and_created_once() {
    let Some(cluster) = shared() else { return };
    let schema = cluster.new_schema();
    let builder = PostgresStore::builder(cluster.pooled())
        .schema(&schema)
        .table_prefix("odd \"prefix'_");
    let error = builder.connect().await.unwrap_err();
    assert!(error.is_schema_outdated() && !error.is_transient());
    let text = text(&error);
    assert!(
        text.contains(&schema) && text.contains("connections"),
        "{text}"
    );
    let migrations = (0..8).map(|_| {
        let builder = builder.clone();
        tokio::spawn(async move { builder.migrate().await })
    });
    for migrated in migrations.collect::<Vec<_>>() {
        migrated.await.unwrap().unwrap();
    }
    let store = builder.connect().await.unwrap();
    let swap = store.compare_and_swap(None, record("a", 1)).await;
    assert!(matches!(swap.unwrap(), Swap::Done));
    // The text for a DBA changes nothing that exists.
    cluster.run_sql(&builder.migrations()).await;
    assert!(store.load("a").await.unwrap() == Some(record("a", 1)));
    let other = PostgresStore::builder(cluster.pooled()).schema(&schema);
    other.migrate().await.unwrap();
    let other = other.connect().await.unwrap();
    assert!(other.load("a").await.unwrap().is_none());
}

#[tokio::test]
async fn an_older_version_works_on_newer_tables_until_they_need_a_newer_one() {
    let Some(cluster) = shared() else { return };
    let schema = cluster.new_schema();
    let builder = PostgresStore::builder(cluster.direct()).schema(&schema);
    builder.migrate().await.unwrap();
    cluster
        .run_sql(&format!("UPDATE \"{schema}\".version SET version = 7"))
        .await;
    builder.connect().await.unwrap();
    builder.migrate().await.unwrap();
    cluster
        .run_sql(&format!("UPDATE \"{schema}\".version SET needs = 7"))
        .await;
    for error in [
        builder.connect().await.unwrap_err(),
        builder.migrate().await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("newer version"), "{error}");
    }
    cluster
        .run_sql(&format!(
            "UPDATE \"{schema}\".version SET version = 0, needs = 0"
        ))
        .await;
    let error = builder.connect().await.unwrap_err();
    assert!(error.to_string().contains("version 0 of 2"), "{error}");
    builder.migrate().await.unwrap();
    builder.connect().await.unwrap();
}

#[tokio::test]
async fn the_documented_privileges_suffice_and_missing_ones_are_named() {
    let Some(cluster) = shared() else { return };
    let role = format!("app_{}", cluster.port);
    let schema = cluster.new_schema();
    let admin = PostgresStore::builder(cluster.direct()).schema(&schema);
    admin.migrate().await.unwrap();
    cluster.run_sql(&format!("CREATE ROLE {role} LOGIN")).await;
    let url = cluster.direct().replace("postgres@", &format!("{role}@"));
    let builder = PostgresStore::builder(&url).schema(&schema);
    let error = builder.connect().await.unwrap_err();
    assert!(text(&error).contains("permission denied"), "{error:?}");
    assert_eq!(error.sqlstate(), Some("42501"));
    let grants = include_str!("../../docs/postgres.sql");
    let grants = grants
        .replace(":app", &role)
        .replace(":schema", &format!("\"{schema}\""));
    cluster.run_sql(&grants).await;
    let store = builder.connect().await.unwrap();
    let swap = store.compare_and_swap(None, record("a", 1)).await;
    assert!(matches!(swap.unwrap(), Swap::Done));
    let log = store.event_log();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    let claim = log.claim(&EventKey::new("1"), now, now).await.unwrap();
    assert!(matches!(claim, Claim::Granted(_)));
    // The role of the processes can neither change the tables nor remove all rows at once.
    for refused in ["DROP TABLE", "TRUNCATE", "ALTER TABLE"] {
        let rest = if refused == "ALTER TABLE" {
            " ADD x int"
        } else {
            ""
        };
        let sql = format!("{refused} \"{schema}\".connections{rest}");
        assert!(run_sql(&url, &sql).await.is_err(), "{refused}");
    }
    cluster
        .run_sql(&format!("REVOKE DELETE ON \"{schema}\".leases FROM {role}"))
        .await;
    let error = builder.connect().await.unwrap_err();
    assert!(text(&error).contains("DELETE on"), "{error:?}");
    assert!(text(&error).contains("leases"), "{error:?}");
}

#[tokio::test]
async fn the_durability_is_that_of_the_settings_of_the_server() {
    let Some(cluster) = shared() else { return };
    let builder = cluster.builder(cluster.direct()).await;
    let durability = async || builder.connect().await.unwrap().durability();
    assert_eq!(durability().await, Durability::Local);
    let role = format!("careless_{}", cluster.port);
    let sql = format!(
        "CREATE ROLE {role} LOGIN SUPERUSER;; ALTER ROLE {role} SET synchronous_commit = off"
    );
    cluster.run_sql(&sql).await;
    let url = cluster.direct().replace("postgres@", &format!("{role}@"));
    let schema = cluster.new_schema();
    let careless = PostgresStore::builder(url).schema(schema);
    careless.migrate().await.unwrap();
    let store = careless.connect().await.unwrap();
    assert_eq!(store.durability(), Durability::Volatile);
}

#[tokio::test]
async fn a_text_that_the_database_cannot_store_is_an_error_without_the_text() {
    let Some(cluster) = shared() else { return };
    let store = cluster
        .builder(cluster.pooled())
        .await
        .connect()
        .await
        .unwrap();
    let error = store.load("planted\0key").await.unwrap_err();
    let cause = format!("{error:?} {}", error.source().unwrap());
    assert!(cause.contains("NUL"), "{cause}");
    assert!(!cause.contains("planted"), "{cause}");
    // The connection is still usable.
    assert!(store.load("a").await.unwrap().is_none());
}

#[tokio::test]
async fn a_value_that_a_rule_of_the_database_refuses_is_not_shown() {
    let Some(cluster) = shared() else { return };
    let schema = cluster.new_schema();
    let builder = PostgresStore::builder(cluster.direct()).schema(&schema);
    builder.migrate().await.unwrap();
    let rule = format!("ALTER TABLE \"{schema}\".connections ADD CHECK (generation < 5)");
    cluster.run_sql(&rule).await;
    let store = builder.connect().await.unwrap();
    let swap = store.compare_and_swap(None, record("planted-key", 5)).await;
    let error = swap.unwrap_err();
    let cause = error.source().unwrap();
    let text = format!("{error:?} {cause} {:?}", cause.source());
    assert!(text.contains("23514"), "{text}");
    assert!(!text.contains("planted"), "{text}");
}

#[tokio::test]
async fn old_events_are_forgotten_and_deleted_by_the_clock_of_the_database() {
    let Some(cluster) = shared() else { return };
    let schema = cluster.new_schema();
    let builder = PostgresStore::builder(cluster.direct()).schema(&schema);
    builder.migrate().await.unwrap();
    let store = builder.connect().await.unwrap();
    let log = || store.event_log().age(Duration::from_secs(60));
    let first = log();
    // The clock of the caller counts for nothing.
    let now = SystemTime::UNIX_EPOCH;
    let claim = async |id: &str| {
        let key = EventKey::new(id);
        let claim = first.claim(&key, now, now + Duration::from_secs(10)).await;
        let Claim::Granted(grant) = claim.unwrap() else {
            panic!("{id} is not granted")
        };
        first.acknowledge(&grant, now).await.unwrap();
        grant.attempt
    };
    let grow_older = async |seconds: u32| {
        let sql = format!(
            "UPDATE \"{schema}\".webhook_events SET at = at - {seconds} * 1000000000::bigint"
        );
        cluster.run_sql(&sql).await;
    };
    assert_eq!(claim("1").await, 1);
    grow_older(50).await;
    let again = first.claim(&EventKey::new("1"), now, now).await.unwrap();
    assert_eq!(again, Claim::Processed);
    grow_older(11).await;
    assert_eq!(claim("1").await, 1);
    grow_older(61).await;
    // A log of its own sweeps at its first claim.
    let sweeper = log();
    sweeper.claim(&EventKey::new("2"), now, now).await.unwrap();
    let deleted = async {
        while sweeper.is_processed(&EventKey::new("1")).await.unwrap() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), deleted)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_claim_lasts_as_long_by_the_clock_of_the_database_whatever_the_callers_clocks_show() {
    let Some(cluster) = shared() else { return };
    let builder = cluster.builder(cluster.pooled()).await;
    let log = builder.connect().await.unwrap().event_log();
    let day = Duration::from_secs(86_400);
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    for (number, skew) in ["a day behind", "a day ahead"]
        .iter()
        .zip([now - day, now + day])
    {
        let key = EventKey::new(*number);
        let minute = Duration::from_secs(60);
        let claim = log.claim(&key, skew, skew + minute).await.unwrap();
        assert!(matches!(claim, Claim::Granted(_)), "{claim:?}");
        let other = log.claim(&key, now, now + minute).await.unwrap();
        let remaining = match other {
            Claim::HeldUntil(until) => until.duration_since(now).unwrap(),
            other => panic!("{other:?}"),
        };
        assert!(
            remaining <= minute && remaining > minute / 2,
            "{remaining:?}"
        );
    }
}
