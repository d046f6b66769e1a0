//! Several processes on one token file, and processes that die.
//!
//! The children are this binary, run again with one test and a role.
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

/// What the lines of a child begin with, to tell them from those of the
/// harness.
const SAYS: &str = "child says: ";

/// A call that takes longer hangs.
const HANGS: Duration = Duration::from_secs(30);

/// What a child does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    /// Makes calls.
    Works,
    /// Stops for ever when it has a new pair and has not saved it.
    StopsBeforeSaving,
    /// Stops for ever when it has saved a new pair and has not used it.
    StopsAfterSaving,
}

const ROLES: [Role; 3] = [Role::Works, Role::StopsBeforeSaving, Role::StopsAfterSaving];

/// Not a test of its own: what the children run. A line of its input is the
/// time by the child's clock, in seconds since 2026; it makes a call then.
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

/// Stops for ever beside a swap.
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

/// A process of its own; killed when dropped, as by `kill -9`.
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

    /// Lets it call at a second of its clock.
    fn call(&mut self, seconds: u64) {
        writeln!(self.input, "{seconds}").unwrap();
    }

    /// The next thing that it says.
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
        // Nothing is left to do where it has ended by itself.
        let _ended = self.process.kill();
        let _ended = self.process.wait();
    }
}

/// A server and a file to which `practitioner` has just connected.
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

    /// How often a new pair was asked for; the connection itself was the first
    /// question.
    fn refreshes(&self) -> usize {
        self.fake.count("create_oauth_token") - 1
    }
}

/// Kills a process beside its swap, and lets a new one go on. Tells how often
/// a new pair was asked for until then.
async fn killed(role: Role) -> usize {
    let connected = Connected::new(RefreshMode::RevokeOnFirstUse).await;
    connected.fake.expire_access_tokens();
    let mut dies = connected.start(role);
    dies.call(0);
    assert_eq!(dies.hear(), "stopped");
    assert_eq!(connected.refreshes(), 1);
    drop(dies);
    // Past the lease that the dead one has.
    let mut lives = connected.start(Role::Works);
    lives.call(15);
    assert_eq!(lives.hear(), "done");
    let refreshes = connected.refreshes();
    // And the pair that it has now can be replaced again.
    connected.fake.expire_access_tokens();
    lives.call(15);
    assert_eq!(lives.hear(), "done");
    assert_eq!(connected.refreshes(), refreshes + 1);
    refreshes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_between_reply_and_save_costs_no_login() {
    assert_eq!(killed(Role::StopsBeforeSaving).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_between_save_and_first_use_costs_no_login() {
    assert_eq!(killed(Role::StopsAfterSaving).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_killed_at_any_moment_cost_no_login() {
    let connected = Connected::new(RefreshMode::RevokeOnFirstUse).await;
    for moment in 0..40 {
        connected.fake.expire_access_tokens();
        let mut dies = connected.start(Role::Works);
        dies.call(15 * moment);
        // From before the call has begun to after it has ended: moments that
        // the other process does not tell of.
        std::thread::sleep(Duration::from_micros(500 * moment));
        drop(dies);
    }
    let mut lives = connected.start(Role::Works);
    lives.call(15 * 40);
    assert_eq!(lives.hear(), "done");
}

/// Lets processes call at once, two hundred times, with tokens that have
/// expired since.
async fn rounds(processes: usize, mode: RefreshMode) {
    let connected = Connected::new(mode).await;
    let started = (0..processes).map(|_| connected.start(Role::Works));
    let mut children: Vec<_> = started.collect();
    let mut now = 0;
    for round in 1..=200 {
        connected.fake.expire_access_tokens();
        // Half of the time they know, and else they learn it by a 401.
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
        // Waiting for the children blocks.
        running.spawn_blocking(move || runtime.block_on(rounds(processes, mode)));
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_refresh_once_and_lose_no_login() {
    rounds_in_every_mode(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_processes_refresh_once_and_lose_no_login() {
    rounds_in_every_mode(8).await;
}
