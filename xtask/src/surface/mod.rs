//! What users get, read from the generated Rust: one source for the snapshots,
//! the review of an update and the surface that a release records.
//!
//! `tests/it/api/surface.rs` includes this module too, to read the compiled output.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod listing;
mod read;
mod syntax;
mod types;

/// Everything of the generated code that a caller can name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surface {
    /// The operations by id.
    pub operations: BTreeMap<String, Operation>,
    /// The types of `fullscript::types` by name.
    pub types: BTreeMap<String, Type>,
}

/// A method of the client with its builder and its row in the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// The HTTP method, in upper case.
    pub method: String,
    /// The path with its variables in braces.
    pub path: String,
    /// Whether the vendor restricts it to approved partners.
    pub approval: bool,
    /// Alternatives, each a list of scopes needed together.
    pub scopes: Vec<Vec<String>>,
    /// What the rest of its row says to programs: paging, token, media type.
    pub row: BTreeMap<String, String>,
    /// The setters of its builder, in their order.
    pub arguments: Vec<Argument>,
    /// What `send` answers.
    pub answer: String,
    /// What `pages` and `items` stream, where the operation is a list.
    pub list: Option<List>,
}

/// A setter of a builder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Argument {
    /// The setter's name.
    pub name: String,
    /// The type it takes.
    pub ty: String,
    /// Whether the document lets a call leave it out.
    pub optional: bool,
    /// Whether a call without it fails before it is sent: a body of optional
    /// fields is sent empty.
    pub needed: bool,
}

/// What an operation streams.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// The record's type.
    pub record: String,
    /// The field of the answer that holds the records.
    pub field: String,
    /// Whether records are identified by their id.
    pub by_id: bool,
    /// The type of `meta` beside the records.
    pub meta: String,
    /// Whether it comes in pages.
    pub paged: bool,
}

/// A type of `fullscript::types`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// A struct with named fields.
    Model {
        /// The fields, in their order.
        fields: Vec<Field>,
        /// Whether `Default` is implemented: no field has to be given.
        default: bool,
        /// Whether a literal of it compiles in other crates.
        exhaustive: bool,
        /// The parameters of `new`, which are the required fields in their order.
        constructor: Vec<String>,
    },
    /// A struct around one unnamed value.
    Wrapper(String),
    /// A set of values.
    Values {
        /// The values, in their order.
        values: Vec<Variant>,
        /// Whether a value that is not among them is refused.
        closed: bool,
    },
    /// An id of this kind of object.
    Id(String),
    /// Another name of a type.
    Alias(String),
}

/// A public field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// The name in Rust.
    pub name: String,
    /// The name on the wire.
    pub wire: String,
    /// The type.
    pub ty: String,
}

/// A variant of a set of values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// The name in Rust.
    pub name: String,
    /// The text on the wire.
    pub text: String,
}
