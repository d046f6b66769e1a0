//! Each change flips exactly the lines, the verdict and the snapshots that
//! `planted.toml` names, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread;

use serde::Deserialize;
use serde_json::Value;
use xtask::review::{Side, review};
use xtask::snapshots;

use crate::document::{BASE, OVERLAY, SLICE, backwards, put, side, take};

/// What may be done to a document; the table holds each of them.
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

/// One line of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Planted {
    pub(crate) name: String,
    class: String,
    /// What both documents have beyond the slice.
    #[serde(default)]
    given: Vec<Edit>,
    /// What only the new document has.
    #[serde(default)]
    change: Vec<Edit>,
    verdict: String,
    /// The report without its title and empty lines.
    report: String,
    /// Lines of snapshots that are gone and new.
    #[serde(default)]
    snapshots: String,
}

/// One edit of the document, or of the overlay.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Edit {
    /// A pointer and what is put there, in JSON.
    Put(String, String),
    /// A pointer to what is taken away.
    Take(String),
    /// A pointer to what moves, and to where.
    Move(String, String),
    /// A pointer to a list or an object that is turned round.
    Turn(String),
    /// A text of the overlay, and what stands in its place.
    Overlay(String, String),
}

pub(crate) fn table() -> Vec<Planted> {
    let table: Table = toml::from_str(include_str!("planted.toml")).unwrap();
    table.planted
}

impl Planted {
    /// The two documents, with all that is made of them.
    pub(crate) fn sides(&self) -> (Arc<Side>, Side) {
        let mut document = SLICE.clone();
        let mut overlay = OVERLAY.to_string();
        edit(&self.given, &mut document, &mut overlay);
        let old = match self.given.is_empty() {
            true => Arc::clone(&BASE),
            false => Arc::new(side(&document, &overlay)),
        };
        edit(&self.change, &mut document, &mut overlay);
        (old, side(&document, &overlay))
    }
}

fn edit(edits: &[Edit], document: &mut Value, overlay: &mut String) {
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
    let table = table();
    assert!(table.len() >= 40, "{} planted changes", table.len());
    let wrong: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = table
            .chunks(table.len().div_ceil(4))
            .map(|part| scope.spawn(|| part.iter().filter_map(wrong).collect::<Vec<_>>()))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_holds_every_class_of_change() {
    let table = table();
    let held: BTreeSet<&str> = table.iter().map(|planted| planted.class.as_str()).collect();
    assert_eq!(held, BTreeSet::from(CLASSES));
    let names: BTreeSet<&str> = table.iter().map(|planted| planted.name.as_str()).collect();
    assert_eq!(names.len(), table.len(), "two changes of one name");
}

/// How a report begins where no mark came or went; the table leaves it out.
const UNMARKED: &str =
    "## Who may call what\n\nAs before: 1 operation requires commercial approval.\n";

/// What is not as the table says.
fn wrong(planted: &Planted) -> Option<String> {
    let (old, new) = planted.sides();
    let review = review(&old, &new);
    let lines = |text: &str| -> Vec<String> {
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with("# "));
        lines.map(str::to_string).collect()
    };
    let is = (
        review.verdict.to_string(),
        lines(&review.to_string()),
        flipped(&snapshots::of(&old), &snapshots::of(&new)),
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

/// The lines that only one of two sets of snapshots has.
fn flipped(old: &BTreeMap<&str, Vec<String>>, new: &BTreeMap<&str, Vec<String>>) -> Vec<String> {
    let mut flipped = Vec::new();
    for (name, before) in old {
        let after = &new[name];
        let only = |these: &[String], those: &[String]| -> Vec<String> {
            these
                .iter()
                .filter(|line| !those.contains(line))
                .cloned()
                .collect()
        };
        flipped.extend(
            only(before, after)
                .iter()
                .map(|line| format!("{name} - {}", squeezed(line))),
        );
        flipped.extend(
            only(after, before)
                .iter()
                .map(|line| format!("{name} + {}", squeezed(line))),
        );
    }
    flipped
}

/// A line without its padding.
fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
