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
pub use tree::walk::{METHODS, operations};
pub(crate) use tree::walk::{escape, referenced};

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

/// Fixes by their names, which are those of their files.
macro_rules! fixes {
    ($($name:ident),* $(,)?) => {
        &[$(Fix { name: stringify!($name), apply: fixes::$name::apply },)*]
    };
}

/// From anything the vendor writes to regular OpenAPI 3.0.3.
const STRUCTURE: &[Fix] = fixes![
    well_formed,
    openapi_3_0_3,
    partner_operations_only,
    servers_are_public,
    references_resolve,
    schemas_are_plain,
    schema_names_are_types,
    parameters_are_sendable,
    path_variables_agree,
    bodies_are_sendable,
    one_answer_type,
];

/// The recorded examples are right.
const EVIDENCE: &[Fix] = fixes![examples_hold];

/// From a true document to one that makes good Rust.
const SHAPE: &[Fix] = fixes![
    fields_are_apart,
    every_operation_named,
    operations_secured,
    lists_are_paged,
    dates_are_typed,
    errors_are_declared,
    answers_are_tolerant,
    types_are_named,
    approval_is_marked,
    descriptions_are_plain,
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
