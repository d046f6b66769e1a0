//! Extracts the part of a generated method that builds the request, without progenitor's overhead.
//!
//! Removed are hooks and the header with the document's version. The base URL is parsed once, and
//! parameters that are not set cost nothing.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use serde_json::Value;
use syn::parse_quote;
use syn::visit_mut::VisitMut;

use super::argument::Argument;
use crate::codegen::document::{DEEP_OBJECT, rust_name};
use crate::codegen::generator_view::TWIN;

/// Returns the statements of a method up to the built request, with the request as their value.
///
/// They take the client from the variable `_client`. `operation` is the document's entry, with the
/// names of the parameters on the wire.
pub(crate) fn building_block(
    mut block: syn::Block,
    id: &str,
    arguments: &[Argument],
    operation: &Value,
) -> Result<syn::Block, String> {
    let statements = &mut block.stmts;
    let request = statements
        .iter()
        .find_map(executed)
        .ok_or_else(|| format!("{id}: the generated method executes no request"))?;
    let built = statements
        .iter()
        .position(|statement| mentions(statement, "OperationInfo"))
        .ok_or_else(|| format!("{id}: the generated method does not name its operation"))?;
    statements.truncate(built);
    without_version(&mut block);
    address_below_the_base(&mut block);
    query_of_what_is_given(&mut block, &request, arguments);
    OwnNames(operation).visit_block_mut(&mut block);
    RareMethods.visit_block_mut(&mut block);
    OwnClient.visit_block_mut(&mut block);
    block
        .stmts
        .push(syn::Stmt::Expr(parse_quote!(Ok((_client, #request))), None));
    Ok(block)
}

/// Returns the request variable in `let result = self.exec(request, &info).await;`.
///
/// It has another name where an argument is called `request`.
fn executed(statement: &syn::Stmt) -> Option<syn::Ident> {
    let syn::Stmt::Local(local) = statement else {
        return None;
    };
    let syn::Expr::Await(result) = &*local.init.as_ref()?.expr else {
        return None;
    };
    let syn::Expr::MethodCall(call) = &*result.base else {
        return None;
    };
    if call.method != "exec" {
        return None;
    }
    variable(call.args.first()?)
}

fn variable(expression: &syn::Expr) -> Option<syn::Ident> {
    match expression {
        syn::Expr::Path(path) => path.path.get_ident().cloned(),
        _ => None,
    }
}

fn mentions(tokens: &impl ToTokens, name: &str) -> bool {
    fn any(tokens: TokenStream, name: &str) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(own) => own == name,
            TokenTree::Group(group) => any(group.stream(), name),
            _ => false,
        })
    }
    any(tokens.to_token_stream(), name)
}

/// Removes the header with the document's version, which Fullscript does not use, and the header
/// map if it has no other header.
fn without_version(block: &mut syn::Block) {
    let statements = &mut block.stmts;
    let Some(position) = statements
        .iter()
        .position(|statement| mentions(statement, "api_version"))
    else {
        return;
    };
    let syn::Stmt::Expr(syn::Expr::MethodCall(append), _) = statements.remove(position) else {
        return;
    };
    let Some(map) = variable(&append.receiver) else {
        return;
    };
    let name = map.to_string();
    let users = || statements.iter().filter(|user| mentions(*user, &name));
    // Two uses: its creation and the call that passes it to the request.
    if users().count() == 2 {
        statements.retain(|statement| {
            !matches!(statement, syn::Stmt::Local(local)
                if matches!(&local.pat, syn::Pat::Ident(pattern) if pattern.ident == name))
        });
        WithoutHeaders(map).visit_block_mut(block);
    }
}

/// Replaces `format!("{}/path/{}", self.baseurl, id)` with an address that shares the base URL,
/// which was parsed once.
fn address_below_the_base(block: &mut syn::Block) {
    for statement in &mut block.stmts {
        if let syn::Stmt::Local(local) = statement
            && let Some(init) = &mut local.init
            && let syn::Expr::Macro(format) = &*init.expr
            && format.mac.path.is_ident("format")
            && let Some(address) = address(&format.mac)
        {
            *init.expr = address;
        }
    }
}

fn address(format: &syn::Macro) -> Option<syn::Expr> {
    let parse = syn::punctuated::Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated;
    let mut arguments = format.parse_body_with(parse).ok()?.into_iter();
    let syn::Expr::Lit(syn::ExprLit {
        lit: syn::Lit::Str(template),
        ..
    }) = arguments.next()?
    else {
        return None;
    };
    let syn::Expr::Field(_base_url) = arguments.next()? else {
        return None;
    };
    let template = template.value();
    let path = template.strip_prefix("{}")?.trim_end_matches(TWIN);
    let ids: Vec<syn::Expr> = arguments.collect();
    Some(if ids.is_empty() {
        parse_quote!(_client.context.address(#path))
    } else {
        parse_quote!(_client.context.address(&format!(#path, #(#ids),*)))
    })
}

/// Skips query parameters that are not set.
///
/// Appending an empty parameter would parse and serialize the URL each time.
fn query_of_what_is_given(block: &mut syn::Block, request: &syn::Ident, arguments: &[Argument]) {
    let Some(position) = block.stmts.iter().position(|statement| {
        matches!(statement, syn::Stmt::Local(local)
            if matches!(&local.pat, syn::Pat::Ident(pattern) if pattern.ident == *request))
    }) else {
        return;
    };
    let syn::Stmt::Local(local) = &mut block.stmts[position] else {
        return;
    };
    // `let mut request = chain.build()?;`
    let Some(init) = &mut local.init else { return };
    let syn::Expr::Try(tried) = &mut *init.expr else {
        return;
    };
    let syn::Expr::MethodCall(build) = &mut *tried.expr else {
        return;
    };
    let mut queries = OptionalQueries {
        arguments,
        found: Vec::new(),
    };
    queries.visit_expr_mut(&mut build.receiver);
    let chain = (*build.receiver).clone();
    let mut statements: Vec<syn::Stmt> = vec![parse_quote!(let #request = #chain;)];
    for (name, query) in queries.found {
        statements.push(parse_quote! {
            let #request = if #name.is_some() { #request.query(#query) } else { #request };
        });
    }
    statements.push(parse_quote!(let #request = #request.build()?;));
    block.stmts.splice(position..=position, statements);
}

/// Moves `.query(&QueryParam::new("name", &name))` of optional arguments out of a chain of calls.
struct OptionalQueries<'a> {
    arguments: &'a [Argument],
    /// The variable and the parameter expression.
    found: Vec<(syn::Ident, syn::Expr)>,
}

impl OptionalQueries<'_> {
    fn variable(&self, parameter: &syn::Expr) -> Option<syn::Ident> {
        let syn::Expr::Reference(parameter) = parameter else {
            return None;
        };
        let syn::Expr::Call(new) = &*parameter.expr else {
            return None;
        };
        let syn::Expr::Reference(value) = new.args.last()? else {
            return None;
        };
        let is_optional = |name: &syn::Ident| {
            let mut arguments = self.arguments.iter();
            arguments.any(|argument| argument.optional && argument.name == *name)
        };
        variable(&value.expr).filter(is_optional)
    }
}

impl VisitMut for OptionalQueries<'_> {
    fn visit_expr_mut(&mut self, expression: &mut syn::Expr) {
        syn::visit_mut::visit_expr_mut(self, expression);
        if let syn::Expr::MethodCall(call) = expression
            && call.method == "query"
            && let Some(parameter) = call.args.first().cloned()
            && let Some(name) = self.variable(&parameter)
        {
            self.found.push((name, parameter));
            *expression = (*call.receiver).clone();
        }
    }
}

/// Replaces the Rust names of parameters in a request by their names on the wire, and encodes
/// objects as `name[key]=value`.
struct OwnNames<'d>(&'d Value);

impl OwnNames<'_> {
    fn parameter(&self, name: &syn::Expr, place: &str) -> Option<&Value> {
        let syn::Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Str(name),
            ..
        }) = name
        else {
            return None;
        };
        let mut parameters = self.0["parameters"].as_array()?.iter();
        parameters.find(|own| own["in"] == place && rust_name(own) == name.value())
    }
}

impl VisitMut for OwnNames<'_> {
    fn visit_expr_mut(&mut self, expression: &mut syn::Expr) {
        match expression {
            syn::Expr::Call(new) if mentions(&new.func, "QueryParam") => {
                let parameter = new
                    .args
                    .first()
                    .and_then(|name| self.parameter(name, "query"));
                let (Some(parameter), Some(syn::Expr::Reference(value))) =
                    (parameter, new.args.last())
                else {
                    return;
                };
                let wire = parameter["name"].as_str().unwrap_or_default();
                *expression = if parameter["style"] == DEEP_OBJECT {
                    let value = &value.expr;
                    let required = parameter["required"] == true;
                    let given: syn::Expr = if required {
                        parse_quote!(::std::option::Option::Some(#value))
                    } else {
                        parse_quote!(#value)
                    };
                    let pair = format!("{}[{{}}]", wire.replace('{', "{{").replace('}', "}}"));
                    parse_quote! {
                        #given
                            .into_iter()
                            .flatten()
                            .map(|(key, value)| (::std::format!(#pair, key), value))
                            .collect::<::std::vec::Vec<_>>()
                    }
                } else {
                    let function = &new.func;
                    parse_quote!(#function(#wire, #value))
                };
            }
            syn::Expr::MethodCall(append) if append.method == "append" => {
                let parameter = append.args.first();
                let parameter = parameter.and_then(|name| self.parameter(name, "header"));
                if let Some(wire) = parameter.and_then(|own| own["name"].as_str()) {
                    append.args[0] = parse_quote!(#wire);
                }
            }
            _ => syn::visit_mut::visit_expr_mut(self, expression),
        }
    }
}

/// Removes `.headers(map)` from a chain of calls.
struct WithoutHeaders(syn::Ident);

impl VisitMut for WithoutHeaders {
    fn visit_expr_mut(&mut self, expression: &mut syn::Expr) {
        syn::visit_mut::visit_expr_mut(self, expression);
        if let syn::Expr::MethodCall(call) = expression
            && call.method == "headers"
            && call.args.first().and_then(variable).as_ref() == Some(&self.0)
        {
            *expression = (*call.receiver).clone();
        }
    }
}

/// Rewrites HTTP methods for which reqwest has no function, although progenitor calls one.
struct RareMethods;

impl VisitMut for RareMethods {
    fn visit_expr_method_call_mut(&mut self, call: &mut syn::ExprMethodCall) {
        let method = call.method.to_string();
        if ["options", "trace"].contains(&method.as_str()) && call.args.len() == 1 {
            let method = quote::format_ident!("{}", method.to_uppercase());
            call.method = parse_quote!(request);
            call.args
                .insert(0, parse_quote!(::reqwest::Method::#method));
        }
        syn::visit_mut::visit_expr_method_call_mut(self, call);
    }
}

/// Replaces `self.client` with the HTTP client of `_client`.
struct OwnClient;

impl VisitMut for OwnClient {
    fn visit_expr_mut(&mut self, expression: &mut syn::Expr) {
        syn::visit_mut::visit_expr_mut(self, expression);
        let is_own = matches!(expression, syn::Expr::Field(field)
            if variable(&field.base).is_some_and(|base| base == "self")
                && matches!(&field.member, syn::Member::Named(name) if name == "client"));
        if is_own {
            *expression = parse_quote!(_client.context.http());
        }
    }
}
