//! The time to look up a user's cached token.
//!
//! A call whose deadline has passed before it starts goes as far as the network and stops there:
//! the token is looked up, checked and added to the headers. The rest is the same for a client with
//! a fixed token, so the difference is the cost of the lookup.

use std::hint::black_box;
use std::time::{Duration, Instant};

use fullscript::{CallOptions, Client, RateLimit};

use crate::calls::Callers;
use crate::samples::Effort;

/// The number of calls in one sample, because the clock's resolution is too low for one call.
const CALLS: u32 = 200;

/// Compares the two clients, and prints the time of the lookup.
pub(crate) async fn compare(url: &str, effort: Effort) {
    // With a rate limit, such a call would end at the rate limiter.
    let callers = Callers::of(url, RateLimit::off()).await;
    // Loads the tokens from the store.
    callers.user.list_patients().send().await.unwrap();
    let over = CallOptions::new().timeout(Duration::ZERO);
    let fixed = callers.fixed.with_options(over.clone());
    let user = callers.user.with_options(over);
    let clients = [&fixed, &user];
    let round = async |order: [usize; 2]| {
        let mut taken = [0; 2];
        for client in order {
            taken[client] = calls(clients[client]).await;
        }
        taken
    };
    let [fixed, user] = effort.spend(round).await;
    let one = |nanos: f64| nanos / f64::from(CALLS);
    println!("| Before the network | Median |");
    println!("|---|---|");
    println!(
        "| call with a token that was given | {:.0} ns |",
        one(fixed.median())
    );
    println!("| call of an OAuth user | {:.0} ns |", one(user.median()));
    println!(
        "| finding the cached token | {:.0} ns |\n",
        one(user.more_than(&fixed))
    );
}

/// Returns the duration of a sample's calls, in nanoseconds.
async fn calls(client: &Client) -> u64 {
    let begun = Instant::now();
    for _ in 0..CALLS {
        let ended = black_box(client.list_patients().send().await);
        assert!(!ended.is_err_and(|error| error.may_have_arrived()));
    }
    begun.elapsed().as_nanos() as u64
}
