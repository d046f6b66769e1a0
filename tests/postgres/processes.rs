//! Processes that refresh tokens of one user at the same time, through PgBouncer.
//!
//! The children are this test binary, run again with one test and a role.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use fullscript::auth::{
    ConnectionFilter, ConnectionRecord, Lease, OAuthApp, StoreFuture, Swap, TokenStore,
};
use fullscript::postgres::{Durability, PostgresStore};
use fullscript::testing::{FakeFullscript, ManualClock, RefreshMode};
use fullscript::{Environment, RateLimit};

use crate::cluster::{Cluster, shared};

const SERVER: &str = "FULLSCRIPT_TEST_SERVER";
const DATABASE: &str = "FULLSCRIPT_TEST_DATABASE";
const SCHEMA: &str = "FULLSCRIPT_TEST_SCHEMA";
/// Set for a process that is suspended before it saves its first tokens.
const SUSPENDED: &str = "FULLSCRIPT_TEST_SUSPENDED";

/// The prefix of a child's output lines, which separates them from those of the test harness.
const SAYS: &str = "child says: ";

/// A call that takes longer counts as hanging.
const HANGS: Duration = Duration::from_secs(30);

/// The main function of a child process, not a test. It makes a call for each input line.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn child() {
    let Ok(server) = std::env::var(SERVER) else {
        return;
    };
    let [database, schema] = [DATABASE, SCHEMA].map(|name| std::env::var(name).unwrap());
    let store = PostgresStore::builder(database).schema(schema);
    let store = store.connect().await.unwrap();
    let app = if std::env::var_os(SUSPENDED).is_some() {
        app(&server, Suspended(store))
    } else {
        app(&server, store)
    };
    let client = app.client("practitioner");
    say("ready");
    for line in std::io::stdin().lines() {
        line.unwrap();
        match tokio::time::timeout(HANGS, client.get_clinic().send()).await {
            Ok(Ok(_)) => say("done"),
            Ok(Err(error)) => say(&format!("failed: {error} {error:?}")),
            Err(_) => say("hangs"),
        }
    }
}

fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{SAYS}{text}").unwrap();
    stdout.flush().unwrap();
}

fn app(server: &str, store: impl TokenStore) -> OAuthApp {
    OAuthApp::builder(Environment::UsSandbox)
        .base_url(server)
        .client_id("fake-client-id")
        .client_secret("fake-client-secret")
        .redirect_uri("https://ehr.example/fullscript/callback")
        .rate_limit(RateLimit::off())
        .store(store)
        .clock(ManualClock::default())
        .build()
        .unwrap()
}

/// A store whose process is suspended before its first swap.
struct Suspended(PostgresStore);

impl TokenStore for Suspended {
    fn load<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Option<ConnectionRecord>> {
        self.0.load(key)
    }

    fn compare_and_swap(
        &self,
        expected: Option<u64>,
        new: ConnectionRecord,
    ) -> StoreFuture<'_, Swap> {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            say("stops");
            let own = std::process::id().to_string();
            Command::new("kill").args(["-STOP", &own]).status().unwrap();
            // The signal may stop this thread a moment after `kill` has ended.
            std::thread::sleep(Duration::from_secs(1));
        });
        self.0.compare_and_swap(expected, new)
    }

    fn delete<'a>(&'a self, key: &'a str, expected: Option<u64>) -> StoreFuture<'a, Swap> {
        self.0.delete(key, expected)
    }

    fn list<'a>(
        &'a self,
        filter: &'a ConnectionFilter,
        after: Option<&'a str>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<ConnectionRecord>> {
        self.0.list(filter, after, limit)
    }

    fn lease<'a>(&'a self, key: &'a str, owner: &'a str, ttl: Duration) -> StoreFuture<'a, Lease> {
        self.0.lease(key, owner, ttl)
    }

    fn release<'a>(&'a self, key: &'a str, owner: &'a str) -> StoreFuture<'a, ()> {
        self.0.release(key, owner)
    }
}

/// A child process; killed when dropped, like `kill -9`.
struct Child {
    process: std::process::Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Makes a call.
    fn call(&mut self) {
        writeln!(self.input, "call").unwrap();
    }

    /// Returns the next output line.
    fn hear(&mut self) -> String {
        loop {
            let line = self.output.next().expect("the child lives").unwrap();
            if let Some((_, said)) = line.split_once(SAYS) {
                return said.into();
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Fails only if the child has already exited.
        let _ended = self.process.kill();
        let _ended = self.process.wait();
    }
}

/// A vendor, and a schema in which `practitioner` is connected.
struct Connected {
    fake: FakeFullscript,
    database: String,
    schema: String,
    store: PostgresStore,
}

impl Connected {
    async fn new(cluster: &Cluster, database: String, mode: RefreshMode) -> Self {
        let fake = FakeFullscript::start().await.unwrap();
        fake.refresh_mode(mode);
        let schema = cluster.new_schema();
        let builder = PostgresStore::builder(cluster.direct()).schema(&schema);
        builder.migrate().await.unwrap();
        let builder = PostgresStore::builder(&database).schema(&schema);
        let store = builder.connect().await.unwrap();
        let app = app(&fake.url(), store.clone());
        let request = app.authorize();
        let callback = fake.approve(request.url(), "practitioner");
        let code = app.callback(&callback, request.state()).unwrap();
        app.exchange(code).await.unwrap();
        Self {
            fake,
            database,
            schema,
            store,
        }
    }

    fn start(&self, is_suspended: bool) -> Child {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "processes::child", "--nocapture"])
            .env(SERVER, self.fake.url())
            .env(DATABASE, &self.database)
            .env(SCHEMA, &self.schema);
        if is_suspended {
            command.env(SUSPENDED, "1");
        }
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut child = Child {
            input: process.stdin.take().unwrap(),
            output: BufReader::new(process.stdout.take().unwrap()).lines(),
            process,
        };
        assert_eq!(child.hear(), "ready");
        child
    }

    /// Returns the number of token refreshes. The first token request is the connection itself.
    fn refreshes(&self) -> usize {
        self.fake.count("create_oauth_token") - 1
    }
}

/// Lets all processes call at once with tokens that have expired, which one of them refreshes.
fn round(connected: &Connected, children: &mut [Child], number: usize) {
    connected.fake.expire_access_tokens();
    for child in &mut *children {
        child.call();
    }
    for child in children {
        assert_eq!(child.hear(), "done", "round {number}");
    }
    assert_eq!(connected.refreshes(), number);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn two_processes_that_refresh_one_user_through_pgbouncer_send_one_token_request() {
    let Some(cluster) = shared() else { return };
    for mode in [RefreshMode::RevokeOnFirstUse, RefreshMode::RevokeAtOnce] {
        let connected = Connected::new(cluster, cluster.pooled(), mode).await;
        let mut children = [connected.start(false), connected.start(false)];
        for number in 1..=50 {
            round(&connected, &mut children, number);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_process_that_is_suspended_past_its_lease_overwrites_nothing() {
    let Some(cluster) = shared() else { return };
    let mode = RefreshMode::RevokeOnFirstUse;
    let connected = Connected::new(cluster, cluster.pooled(), mode).await;
    let mut suspended = connected.start(true);
    let mut other = connected.start(false);
    connected.fake.expire_access_tokens();
    suspended.call();
    assert_eq!(suspended.hear(), "stops");
    // Waits until the lease has expired.
    other.call();
    assert_eq!(other.hear(), "done");
    assert_eq!(connected.refreshes(), 2);
    let pid = suspended.process.id().to_string();
    Command::new("kill").args(["-CONT", &pid]).status().unwrap();
    assert_eq!(suspended.hear(), "done");
    // The tokens of the other process are those that both use, and that can be refreshed.
    assert_eq!(connected.refreshes(), 2);
    round(&connected, &mut [suspended, other], 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_failover_to_a_synchronous_standby_loses_no_connection() {
    let Some(primary) = Cluster::start() else {
        return;
    };
    let standby = primary.standby();
    primary
        .run_sql("ALTER SYSTEM SET synchronous_standby_names = '*';; SELECT pg_reload_conf()")
        .await;
    let both = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres",
        primary.port, standby.port
    );
    let connected = Connected::new(&primary, both, RefreshMode::RevokeAtOnce).await;
    assert_eq!(connected.store.durability(), Durability::Replicated);
    let mut children = [connected.start(false), connected.start(false)];
    for number in 1..=5 {
        round(&connected, &mut children, number);
    }
    primary.command("kill");
    // The processes call while there is no primary.
    connected.fake.expire_access_tokens();
    for child in &mut children {
        child.call();
    }
    standby.command("promote");
    for child in &mut children {
        assert_eq!(child.hear(), "done");
    }
    assert_eq!(connected.refreshes(), 6);
    for number in 7..=12 {
        round(&connected, &mut children, number);
    }
}
