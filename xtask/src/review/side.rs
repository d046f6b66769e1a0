//! A document and everything that is derived from it.

use serde_json::Value;

use crate::codegen::{Code, Generated, code_of};
use crate::normalize::{Derived, Repair};
use crate::surface::Surface;

/// A document and everything that is derived from it.
#[derive(Debug, Clone)]
pub struct Side {
    /// The name of its source.
    pub name: String,
    /// The normalized document.
    pub document: Value,
    /// The normalized document without its recorded examples, if it is known.
    pub declared: Option<Value>,
    /// The repairs that were made.
    pub repairs: Vec<Repair>,
    /// Errors of the vendor's, one on each line.
    pub faults: Vec<String>,
    /// The overlay targets that matched nothing.
    pub unmatched: Vec<String>,
    /// The generated code.
    pub generated: Generated,
    /// The public surface of the generated code.
    pub surface: Surface,
}

impl Side {
    /// Generates the code of a derived document and reads its public surface.
    ///
    /// # Errors
    /// Returns the message of the generator, or of the reader of its output.
    pub fn new(name: impl Into<String>, derived: Derived) -> Result<Self, String> {
        let code = code_of(&derived.document)?;
        let surface = Surface::of(&code)?;
        let generated = code.into_text();
        Ok(Self {
            name: name.into(),
            faults: derived.faults(),
            document: derived.document,
            declared: None,
            repairs: derived.repairs,
            unmatched: derived.unmatched,
            generated,
            surface,
        })
    }

    /// Adds what the vendor declares, so that a review tells it from what recorded examples imply.
    #[must_use]
    pub fn with_declared(mut self, declared: Option<Value>) -> Self {
        self.declared = declared;
        self
    }
}

impl Surface {
    /// Reads the public surface of generated code.
    ///
    /// # Errors
    /// Returns a message that names code of an unknown shape.
    pub fn of(code: &Code) -> Result<Self, String> {
        let own_types = syn::parse_file(&code.own_types).map_err(|error| error.to_string())?;
        let types: Vec<_> = code.types.iter().chain(&own_types.items).collect();
        Self::of_items(&types, &code.client, &code.operations)
    }
}
