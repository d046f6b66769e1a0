//! A list with many pages on a distant server, read page by page and with prefetch.

use std::time::Instant;

use fullscript::RateLimit;

use crate::calls::Callers;
use crate::server::{DISTANT, LATENCY, PAGES};

/// The number of prefetched pages, compared with one page at a time.
const AHEAD: usize = 8;

/// The number of measurements of each way.
const TIMES: usize = 3;

/// Reads the list both ways, and prints the fastest time of each.
pub(crate) async fn compare(url: &str) {
    let callers = Callers::of(&format!("{url}{DISTANT}"), RateLimit::default()).await;
    let mut quickest = [f64::INFINITY; 2];
    // Opens the connections.
    read(&callers, AHEAD).await;
    for _ in 0..TIMES {
        for (way, ahead) in [0, AHEAD].into_iter().enumerate() {
            quickest[way] = quickest[way].min(read(&callers, ahead).await);
        }
    }
    let [one_by_one, ahead] = quickest;
    println!("| {PAGES} pages of 100, each {LATENCY:?} away | Time | Ratio |");
    println!("|---|---|---|");
    println!("| one by one | {one_by_one:.2} s | 1 |");
    let ratio = one_by_one / ahead;
    println!("| `prefetch({AHEAD})` | {ahead:.2} s | {ratio:.2} times as fast |\n");
}

/// Returns the time to read all records, in seconds.
async fn read(callers: &Callers, ahead: usize) -> f64 {
    let begun = Instant::now();
    let mut patients = callers.fixed.list_patients().items().prefetch(ahead);
    let count = patients.collect_all().await.unwrap().len();
    assert_eq!(count, PAGES * 100);
    begun.elapsed().as_secs_f64()
}
