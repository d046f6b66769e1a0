//! A run: rounds of twelve hours in which all users are active, with the faults of each round.

mod faults;
mod jobs;

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant, SystemTime};

use fullscript::Clock;
use fullscript::auth::{ConnectionFilter, ConnectionStatus, OAuthApp, Scope};
use fullscript::encryption::EncryptionKey;
use fullscript::postgres::PostgresStore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use self::faults::{Fault, Timer};
use self::jobs::Job;
use crate::checker::{Handled, History, User};
use crate::cluster::Cluster;
use crate::process::{Process, Said};
use crate::random::Random;
use crate::scale::Scale;
use crate::vendor::{Balancer, Vendor};
use crate::worker::Settings;

/// The time that passes from one round to the next.
const ROUND: Duration = Duration::from_secs(12 * 60 * 60);

/// A fleet that says nothing for longer hangs.
const HANGS: Duration = Duration::from_secs(60);

/// The scope that is added.
const ADDED: &str = Scope::ORDER_HISTORY;

/// The scopes of the app in the vendor's dashboard at first.
const SCOPES: [&str; 6] = [
    Scope::CATALOG_READ,
    Scope::CLINIC_READ,
    Scope::CLINIC_WRITE,
    Scope::PATIENTS_READ,
    Scope::PATIENTS_WRITE,
    Scope::TREATMENT_PLAN_HISTORY,
];

const FIRST_SECRET: &str = "the first secret";

pub(crate) struct Month<'c> {
    scale: Scale,
    seed: u64,
    random: Random,
    started: Instant,
    primary: &'c Cluster,
    standby: &'c Cluster,
    /// The settings of the processes that are started next.
    settings: Settings,
    keys: [String; 2],
    vendors: [Vendor; 2],
    balancer: Balancer,
    /// The web server to which users return when they connect, with a store of its own.
    front: [OAuthApp; 2],
    store: PostgresStore,
    processes: Vec<Slot>,
    started_processes: usize,
    is_deploying: bool,
    /// A deployment replaces the processes up to this number.
    deploys_before: usize,
    /// The ids of a patient and a variant of each environment.
    ids: [(String, String); 2],
    /// The last error that was no failure, for the message of a run that does not end.
    last_transient: String,
    said: (UnboundedSender<Said>, UnboundedReceiver<Said>),
    round: usize,
    users: Vec<User>,
    jobs: Vec<Job>,
    waiting: VecDeque<usize>,
    /// Jobs that failed for now, and the time at which they are repeated.
    later: VecDeque<(Instant, usize)>,
    timers: Vec<(Instant, Timer)>,
    is_calm: bool,
    numbers: Numbers,
    history: History,
}

/// A process and what it does.
struct Slot {
    process: Process,
    port: Option<u16>,
    jobs: BTreeSet<usize>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Starting,
    Works,
    /// A newer process replaces it when its jobs have ended.
    Drains,
    Ends,
    Suspended,
}

/// What happened, for the output.
#[derive(Debug, Default)]
struct Numbers {
    calls: usize,
    plans: usize,
    unknown: usize,
    transient: usize,
    kills: usize,
    suspensions: usize,
    deployed_processes: usize,
    limit_fallbacks: usize,
    rolled_back: usize,
    reconnected: usize,
    token_requests: usize,
    events_handled: usize,
    events_handled_again: usize,
}

impl<'c> Month<'c> {
    pub(crate) async fn new(
        seed: u64,
        scale: &Scale,
        primary: &'c Cluster,
        standby: &'c Cluster,
    ) -> Self {
        let mut random = Random::new(seed);
        let vendors = [
            Vendor::start(random.next(), &SCOPES).await,
            Vendor::start(random.next(), &SCOPES).await,
        ];
        let ids = [0, 1].map(|environment: usize| {
            let fake = &vendors[environment].fake;
            let plan = &fake.treatment_plans()[0];
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_string();
            let variant = text(&plan["recommendations"][0]["variant_id"]);
            (text(&fake.patients()[0]["id"]), variant)
        });
        let keys = [(); 2].map(|()| EncryptionKey::generate().unwrap().expose());
        let settings = Settings {
            vendors: [0, 1].map(|environment: usize| vendors[environment].fake.url()),
            database: format!(
                "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres",
                primary.bouncer, standby.bouncer
            ),
            schema: format!("seed {seed}"),
            secret: FIRST_SECRET.to_string(),
            alternate_secret: None,
            keys: vec![keys[0].clone()],
            processes: scale.processes as u32,
            requests: scale.requests,
            window: scale.window,
        };
        for vendor in &vendors {
            vendor.fake.accept_client_secrets([FIRST_SECRET]);
        }
        let builder = PostgresStore::builder(primary.pooled()).schema(&settings.schema);
        builder.migrate().await.unwrap();
        let store = settings.store().await;
        let front = front(&settings, &store, &vendors);
        let balancer = Balancer::start().await;
        let users = (0..scale.users).map(|user| (user % 2, format!("user-{user}")));
        Self {
            users: users.collect(),
            scale: scale.clone(),
            seed,
            random,
            started: Instant::now(),
            primary,
            standby,
            settings,
            keys,
            vendors,
            balancer,
            front,
            store,
            processes: Vec::new(),
            started_processes: 0,
            is_deploying: false,
            deploys_before: 0,
            ids,
            last_transient: String::new(),
            said: unbounded_channel(),
            round: 0,
            jobs: Vec::new(),
            waiting: VecDeque::new(),
            later: VecDeque::new(),
            timers: Vec::new(),
            is_calm: true,
            numbers: Numbers::default(),
            history: History::default(),
        }
    }

    /// Runs all rounds, and returns what was recorded, and some numbers.
    pub(crate) async fn run(mut self) -> (History, String) {
        for _ in 0..self.scale.processes {
            self.start_process();
        }
        for user in self.users.clone() {
            self.connect(&user).await;
            self.history.users.insert(user);
        }
        while self
            .processes
            .iter()
            .any(|slot| slot.state == State::Starting)
        {
            self.turn().await;
        }
        for environment in [0, 1] {
            self.vendors[environment]
                .subscribe(environment, &self.balancer)
                .await;
        }
        let rounds = self.scale.days * 2;
        for round in 1..=rounds {
            self.round = round;
            self.is_calm = true;
            let faults = self.faults_of(round, rounds);
            self.move_clocks(ROUND).await;
            self.plan_jobs();
            self.drive(faults).await;
            if self.is_calm {
                self.history.calm_rounds.insert(round);
            }
            self.note_refreshes();
            if round % 10 == 0 {
                let elapsed = self.started.elapsed();
                println!(
                    "day {}: {} calls in {elapsed:.0?}",
                    round / 2,
                    self.numbers.calls
                );
            }
        }
        self.end().await;
        let elapsed = self.started.elapsed().as_secs_f64();
        let numbers = format!(
            "{:?}, {:.0} calls/s",
            self.numbers,
            self.numbers.calls as f64 / elapsed
        );
        (self.history, numbers)
    }

    /// Makes all calls of a round, beside its faults.
    async fn drive(&mut self, mut faults: VecDeque<(usize, Fault)>) {
        let first = self.numbers.calls;
        loop {
            let done = self.numbers.calls - first;
            if faults.front().is_some_and(|(after, _)| *after <= done)
                && let Some((_, fault)) = faults.pop_front()
            {
                self.apply(fault).await;
                continue;
            }
            self.run_timers().await;
            self.deploy();
            self.assign();
            let is_busy = self.processes.iter().any(|slot| {
                !slot.jobs.is_empty() || !matches!(slot.state, State::Works | State::Drains)
            });
            if is_busy || !self.waiting.is_empty() || !self.timers.is_empty() || self.is_deploying {
                self.turn().await;
            } else if let Some((_, fault)) = faults.pop_front() {
                // Fewer calls succeeded than expected.
                self.apply(fault).await;
            } else {
                return;
            }
        }
    }

    /// Waits for the next line of a process, or for the next timer.
    async fn turn(&mut self) {
        let now = Instant::now();
        let due = self.timers.iter().map(|(at, _)| *at).min();
        let due = due
            .into_iter()
            .chain(self.later.front().map(|(at, _)| *at))
            .min();
        let wait = due.map_or(HANGS, |at| at.saturating_duration_since(now));
        match timeout(wait, self.said.1.recv()).await {
            Ok(Some((number, Some(line)))) => self.hear(number, &line),
            Ok(Some((number, None))) => self.bury(number),
            Ok(None) => unreachable!("the test holds a sender"),
            Err(_) if due.is_some() => {}
            Err(_) => panic!(
                "seed {}: the fleet hangs in round {}: {:?}",
                self.seed,
                self.round,
                self.processes
                    .iter()
                    .map(|slot| (slot.process.number, slot.state, slot.jobs.len()))
                    .collect::<Vec<_>>()
            ),
        }
    }

    fn hear(&mut self, number: usize, line: &str) {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["ready", port] => {
                let slot = self.slot(number).unwrap();
                (slot.port, slot.state) = (Some(port.parse().unwrap()), State::Works);
                let now = self.now();
                self.slot(number).unwrap().process.tell(&clock(now));
                self.update_balancer();
            }
            ["done" | "transient" | "reconnect" | "failed", job, ..] => {
                self.job_ended(number, words[0], job.parse().unwrap(), line);
            }
            ["handled", environment, id, attempt] => self.history.handled.push(Handled {
                event: (environment.parse().unwrap(), id.to_string()),
                attempt: attempt.parse().unwrap(),
                process: number,
                is_acknowledged: false,
            }),
            ["acked", environment, id, attempt] => {
                let environment: usize = environment.parse().unwrap();
                let attempt: u64 = attempt.parse().unwrap();
                let mut handled = self.history.handled.iter_mut().rev();
                let own = handled.find(|it| {
                    it.event.0 == environment && it.event.1 == id && it.attempt == attempt
                });
                own.unwrap().is_acknowledged = true;
            }
            ["limit", _, "failed"] => self.numbers.limit_fallbacks += 1,
            ["limit", ..] | ["bye"] => {}
            ["auth", _, "rolled_back", _] => self.numbers.rolled_back += 1,
            ["auth", environment, "needs_reconnect", user] => {
                let user = (environment.parse().unwrap(), user.to_string());
                if !self.history.ended.contains(&user) {
                    self.complain(number, line);
                }
            }
            // A failover stops all saves for a while.
            ["auth", _, "save_failed", _] if !self.is_calm => {}
            _ => self.complain(number, line),
        }
    }

    fn complain(&mut self, number: usize, line: &str) {
        let text = format!("process {number} said in round {}: {line}", self.round);
        self.history.complaints.push(text);
    }

    fn now(&self) -> SystemTime {
        self.vendors[0].fake.clock().now()
    }

    fn slot(&mut self, number: usize) -> Option<&mut Slot> {
        let mut slots = self.processes.iter_mut();
        slots.find(|slot| slot.process.number == number)
    }

    fn start_process(&mut self) {
        self.started_processes += 1;
        let number = self.started_processes;
        self.processes.push(Slot {
            process: Process::start(number, &self.settings, self.said.0.clone()),
            port: None,
            jobs: BTreeSet::new(),
            state: State::Starting,
        });
    }

    /// Removes a process that has ended. Its jobs are repeated.
    fn bury(&mut self, number: usize) {
        let slots = &self.processes;
        let Some(index) = slots.iter().position(|slot| slot.process.number == number) else {
            return;
        };
        let slot = self.processes.remove(index);
        if slot.state != State::Ends {
            self.complain(number, "nothing, and ended");
        }
        self.update_balancer();
        for job in slot.jobs {
            self.repeat(job);
        }
    }

    fn update_balancer(&mut self) {
        let alive = self
            .processes
            .iter()
            .filter(|slot| slot.state != State::Ends);
        self.balancer
            .set_ports(alive.filter_map(|slot| slot.port).collect());
    }

    /// Moves the clocks of the vendors, then those of the processes.
    async fn move_clocks(&mut self, by: Duration) {
        for vendor in &mut self.vendors {
            vendor.advance(by).await;
        }
        let now = clock(self.now());
        for slot in &mut self.processes {
            slot.process.tell(&now);
        }
    }

    /// Connects a user, or connects the user again.
    async fn connect(&mut self, user: &User) {
        let (environment, id) = user;
        let app = &self.front[*environment];
        let request = app.authorize();
        let callback = self.vendors[*environment].fake.approve(request.url(), id);
        let code = app.callback(&callback, request.state()).unwrap();
        app.exchange(code).await.unwrap();
        self.history.ended.remove(user);
        self.history.without_scope.remove(user);
    }

    /// Replaces the settings of the processes that are started next, and the web server at once.
    fn configure(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings);
        self.front = front(&self.settings, &self.store, &self.vendors);
    }

    /// Notes which refresh tokens were sent in this round.
    fn note_refreshes(&mut self) {
        for (environment, vendor) in self.vendors.iter_mut().enumerate() {
            let requests = vendor.collect();
            let times = &mut self.history.requests[environment];
            let new = &requests[times.len()..];
            let tokens = new
                .iter()
                .filter_map(|request| request.refresh_token.clone());
            let round = self.round;
            self.history.refreshes[environment].extend(tokens.map(|token| (round, token)));
            let is_token = |request: &&crate::vendor::Request| {
                request.operation.as_deref() == Some("create_oauth_token")
            };
            self.numbers.token_requests += new.iter().filter(is_token).count();
            times.extend(new.iter().map(|request| request.at));
        }
    }

    /// Handles what is left, lets each user make a last call, and reads the lists of the store.
    async fn end(&mut self) {
        self.round += 1;
        let started = Instant::now();
        // The claims and the lease of the replay of processes that were killed must expire first.
        while self.has_unhandled_events() && started.elapsed() < HANGS {
            self.move_clocks(Duration::from_secs(600)).await;
            self.replay_all();
            self.drive(VecDeque::new()).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        self.move_clocks(ROUND).await;
        self.history.reachable.clear();
        for user in self.users.clone() {
            self.add_call(user);
        }
        // Users whose refresh failed in the last outage wait for 30 s.
        let started = Instant::now();
        while !self.drive_to_end().await {
            assert!(
                started.elapsed() < 2 * HANGS,
                "seed {}: jobs are left, the last error is {}",
                self.seed,
                self.last_transient
            );
        }
        self.note_refreshes();
        for (environment, app) in self.front.iter().enumerate() {
            let mut all = app.connections(ConnectionFilter::new());
            while let Some(connection) = all.next().await {
                let connection = connection.unwrap();
                let user = (environment, connection.user.id().to_string());
                if let ConnectionStatus::NeedsReconnect(why) = &connection.status {
                    let reason = format!("{:?}", why.reason);
                    self.history.listed.insert(user.clone(), reason);
                }
                if !connection.lacks([ADDED].map(Scope::new)).is_empty() {
                    self.history.listed_without_scope.insert(user);
                }
            }
        }
        for vendor in &self.vendors {
            let plans = vendor.fake.treatment_plans();
            let keys = plans
                .iter()
                .filter_map(|plan| plan["personal_message"].as_str());
            let own = keys.filter(|key| key.starts_with("plan-"));
            self.history.plans.extend(own.map(str::to_string));
        }
        self.history.limit = (self.scale.requests as usize, self.scale.window);
        self.history.calls = self.jobs.iter().filter_map(Job::call).collect();
        let handled = &self.history.handled;
        self.numbers.events_handled += handled.len();
        let again = handled.iter().filter(|it| it.attempt > 1);
        self.numbers.events_handled_again += again.count();
        for cluster in [self.primary, self.standby] {
            let log = std::fs::read_to_string(cluster.directory.join("log")).unwrap();
            if log.contains("deadlock detected") {
                self.complain(0, "the database detected a deadlock");
            }
        }
    }

    fn has_unhandled_events(&self) -> bool {
        let handled: BTreeSet<_> = self.history.handled.iter().map(|it| &it.event).collect();
        self.history
            .emitted
            .iter()
            .any(|event| !handled.contains(event))
    }
}

/// Returns the apps of the web server.
fn front(settings: &Settings, store: &PostgresStore, vendors: &[Vendor; 2]) -> [OAuthApp; 2] {
    [0, 1].map(|environment| {
        let encrypted = settings.encrypted(store.clone());
        let clock = vendors[environment].fake.clock();
        settings.app(environment, encrypted, store.rate_limit(), clock)
    })
}

fn clock(now: SystemTime) -> String {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    format!("clock {}", since.as_secs())
}
