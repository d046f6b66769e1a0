//! The comparison of the wire formats: requests and responses, and whether a client of the old
//! document still works.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::renames::Renames;
use super::shape::{Shape, Shapes};
use super::side::Side;
use super::subject::Subject;
use super::usage::Usage;
use crate::normalize;

mod declared;
mod operations;
mod types;

use declared::Declared;

/// Whether a client of the old document works with the new server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Wire {
    /// Valid requests may be rejected or misinterpreted.
    pub breaks_requests: bool,
    /// Responses may not decode, or lack data that they contained.
    pub breaks_answers: bool,
}

/// A difference on the wire.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) subject: Subject,
    pub(super) wire: Wire,
    pub(super) text: String,
}

/// One operation of a document.
struct Operation<'d> {
    method: String,
    path: &'d str,
    value: &'d Value,
}

/// Compares two normalized documents.
pub(super) struct Comparison<'d> {
    old: Shapes<'d>,
    new: Shapes<'d>,
    declared: Declared<'d>,
    renames: &'d Renames,
    /// The usage of types in the old document. Only these requests and responses can break.
    used: BTreeMap<String, Usage>,
    found: Vec<Difference>,
}

impl Wire {
    const COMPATIBLE: Self = Self::breaking(false, false);
    const REQUESTS: Self = Self::breaking(true, false);

    const fn breaking(requests: bool, answers: bool) -> Self {
        Self {
            breaks_requests: requests,
            breaks_answers: answers,
        }
    }

    /// Returns the combination of two values.
    pub(super) fn and(self, other: Self) -> Self {
        Self::breaking(
            self.breaks_requests || other.breaks_requests,
            self.breaks_answers || other.breaks_answers,
        )
    }

    /// Returns the class in words.
    pub fn text(self) -> &'static str {
        match (self.breaks_requests, self.breaks_answers) {
            (false, false) => "compatible",
            (true, false) => "breaks requests",
            (false, true) => "breaks responses",
            (true, true) => "breaks requests and responses",
        }
    }
}

impl<'d> Comparison<'d> {
    pub(super) fn new(old: &'d Side, new: &'d Side, renames: &'d Renames) -> Self {
        let (old_document, new_document) = (&old.document, &new.document);
        Self {
            old: Shapes {
                document: old_document,
                renames: Some(renames),
            },
            new: Shapes {
                document: new_document,
                renames: None,
            },
            declared: Declared::of(old, new, renames),
            renames,
            used: Usage::of_all(old_document),
            found: Vec::new(),
        }
    }

    /// Returns all differences of operations and types.
    pub(super) fn run(mut self) -> Vec<Difference> {
        let (old, new) = (by_id(self.old.document), by_id(self.new.document));
        let kept: BTreeMap<String, (&String, &Operation<'_>)> = old
            .iter()
            .map(|(id, operation)| (self.renames.new_id(id), (id, operation)))
            .collect();
        for (id, (old_id, before)) in &kept {
            match new.get(id) {
                Some(after) => self.operation(id, old_id, before, after),
                None => self.note(
                    Subject::Operation(id.clone()),
                    Wire::REQUESTS,
                    format!("is gone ({} {})", before.method, before.path),
                ),
            }
        }
        for (id, added) in new.iter().filter(|(id, _)| !kept.contains_key(*id)) {
            let mut text = format!("is new ({} {})", added.method, added.path);
            let not_sent = operations::not_sent(added.value);
            if !not_sent.is_empty() {
                text.push_str(&format!(
                    " and has parts that the client cannot send: {}",
                    not_sent.join(", ")
                ));
            }
            self.note(Subject::Operation(id.clone()), Wire::COMPATIBLE, text);
        }
        self.types();
        self.found
    }

    /// Adds a note if the shape of the values changed, and returns whether it did.
    fn reshaped(&mut self, subject: Subject, wire: Wire, was: &Shape, is: &Shape) -> bool {
        let differs = was.values != is.values;
        if differs {
            self.note(
                subject,
                wire,
                format!("was {} and is {}", was.text, is.text),
            );
        }
        differs
    }

    fn note(&mut self, subject: Subject, wire: Wire, text: impl Into<String>) {
        let text = text.into();
        self.found.push(Difference {
            subject,
            wire,
            text,
        });
    }
}

fn by_id(document: &Value) -> BTreeMap<String, Operation<'_>> {
    let named = normalize::operations(document).filter_map(|(path, method, value)| {
        let id = value["operationId"].as_str()?;
        let method = method.to_uppercase();
        Some((
            id.to_string(),
            Operation {
                method,
                path,
                value,
            },
        ))
    });
    named.collect()
}
