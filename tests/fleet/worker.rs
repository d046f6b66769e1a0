//! A process of the app: makes calls, receives webhooks, replays missed events.
//!
//! It reads commands from its standard input and reports on its standard output, so that what it
//! said is known even if it is killed.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::routing::MethodRouter;
use fullscript::auth::{AuthEvent, OAuthApp};
use fullscript::encryption::{EncryptedStore, EncryptionKey, KeyRing};
use fullscript::postgres::{PostgresLimit, PostgresStore};
use fullscript::replay::{Cursor, EventList};
use fullscript::shared_limit::SharedLimitEvent;
use fullscript::testing::ManualClock;
use fullscript::types::{CreateTreatmentPlanRequest, RecommendationInput};
use fullscript::webhook::axum::receive;
use fullscript::webhook::{Claim, Event, EventKey, EventLog, Receiver};
use fullscript::{Client, Clock, Environment, RateLimit, SystemClock};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// The variable with the settings of a process, as JSON.
pub(crate) const SETTINGS: &str = "FULLSCRIPT_TEST_FLEET";

/// The prefix of what a process says, which separates it from the output of the test harness.
pub(crate) const SAYS: &str = "process says: ";

pub(crate) const SIGNING_SECRET: &str = "the signing secret";
pub(crate) const CHALLENGE: &str = "the challenge token";

/// The two environments of the app, in the order of the vendors.
pub(crate) const ENVIRONMENTS: [Environment; 2] = [Environment::UsSandbox, Environment::CaSandbox];

/// The duration of a claim, by the clock of the database. A process that is suspended exceeds it.
pub(crate) const CLAIM: Duration = Duration::from_secs(3);

/// The duration of the lease of a replay.
const LEADS: Duration = Duration::from_secs(5);

/// The time for which a process that ends waits for its calls.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// The settings of a process. Each deployment changes some.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) vendors: [String; 2],
    pub(crate) database: String,
    pub(crate) schema: String,
    pub(crate) secret: String,
    pub(crate) alternate_secret: Option<String>,
    /// The encryption keys; the first one writes.
    pub(crate) keys: Vec<String>,
    pub(crate) processes: u32,
    pub(crate) requests: u32,
    pub(crate) window: Duration,
}

impl Settings {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "vendors": self.vendors,
            "database": self.database,
            "schema": self.schema,
            "secret": self.secret,
            "alternate_secret": self.alternate_secret,
            "keys": self.keys,
            "processes": self.processes,
            "requests": self.requests,
            "window": self.window.as_millis() as u64,
        })
    }

    fn from_json(json: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_string();
        let number = |name: &str| json[name].as_u64().unwrap();
        let texts = |name: &str| json[name].as_array().unwrap().iter().map(text).collect();
        let vendors: Vec<String> = texts("vendors");
        Self {
            vendors: vendors.try_into().unwrap(),
            database: text(&json["database"]),
            schema: text(&json["schema"]),
            secret: text(&json["secret"]),
            alternate_secret: json["alternate_secret"].as_str().map(str::to_string),
            keys: texts("keys"),
            processes: number("processes") as u32,
            requests: number("requests") as u32,
            window: Duration::from_millis(number("window")),
        }
    }

    /// Connects to the database, which may be failing over.
    pub(crate) async fn store(&self) -> PostgresStore {
        let builder = PostgresStore::builder(&self.database).schema(&self.schema);
        loop {
            match builder.connect().await {
                Ok(store) => return store,
                Err(error) => assert!(error.is_transient(), "{error} {error:?}"),
            }
        }
    }

    pub(crate) fn encrypted(&self, store: PostgresStore) -> EncryptedStore<PostgresStore> {
        let mut keys = self
            .keys
            .iter()
            .map(|key| EncryptionKey::from_text(key).unwrap());
        let ring = KeyRing::new(keys.next().unwrap());
        EncryptedStore::new(store, keys.fold(ring, KeyRing::reads))
    }

    /// Returns the app of an environment.
    pub(crate) fn app(
        &self,
        environment: usize,
        store: EncryptedStore<PostgresStore>,
        limit: PostgresLimit,
        clock: impl Clock,
    ) -> OAuthApp {
        let limit = RateLimit::new(self.requests, self.window)
            .shared(limit, self.processes)
            .on_shared_limit_event(move |event| {
                let name = match event {
                    SharedLimitEvent::Failed => "failed",
                    _ => "recovered",
                };
                say(&format!("limit {environment} {name}"));
            });
        let builder = OAuthApp::builder(ENVIRONMENTS[environment])
            .base_url(&self.vendors[environment])
            .client_id("fake-client-id")
            .client_secret(&self.secret)
            .redirect_uri("https://ehr.example/fullscript/callback")
            .store(store)
            .rate_limit(limit)
            .clock(clock)
            .on_event(move |event| {
                // Those that are no part of a normal day.
                let is_rare = !matches!(
                    event,
                    AuthEvent::Refreshed { .. }
                        | AuthEvent::Connected { .. }
                        | AuthEvent::RefreshFailed { .. }
                        | AuthEvent::Recovered { .. }
                );
                if let (true, Some(user)) = (is_rare, event.user()) {
                    say(&format!(
                        "auth {environment} {} {}",
                        event.name(),
                        user.id()
                    ));
                }
            });
        let builder = match &self.alternate_secret {
            Some(secret) => builder.alternate_client_secret(secret),
            None => builder,
        };
        builder.build().unwrap()
    }
}

struct Process {
    apps: [OAuthApp; 2],
    store: PostgresStore,
    clock: ManualClock,
}

/// The main function of a process, not a test.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn worker() {
    let Ok(settings) = std::env::var(SETTINGS) else {
        return;
    };
    let settings = Settings::from_json(&serde_json::from_str(&settings).unwrap());
    let clock = ManualClock::default();
    let store = settings.store().await;
    let limit = store.rate_limit();
    let apps = [0, 1].map(|environment| {
        let encrypted = settings.encrypted(store.clone());
        settings.app(environment, encrypted, limit.clone(), clock.clone())
    });
    let port = receive_webhooks(&store).await;
    let process = Arc::new(Process { apps, store, clock });
    say(&format!("ready {port}"));
    let (sender, mut commands) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        // The end of the input is that of the test, whatever happened to it.
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    while let Some(line) = commands.recv().await {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["clock", seconds] => {
                let since = Duration::from_secs(seconds.parse().unwrap());
                process.clock.set(SystemTime::UNIX_EPOCH + since);
            }
            ["exit"] => {
                for app in &process.apps {
                    let ended = app.shutdown(SHUTDOWN).await;
                    if let Err(unfinished) = ended {
                        say(&format!("unfinished {unfinished}"));
                    }
                }
                say("bye");
                return;
            }
            _ => {
                let process = Arc::clone(&process);
                tokio::spawn(async move { process.run(&line).await });
            }
        }
    }
}

/// Says a line, in one write.
fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(format!("{SAYS}{text}\n").as_bytes())
        .unwrap();
    stdout.flush().unwrap();
}

impl Process {
    async fn run(&self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let client = |environment: &str, user: &str| -> Client {
            let environment: usize = environment.parse().unwrap();
            self.apps[environment].client(user)
        };
        match words[..] {
            ["call", job, environment, user] => {
                let called = client(environment, user).get_clinic().send().await;
                answer(job, called.map(drop));
            }
            ["plan", job, environment, user, patient, variant, key] => {
                let call = client(environment, user).create_treatment_plan();
                let recommendation = RecommendationInput::new(variant, 1);
                let plan = CreateTreatmentPlanRequest::draft([recommendation]);
                let call = call.patient_id(patient).idempotency_key(key);
                let called = call.body(plan.personal_message(key)).send().await;
                answer(job, called.map(drop));
            }
            ["replay", job, environment, user] => {
                let replayed = self.replay(environment, client(environment, user)).await;
                say(&match replayed {
                    Ok(()) => format!("done {job}"),
                    Err(reason) => format!("transient {job} {reason}"),
                });
            }
            _ => panic!("unknown command {line:?}"),
        }
    }

    /// Handles all events that no webhook delivered, if no other process does.
    async fn replay(&self, environment: &str, client: Client) -> Result<(), String> {
        let text = |error: &dyn std::error::Error| error.to_string().replace('\n', " ");
        let mut leader = self.store.replay_leader(format!("clinic-{environment}"));
        let state = leader.lead(LEADS).await.map_err(|error| text(&error))?;
        let Some(state) = state else { return Ok(()) };
        let since = match &state.cursor {
            Some(cursor) => cursor.parse().unwrap(),
            None => Cursor::default(),
        };
        let events = client.events(self.store.event_log()).time_to_handle(CLAIM);
        let events = events.lists([EventList::Patients]);
        let mut replay = events.replay(since);
        while let Some(missed) = replay.next().await {
            let missed = match missed {
                Ok(missed) => missed,
                Err(error) => return Err(text(&error)),
            };
            let id = missed.event.id.as_ref().unwrap().to_string();
            say(&format!(
                "handled {environment} {id} {}",
                missed.grant.attempt
            ));
            let cursor = missed.acknowledge().await.map_err(|error| text(&error))?;
            say(&format!(
                "acked {environment} {id} {}",
                missed.grant.attempt
            ));
            let saved = leader.save(&cursor.to_string(), LEADS).await;
            if !saved.map_err(|error| text(&error))? {
                return Ok(());
            }
        }
        let cursor = replay.cursor().to_string();
        leader
            .save(&cursor, LEADS)
            .await
            .map_err(|error| text(&error))?;
        leader.resign().await.map_err(|error| text(&error))
    }
}

fn answer(job: &str, called: Result<(), fullscript::Error>) {
    let Err(error) = called else {
        return say(&format!("done {job}"));
    };
    let is_of_store = error.auth_error().is_some_and(|error| error.is_store());
    let class = if error.needs_reconnect() {
        "reconnect"
    } else if error.is_transient() || is_of_store {
        "transient"
    } else {
        "failed"
    };
    say(&format!("{class} {job} {error} {error:?}").replace('\n', " "));
}

/// Receives the deliveries of both vendors, and returns the port.
async fn receive_webhooks(store: &PostgresStore) -> u16 {
    let route = |environment: usize| -> MethodRouter {
        let receiver = Receiver::new(SIGNING_SECRET, CHALLENGE).unwrap();
        let log = store.event_log();
        receive(receiver, move |event: Event| {
            let log = log.clone();
            async move { handle(&log, environment, &event).await }
        })
    };
    let routes = axum::Router::new()
        .route("/0", route(0))
        .route("/1", route(1));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    port
}

/// Handles an event once. To handle it is to say so.
async fn handle(log: &impl EventLog, environment: usize, event: &Event) -> Result<(), ()> {
    let now = SystemClock.now();
    let key = EventKey::from(event);
    match log.claim(&key, now, now + CLAIM).await.map_err(drop)? {
        Claim::Processed => Ok(()),
        Claim::HeldUntil(_) => Err(()),
        Claim::Granted(grant) => {
            say(&format!(
                "handled {environment} {} {}",
                key.id, grant.attempt
            ));
            log.acknowledge(&grant, now).await.map_err(drop)?;
            say(&format!("acked {environment} {} {}", key.id, grant.attempt));
            Ok(())
        }
    }
}
