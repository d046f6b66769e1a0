//! The cost of a listener for drift: a part of the responses is examined.

use std::time::{Duration, Instant};

use fullscript::{AccessToken, Client, Environment, RateLimit};

use crate::calls::http_client;
use crate::samples::Effort;
use crate::server::WHOLE;

/// The number of first responses that are all examined.
const EXAMINED_FIRST: usize = 16;

/// Of the later responses, one in this number is examined.
const EXAMINED_OF: f64 = 128.0;

/// Compares calls without a listener, with one, and with one that examines each response.
pub(crate) async fn compare(url: &str, effort: Effort) {
    println!("| Answer | Calls | No listener | Listener | Examined | Listener on average |");
    println!("|---|---|---|---|---|---|");
    let http = http_client();
    for (name, path, size) in [
        ("1 record", "", 1),
        ("100 records", "", 100),
        ("100 records with all fields", WHOLE, 100),
    ] {
        let builder = || {
            Client::builder(Environment::UsSandbox)
                .base_url(format!("{url}{path}"))
                .http_client(http.clone())
                .rate_limit(RateLimit::new(1_000_000, Duration::from_secs(1)))
                .access_token(AccessToken::new("token"))
        };
        let off = builder().build().unwrap();
        let watching = || builder().on_drift(|_| {}).build().unwrap();
        let on = watching();
        for _ in 0..EXAMINED_FIRST {
            list(&on, size).await;
        }
        let (mut examined, mut calls) = (watching(), 0);
        let samples = effort
            .spend(async |order: [usize; 3]| {
                let mut taken = [0; 3];
                if calls == EXAMINED_FIRST {
                    (examined, calls) = (watching(), 0);
                }
                calls += 1;
                for caller in order {
                    let client = [&off, &on, &examined][caller];
                    let begun = Instant::now();
                    list(client, size).await;
                    taken[caller] = begun.elapsed().as_nanos() as u64;
                }
                taken
            })
            .await;
        let [off, on, examined] = &samples;
        let more = on.more_than(off) + examined.more_than(off) / EXAMINED_OF;
        println!(
            "| {name} | {} | {:.0} µs | {:.0} µs | {:.0} µs | {:+.1} % |",
            off.count(),
            off.median() / 1e3,
            on.median() / 1e3,
            examined.median() / 1e3,
            more / off.median() * 100.0,
        );
    }
    println!();
}

async fn list(client: &Client, size: usize) {
    let call = client.list_patients().page_size(size as i64);
    assert_eq!(call.await.unwrap().patients.len(), size);
}
