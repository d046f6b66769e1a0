//! Converts the vendor's document to one that the generator supports.
//!
//! The normalizer is a list of named fixes. Each fix is a pure function on JSON values that reports
//! every change and does nothing if its fault is absent. The order matters: the first fixes produce
//! well-formed OpenAPI 3.0.3, then the recorded examples correct the schemas, then the overlay adds
//! facts that the document lacks, and the last fixes produce the shape that generates good Rust.

use roas_overlay::v1_0::Overlay;
use serde_json::{Value, json};

use crate::guard::{self, Panic};
use crate::refusal::{Refusal, refuse};

mod fixes;
mod moved;
mod overlay;
mod report;
mod tree;

pub use moved::Moved;
pub(crate) use moved::{Moves, anonymous};
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
    swagger_is_translated,
    paths_are_addresses,
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
    let mut steps = Steps::new(raw);
    let unmatched = guarded(&mut steps, |steps| {
        let overlay = overlay::parse(overlay_yaml)?;
        steps.run(STRUCTURE)?;
        steps.run(EVIDENCE)?;
        steps.finish(&overlay)
    })?;
    Ok(Derived {
        document: steps.document,
        repairs: steps.report.repairs,
        unmatched,
    })
}

/// Derives the document without its recorded examples: what the vendor declares.
///
/// # Errors
/// Returns the errors of [`derive()`].
pub fn declared(raw: &Value, overlay_yaml: &str) -> Result<Value, Refusal> {
    let mut steps = Steps::new(raw);
    guarded(&mut steps, |steps| {
        let overlay = overlay::parse(overlay_yaml)?;
        steps.run(STRUCTURE)?;
        steps.finish(&overlay)
    })?;
    Ok(steps.document)
}

/// Returns the document with the paths and operations that the overlay refers to.
fn prepared(raw: &Value) -> Result<Value, Refusal> {
    let mut steps = Steps::new(raw);
    guarded(&mut steps, |steps| steps.run(STRUCTURE))?;
    Ok(steps.document)
}

/// A document on its way through the fixes.
struct Steps<'r> {
    document: Value,
    report: Report<'r>,
}

impl<'r> Steps<'r> {
    fn new(raw: &'r Value) -> Self {
        Self {
            document: raw.clone(),
            report: Report::new(raw),
        }
    }

    fn run(&mut self, fixes: &[Fix]) -> Result<(), Refusal> {
        for fix in fixes {
            self.report.fix = fix.name;
            (fix.apply)(&mut self.document, &mut self.report)?;
        }
        Ok(())
    }

    /// Applies the overlay and the fixes after it, and returns the targets that matched nothing.
    fn finish(&mut self, overlay: &Overlay) -> Result<Vec<String>, Refusal> {
        self.report.fix = "overlay";
        let unmatched = overlay::apply(overlay, &mut self.document);
        self.run(SHAPE)?;
        self.document[MARK] = json!(true);
        self.document.sort_all_objects();
        Ok(unmatched)
    }
}

/// Runs steps, and turns a panic of a fix into a refusal.
fn guarded<'r, T: Send>(
    steps: &mut Steps<'r>,
    work: impl FnOnce(&mut Steps<'r>) -> Result<T, Refusal> + Send,
) -> Result<T, Refusal> {
    let caught = guard::guarded(|| work(steps));
    caught.unwrap_or_else(|panic| {
        let Panic { message, place } = panic;
        let fix = steps.report.fix;
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

/// Returns the position of a fix in the order in which fixes run.
pub(crate) fn position(fix: &str) -> Option<usize> {
    let mut fixes = STRUCTURE.iter().chain(EVIDENCE).chain(SHAPE);
    fixes.position(|own| own.name == fix)
}
