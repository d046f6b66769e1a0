//! The calls as they were generated: the method of the client, the builder it
//! returns, and the arguments that the builder takes.

use syn::{ImplItem, Item, ItemImpl, ItemStruct, Type};

use crate::codegen::syntax::{argument, documentation, is_named, text};

/// A method of the client with its builder.
pub(crate) struct Call {
    /// The operation's id, which is the method's name.
    pub(crate) id: String,
    /// The name of the builder.
    pub(crate) builder: String,
    pub(crate) arguments: Vec<Argument>,
    /// Whether the builder has `items()`.
    pub(crate) streams: bool,
}

/// An argument of a call.
pub(crate) struct Argument {
    pub(crate) name: String,
    /// What its setter converts to, without spaces.
    pub(crate) ty: String,
    pub(crate) optional: bool,
    /// What the document says of it, perhaps nothing.
    pub(crate) description: String,
}

/// All calls, in the order of the client's methods.
pub(crate) fn calls(client: &[Item]) -> Vec<Call> {
    let items = builder_items(client);
    let methods = client.iter().flat_map(|item| match item {
        Item::Impl(block) if block.trait_.is_none() => block.items.as_slice(),
        _ => &[],
    });
    let calls = methods.filter_map(|method| {
        let ImplItem::Fn(method) = method else {
            return None;
        };
        let syn::ReturnType::Type(_, returned) = &method.sig.output else {
            return None;
        };
        let builder = items.iter().find_map(|item| match item {
            Item::Struct(builder) if is_named(returned, &builder.ident) => Some(builder),
            _ => None,
        })?;
        let block = items.iter().find_map(|item| match item {
            Item::Impl(block) if is_inherent(block, builder) => Some(block),
            _ => None,
        })?;
        Some(Call {
            id: method.sig.ident.to_string(),
            builder: builder.ident.to_string(),
            arguments: arguments(builder, block, &documentation(&method.attrs)),
            streams: setter(block, "items").is_some(),
        })
    });
    calls.collect()
}

/// The members of the module `builder`.
fn builder_items(client: &[Item]) -> &[Item] {
    let module = client.iter().find_map(|item| match item {
        Item::Mod(module) if module.ident == "builder" => module.content.as_ref(),
        _ => None,
    });
    module.map_or(&[], |(_, items)| items.as_slice())
}

fn is_inherent(block: &ItemImpl, builder: &ItemStruct) -> bool {
    block.trait_.is_none() && is_named(&block.self_ty, &builder.ident)
}

fn arguments(builder: &ItemStruct, block: &ItemImpl, docs: &str) -> Vec<Argument> {
    let fields = builder
        .fields
        .iter()
        .filter_map(|field| Some((field.ident.as_ref()?.to_string(), &field.ty)));
    let arguments = fields.filter_map(|(name, held)| {
        let ty = converted_to(setter(block, &name)?)?;
        // `Result<Option<T>, String>`.
        let held = argument(held).and_then(|(_, held)| argument(held));
        let optional = held.is_some_and(|(wrapper, _)| wrapper == "Option");
        // As the generator lists them: "- `name`: what it is".
        let start = format!("- `{name}`: ");
        let description = docs.lines().find_map(|line| line.strip_prefix(&start));
        Some(Argument {
            ty: text(&ty),
            optional,
            description: description.unwrap_or_default().trim().into(),
            name,
        })
    });
    arguments.collect()
}

fn setter<'b>(block: &'b ItemImpl, name: &str) -> Option<&'b syn::ImplItemFn> {
    block.items.iter().find_map(|item| match item {
        ImplItem::Fn(setter) if setter.sig.ident == name => Some(setter),
        _ => None,
    })
}

/// The `T` of a setter's `V: TryInto<T>`.
fn converted_to(setter: &syn::ImplItemFn) -> Option<Type> {
    let bounds = setter.sig.generics.where_clause.as_ref()?;
    let syn::WherePredicate::Type(first) = bounds.predicates.first()? else {
        return None;
    };
    let syn::TypeParamBound::Trait(conversion) = first.bounds.first()? else {
        return None;
    };
    let last = conversion.path.segments.last()?;
    let syn::PathArguments::AngleBracketed(list) = &last.arguments else {
        return None;
    };
    match list.args.first()? {
        syn::GenericArgument::Type(target) if last.ident == "TryInto" => Some(target.clone()),
        _ => None,
    }
}
