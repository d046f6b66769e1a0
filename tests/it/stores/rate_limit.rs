//! The shared rate limit in the SQLite file: restarts, and several processes.
//!
//! The children are this test binary, run again with one test.

use std::process::{Command, Stdio};
use std::time::Duration;

use fullscript::auth::AccessToken;
use fullscript::sqlite::SqliteStore;
use fullscript::testing::FakeFullscript;
use fullscript::{CallOptions, Client, Environment, RateLimit};

use super::sqlite::Place;

const SERVER: &str = "FULLSCRIPT_TEST_LIMIT_SERVER";
const TOKEN: &str = "FULLSCRIPT_TEST_LIMIT_TOKEN";
const FILE: &str = "FULLSCRIPT_TEST_LIMIT_FILE";

/// The limit of the server: a burst of 8, and then one request every 60 ms.
fn limit() -> RateLimit {
    RateLimit::new(40, Duration::from_secs(1))
}

/// The number of calls of each process, three times as many as its part of the limit.
const CALLS: usize = 60;

/// The main function of a child process, not a test.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn child() {
    let Ok(server) = std::env::var(SERVER) else {
        return;
    };
    let store = SqliteStore::open(std::env::var(FILE).unwrap());
    let client = Client::builder(Environment::UsSandbox)
        .base_url(server)
        .access_token(AccessToken::new(std::env::var(TOKEN).unwrap()))
        .rate_limit(limit().shared(store.await.unwrap().rate_limit(), 2))
        .options(CallOptions::new().max_attempts(1))
        .build()
        .unwrap();
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.get_clinic().send().await.map(drop) })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_on_one_file_never_exceed_the_limit_together() {
    let fake = FakeFullscript::start().await.unwrap();
    fake.rate_limit(limit());
    let place = Place::new();
    drop(place.open().await.unwrap());
    let children = [0, 1].map(|_| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "stores::rate_limit::child", "--nocapture"])
            .env(SERVER, fake.url())
            .env(TOKEN, fake.access_token().expose())
            .env(FILE, &place.path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    });
    for child in children {
        let ended = tokio::task::spawn_blocking(move || child.wait_with_output());
        let output = ended.await.unwrap().unwrap();
        // A call that was refused with 429 is an error, because no call is retried.
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        assert!(text.contains("1 passed"), "{text}");
    }
    assert_eq!(fake.count("get_clinic"), 2 * CALLS);
}

#[tokio::test]
async fn a_file_of_the_version_before_is_migrated() {
    let place = Place::new();
    drop(place.open().await.unwrap());
    place
        .inside()
        .execute_batch("DROP TABLE rate_limits; PRAGMA user_version = 1")
        .unwrap();
    // Several processes may be deployed at once.
    let opens = (0..8).map(|_| tokio::spawn(SqliteStore::open(place.path.clone())));
    for opened in opens.collect::<Vec<_>>() {
        opened.await.unwrap().unwrap();
    }
    let store = place.open().await.unwrap();
    let fake = FakeFullscript::start().await.unwrap();
    let limit = RateLimit::default().shared(store.rate_limit(), 2);
    let client = fake.client_builder().rate_limit(limit).build().unwrap();
    client.get_clinic().send().await.unwrap();
    let rows: u32 = place
        .inside()
        .query_row("SELECT count(*) FROM rate_limits", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 1);
}

#[tokio::test]
async fn a_state_from_before_a_restart_of_the_machine_and_a_damaged_one_allow_no_burst() {
    let place = Place::new();
    let store = place.open().await.unwrap();
    let fake = FakeFullscript::start().await.unwrap();
    // One call in hours.
    let slow = RateLimit::new(5, Duration::from_secs(86_400)).shared(store.rate_limit(), 1);
    let call = async || {
        let client = fake.client_builder().rate_limit(slow.clone());
        let options = CallOptions::new().timeout(Duration::from_millis(500));
        let client = client.options(options).build().unwrap();
        client.get_clinic().send().await
    };
    call().await.unwrap();
    assert!(call().await.unwrap_err().is_rate_limited());
    for change in ["boot = 'earlier'", "state = x'00'"] {
        let sql = format!("UPDATE rate_limits SET {change}");
        assert_eq!(place.inside().execute(&sql, []).unwrap(), 1);
        call().await.unwrap();
        let error = call().await.unwrap_err();
        assert!(error.is_rate_limited(), "{error}");
    }
}
