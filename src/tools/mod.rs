//! Operations as tools of a language model: definitions, and calls by name.
//!
//! [`all`] returns a [`Tool`] for each operation, with a JSON Schema of its arguments and of its
//! result. [`Tool::openai`], [`Tool::anthropic`] and [`Tool::mcp`] write it in the form that each
//! expects. [`Client::invoke`](crate::Client::invoke) makes the call that a model asks for.
//!
//! A [`ToolSet`] is the list of tools that a model may use. By default these are the operations
//! that only read; allow each write by its id:
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! # use fullscript::testing::FakeFullscript;
//! # let fake = FakeFullscript::start().await?;
//! # let client = fake.client();
//! use fullscript::tools::{Mask, ToolSet};
//! use serde_json::json;
//!
//! let tools = ToolSet::read_only()
//!     .allow("create_treatment_plan")?
//!     .mask(Mask::patient_fields());
//!
//! // What the model gets, here in the form of the Anthropic Messages API.
//! let definitions: Vec<_> = tools.tools().map(|tool| tool.anthropic()).collect();
//! # assert!(definitions.len() > 50);
//!
//! // What the model asks for.
//! let page = tools.invoke(&client, "list_patients", json!({"page_size": 5})).await?;
//! assert!(page["patients"][0]["id"].is_string());
//! assert!(page["patients"][0]["email"].is_null());
//!
//! // The text of an error says what to change, and contains no value of an argument.
//! let error = tools.invoke(&client, "get_patient", json!({})).await.unwrap_err();
//! assert_eq!(error.to_string(), "get_patient: not sent: `id` is missing");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! # Arguments
//!
//! Parameters of the path and of the query are properties of one object, and the body is its
//! property `body`. A name with other characters than letters, digits and `_` is changed, because
//! the dialects refuse it: `page[size]` becomes `page_size`, `allergen_ids[]` becomes
//! `allergen_ids`.
//!
//! A `null` for an optional argument or field is left out, because models send it for "not given".
//! So a tool cannot clear a field of a record; use the typed method for that.
//!
//! # What stays out
//!
//! Operations that carry secrets are not tools: the OAuth operations and `create_session_grant`.
//! Headers are not arguments; for an idempotency key see
//! [`CallOptions`](crate::CallOptions).

/// Compiles and runs the examples of the block of context for coding assistants as tests.
#[cfg(doctest)]
#[doc = include_str!("context.md")]
mod context {}

mod arguments;
mod definition;
mod document;
mod invoke;
mod mask;
mod output;
mod schema;
mod set;

pub use self::definition::{Hints, Tool};
pub use self::mask::Mask;
pub use self::set::{NotATool, ToolSet};

/// Returns the tools of all operations, sorted by name.
///
/// ```
/// let tool = fullscript::tools::find("create_treatment_plan").unwrap();
/// assert!(!tool.hints().read_only);
/// assert!(tool.hints().restricted);
/// assert_eq!(tool.input_schema()["required"][0], "body");
/// ```
#[must_use]
pub fn all() -> &'static [Tool] {
    &document::TOOLS
}

/// Returns the tool with this name, which is the id of its operation.
#[must_use]
pub fn find(name: &str) -> Option<&'static Tool> {
    let index = all().binary_search_by(|tool| tool.name().cmp(name)).ok()?;
    all().get(index)
}
