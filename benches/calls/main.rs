//! The cost of the client compared with handwritten calls. `cargo bench` prints it as tables for
//! the README.
//!
//! Both kinds of calls alternate in a new order each round, so that other load on the machine
//! affects both equally. The server is a separate process that sends prepared bytes.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and says by panicking that it can't go on"
)]

mod by_hand;
mod calls;
mod decode;
mod drift;
mod prefetch;
mod records;
mod samples;
mod server;
mod token;

use std::time::Duration;

use samples::Effort;

fn main() {
    let has = |wanted: &str| std::env::args().any(|argument| argument == wanted);
    if has(server::ARGUMENT) {
        return server::serve();
    }
    // Without `--bench`, which `cargo bench` passes, this only checks that it runs.
    let effort = if has("--bench") {
        Effort::lasting(Duration::from_secs(10))
    } else {
        Effort::lasting(Duration::from_millis(10))
    };
    let server = server::Server::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    println!("{}\n", machine());
    runtime.block_on(async {
        calls::compare(&server.url(), effort).await;
        decode::compare(effort).await;
        drift::compare(&server.url(), effort).await;
        token::compare(&server.url(), effort).await;
        prefetch::compare(&server.url()).await;
    });
}

/// Returns the name and the number of processors.
fn machine() -> String {
    let known = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = known.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == "model name").then(|| value.trim())
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{}, {cores} cores, {}",
        model.unwrap_or(std::env::consts::ARCH),
        std::env::consts::OS
    )
}
