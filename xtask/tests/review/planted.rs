//! Each planted change causes exactly the lines, the verdict and the snapshots that `planted.toml`
//! lists.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};
use std::thread;

use serde::Deserialize;
use serde_json::Value;
use xtask::commands::snapshots;
use xtask::review::{Side, review};

use crate::document::{BASE, OVERLAY, SLICE, backwards, put, side, take};

/// The classes of changes; the table has each of them.
const CLASSES: [&str; 20] = [
    "operation added",
    "operation removed",
    "operation renamed",
    "operation deprecated",
    "type renamed",
    "path changed",
    "argument changed",
    "answer changed",
    "field added",
    "field removed",
    "field retyped",
    "field made required in a request",
    "field made required in an answer",
    "enum value added",
    "enum value removed",
    "mark added",
    "mark removed",
    "scope changed",
    "description only",
    "reordering only",
];

#[derive(Debug, Deserialize)]
struct Table {
    planted: Vec<Planted>,
}

/// One row of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Planted {
    pub(crate) name: String,
    class: String,
    /// Edits of both documents beyond the common part.
    #[serde(default)]
    given: Vec<Edit>,
    /// Edits of the new document only.
    #[serde(default)]
    change: Vec<Edit>,
    verdict: String,
    /// The report without its title and empty lines.
    report: String,
    /// The removed and added lines of snapshots.
    #[serde(default)]
    snapshots: String,
}

/// One edit of the document or of the overlay.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Edit {
    /// A pointer and the JSON value to set there.
    Put(String, String),
    /// A pointer to remove.
    Take(String),
    /// The source and target pointers of a move.
    Move(String, String),
    /// A pointer to a list or an object to reverse.
    Turn(String),
    /// A text of the overlay and its replacement.
    Overlay(String, String),
}

/// A change with the two documents and everything derived from them.
pub(crate) struct Case {
    pub(crate) planted: Planted,
    pub(crate) old: Arc<Side>,
    pub(crate) new: Side,
}

/// The whole table.
pub(crate) static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let table: Table = toml::from_str(include_str!("planted.toml")).unwrap();
    thread::scope(|scope| {
        let mut table = table.planted.into_iter();
        let mut threads = Vec::new();
        while !table.as_slice().is_empty() {
            let part: Vec<Planted> = table.by_ref().take(10).collect();
            threads.push(scope.spawn(|| part.into_iter().map(Case::new).collect::<Vec<_>>()));
        }
        let cases = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        cases.collect()
    })
});

impl Case {
    fn new(planted: Planted) -> Self {
        let mut document = SLICE.clone();
        let mut overlay = OVERLAY.to_string();
        edit(&planted.given, &mut document, &mut overlay);
        let old = if planted.given.is_empty() {
            Arc::clone(&BASE)
        } else {
            Arc::new(side(&document, &overlay))
        };
        edit(&planted.change, &mut document, &mut overlay);
        let new = side(&document, &overlay);
        Self { planted, old, new }
    }
}

pub(crate) fn edit(edits: &[Edit], document: &mut Value, overlay: &mut String) {
    for edit in edits {
        match edit {
            Edit::Put(pointer, json) => put(document, pointer, serde_json::from_str(json).unwrap()),
            Edit::Take(pointer) => drop(take(document, pointer)),
            Edit::Move(from, to) => {
                let value = take(document, from);
                put(document, to, value);
            }
            Edit::Turn(pointer) => {
                let place = document.pointer_mut(pointer).unwrap();
                match place {
                    Value::Array(list) => list.reverse(),
                    other => *other = backwards(other),
                }
            }
            Edit::Overlay(from, to) => {
                assert!(overlay.contains(from), "not in the overlay: {from}");
                *overlay = overlay.replace(from, to);
            }
        }
    }
}

#[test]
fn each_planted_change_flips_its_own_lines_and_no_other() {
    assert!(CASES.len() >= 40, "{} planted changes", CASES.len());
    let wrong: Vec<String> = CASES.iter().filter_map(wrong).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_contains_every_class_of_change() {
    let planted = || CASES.iter().map(|case| &case.planted);
    let held: BTreeSet<&str> = planted().map(|planted| planted.class.as_str()).collect();
    assert_eq!(held, BTreeSet::from(CLASSES));
    let names: BTreeSet<&str> = planted().map(|planted| planted.name.as_str()).collect();
    assert_eq!(names.len(), CASES.len(), "two changes of one name");
}

/// The start of a report without approval changes, which the table omits.
const UNMARKED: &str =
    "## Who may call what\n\nUnchanged: 1 operation requires commercial approval.\n";

/// Returns the differences from the table.
fn wrong(Case { planted, old, new }: &Case) -> Option<String> {
    let review = review(old, new);
    let lines = |text: &str| -> Vec<String> {
        let text = text.replace(UNMARKED, "");
        let lines = text.lines();
        let report = lines.filter(|line| !line.is_empty() && !line.starts_with("# "));
        report.map(str::to_string).collect()
    };
    let is = (
        review.verdict.to_string(),
        lines(&review.to_string()),
        flipped(&snapshots::of(old), &snapshots::of(new)),
    );
    let should = (
        planted.verdict.clone(),
        lines(&planted.report),
        lines(&planted.snapshots),
    );
    (is != should).then(|| {
        format!(
            "\n## {}\nverdict = {:?}\nreport = '''\n{}\n'''\nsnapshots = '''\n{}\n'''",
            planted.name,
            is.0,
            is.1.join("\n"),
            is.2.join("\n")
        )
    })
}

/// Returns the lines that only one of two sets of snapshots has.
fn flipped(old: &BTreeMap<&str, Vec<String>>, new: &BTreeMap<&str, Vec<String>>) -> Vec<String> {
    let only = |name: &str, sign: char, these: &[String], those: &[String]| -> Vec<String> {
        let only = these.iter().filter(|line| !those.contains(line));
        only.map(|line| format!("{name} {sign} {}", squeezed(line)))
            .collect()
    };
    let flipped = old.iter().flat_map(|(name, before)| {
        let after = &new[name];
        [
            only(name, '-', before, after),
            only(name, '+', after, before),
        ]
        .concat()
    });
    flipped.collect()
}

/// Returns a line without its padding.
fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
