//! Reads the surface from the text of the generated files, through `syn`.

use std::collections::BTreeMap;

use quote::ToTokens;
use syn::{Expr, ImplItem, Item, ItemImpl};

use super::syntax::{field_name, last_segment, meta, only_argument, short, text};
use super::types::named;
use super::{Argument, List, Operation, Surface};

impl Surface {
    /// Reads the generated `types.rs`, `client.rs` and `operations.rs`.
    ///
    /// # Errors
    /// Says what is of a shape that the generator did not use to write.
    pub fn read(types: &str, client: &str, operations: &str) -> Result<Self, String> {
        let types = parsed(types)?;
        Self::of_items(
            &types.iter().collect::<Vec<_>>(),
            &parsed(client)?,
            operations,
        )
    }

    /// Reads the same where types and client are parsed already.
    ///
    /// # Errors
    /// As for [`Surface::read`].
    pub fn of_items(types: &[&Item], client: &[Item], operations: &str) -> Result<Self, String> {
        let mut builders = builders(client, types)?;
        let mut surface = Self::default();
        for (id, row) in rows(parsed(operations)?)? {
            let builder = builders.remove(&id);
            let operation = operation(row, builder.ok_or(format!("{id} has no builder"))?)?;
            surface.operations.insert(id, operation);
        }
        if let Some(id) = builders.keys().next() {
            return Err(format!("{id} is not in the table of operations"));
        }
        let constructors = constructors(types);
        for item in types {
            surface.types.extend(named(item, &constructors)?);
        }
        Ok(surface)
    }
}

fn parsed(text: &str) -> Result<Vec<Item>, String> {
    let file = syn::parse_file(text).map_err(|error| error.to_string())?;
    Ok(file.items)
}

/// What the builder of an operation takes, answers and streams.
struct Builder {
    arguments: Vec<Argument>,
    answer: String,
    list: Option<List>,
}

/// The fields of a row of the table.
type Row = BTreeMap<String, Expr>;

fn rows(items: Vec<Item>) -> Result<Vec<(String, Row)>, String> {
    let [Item::Static(table)] = items.as_slice() else {
        return Err("operations.rs is not one table".into());
    };
    let Expr::Reference(list) = &*table.expr else {
        return Err("the table of operations is no reference".into());
    };
    let Expr::Array(list) = &*list.expr else {
        return Err("the table of operations is no array".into());
    };
    let rows = list.elems.iter().map(|row| {
        let Expr::Struct(row) = row else {
            return Err(format!("a row of a new shape: {}", row.to_token_stream()));
        };
        let fields = row.fields.iter().map(|field| {
            let name = field.member.to_token_stream().to_string();
            (name, field.expr.clone())
        });
        let mut fields: Row = fields.collect();
        let id = fields.remove("id").as_ref().and_then(text);
        Ok((id.ok_or("a row without an id")?, fields))
    });
    rows.collect()
}

/// What programs may read in a row and the rest of the surface does not hold.
const ROW: [&str; 3] = ["authenticated", "content_type", "paged"];

fn operation(mut row: Row, builder: Builder) -> Result<Operation, String> {
    let mut take = |name: &str| row.remove(name).ok_or(format!("a row without `{name}`"));
    let method = text(&take("method")?).ok_or("a method that is no text")?;
    let path = text(&take("path")?).ok_or("a path that is no text")?;
    let approval = take("requires_commercial_approval")?;
    let scopes = elements(&take("scopes")?).into_iter();
    let scopes = scopes.map(|together| elements(&together).iter().filter_map(text).collect());
    Ok(Operation {
        method,
        path,
        approval: approval.to_token_stream().to_string() == "true",
        scopes: scopes.collect(),
        row: ROW
            .iter()
            .map(|name| Ok((name.to_string(), take(name)?.to_token_stream().to_string())))
            .collect::<Result<_, String>>()?,
        arguments: builder.arguments,
        answer: builder.answer,
        list: builder.list,
    })
}

/// The elements of `&[..]`.
fn elements(expression: &Expr) -> Vec<Expr> {
    match expression {
        Expr::Reference(list) => elements(&list.expr),
        Expr::Array(list) => list.elems.iter().cloned().collect(),
        _ => vec![],
    }
}

/// The builder of each operation, by the operation's id.
fn builders(client: &[Item], types: &[&Item]) -> Result<BTreeMap<String, Builder>, String> {
    let module = client.iter().find_map(|item| match item {
        Item::Mod(module) if module.ident == "builder" => module.content.as_ref(),
        _ => None,
    });
    let mut structs = BTreeMap::new();
    let mut builders = BTreeMap::new();
    let (_, items) = module.ok_or("client.rs has no module of builders")?;
    for item in items {
        match item {
            Item::Struct(builder) => {
                structs.insert(builder.ident.to_string(), builder);
            }
            Item::Impl(block) => {
                let Some(send) = method(block, "send") else {
                    continue;
                };
                let (id, answer) = answer(send).ok_or("a `send` of a new shape")?;
                let builder = structs.remove(&last_segment(&block.self_ty));
                let builder = builder.ok_or(format!("{id} has no builder"))?;
                let arguments = builder.fields.iter();
                let arguments = arguments.filter_map(|field| argument(field, block));
                let known = Builder {
                    arguments: arguments.collect(),
                    list: list(block, &answer, types),
                    answer,
                };
                builders.insert(id, known);
            }
            _ => {}
        }
    }
    Ok(builders)
}

/// The parameters of `new` of each model.
fn constructors(types: &[&Item]) -> BTreeMap<String, Vec<String>> {
    let blocks = types.iter().filter_map(|item| match item {
        Item::Impl(block) if block.trait_.is_none() => {
            let parameters = method(block, "new")?.sig.inputs.iter();
            let names = parameters.map(|parameter| match parameter {
                syn::FnArg::Typed(parameter) => parameter.pat.to_token_stream().to_string(),
                syn::FnArg::Receiver(_) => "self".into(),
            });
            Some((last_segment(&block.self_ty), names.collect()))
        }
        _ => None,
    });
    blocks.collect()
}

fn method<'b>(block: &'b ItemImpl, wanted: &str) -> Option<&'b syn::ImplItemFn> {
    block.items.iter().find_map(|item| match item {
        ImplItem::Fn(method) if method.sig.ident == wanted => Some(method),
        _ => None,
    })
}

/// The id that `send` reads the answer for, and the answer's type: the
/// `T` of `-> Result<Response<T>, Error>`.
fn answer(send: &syn::ImplItemFn) -> Option<(String, String)> {
    let syn::ReturnType::Type(_, result) = &send.sig.output else {
        return None;
    };
    let answer = only_argument(only_argument(result)?)?;
    let body = send.block.to_token_stream().to_string();
    let id = body.split('"').nth(1)?;
    Some((id.to_string(), short(answer)))
}

/// `page_number: i64` of the field `page_number: Option<i64>`, which has a setter of its name. An
/// optional argument also has a setter that takes an option, and a body without required fields
/// is sent empty.
fn argument(field: &syn::Field, block: &ItemImpl) -> Option<Argument> {
    let name = field_name(field);
    method(block, &name)?;
    let optional = method(block, &format!("set_{name}")).is_some();
    let starts_empty = || {
        let new = method(block, "new")?.block.to_token_stream().to_string();
        let start = format!("{name} : :: std :: option :: Option :: Some");
        new.contains(&start).then_some(())
    };
    Some(Argument {
        ty: short(only_argument(&field.ty)?),
        optional,
        needed: !optional && starts_empty().is_none(),
        name,
    })
}

fn list(block: &ItemImpl, answer: &str, types: &[&Item]) -> Option<List> {
    let pages = method(block, "pages")?;
    let syn::ReturnType::Type(_, stream) = &pages.sig.output else {
        return None;
    };
    let body = pages.block.to_token_stream().to_string().replace(' ', "");
    let field = body.split("PageBody::new(response.").nth(1);
    let field = field.and_then(|rest| rest.split([',', '.']).next());
    Some(List {
        record: short(only_argument(stream)?),
        field: field.unwrap_or("the one list").to_string(),
        by_id: body.contains("known(item.id") || body.contains("OneArray("),
        meta: meta(answer, types),
        paged: body.contains("paged:true"),
    })
}
