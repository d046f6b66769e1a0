//! Reads the 250 patients of each of 50 practitioners, stops in the middle, and resumes.
//!
//! ```text
//! cargo run --example all_users
//! ```
//!
//! Everything runs in this process against the embedded fake.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "an example prints, and stops if it cannot go on"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fullscript::auth::{ConnectionFilter, ForEachUser, OAuthApp, UserKey};
use fullscript::testing::{FakeFullscript, Fault};
use fullscript::{CallOptions, Client, Error};

const PRACTITIONERS: usize = 50;

const PATIENTS: usize = 250;

/// The number of practitioners whose patients are read concurrently.
const CONCURRENT_USERS: usize = 8;

/// The time after which the first run is stopped, as by a deployment.
const STOP_AFTER: Duration = Duration::from_millis(400);

/// What a job writes to a database.
#[derive(Default)]
struct Database {
    /// The numbers of patients by practitioner.
    patients: BTreeMap<UserKey, usize>,
    checkpoint: Option<UserKey>,
    /// The number of practitioners who were read, also repeatedly.
    reads: usize,
}

type Shared = Arc<Mutex<Database>>;

#[tokio::main]
async fn main() {
    let fake = FakeFullscript::builder()
        .patients(PATIENTS)
        .start()
        .await
        .unwrap();
    let app = fake.app_builder().build().unwrap();
    for number in 1..=PRACTITIONERS {
        connect(&fake, &app, &format!("practitioner-{number:02}")).await;
    }
    // One practitioner has revoked access, and the server is slow.
    fake.end_connection("practitioner-20");
    fake.fault("list_patients", Fault::delay(Duration::from_millis(20)));

    let database = Shared::default();
    let started = Instant::now();
    let stopped = tokio::time::timeout(STOP_AFTER, job(&app, &database, None).run()).await;
    let checkpoint = database.lock().unwrap().checkpoint.clone();
    let read = database.lock().unwrap().patients.len();
    println!("stopped: {}, {read} practitioners read", stopped.is_err());
    println!(
        "checkpoint: {}",
        checkpoint.as_ref().map_or("none", UserKey::as_str)
    );

    let report = job(&app, &database, checkpoint).run().await;
    let database = database.lock().unwrap();
    let patients: usize = database.patients.values().sum();
    println!(
        "{} practitioners, {patients} patients in {:?}",
        database.patients.len(),
        started.elapsed()
    );
    println!(
        "{} practitioners were read twice",
        database.reads - database.patients.len()
    );
    println!("{} requests for patients", fake.count("list_patients"));
    for failure in &report.failures {
        println!("{}: {:?}", failure.user, failure.error);
    }
    assert_eq!(patients, (PRACTITIONERS - 1) * PATIENTS);
    assert!(report.stopped.is_none());
}

/// Reads the patients of all practitioners after a checkpoint.
fn job(
    app: &OAuthApp,
    database: &Shared,
    checkpoint: Option<UserKey>,
) -> ForEachUser<impl FnMut(fullscript::auth::Connection) -> Job + use<>> {
    let (calls, table, saved) = (app.clone(), Arc::clone(database), Arc::clone(database));
    let job = app.for_each_user(
        ConnectionFilter::new(),
        CONCURRENT_USERS,
        move |connection| {
            let client = calls.client(&connection.user);
            Box::pin(read(client, connection.user, Arc::clone(&table))) as Job
        },
    );
    let job = job.on_checkpoint(move |user| saved.lock().unwrap().checkpoint = Some(user.clone()));
    match checkpoint {
        Some(checkpoint) => job.after(checkpoint),
        None => job,
    }
}

type Job = std::pin::Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

async fn read(client: Client, user: UserKey, database: Shared) -> Result<(), Error> {
    // A job can wait longer for a permit than a web page.
    let client = client.with_options(CallOptions::new().timeout(Duration::from_secs(600)));
    let mut pages = client.list_patients().page_size(100).pages();
    let mut patients = 0;
    while let Some(page) = pages.next().await {
        patients += page?.items().len();
    }
    let mut database = database.lock().unwrap();
    database.patients.insert(user, patients);
    database.reads += 1;
    Ok(())
}

async fn connect(fake: &FakeFullscript, app: &OAuthApp, user: &str) {
    let request = app.authorize();
    let callback = fake.approve(request.url(), user);
    let code = app.callback(&callback, request.state()).unwrap();
    app.exchange(code).await.unwrap();
}
