//! A document with all that is made of it.

use serde_json::Value;

use crate::codegen::{Code, Generated, code};
use crate::normalize::{Derived, Repair};
use crate::surface::Surface;

/// A document with all that is made of it.
#[derive(Debug, Clone)]
pub struct Side {
    /// Where it came from, in a word.
    pub name: String,
    /// The normalized document.
    pub document: Value,
    /// What was repaired in it.
    pub repairs: Vec<Repair>,
    /// Overlay targets that matched nothing in it.
    pub unmatched: Vec<String>,
    /// The code generated from it.
    pub generated: Generated,
    /// What users get of that.
    pub surface: Surface,
}

impl Side {
    /// Generates the code of a derived document and reads what users get.
    ///
    /// # Errors
    /// What the generator or the reading of its output says.
    pub fn new(name: impl Into<String>, derived: Derived) -> Result<Self, String> {
        let code = code(&derived.document.to_string())?;
        let surface = Surface::of(&code)?;
        let generated = code.into_text();
        Ok(Self {
            name: name.into(),
            document: derived.document,
            repairs: derived.repairs,
            unmatched: derived.unmatched,
            generated,
            surface,
        })
    }
}

impl Surface {
    /// What users get of generated code.
    ///
    /// # Errors
    /// Says what is of a shape that the generator did not use to write.
    pub fn of(code: &Code) -> Result<Self, String> {
        let own_types = syn::parse_file(&code.own_types).map_err(|error| error.to_string())?;
        let types: Vec<_> = code.types.iter().chain(&own_types.items).cloned().collect();
        Self::of_items(&types, &code.client, &code.operations)
    }
}
