//! The arguments of an operation.

use quote::format_ident;
use syn::{Ident, Pat, Type, parse_quote};

use crate::codegen::syntax::{argument, text};

/// An argument of an operation.
pub(crate) struct Argument {
    pub(crate) name: Ident,
    /// The owned type that the request builder stores.
    pub(crate) ty: Type,
    pub(crate) optional: bool,
    /// How the request-building code takes the argument.
    pub(crate) passed: Passed,
    /// The document's description; may be empty.
    pub(crate) description: String,
}

/// Methods that every builder has: the setter of an argument of such a name gets an underscore.
const METHODS: [&str; 8] = [
    "clone",
    "into_future",
    "items",
    "new",
    "own_request",
    "pages",
    "send",
    "to_owned",
];

impl Argument {
    /// The name of the setter.
    pub(crate) fn setter(&self) -> Ident {
        let name = &self.name;
        if METHODS.contains(&name.to_string().as_str()) {
            format_ident!("{name}_")
        } else {
            name.clone()
        }
    }
}

/// How the generated code takes an argument.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passed {
    ByValue,
    ByReference,
    AsStr,
}

pub(crate) fn parameter(parameter: &syn::PatType, docs: &str) -> Option<Argument> {
    let Pat::Ident(pattern) = &*parameter.pat else {
        return None;
    };
    let name = pattern.ident.clone();
    let optional = argument(&parameter.ty).filter(|(wrapper, _)| *wrapper == "Option");
    let given = optional.map_or(&*parameter.ty, |(_, given)| given);
    let (ty, passed) = match given {
        Type::Reference(reference) if text(&reference.elem) == "str" => {
            (parse_quote!(::std::string::String), Passed::AsStr)
        }
        Type::Reference(reference) => (Type::clone(&reference.elem), Passed::ByReference),
        // `B: Into<reqwest::Body>`
        generic if text(generic) == "B" => (parse_quote!(::reqwest::Body), Passed::ByValue),
        other => (other.clone(), Passed::ByValue),
    };
    // progenitor lists arguments as "- `name`: description".
    let start = format!("- `{name}`: ");
    let description = docs.lines().find_map(|line| line.strip_prefix(&start));
    Some(Argument {
        ty,
        optional: optional.is_some(),
        passed,
        description: description.unwrap_or_default().trim().into(),
        name,
    })
}
