//! What rustdoc says of models of which the document says nothing: what they
//! are part of.

use heck::ToSnakeCase;
use quote::ToTokens;
use syn::{ImplItem, Item, ItemMod};

use crate::codegen::client::calls::Call;
use crate::codegen::syntax::{documentation, set};
use crate::codegen::tables::Answers;

/// Documents models, and the builders of models.
pub(crate) fn write(types: &mut [Item], answers: &Answers, calls: &[Call]) {
    let models: Vec<Model> = types.iter().filter_map(model).collect();
    for item in types {
        match item {
            Item::Struct(model) => {
                let name = model.ident.to_string();
                if is_bare(&documentation(&model.attrs), &name) {
                    set(&mut model.attrs, &of_model(&name, answers, calls, &models));
                }
            }
            Item::Impl(block) if block.trait_.is_none() => {
                for member in &mut block.items {
                    if let ImplItem::Fn(start) = member
                        && start.sig.ident == "builder"
                    {
                        set(&mut start.attrs, BUILDER);
                    }
                }
            }
            Item::Mod(module) if module.ident == "builder" => of_builders(module, &models),
            Item::Mod(module) if module.ident == "error" => {
                set(&mut module.attrs, "Why a model can't be made.");
            }
            _ => {}
        }
    }
}

const BUILDER: &str = "\
Starts a builder: set fields, and end it with `try_into()`, which fails where a
field that must be there is missing. Operations take the builder itself too.";

/// A struct of `types.rs`.
struct Model {
    name: String,
    fields: Vec<Field>,
}

struct Field {
    name: String,
    /// The names in its type.
    types: Vec<String>,
    docs: String,
}

fn model(item: &Item) -> Option<Model> {
    let Item::Struct(model) = item else {
        return None;
    };
    let fields = model.fields.iter().map(|field| {
        let ty = field.ty.to_token_stream().to_string();
        let names = ty.split(|c: char| !c.is_alphanumeric() && c != '_');
        Field {
            name: field
                .ident
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            types: names.map(String::from).collect(),
            docs: documentation(&field.attrs),
        }
    });
    Some(Model {
        name: model.ident.to_string(),
        fields: fields.collect(),
    })
}

/// Whether the generator had nothing to say but the name.
fn is_bare(docs: &str, name: &str) -> bool {
    docs.trim().is_empty() || docs.trim() == format!("`{name}`")
}

fn of_model(name: &str, answers: &Answers, calls: &[Call], models: &[Model]) -> String {
    let path = format!("types::{name}");
    let link = |id: &str| format!("[`{id}`](crate::Client::{id})");
    let answers = answers
        .iter()
        .filter(|(_, answer)| answer.to_token_stream().to_string().replace(' ', "") == path);
    let answers: Vec<_> = answers.map(|(id, _)| link(id)).collect();
    if !answers.is_empty() {
        return format!("The answer of {}.", listed(&answers));
    }
    let takes = |call: &&Call| call.arguments.iter().any(|argument| argument.ty == path);
    let bodies: Vec<_> = calls
        .iter()
        .filter(takes)
        .map(|call| link(&call.id))
        .collect();
    if !bodies.is_empty() {
        return format!("The body of {}.", listed(&bodies));
    }
    let holds = |model: &&Model| {
        let mut types = model.fields.iter().flat_map(|field| &field.types);
        model.name != name && types.any(|own| own == name)
    };
    let holders: Vec<_> = models
        .iter()
        .filter(holds)
        .map(|holder| format!("[`{0}`](crate::types::{0})", holder.name))
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

fn of_builders(module: &mut ItemMod, models: &[Model]) {
    set(
        &mut module.attrs,
        "Builders of the models: what their `builder()` returns.",
    );
    let items = module.content.as_mut().map(|(_, items)| items);
    for item in items.into_iter().flatten() {
        match item {
            Item::Struct(builder) => {
                let text = format!("Makes a [`{0}`](crate::types::{0}).", builder.ident);
                set(&mut builder.attrs, &text);
            }
            Item::Impl(block) if block.trait_.is_none() => {
                let own = block.self_ty.to_token_stream().to_string();
                let model = models.iter().find(|model| model.name == own);
                for member in &mut block.items {
                    let ImplItem::Fn(setter) = member else {
                        continue;
                    };
                    let mut fields = model.iter().flat_map(|model| &model.fields);
                    let field = fields.find(|field| setter.sig.ident == field.name);
                    if let Some(field) = field.filter(|field| !field.docs.is_empty()) {
                        set(&mut setter.attrs, field.docs.trim());
                    }
                }
            }
            _ => {}
        }
    }
}
