//! Repairs and overlay targets that changed: signs that the vendor writes the document differently.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::side::Side;
use crate::normalize::{self, METHODS, Moved, Repair};

/// The repairs of one fix that only one of the documents needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepairsOfFix {
    /// The name of the fix.
    pub fix: String,
    /// Repairs that only the new document needs.
    pub began: Vec<String>,
    /// Repairs that only the old document needs.
    pub ceased: Vec<String>,
}

/// The repairs that changed in common parts, and the number of the others.
#[derive(Debug, Default, Serialize)]
pub struct Repairs {
    /// Repairs in operations and components that both documents have.
    pub changed: Vec<RepairsOfFix>,
    /// The number of repairs in parts that only the new document has.
    pub with_new: usize,
    /// The number of repairs in parts that only the old document has.
    pub with_gone: usize,
}

/// Targets of the overlay.
#[derive(Debug, Default, Serialize)]
pub struct Overlay {
    /// Targets that matched and no longer do.
    pub lost: Vec<String>,
    /// Targets that did not match and do now.
    pub found: Vec<String>,
    /// Operations that moved, and whose targets followed.
    pub moved: Vec<Moved>,
}

impl Overlay {
    pub(super) fn between(old: &[String], new: &[String]) -> Self {
        let only = |these: &[String], those: &[String]| {
            let only = these.iter().filter(|target| !those.contains(target));
            only.cloned().collect()
        };
        Self {
            lost: only(new, old),
            found: only(old, new),
            moved: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lost.is_empty() && self.found.is_empty() && self.moved.is_empty()
    }
}

impl Repairs {
    pub(super) fn between(old: &Side, new: &Side) -> Self {
        let (kept, gone) = apart(&old.repairs, &new.document);
        let (known, added) = apart(&new.repairs, &old.document);
        Self {
            changed: changed(&kept, &known),
            with_new: added,
            with_gone: gone,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.with_new + self.with_gone == 0
    }
}

/// Returns the repairs in common parts, and the number of the rest.
fn apart<'r>(repairs: &'r [Repair], other: &Value) -> (Vec<&'r Repair>, usize) {
    let (both, rest): (Vec<_>, Vec<_>) = repairs
        .iter()
        .partition(|repair| is_held(&repair.pointer, other));
    (both, rest.len())
}

/// Returns whether a document has the operation or component of a pointer.
fn is_held(pointer: &str, document: &Value) -> bool {
    let depth = 3;
    let steps: Vec<&str> = pointer.split('/').skip(1).take(depth).collect();
    match steps.as_slice() {
        // A repair of a path applies to each of its operations.
        ["paths", path, step] if !METHODS.contains(step) => {
            document.pointer(&format!("/paths/{path}")).is_some()
        }
        ["paths" | "components", _, _] => {
            document.pointer(&format!("/{}", steps.join("/"))).is_some()
        }
        _ => true,
    }
}

/// Returns the changed repairs, in the order in which the fixes run.
fn changed(old: &[&Repair], new: &[&Repair]) -> Vec<RepairsOfFix> {
    let (before, now) = (counted(old), counted(new));
    let only =
        |these: &BTreeMap<RepairKey, usize>, those: &BTreeMap<RepairKey, usize>, fix: &str| {
            let own = these.iter().filter(|((own, _), _)| *own == fix);
            let extra = own.flat_map(|(kind, count)| {
                let extra = count.saturating_sub(those.get(kind).copied().unwrap_or_default());
                std::iter::repeat_n(kind.1.clone(), extra)
            });
            extra.collect::<Vec<_>>()
        };
    let mut fixes: Vec<&str> = old.iter().chain(new).map(|repair| repair.fix).collect();
    fixes.sort_by_key(|fix| normalize::position(fix));
    fixes.dedup();
    let all = fixes.into_iter().map(|fix| RepairsOfFix {
        fix: fix.to_string(),
        began: only(&now, &before, fix),
        ceased: only(&before, &now, fix),
    });
    all.filter(|of| !of.began.is_empty() || !of.ceased.is_empty())
        .collect()
}

/// Returns the identity of a repair: its fix, place and values. The reason is not part of it,
/// because it depends on the number of examples.
type RepairKey = (&'static str, String);

fn counted(repairs: &[&Repair]) -> BTreeMap<RepairKey, usize> {
    let mut counts = BTreeMap::new();
    for Repair {
        fix,
        pointer,
        before,
        after,
        ..
    } in repairs
    {
        let text = format!("{pointer}: {before} -> {after}");
        *counts.entry((*fix, text)).or_default() += 1;
    }
    counts
}
