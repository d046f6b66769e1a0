//! The reported repairs of the fixes.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use crate::refusal::Refusal;

/// A repair: its place, the old value, the new value, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// The fix that made the repair.
    pub fix: &'static str,
    /// The JSON pointer at the time of the repair. The step of a parameter is its name instead of
    /// its index.
    pub pointer: String,
    /// The old value.
    pub before: String,
    /// The new value.
    pub after: String,
    /// The reason; empty if the fault is evident.
    pub evidence: String,
}

/// The reason of a repair of an error of the vendor's that costs a place its type.
const FAULT: &str = "an error of the vendor's";

impl Repair {
    pub(crate) fn is_fault(&self) -> bool {
        self.evidence == FAULT
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<26} {}: {} -> {}",
            self.fix, self.pointer, self.before, self.after
        )?;
        if !self.evidence.is_empty() {
            write!(f, " ({})", self.evidence)?;
        }
        Ok(())
    }
}

/// Collects the repairs of all fixes.
#[derive(Debug, Default)]
pub(crate) struct Report<'r> {
    /// The fix that is running.
    pub(crate) fix: &'static str,
    pub(crate) repairs: Vec<Repair>,
    /// The document before all fixes, for references to parts that were removed.
    pub(crate) received: Option<&'r Value>,
    /// The places that were reported, with their fix.
    places: BTreeSet<(&'static str, String)>,
}

impl<'r> Report<'r> {
    pub(crate) fn new(received: &'r Value) -> Self {
        Self {
            received: Some(received),
            ..Self::default()
        }
    }

    /// Returns the places of the errors of the vendor's.
    #[cfg(test)]
    pub(crate) fn faults(&self) -> Vec<&str> {
        let faults = self.repairs.iter().filter(|repair| repair.is_fault());
        faults.map(|repair| repair.pointer.as_str()).collect()
    }

    /// Reports an error of the vendor's that costs the place its type.
    pub(crate) fn fault(
        &mut self,
        pointer: &str,
        problem: impl fmt::Display,
        after: impl fmt::Display,
    ) {
        self.note_because(pointer, problem, after, FAULT);
    }

    pub(crate) fn note(
        &mut self,
        pointer: impl Into<String>,
        before: impl fmt::Display,
        after: impl fmt::Display,
    ) {
        self.note_because(pointer, before, after, "");
    }

    /// Returns whether the current fix has already reported a place.
    pub(crate) fn has(&self, pointer: &str) -> bool {
        self.places.contains(&(self.fix, pointer.to_string()))
    }

    pub(crate) fn note_because(
        &mut self,
        pointer: impl Into<String>,
        before: impl fmt::Display,
        after: impl fmt::Display,
        evidence: impl fmt::Display,
    ) {
        let pointer = pointer.into();
        self.places.insert((self.fix, pointer.clone()));
        self.repairs.push(Repair {
            fix: self.fix,
            pointer,
            before: one_line(&before.to_string()),
            after: one_line(&after.to_string()),
            evidence: one_line(&evidence.to_string()),
        });
    }
}

/// Shortens a value to one line of at most 80 characters.
fn one_line(text: &str) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if flat.chars().count() <= 80 {
        return flat;
    }
    flat.chars().take(77).chain("...".chars()).collect()
}

/// A fix: changes the document and reports each change.
pub(crate) type Apply = fn(&mut Value, &mut Report<'_>) -> Result<(), Refusal>;

/// Runs a fix twice on a document, for the tests of the fixes.
#[cfg(test)]
pub(crate) fn check(apply: Apply, mut document: Value) -> (Value, Vec<Repair>) {
    let mut report = Report::default();
    apply(&mut document, &mut report).unwrap();
    let once = document.clone();
    let mut again = Report::default();
    apply(&mut document, &mut again).unwrap();
    assert_eq!(document, once, "a fix changes nothing the second time");
    assert_eq!(
        again.repairs,
        vec![],
        "a fix reports nothing the second time"
    );
    (once, report.repairs)
}
