//! Rotation of the client secret and of the encryption key, by rolling restarts of four processes
//! that make calls all the time.
//!
//! The children are this test binary, run again with one test and a configuration.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fullscript::Environment;
use fullscript::auth::{ConnectionFilter, ConnectionStatus, OAuthApp};
use fullscript::encryption::{EncryptedStore, EncryptionKey, KeyRing};
use fullscript::sqlite::SqliteStore;
use fullscript::testing::FakeFullscript;

use crate::stores::sqlite::Place;
use crate::support::connect;

const CONFIGURATION: &str = "FULLSCRIPT_TEST_ROLLING";

/// The number of connected users, each of whom makes calls in each process.
const USERS: usize = 6;

/// The number of calls of a process after which the next process is restarted.
const SERVED: usize = 30;

/// The prefix of a child's output lines.
const SAYS: &str = "child says: ";

/// What a process is deployed with: server, file, client secrets and encryption keys; the first of
/// each is in use, and the second, if any, is the alternate.
#[derive(Clone)]
struct Configuration {
    server: String,
    file: String,
    secrets: Vec<String>,
    keys: Vec<String>,
}

impl Configuration {
    fn to_text(&self) -> String {
        let (secrets, keys) = (self.secrets.join(","), self.keys.join(","));
        [&self.server, &self.file, &secrets, &keys]
            .map(String::as_str)
            .join("|")
    }

    fn from_text(text: &str) -> Self {
        let mut parts = text.split('|');
        let mut next = || parts.next().unwrap().to_string();
        let list = |text: String| text.split(',').map(String::from).collect();
        Self {
            server: next(),
            file: next(),
            secrets: list(next()),
            keys: list(next()),
        }
    }

    async fn store(&self) -> EncryptedStore<SqliteStore> {
        let mut keys = self
            .keys
            .iter()
            .map(|key| EncryptionKey::from_text(key).unwrap());
        let ring = KeyRing::new(keys.next().unwrap());
        let ring = keys.fold(ring, KeyRing::reads);
        EncryptedStore::new(SqliteStore::open(&self.file).await.unwrap(), ring)
    }

    async fn app(&self) -> OAuthApp {
        let mut builder = OAuthApp::builder(Environment::UsSandbox)
            .base_url(&self.server)
            .client_id("fake-client-id")
            .client_secret(&self.secrets[0])
            .redirect_uri("https://ehr.example/fullscript/callback")
            .store(self.store().await);
        if let Some(alternate) = self.secrets.get(1) {
            builder = builder.alternate_client_secret(alternate);
        }
        builder.build().unwrap()
    }
}

fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{SAYS}{text}").unwrap();
    stdout.flush().unwrap();
}

/// The main function of a child process, not a test. It makes calls until its input ends, then
/// shuts down.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn child() {
    let Ok(text) = std::env::var(CONFIGURATION) else {
        return;
    };
    let app = Configuration::from_text(&text).app().await;
    let is_stopped = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&is_stopped);
    std::thread::spawn(move || {
        let _ended = std::io::stdin().read_to_end(&mut Vec::new());
        stopped.store(true, Ordering::SeqCst);
    });
    let mut calls = 0;
    while !is_stopped.load(Ordering::SeqCst) {
        let client = app.client(format!("user-{}", calls % USERS));
        if let Err(error) = client.get_clinic().send().await {
            say(&format!("failed: {error} {:?}", error.auth_error()));
        }
        calls += 1;
        if calls == SERVED {
            say("served");
        }
    }
    match app.shutdown(Duration::from_secs(10)).await {
        Ok(()) => say("ended"),
        Err(unfinished) => say(&format!("failed: {unfinished}")),
    }
}

struct Child {
    process: std::process::Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Child {
    fn start(configuration: &Configuration) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "auth::rolling::child", "--nocapture"])
            .env(CONFIGURATION, configuration.to_text())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut child = Self {
            input: process.stdin.take(),
            output: BufReader::new(process.stdout.take().unwrap()).lines(),
            process,
        };
        child.hear("served");
        child
    }

    /// Waits until the child says this, and fails if a call of the child failed.
    fn hear(&mut self, expected: &str) {
        loop {
            let line = self.output.next().expect("the child lives").unwrap();
            if let Some((_, said)) = line.split_once(SAYS) {
                assert!(!said.starts_with("failed"), "{said}");
                if said == expected {
                    return;
                }
            }
        }
    }

    fn stop(mut self) {
        drop(self.input.take());
        self.hear("ended");
        self.process.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secret_and_key_are_rotated_by_rolling_restarts_under_load() {
    let fake = FakeFullscript::start().await.unwrap();
    let place = Place::new();
    let [old, new] = [(); 2].map(|()| EncryptionKey::generate().unwrap().expose());
    let deployed = |secrets: &[&str], keys: &[&String]| Configuration {
        server: fake.url(),
        file: place.path.to_str().unwrap().into(),
        secrets: secrets.iter().map(ToString::to_string).collect(),
        keys: keys.iter().map(ToString::to_string).collect(),
    };
    let configurations = [
        deployed(&["old"], &[&old]),
        deployed(&["old", "new"], &[&old, &new]),
        deployed(&["new", "old"], &[&new, &old]),
        deployed(&["new"], &[&new]),
    ];
    fake.accept_client_secrets(["old"]);
    let app = configurations[0].app().await;
    for user in 0..USERS {
        connect(&fake, &app, &format!("user-{user}")).await;
    }
    let start = |configuration: &Configuration| {
        let child = Child::start(configuration);
        // The next calls of all processes refresh the tokens.
        fake.expire_access_tokens();
        child
    };
    let mut children: Vec<_> = (0..4).map(|_| start(&configurations[0])).collect();
    for (step, configuration) in configurations.iter().enumerate().skip(1) {
        for child in std::mem::take(&mut children) {
            children.push(start(configuration));
            child.stop();
        }
        if step == 1 {
            fake.accept_client_secrets(["new"]);
        }
        if step == 2 {
            let swept = configuration.store().await.reencrypt().await.unwrap();
            assert_eq!(swept.unreadable, 0);
        }
    }
    children.into_iter().for_each(Child::stop);
    let app = configurations[3].app().await;
    let mut connections = app.connections(ConnectionFilter::new());
    let mut connected = 0;
    while let Some(connection) = connections.next().await {
        assert_eq!(connection.unwrap().status, ConnectionStatus::Connected);
        connected += 1;
    }
    assert_eq!(connected, USERS);
    assert!(fake.count("create_oauth_token") > USERS * 12);
}
