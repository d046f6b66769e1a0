//! Documents what has no description in the document, by where it is used: models, fields of
//! models, and open enums.

use std::collections::BTreeMap;

use heck::ToSnakeCase;
use syn::{Item, Type};

use crate::codegen::client::operation::{Operation, ResponseBody};
use crate::codegen::syntax::{documentation, set, text};

/// The number of operations that are named for an enum that more of them use.
const NAMED_OPERATIONS: usize = 3;

/// Adds documentation to the models and fields without a description.
pub(crate) fn write(types: &mut [Item], used: &Used) {
    let mut models = BTreeMap::new();
    for item in types.iter_mut() {
        if let Item::Struct(model) = item {
            let name = model.ident.to_string();
            if is_bare(&documentation(&model.attrs), &name) {
                set(&mut model.attrs, &used.of_model(&name));
            }
            models.insert(name, documentation(&model.attrs));
        }
    }
    for item in types {
        let Item::Struct(model) = item else {
            continue;
        };
        let holder = model.ident.to_string();
        for field in &mut model.fields {
            if documentation(&field.attrs).trim().is_empty() {
                let names = names(&field.ty);
                let own = names.iter().find_map(|name| models.get_key_value(name));
                if let Some((own, described)) = own {
                    let text = used.of_field(&holder, &names, own, described);
                    set(&mut field.attrs, &text);
                }
            }
        }
    }
}

/// Where each type is used, by its name.
#[derive(Default)]
pub(crate) struct Used {
    /// The ids of the operations whose response it is.
    responses: BTreeMap<String, Vec<String>>,
    /// The arguments with it, and the ids of their operations.
    arguments: BTreeMap<String, Vec<(String, String)>>,
    /// The fields with it, and their models.
    fields: BTreeMap<String, Vec<(String, String)>>,
}

impl Used {
    pub(crate) fn by(types: &[Item], operations: &[Operation<'_>]) -> Self {
        let mut used = Self::default();
        for operation in operations {
            if let ResponseBody::Json(response) = &operation.response {
                let response = text(response).replace("types::", "");
                let ids = used.responses.entry(response).or_default();
                ids.push(operation.id.clone());
            }
            for argument in &operation.arguments {
                for name in names(&argument.ty) {
                    let uses = used.arguments.entry(name).or_default();
                    uses.push((argument.name.to_string(), operation.id.clone()));
                }
            }
        }
        for item in types {
            let Item::Struct(model) = item else {
                continue;
            };
            let holder = model.ident.to_string();
            for field in &model.fields {
                let ident = field.ident.as_ref().map(ToString::to_string);
                for name in names(&field.ty) {
                    if name != holder {
                        let uses = used.fields.entry(name).or_default();
                        uses.push((ident.clone().unwrap_or_default(), holder.clone()));
                    }
                }
            }
        }
        used
    }

    fn of_model(&self, name: &str) -> String {
        let responses: Vec<_> = self.responses(name).map(method).collect();
        if !responses.is_empty() {
            return format!("The response of {}.", listed(&responses));
        }
        let bodies = self.arguments.get(name).into_iter().flatten();
        let bodies: Vec<_> = bodies.map(|(_, id)| method(id)).collect();
        if !bodies.is_empty() {
            return format!("The request body of {}.", listed(&bodies));
        }
        let mut holders: Vec<_> = self.fields(name).map(|(_, holder)| model(holder)).collect();
        holders.dedup();
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

    /// Documents a field with a model, whose own documentation is `described`.
    fn of_field(&self, holder: &str, names: &[String], own: &str, described: &str) -> String {
        if self.responses(holder).next().is_none() {
            described.trim().into()
        } else if names.iter().any(|name| name == "Vec") {
            format!("The records of the response, of the type {}.", model(own))
        } else {
            format!("The {} of the response.", model(own))
        }
    }

    /// Returns the fields and arguments that have an enum, as a paragraph.
    pub(crate) fn of_enum(&self, name: &str) -> String {
        let mut uses = BTreeMap::<_, Vec<_>>::new();
        for (field, holder) in self.fields(name) {
            uses.entry(format!("field `{field}`"))
                .or_default()
                .push(model(holder));
        }
        for (argument, id) in self.arguments.get(name).into_iter().flatten() {
            uses.entry(format!("argument `{argument}`"))
                .or_default()
                .push(method(id));
        }
        let uses = uses.into_iter().map(|(what, mut users)| {
            users.dedup();
            if users.len() > NAMED_OPERATIONS + 1 {
                let others = users.split_off(NAMED_OPERATIONS).len();
                users.push(format!("{others} others"));
            }
            format!("the {what} of {}", listed(&users))
        });
        match uses.collect::<Vec<_>>().as_slice() {
            [] => String::new(),
            uses => format!("Used by {}.", uses.join("; ")),
        }
    }

    fn responses(&self, name: &str) -> impl Iterator<Item = &String> {
        self.responses.get(name).into_iter().flatten()
    }

    fn fields(&self, name: &str) -> impl Iterator<Item = &(String, String)> {
        self.fields.get(name).into_iter().flatten()
    }
}

/// Returns the identifiers in a type.
fn names(ty: &Type) -> Vec<String> {
    let ty = text(ty);
    let names = ty.split(|c: char| !c.is_alphanumeric() && c != '_');
    names
        .filter(|name| !name.is_empty())
        .map(String::from)
        .collect()
}

/// Returns a link to the method of an operation.
fn method(id: impl AsRef<str>) -> String {
    let id = id.as_ref();
    format!("[`{id}`](crate::Client::{id})")
}

/// Returns a link to a model.
fn model(name: &str) -> String {
    format!("[`{name}`]")
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
