//! Documents the models that have no description in the document, by where they are used.

use heck::ToSnakeCase;
use quote::ToTokens;
use syn::Item;

use crate::codegen::client::operation::{Operation, ResponseBody};
use crate::codegen::syntax::{documentation, set, text};

/// Adds documentation to the models without a description.
pub(crate) fn write(types: &mut [Item], operations: &[Operation<'_>]) {
    let models: Vec<Model> = types.iter().filter_map(model).collect();
    for item in types {
        if let Item::Struct(model) = item {
            let name = model.ident.to_string();
            if is_bare(&documentation(&model.attrs), &name) {
                set(&mut model.attrs, &of_model(&name, operations, &models));
            }
        }
    }
}

/// A struct of `types.rs`.
struct Model {
    name: String,
    /// Identifiers that occur in the types of its fields.
    types: Vec<String>,
}

fn model(item: &Item) -> Option<Model> {
    let Item::Struct(model) = item else {
        return None;
    };
    let types = model.fields.iter().flat_map(|field| {
        let ty = field.ty.to_token_stream().to_string();
        let names = ty.split(|c: char| !c.is_alphanumeric() && c != '_');
        names.map(String::from).collect::<Vec<_>>()
    });
    Some(Model {
        name: model.ident.to_string(),
        types: types.collect(),
    })
}

/// Returns whether the generator documented only the name.
fn is_bare(docs: &str, name: &str) -> bool {
    docs.trim().is_empty() || docs.trim() == format!("`{name}`")
}

fn of_model(name: &str, operations: &[Operation<'_>], models: &[Model]) -> String {
    let path = format!("types::{name}");
    let links = |operations: Vec<&Operation>| -> Vec<String> {
        let link = |id: &String| format!("[`{id}`](crate::Client::{id})");
        operations
            .iter()
            .map(|operation| link(&operation.id))
            .collect()
    };
    let responses = operations.iter().filter(
        |operation| matches!(&operation.response, ResponseBody::Json(response) if text(response) == path),
    );
    let responses = links(responses.collect());
    if !responses.is_empty() {
        return format!("The response of {}.", listed(&responses));
    }
    let bodies = operations.iter().filter(|operation| {
        let mut arguments = operation.arguments.iter();
        arguments.any(|argument| text(&argument.ty) == path)
    });
    let bodies = links(bodies.collect());
    if !bodies.is_empty() {
        return format!("The request body of {}.", listed(&bodies));
    }
    let holds = |model: &&Model| model.name != name && model.types.iter().any(|own| own == name);
    let holders: Vec<_> = models
        .iter()
        .filter(holds)
        .map(|holder| format!("[`{}`]", holder.name))
        .collect();
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

/// "a, b and c".
fn listed(parts: &[String]) -> String {
    match parts {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => parts.concat(),
    }
}
