//! The page on which a user of the fake says yes or no.

use std::collections::HashMap;

use url::Url;

use super::oauth::TokenServer;

/// What the browser gets.
pub(super) enum Consent {
    /// The page that asks.
    Page(String),
    /// Back to the redirect URI.
    Redirect(String),
    /// As the vendor's server does where the redirect URI is not the
    /// dashboard's.
    NotFound,
}

/// Answers the authorize address: with the page, or, once it says how the user
/// decided, with the way back.
pub(super) fn answer(query: &str, tokens: &mut TokenServer) -> Consent {
    let query: HashMap<_, _> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let value = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let back = Url::parse(value("redirect_uri"));
    let (Ok(mut back), false, "code") =
        (back, value("client_id").is_empty(), value("response_type"))
    else {
        return Consent::NotFound;
    };
    match value("decision") {
        "allow" => {
            let code = tokens.code(value("user"), &query);
            back.query_pairs_mut().append_pair("code", &code);
        }
        "deny" => {
            back.query_pairs_mut()
                .append_pair("error", "access_denied")
                .append_pair(
                    "error_description",
                    "The resource owner or authorization server denied the request.",
                );
        }
        _ => return Consent::Page(page(&query)),
    }
    if let Some(state) = query.get("state") {
        back.query_pairs_mut().append_pair("state", state);
    }
    Consent::Redirect(back.into())
}

fn page(query: &HashMap<String, String>) -> String {
    let hidden: String = query
        .iter()
        .map(|(name, value)| {
            let (name, value) = (escaped(name), escaped(value));
            format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">\n")
        })
        .collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Fake Fullscript</title></head>\n\
         <body style=\"font-family: sans-serif; max-width: 30em; margin: 4em auto\">\n\
         <h1>Fake Fullscript</h1>\n\
         <p>An app asks to read and write your clinic and its patients.</p>\n\
         <form method=\"get\" action=\"/api/oauth/authorize\">\n{hidden}\
         <p><label>You are <input name=\"user\" value=\"practitioner\"></label></p>\n\
         <button name=\"decision\" value=\"allow\" id=\"allow\">Authorize</button>\n\
         <button name=\"decision\" value=\"deny\" id=\"deny\">Cancel</button>\n\
         </form></body></html>\n"
    )
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('"', "&quot;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}
