//! PostgreSQL clusters that end with the test process.

use std::io::{BufRead, BufReader, Lines, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex};

use fullscript::postgres::{PostgresBuilder, PostgresStore};
use tempfile::TempDir;
use tokio_postgres::{NoTls, SimpleQueryMessage, SimpleQueryRow};

/// The cluster that all tests share which harm no other. `None` if PostgreSQL is not installed.
static SHARED: LazyLock<Option<Cluster>> = LazyLock::new(Cluster::start);

/// Returns the shared cluster, or `None` if the test is to be skipped.
pub(crate) fn shared() -> Option<&'static Cluster> {
    SHARED.as_ref()
}

/// A server, and PgBouncer in transaction mode in front of it.
pub(crate) struct Cluster {
    /// The script that stops both servers when its standard input ends.
    commands: Mutex<(Child, Lines<BufReader<ChildStdout>>)>,
    pub(crate) port: u16,
    pub(crate) bouncer: u16,
    pub(crate) directory: PathBuf,
    schemas: AtomicU32,
}

impl Cluster {
    /// Starts a cluster. Without PostgreSQL and PgBouncer it returns `None` and says so, unless the
    /// variable `CI` is set.
    pub(crate) fn start() -> Option<Self> {
        let missing = missing_programs();
        if !missing.is_empty() {
            let text = format!(
                "not installed: {missing:?}; `.ci/setup` installs PostgreSQL and PgBouncer"
            );
            assert!(std::env::var_os("CI").is_none(), "{text}");
            println!("skipped: {text}");
            return None;
        }
        Some(Self::run(None))
    }

    /// Starts a standby of this cluster, by streaming replication.
    pub(crate) fn standby(&self) -> Self {
        Self::run(Some(self.port))
    }

    fn run(primary: Option<u16>) -> Self {
        // The script deletes it.
        let directory = TempDir::new().unwrap().keep();
        let (port, bouncer) = (free_port(), free_port());
        let mut script = Command::new("sh");
        script.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/postgres/cluster.sh"));
        script
            .arg(&directory)
            .args([port, bouncer].map(|port| port.to_string()));
        script.args(primary.map(|port| port.to_string()));
        // Ctrl-C ends the tests and not the script, which must stop the servers.
        std::os::unix::process::CommandExt::process_group(&mut script, 0);
        let mut script = script
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(script.stdout.take().unwrap()).lines();
        let line = lines
            .next()
            .expect("the script starts the servers")
            .unwrap();
        assert_eq!(line, "ready");
        Self {
            commands: Mutex::new((script, lines)),
            port,
            bouncer,
            directory,
            schemas: AtomicU32::new(0),
        }
    }

    /// Runs a command of the script, and waits for its end.
    pub(crate) fn command(&self, command: &str) {
        let mut commands = self.commands.lock().unwrap();
        let (script, output) = &mut *commands;
        let input = script.stdin.as_mut().unwrap();
        writeln!(input, "{command}").unwrap();
        let line = output.next().expect("the script runs").unwrap();
        assert_eq!(line, "done", "{command}");
    }

    /// Returns the URL without PgBouncer.
    pub(crate) fn direct(&self) -> String {
        url(self.port)
    }

    /// Returns the URL of PgBouncer.
    pub(crate) fn pooled(&self) -> String {
        url(self.bouncer)
    }

    /// Returns the name of a schema that does not exist yet.
    pub(crate) fn new_schema(&self) -> String {
        format!("test {}", self.schemas.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns the settings of stores in a new schema, with its tables, by this URL.
    pub(crate) async fn builder(&self, url: String) -> PostgresBuilder {
        let builder = PostgresStore::builder(url).schema(self.new_schema());
        builder.migrate().await.unwrap();
        builder
    }

    /// Creates a database whose statements no other test runs, and returns its URL by PgBouncer.
    pub(crate) async fn new_database(&self, name: &str) -> String {
        self.run_sql(&format!("CREATE DATABASE {name}")).await;
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.bouncer)
    }

    /// Returns how many transactions PgBouncer has passed to a database. Each statement of a store
    /// is one, and one round trip.
    pub(crate) async fn transactions(&self, database: &str) -> u64 {
        let url = format!("postgres://postgres@127.0.0.1:{}/pgbouncer", self.bouncer);
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        let rows = client.simple_query("SHOW STATS_TOTALS").await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
        let is_it = |row: &&SimpleQueryRow| row.get("database") == Some(database);
        let rows: Vec<&SimpleQueryRow> = rows.iter().filter_map(row).collect();
        let own = rows.into_iter().find(is_it).expect("the database is known");
        own.get("xact_count").unwrap().parse().unwrap()
    }

    /// Runs a statement as the superuser.
    pub(crate) async fn run_sql(&self, sql: &str) {
        run_sql(&self.direct(), sql).await.unwrap();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Closes the input, and waits until the servers have stopped.
        let _ended = self.commands.get_mut().unwrap().0.wait();
    }
}

fn row(message: &SimpleQueryMessage) -> Option<&SimpleQueryRow> {
    match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    }
}

pub(crate) fn url(port: u16) -> String {
    format!("postgres://postgres@127.0.0.1:{port}/postgres")
}

pub(crate) async fn run_sql(url: &str, sql: &str) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let connection = tokio::spawn(connection);
    // `ALTER SYSTEM` refuses to run beside another statement.
    for statement in sql.split(";;") {
        client.batch_execute(statement).await?;
    }
    drop(client);
    connection.await.unwrap()
}

/// Returns a port of this machine that is free now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn missing_programs() -> Vec<&'static str> {
    let versions = std::fs::read_dir("/usr/lib/postgresql");
    let versions = versions
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<_> = std::env::split_paths(&path).chain(versions).collect();
    directories.push("/usr/sbin".into());
    let is_missing = |program: &&str| {
        let exists = |directory: &Path| directory.join(program).exists();
        !directories.iter().any(|directory| exists(directory))
    };
    ["initdb", "pg_ctl", "pg_basebackup", "pgbouncer"]
        .into_iter()
        .filter(is_missing)
        .collect()
}
