//! Documents the models that have no description in the document, by where they are used.

use std::collections::BTreeMap;

use heck::ToSnakeCase;
use quote::ToTokens;
use syn::Item;

use crate::codegen::client::operation::{Operation, ResponseBody};
use crate::codegen::syntax::{documentation, set, text};

/// Adds documentation to the models without a description.
pub(crate) fn write(types: &mut [Item], operations: &[Operation<'_>]) {
    let used = Used::by(types, operations);
    for item in types {
        if let Item::Struct(model) = item {
            let name = model.ident.to_string();
            if is_bare(&documentation(&model.attrs), &name) {
                set(&mut model.attrs, &used.of_model(&name));
            }
        }
    }
}

/// Where each model is used, by its name.
#[derive(Default)]
struct Used {
    /// The ids of the operations whose response it is.
    responses: BTreeMap<String, Vec<String>>,
    /// The ids of the operations that take it as an argument.
    arguments: BTreeMap<String, Vec<String>>,
    /// The models that have a field with it.
    holders: BTreeMap<String, Vec<String>>,
}

impl Used {
    fn by(types: &[Item], operations: &[Operation<'_>]) -> Self {
        let mut used = Self::default();
        let add = |all: &mut BTreeMap<String, Vec<String>>, name: &str, user: &str| {
            let users = all.entry(name.into()).or_default();
            if users.last().is_none_or(|last| last != user) {
                users.push(user.into());
            }
        };
        for operation in operations {
            if let ResponseBody::Json(response) = &operation.response {
                add(&mut used.responses, &text(response), &operation.id);
            }
            for argument in &operation.arguments {
                add(&mut used.arguments, &text(&argument.ty), &operation.id);
            }
        }
        for item in types {
            let Item::Struct(model) = item else {
                continue;
            };
            let holder = model.ident.to_string();
            for field in &model.fields {
                let ty = field.ty.to_token_stream().to_string();
                for name in ty.split(|c: char| !c.is_alphanumeric() && c != '_') {
                    if name != holder {
                        add(&mut used.holders, name, &holder);
                    }
                }
            }
        }
        used
    }

    fn of_model(&self, name: &str) -> String {
        let path = format!("types::{name}");
        let links = |all: &BTreeMap<String, Vec<String>>| -> Vec<String> {
            let ids = all.get(&path).into_iter().flatten();
            ids.map(|id| format!("[`{id}`](crate::Client::{id})"))
                .collect()
        };
        let responses = links(&self.responses);
        if !responses.is_empty() {
            return format!("The response of {}.", listed(&responses));
        }
        let bodies = links(&self.arguments);
        if !bodies.is_empty() {
            return format!("The request body of {}.", listed(&bodies));
        }
        let holders = self.holders.get(name).into_iter().flatten();
        let holders: Vec<_> = holders.map(|holder| format!("[`{holder}`]")).collect();
        let words = name.to_snake_case().replace('_', " ");
        let article = if words.starts_with(['a', 'e', 'i', 'o']) {
            "An"
        } else {
            "A"
        };
        if holders.is_empty() {
            format!("{article} {words}.")
        } else {
            format!("{article} {words}, part of {}.", listed(&holders))
        }
    }
}

/// Returns whether the generator documented only the name.
fn is_bare(docs: &str, name: &str) -> bool {
    docs.trim().is_empty() || docs.trim() == format!("`{name}`")
}

/// "a, b and c".
fn listed(parts: &[String]) -> String {
    match parts {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => parts.concat(),
    }
}
