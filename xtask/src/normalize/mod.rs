//! Turns what the vendor publishes into what the generator can take.
//!
//! A list of named fixes, each a pure function on JSON values that reports
//! where it fired and does nothing where its fault is absent. The order
//! matters: first the document becomes well-formed OpenAPI 3.0.3, then the
//! recorded examples correct the schemas, then the overlay adds what we know
//! beyond the document, and last everything gets the shape that makes good
//! Rust.

use serde_json::Value;

use crate::refusal::Refusal;

mod fixes;
mod overlay;
mod report;
mod tree;

pub use report::Repair;
pub(crate) use tree::walk::referenced;
pub use tree::walk::{METHODS, operations};

use fixes::*;
use report::{Apply, Report};

/// A normalized document with the account of what was done to it.
#[derive(Debug)]
pub struct Derived {
    /// The document that `build.rs` reads.
    pub document: Value,
    /// What was repaired, in the order of the fixes.
    pub repairs: Vec<Repair>,
    /// Overlay targets that matched nothing, or could not be applied.
    pub unmatched: Vec<String>,
}

/// One step of the normalizer, named for what is true after it.
struct Fix {
    name: &'static str,
    apply: Apply,
}

/// From anything the vendor writes to regular OpenAPI 3.0.3.
const STRUCTURE: &[Fix] = &[
    Fix {
        name: "well_formed",
        apply: well_formed::apply,
    },
    Fix {
        name: "openapi_3_0_3",
        apply: openapi_3_0_3::apply,
    },
    Fix {
        name: "partner_operations_only",
        apply: partner_operations_only::apply,
    },
    Fix {
        name: "servers_are_public",
        apply: servers_are_public::apply,
    },
    Fix {
        name: "references_resolve",
        apply: references_resolve::apply,
    },
    Fix {
        name: "schemas_are_plain",
        apply: schemas_are_plain::apply,
    },
    Fix {
        name: "schema_names_are_types",
        apply: schema_names_are_types::apply,
    },
    Fix {
        name: "parameters_are_sendable",
        apply: parameters_are_sendable::apply,
    },
    Fix {
        name: "bodies_are_sendable",
        apply: bodies_are_sendable::apply,
    },
    Fix {
        name: "one_answer_type",
        apply: one_answer_type::apply,
    },
];

/// The recorded examples are right.
const EVIDENCE: &[Fix] = &[Fix {
    name: "examples_hold",
    apply: examples_hold::apply,
}];

/// From a true document to one that makes good Rust.
const SHAPE: &[Fix] = &[
    Fix {
        name: "fields_are_apart",
        apply: fields_are_apart::apply,
    },
    Fix {
        name: "every_operation_named",
        apply: every_operation_named::apply,
    },
    Fix {
        name: "operations_secured",
        apply: operations_secured::apply,
    },
    Fix {
        name: "lists_are_paged",
        apply: lists_are_paged::apply,
    },
    Fix {
        name: "dates_are_typed",
        apply: dates_are_typed::apply,
    },
    Fix {
        name: "errors_are_declared",
        apply: errors_are_declared::apply,
    },
    Fix {
        name: "answers_are_tolerant",
        apply: answers_are_tolerant::apply,
    },
    Fix {
        name: "types_are_named",
        apply: types_are_named::apply,
    },
    Fix {
        name: "approval_is_marked",
        apply: approval_is_marked::apply,
    },
    Fix {
        name: "descriptions_are_plain",
        apply: descriptions_are_plain::apply,
    },
];

/// Derives the normalized document from the vendor's and the overlay.
///
/// # Errors
/// A [`Refusal`] where no honest description can be made: external or
/// dangling references, references that only lead to each other, an overlay
/// that is not one.
pub fn derive(raw: &Value, overlay_yaml: &str) -> Result<Derived, Refusal> {
    let overlay = overlay::parse(overlay_yaml)?;
    let mut document = raw.clone();
    let mut report = Report::default();
    run(STRUCTURE, &mut document, &mut report)?;
    run(EVIDENCE, &mut document, &mut report)?;
    let unmatched = overlay::apply(&overlay, &mut document);
    run(SHAPE, &mut document, &mut report)?;
    document.sort_all_objects();
    Ok(Derived {
        document,
        repairs: report.repairs,
        unmatched,
    })
}

/// Where a fix stands in the order in which they run.
pub(crate) fn position(fix: &str) -> Option<usize> {
    let mut fixes = STRUCTURE.iter().chain(EVIDENCE).chain(SHAPE);
    fixes.position(|own| own.name == fix)
}

fn run(fixes: &[Fix], document: &mut Value, report: &mut Report) -> Result<(), Refusal> {
    for fix in fixes {
        report.fix = fix.name;
        (fix.apply)(document, report)?;
    }
    Ok(())
}
