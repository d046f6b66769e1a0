//! Several processes on one token file, and processes that crash.
//!
//! The children are this test binary, run again with one test and a role.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fullscript::Environment;
use fullscript::auth::{OAuthApp, StoreFuture, TokenStore};
use fullscript::sqlite::SqliteStore;
use fullscript::testing::{FakeFullscript, ManualClock, RefreshMode};

use crate::stores::sqlite::Place;
use crate::support::{Hook, Hooked, MODES, Step, TWO_HOURS, at, connect};

const ROLE: &str = "FULLSCRIPT_TEST_ROLE";
const SERVER: &str = "FULLSCRIPT_TEST_SERVER";
const FILE: &str = "FULLSCRIPT_TEST_FILE";

/// The prefix of a child's output lines, which separates them from those of the test harness.
const SAYS: &str = "child says: ";

/// A call that takes longer counts as hanging.
const HANGS: Duration = Duration::from_secs(30);

/// The role of a child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    /// Makes calls.
    Works,
    /// Hangs when it has a new token set and has not saved it.
    StopsBeforeSaving,
    /// Hangs when it has saved a new token set and has not used it.
    StopsAfterSaving,
}

const ROLES: [Role; 3] = [Role::Works, Role::StopsBeforeSaving, Role::StopsAfterSaving];

/// The main function of a child process, not a test. Each input line is a time on the child's
/// clock, in seconds since 2026; the child then makes a call.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn child() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let role = ROLES.into_iter().find(|known| role == format!("{known:?}"));
    let store = Hooked {
        inner: SqliteStore::open(std::env::var(FILE).unwrap())
            .await
            .unwrap(),
        hook: Arc::new(role.unwrap()),
    };
    let clock = ManualClock::default();
    let app = app(&std::env::var(SERVER).unwrap(), store, clock.clone());
    let client = app.client("practitioner");
    say("ready");
    for line in std::io::stdin().lines() {
        let seconds = line.unwrap().parse().unwrap();
        clock.set(at(seconds));
        let call = client.get_clinic().send();
        match tokio::time::timeout(HANGS, call).await {
            Ok(Ok(_)) => say("done"),
            Ok(Err(error)) => say(&format!("failed: {error}")),
            Err(_) => say("hangs"),
        }
    }
}

fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{SAYS}{text}").unwrap();
    stdout.flush().unwrap();
}

fn app(server: &str, store: impl TokenStore, clock: ManualClock) -> OAuthApp {
    OAuthApp::builder(Environment::UsSandbox)
        .base_url(server)
        .client_id("fake-client-id")
        .client_secret("fake-client-secret")
        .redirect_uri("https://ehr.example/fullscript/callback")
        .store(store)
        .clock(clock)
        .build()
        .unwrap()
}

/// A store that hangs before or after a swap.
impl Hook for Role {
    fn at<'a>(&'a self, _: &'a str, step: Step) -> StoreFuture<'a, ()> {
        let stops = match self {
            Role::Works => None,
            Role::StopsBeforeSaving => Some(Step::Swap),
            Role::StopsAfterSaving => Some(Step::Swapped),
        };
        Box::pin(async move {
            if stops == Some(step) {
                say("stopped");
                std::future::pending().await
            }
            Ok(())
        })
    }
}

/// A child process; killed when dropped, like `kill -9`.
struct Child {
    process: std::process::Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Child {
    fn start(role: Role, server: &str, file: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "auth::processes::child", "--nocapture"])
            .env(ROLE, format!("{role:?}"))
            .env(SERVER, server)
            .env(FILE, file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut child = Self {
            input: process.stdin.take().unwrap(),
            output: BufReader::new(process.stdout.take().unwrap()).lines(),
            process,
        };
        assert_eq!(child.hear(), "ready");
        child
    }

    /// Makes a call at a second of the child's clock.
    fn call(&mut self, seconds: u64) {
        writeln!(self.input, "{seconds}").unwrap();
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

/// A server, and a token file to which `practitioner` has just connected.
struct Connected {
    fake: FakeFullscript,
    place: Place,
}

impl Connected {
    async fn new(mode: RefreshMode) -> Self {
        let fake = FakeFullscript::start().await.unwrap();
        fake.refresh_mode(mode);
        let place = Place::new();
        let store = place.open().await.unwrap();
        let app = app(&fake.url(), store, ManualClock::default());
        connect(&fake, &app, "practitioner").await;
        Self { fake, place }
    }

    fn start(&self, role: Role) -> Child {
        Child::start(role, &self.fake.url(), &self.place.path)
    }

    /// The number of token refreshes. The first token request is the connection itself.
    fn refreshes(&self) -> usize {
        self.fake.count("create_oauth_token") - 1
    }
}

/// Kills a process at its swap and lets a new one continue. Returns the number of refreshes until
/// then.
async fn killed(role: Role) -> usize {
    let connected = Connected::new(RefreshMode::RevokeOnFirstUse).await;
    connected.fake.expire_access_tokens();
    let mut dies = connected.start(role);
    dies.call(0);
    assert_eq!(dies.hear(), "stopped");
    assert_eq!(connected.refreshes(), 1);
    drop(dies);
    // The lease of the killed process expires within 2 s.
    let mut lives = connected.start(Role::Works);
    let started = std::time::Instant::now();
    lives.call(15);
    assert_eq!(lives.hear(), "done");
    let waited = started.elapsed();
    assert!(waited < Duration::from_secs(4), "{waited:?}");
    let refreshes = connected.refreshes();
    // The current token set can be refreshed again.
    connected.fake.expire_access_tokens();
    lives.call(15);
    assert_eq!(lives.hear(), "done");
    assert_eq!(connected.refreshes(), refreshes + 1);
    refreshes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_between_response_and_save_disconnects_no_user() {
    assert_eq!(killed(Role::StopsBeforeSaving).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_between_save_and_first_use_disconnects_no_user() {
    assert_eq!(killed(Role::StopsAfterSaving).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_killed_at_any_moment_disconnect_no_user() {
    let connected = Connected::new(RefreshMode::RevokeOnFirstUse).await;
    for moment in 0..40 {
        connected.fake.expire_access_tokens();
        let mut dies = connected.start(Role::Works);
        dies.call(15 * moment);
        // The interval covers the whole call, because the other process does not report exact
        // times.
        std::thread::sleep(Duration::from_micros(500 * moment));
        drop(dies);
    }
    let mut lives = connected.start(Role::Works);
    lives.call(15 * 40);
    assert_eq!(lives.hear(), "done");
}

/// Lets processes call concurrently, 200 times, with tokens that have expired since the last call.
async fn rounds(processes: usize, mode: RefreshMode) {
    let connected = Connected::new(mode).await;
    let started = (0..processes).map(|_| connected.start(Role::Works));
    let mut children: Vec<_> = started.collect();
    let mut now = 0;
    for round in 1..=200 {
        connected.fake.expire_access_tokens();
        // In half of the cases the clock shows the expiry; otherwise a 401 does.
        if round % 2 == 0 {
            now += TWO_HOURS.as_secs();
        }
        for child in &mut children {
            child.call(now);
        }
        for (number, child) in children.iter_mut().enumerate() {
            let said = child.hear();
            assert_eq!(said, "done", "{mode:?}, round {round}, process {number}");
        }
        assert_eq!(connected.refreshes(), round, "{mode:?}");
    }
}

async fn rounds_in_every_mode(processes: usize) {
    let mut running = tokio::task::JoinSet::new();
    for mode in MODES {
        let runtime = tokio::runtime::Handle::current();
        // Waiting for the children blocks the thread.
        running.spawn_blocking(move || runtime.block_on(rounds(processes, mode)));
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_refresh_once_and_disconnect_no_user() {
    rounds_in_every_mode(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_processes_refresh_once_and_disconnect_no_user() {
    rounds_in_every_mode(8).await;
}
