//! Repairs that began or ceased, and overlay actions that lost their place:
//! signs that the vendor changed habits.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::normalize::Repair;

/// The repairs of one fix that only one of two documents needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepairsOfFix {
    /// The fix.
    pub fix: String,
    /// Repairs that the old document did not need.
    pub began: Vec<String>,
    /// Repairs that the new document does not need.
    pub ceased: Vec<String>,
}

/// Targets of the overlay.
#[derive(Debug, Default, Serialize)]
pub struct Overlay {
    /// Those that matched and match nothing any more.
    pub lost: Vec<String>,
    /// Those that matched nothing and match again.
    pub found: Vec<String>,
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
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lost.is_empty() && self.found.is_empty()
    }
}

/// In the order in which the fixes run.
pub(super) fn changed(old: &[Repair], new: &[Repair]) -> Vec<RepairsOfFix> {
    let (before, now) = (counted(old), counted(new));
    let only = |these: &BTreeMap<Kind, usize>, those: &BTreeMap<Kind, usize>, fix: &str| {
        let own = these.iter().filter(|((own, _), _)| *own == fix);
        let extra = own.flat_map(|(kind, count)| {
            let extra = count.saturating_sub(those.get(kind).copied().unwrap_or_default());
            std::iter::repeat_n(kind.1.clone(), extra)
        });
        extra.collect::<Vec<_>>()
    };
    let mut fixes: Vec<&str> = Vec::new();
    for repair in old.iter().chain(new) {
        if !fixes.contains(&repair.fix) {
            fixes.push(repair.fix);
        }
    }
    fixes.sort_by_key(|fix| crate::normalize::position(fix));
    let all = fixes.into_iter().map(|fix| RepairsOfFix {
        fix: fix.to_string(),
        began: only(&now, &before, fix),
        ceased: only(&before, &now, fix),
    });
    all.filter(|of| !of.began.is_empty() || !of.ceased.is_empty())
        .collect()
}

/// A fix, and what it did where. What it rests on may change: an example
/// more or less is no other repair.
type Kind = (&'static str, String);

fn counted(repairs: &[Repair]) -> BTreeMap<Kind, usize> {
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
