//! Converts the vendor's document to one that the generator supports.
//!
//! The normalizer is a list of named fixes. Each fix is a pure function on JSON values that reports
//! every change and does nothing if its fault is absent. The order matters: the first fixes produce
//! well-formed OpenAPI 3.0.3, then the recorded examples correct the schemas, then the overlay adds
//! facts that the document lacks, and the last fixes produce the shape that generates good Rust.

use serde_json::{Value, json};

use crate::guard::{Panic, guarded};
use crate::refusal::{Refusal, refuse};

mod fixes;
mod overlay;
mod report;
mod tree;

pub use report::Repair;
pub use tree::walk::{METHODS, operations};
pub(crate) use tree::walk::{escape, referenced};

use report::{Apply, Report};

/// A normalized document and the repairs that were made.
#[derive(Debug)]
pub struct Derived {
    /// The document that `build.rs` reads.
    pub document: Value,
    /// The repairs, in the order of the fixes.
    pub repairs: Vec<Repair>,
    /// The overlay targets that matched nothing or could not be applied.
    pub unmatched: Vec<String>,
}

impl Derived {
    /// Returns the errors of the vendor's that cost a field or an operation its type, such as a
    /// dangling reference, each with its place and what it costs.
    pub fn faults(&self) -> Vec<String> {
        let faults = self.repairs.iter().filter(|repair| repair.is_fault());
        faults
            .map(
                |Repair {
                     pointer,
                     before,
                     after,
                     ..
                 }| format!("{before} at {pointer}: {after}"),
            )
            .collect()
    }
}

/// Marks a derived document at its root. The extensions of such a document are this project's own.
pub(crate) const MARK: &str = "x-normalized";

/// The names of the webhooks, at the root of a derived document.
pub(crate) const WEBHOOKS: &str = "x-webhook-names";

/// One step of the normalizer, named for what is true after it.
struct Fix {
    name: &'static str,
    apply: Apply,
}

/// The fixes by name, which is also the name of their file.
macro_rules! fixes {
    ($($name:ident),* $(,)?) => {
        &[$(Fix { name: stringify!($name), apply: fixes::$name::apply },)*]
    };
}

/// Fixes that produce valid OpenAPI 3.0.3.
const STRUCTURE: &[Fix] = fixes![
    well_formed,
    extensions_are_ours,
    openapi_3_0_3,
    partner_operations_only,
    servers_are_public,
    references_resolve,
    schema_names_are_types,
    schemas_are_plain,
    examples_are_values,
    parameters_are_sendable,
    path_variables_agree,
    bodies_are_sendable,
    one_answer_type,
];

/// Fixes that correct the schemas by the recorded examples.
const EVIDENCE: &[Fix] = fixes![examples_hold];

/// Fixes that produce a document that generates good Rust.
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

/// Derives the normalized document from the vendor's document and the overlay.
///
/// # Errors
/// Returns a [`Refusal`] for external references, for an invalid overlay, and for a panic of a fix,
/// with its place.
pub fn derive(raw: &Value, overlay_yaml: &str) -> Result<Derived, Refusal> {
    let mut fix = "overlay";
    guarded(|| derive_unguarded(raw, overlay_yaml, &mut fix)).unwrap_or_else(|panic| {
        let Panic { message, place } = panic;
        let place = if place.is_empty() {
            "the document"
        } else {
            &place
        };
        Err(refuse(
            format!("the fix `{fix}` failed at {place}: {message}"),
            "a document that every fix accepts",
            format!("correct xtask/src/normalize/fixes/{fix}.rs, with a test for that place"),
        ))
    })
}

fn derive_unguarded(
    raw: &Value,
    overlay_yaml: &str,
    current: &mut &'static str,
) -> Result<Derived, Refusal> {
    let overlay = overlay::parse(overlay_yaml)?;
    let mut document = raw.clone();
    let mut report = Report::new(raw);
    let mut run = |fixes: &[Fix], document: &mut Value| {
        for fix in fixes {
            *current = fix.name;
            report.fix = fix.name;
            (fix.apply)(document, &mut report)?;
        }
        Ok(())
    };
    run(STRUCTURE, &mut document)?;
    run(EVIDENCE, &mut document)?;
    let unmatched = overlay::apply(&overlay, &mut document);
    run(SHAPE, &mut document)?;
    document[MARK] = json!(true);
    document.sort_all_objects();
    Ok(Derived {
        document,
        repairs: report.repairs,
        unmatched,
    })
}

/// Returns the position of a fix in the order in which fixes run.
pub(crate) fn position(fix: &str) -> Option<usize> {
    let mut fixes = STRUCTURE.iter().chain(EVIDENCE).chain(SHAPE);
    fixes.position(|own| own.name == fix)
}
