//! Operations, read from the methods that progenitor generated.

use std::collections::BTreeMap;

use heck::{ToPascalCase, ToSnakeCase};
use quote::{ToTokens, format_ident};
use syn::{FnArg, Ident, ImplItem, ImplItemFn, Type};

use super::argument::{Argument, parameter};
use super::request;
use crate::codegen::document::Described;
use crate::codegen::syntax::{argument, documentation};

/// An operation with its arguments, its response type, and the code that builds its request.
pub(crate) struct Operation<'d> {
    /// The operation's id, which is also the name of the client method.
    pub(crate) id: String,
    /// The document's entry.
    pub(crate) described: Described<'d>,
    /// Row in the table of operations.
    pub(crate) row: usize,
    /// Name of the request builder.
    pub(crate) builder: Ident,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) response: ResponseBody,
    /// Statements that build the request from variables named like the arguments.
    pub(crate) request: syn::Block,
}

/// What the body of a successful response is decoded as.
#[derive(Clone, PartialEq)]
pub(crate) enum ResponseBody {
    Nothing,
    Bytes,
    Json(Box<Type>),
}

/// Reads all operations, in the order of the generated methods.
///
/// `table` are the document's operations in the order of the operations table.
pub(crate) fn operations<'d>(
    methods: impl Iterator<Item = Result<ImplItem, String>>,
    table: &[Described<'d>],
) -> Result<Vec<Operation<'d>>, String> {
    // The generator may have changed the case: `getCovid19` is called `get_covid_19`.
    let mut rows = BTreeMap::new();
    for (row, described) in table.iter().enumerate() {
        rows.entry(described.id.to_snake_case())
            .or_insert((row, *described));
    }
    for (row, described) in table.iter().enumerate() {
        rows.insert(described.id.to_string(), (row, *described));
    }
    let operations = methods.filter_map(|item| match item {
        Ok(ImplItem::Fn(method)) if method.sig.asyncness.is_some() => {
            Some(operation(method, &rows))
        }
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    });
    operations.collect()
}

fn operation<'d>(
    method: ImplItemFn,
    rows: &BTreeMap<String, (usize, Described<'d>)>,
) -> Result<Operation<'d>, String> {
    let id = method.sig.ident.to_string();
    let &(row, described) = rows
        .get(&id)
        .ok_or_else(|| format!("{id}: not an operation of the document"))?;
    let docs = documentation(&method.attrs);
    let arguments = method.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(argument) => Some(parameter(argument, &docs)),
        FnArg::Receiver(_) => None,
    });
    let arguments = arguments.collect::<Option<Vec<_>>>();
    let arguments = arguments.ok_or_else(|| format!("{id}: an argument has an unknown shape"))?;
    let response =
        response(&method).ok_or_else(|| format!("{id}: the response type has an unknown shape"))?;
    let request = request::building_block(method.block, &id, &arguments, described.value)?;
    Ok(Operation {
        builder: format_ident!("{}", id.to_pascal_case()),
        id,
        described,
        row,
        arguments,
        response,
        request,
    })
}

/// Reads `T` of `-> Result<ResponseValue<T>, Error<()>>`.
fn response(method: &ImplItemFn) -> Option<ResponseBody> {
    let syn::ReturnType::Type(_, result) = &method.sig.output else {
        return None;
    };
    let (_, response) = argument(result)?;
    let (_, response) = argument(response)?;
    Some(match response.to_token_stream().to_string().as_str() {
        "()" => ResponseBody::Nothing,
        "ByteStream" => ResponseBody::Bytes,
        _ => ResponseBody::Json(Box::new(response.clone())),
    })
}
