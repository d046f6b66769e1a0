//! Access to operations: the vendor's approval, and the scopes of tokens.

use std::collections::BTreeMap;

use serde::Serialize;

use super::renames::Renames;
use super::verdict::Level;
use super::wire::Wire;
use crate::surface::{Operation, Surface};

/// A change of the access to an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Access {
    /// The id of the operation.
    pub operation: String,
    /// The version that the change requires.
    pub level: Level,
    /// Whether calls that were allowed may be rejected.
    pub wire: Wire,
    /// The change as a sentence for users.
    pub text: String,
}

/// Returns the approval marks that were added or removed.
pub(super) fn approval(old: &Surface, new: &Surface, renames: &Renames) -> Vec<Access> {
    let mut found = Vec::new();
    for (id, before, now) in pairs(old, new, renames) {
        let Some(operation) = now.or(before) else {
            continue;
        };
        let place = format!("`{id}` ({} {})", operation.method, operation.path);
        let marked = |operation: Option<&Operation>| operation.map(|own| own.approval);
        let (breaks, text) = match (marked(before), marked(now)) {
            (Some(false), Some(true)) => (
                true,
                format!("Apps without commercial approval may no longer call {place}."),
            ),
            (Some(true), Some(false)) => (
                false,
                format!("Any app may call {place} now; it required commercial approval."),
            ),
            (None, Some(true)) => (
                false,
                format!("Only apps with commercial approval may call the new {place}."),
            ),
            (Some(true), None) => (
                true,
                format!("{place} was removed; it required commercial approval."),
            ),
            _ => continue,
        };
        found.push(access(id, breaks, text));
    }
    found
}

/// Returns the scope changes of operations that both documents have.
pub(super) fn scopes(old: &Surface, new: &Surface, renames: &Renames) -> Vec<Access> {
    let mut found = Vec::new();
    for (id, before, now) in pairs(old, new, renames) {
        let (Some(before), Some(now)) = (before, now) else {
            continue;
        };
        let (was, is) = (sorted(&before.scopes), sorted(&now.scopes));
        if was == is {
            continue;
        }
        // A token that was sufficient must still be sufficient.
        let suffices = |token: &Vec<String>| {
            is.is_empty()
                || is
                    .iter()
                    .any(|needed| needed.iter().all(|scope| token.contains(scope)))
        };
        let breaks = !was.iter().all(suffices) || was.is_empty() && !is.is_empty();
        let text = format!("`{id}` needs {}; it needed {}.", words(&is), words(&was));
        found.push(access(id, breaks, text));
    }
    found
}

fn access(operation: String, breaks_requests: bool, text: String) -> Access {
    Access {
        operation,
        // Programs that read the table of operations see the change.
        level: Level::Minor,
        wire: Wire {
            breaks_requests,
            breaks_answers: false,
        },
        text,
    }
}

/// Returns the operations of both documents, by their new ids.
fn pairs<'s>(
    old: &'s Surface,
    new: &'s Surface,
    renames: &Renames,
) -> Vec<(String, Option<&'s Operation>, Option<&'s Operation>)> {
    let mut pairs: BTreeMap<String, (Option<&Operation>, Option<&Operation>)> = BTreeMap::new();
    for (id, operation) in &old.operations {
        pairs.entry(renames.new_id(id)).or_default().0 = Some(operation);
    }
    for (id, operation) in &new.operations {
        pairs.entry(id.clone()).or_default().1 = Some(operation);
    }
    let pairs = pairs.into_iter();
    pairs.map(|(id, (before, now))| (id, before, now)).collect()
}

fn sorted(alternatives: &[Vec<String>]) -> Vec<Vec<String>> {
    let mut alternatives = alternatives.to_vec();
    alternatives.iter_mut().for_each(|scopes| scopes.sort());
    alternatives.sort();
    alternatives
}

fn words(alternatives: &[Vec<String>]) -> String {
    let together = |scopes: &Vec<String>| {
        let named: Vec<_> = scopes.iter().map(|scope| format!("`{scope}`")).collect();
        named.join(" and ")
    };
    match alternatives.iter().map(together).collect::<Vec<_>>() {
        none if none.is_empty() => "no known scope".into(),
        some => some.join(", or "),
    }
}
