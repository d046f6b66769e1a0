//! The HTML pages of the fake: authorization and disconnection.

use std::collections::BTreeMap;
use std::time::SystemTime;

use url::Url;

use crate::environment::AUTHORIZE_PATH;
use crate::testing::server::oauth::TokenServer;
use crate::testing::server::script::Script;
use crate::text::html;

/// Returns the page at a path, if there is one.
pub(in crate::testing) fn answer(
    path: &str,
    query: &str,
    tokens: &mut TokenServer,
    now: SystemTime,
) -> Option<Script> {
    let query: BTreeMap<_, _> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    match path {
        "/" => Some(account(&query, tokens)),
        AUTHORIZE_PATH => Some(consent(&query, tokens, now)),
        _ => None,
    }
}

/// Returns the page of a user's connected apps, which replaces the one in the vendor's web app.
fn account(query: &BTreeMap<String, String>, tokens: &mut TokenServer) -> Script {
    let form = match query.get("end") {
        Some(user) => {
            tokens.end(user);
            "<p id=\"ended\">The connection has ended.</p>"
        }
        None => {
            "<p>End the connection of an app with your account.</p>\n\
             <form method=\"get\" action=\"/\">\n\
             <p><label>You are <input name=\"end\" value=\"practitioner\"></label></p>\n\
             <button id=\"end\">End the connection</button>\n</form>"
        }
    };
    Script::html(200, page(form))
}

/// Handles the authorization URL: returns the consent page, or the redirect once the user has
/// decided.
fn consent(query: &BTreeMap<String, String>, tokens: &mut TokenServer, now: SystemTime) -> Script {
    let value = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let back = Url::parse(value("redirect_uri"));
    let (Ok(mut back), false, "code") =
        (back, value("client_id").is_empty(), value("response_type"))
    else {
        // The vendor's server responds like this if the redirect URI is not registered in the
        // dashboard.
        return Script::html(404, "Not Found");
    };
    match value("decision") {
        "allow" => {
            let code = tokens.code(value("user"), query, now);
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
        _ => return Script::html(200, question(query)),
    }
    if let Some(state) = query.get("state") {
        back.query_pairs_mut().append_pair("state", state);
    }
    Script::html(302, "").header("location", back)
}

fn question(query: &BTreeMap<String, String>) -> String {
    let hidden: String = query
        .iter()
        .map(|(name, value)| {
            let (name, value) = (html(name), html(value));
            format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">\n")
        })
        .collect();
    page(&format!(
        "<p>An app asks to read and write your clinic and its patients.</p>\n\
         <form method=\"get\" action=\"{AUTHORIZE_PATH}\">\n{hidden}\
         <p><label>You are <input name=\"user\" value=\"practitioner\"></label></p>\n\
         <button name=\"decision\" value=\"allow\" id=\"allow\">Authorize</button>\n\
         <button name=\"decision\" value=\"deny\" id=\"deny\">Cancel</button>\n</form>\n\
         <p><small>Later, <a href=\"/\">end the connection</a> as the vendor's web app lets \
         you.</small></p>"
    ))
}

/// Returns a page with this body.
pub(in crate::testing) fn page(body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Fake Fullscript</title></head>\n\
         <body style=\"font-family: sans-serif; max-width: 30em; margin: 4em auto\">\n\
         <h1>Fake Fullscript</h1>\n{body}\n</body></html>\n"
    )
}
