//! How large a run is, and the tests that run it.

use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::month::Month;

/// The variable that sets the seed of a single run.
const SEED: &str = "FULLSCRIPT_TEST_SEED";

/// The variable that makes this run a month of eight processes with this number of users.
const USERS: &str = "FULLSCRIPT_TEST_FLEET_USERS";

/// The size of a run.
#[derive(Clone, Debug)]
pub(crate) struct Scale {
    pub(crate) processes: usize,
    /// The users of both environments together.
    pub(crate) users: usize,
    pub(crate) days: usize,
    /// The limit of each environment.
    pub(crate) requests: u32,
    pub(crate) window: Duration,
}

/// The scale of one of twenty seeds.
fn small() -> Scale {
    Scale {
        processes: 3,
        users: 30,
        days: 2,
        requests: 600,
        window: Duration::from_secs(3),
    }
}

fn month(users: usize) -> Scale {
    Scale {
        processes: 8,
        users,
        days: 30,
        requests: 3_000,
        window: Duration::from_secs(5),
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

/// Runs a seed with a standby to fail over to, and returns the cluster that remains.
async fn run(seed: u64, scale: &Scale, primary: Cluster) -> Cluster {
    let standby = primary.standby();
    primary
        .run_sql("ALTER SYSTEM SET synchronous_standby_names = '*';; SELECT pg_reload_conf()")
        .await;
    let started = Instant::now();
    println!("seed {seed}, set {SEED} to repeat it: {scale:?}");
    let (history, numbers) = Month::new(seed, scale, &primary, &standby)
        .await
        .run()
        .await;
    println!(
        "seed {seed}: {numbers} in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    let violations = history.violations();
    assert!(
        violations.is_empty(),
        "seed {seed}: {} violations, the first are {:#?}",
        violations.len(),
        &violations[..violations.len().min(10)]
    );
    standby
}

/// The number of runs at a time, because most of a small run is waiting.
const AT_A_TIME: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_in_two_days_with_any_of_twenty_seeds() {
    let (seeds, scale) = match (number(SEED), number(USERS)) {
        (seed, Some(users)) => (
            seed.unwrap_or(0)..seed.unwrap_or(0) + 1,
            month(users as usize),
        ),
        (Some(seed), None) => (seed..seed + 1, small()),
        (None, None) => (0..20, small()),
    };
    let runs = (0..AT_A_TIME).map(|first| {
        let seeds = seeds
            .clone()
            .skip(first as usize)
            .step_by(AT_A_TIME as usize);
        let scale = scale.clone();
        tokio::spawn(async move {
            let mut cluster = None;
            for seed in seeds {
                let Some(primary) = cluster.or_else(Cluster::start) else {
                    return;
                };
                cluster = Some(run(seed, &scale, primary).await);
            }
        })
    });
    for run in runs.collect::<Vec<_>>() {
        run.await.unwrap();
    }
}
