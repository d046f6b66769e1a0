//! The HTML pages of the example.
//!
//! The colors are those of the vendor's brand: green #88B04B, dark green #1B533F, slate #2E3A47.

use fullscript::auth::AuthError;

const CONNECT: &str = "<form method=\"post\" action=\"/connect\">\
     <button id=\"connect\">Connect my Fullscript account</button></form>";

const STYLE: &str = "
body { margin: 0; background: #f4f6f3; color: #2E3A47; font: 16px/1.5 sans-serif }
header { background: #1B533F; color: #fff; padding: .8em 2em; display: flex; gap: 2em }
header a { color: #cfe5d8; text-decoration: none } header b { flex: 1 }
main { max-width: 42em; margin: 2em auto; padding: 1.2em 2em; background: #fff; border-radius: 8px }
h1 { font-size: 1.4em; margin: .3em 0 .6em } h2 { font-size: 1.1em; margin-top: 2em }
button, .next { display: inline-block; padding: .5em 1.1em; border: 0; border-radius: 6px;
  background: #1B533F; color: #fff; font: inherit; text-decoration: none; cursor: pointer }
#connect { background: #88B04B; color: #2E3A47 }
.quiet { background: #dfe7e1; color: #2E3A47 }
.patients { columns: 2; column-gap: 2em; margin: 0 0 1.2em; padding: 0; list-style: none }
.patients li { padding: .3em 0; border-bottom: 1px solid #e3e9e4; break-inside: avoid }
";

/// Returns the start page. With the fake, a button makes something happen in the clinic.
pub(crate) fn home(connected: bool, news: &[String], is_fake: bool) -> String {
    let account = if connected {
        "<p id=\"connected\">Your Fullscript account is connected.</p>\
         <form method=\"post\" action=\"/disconnect\">\
         <button id=\"disconnect\" class=\"quiet\">Disconnect</button></form>"
    } else {
        CONNECT
    };
    let items: String = news
        .iter()
        .map(|item| format!("<li><code>{}</code></li>", escaped(item)))
        .collect();
    let news = if items.is_empty() {
        "<p>No events yet.</p>".to_string()
    } else {
        format!("<ul id=\"news\">{items}</ul>")
    };
    let order = if is_fake {
        "<form method=\"post\" action=\"/order\">\
         <button id=\"order\" class=\"quiet\">Let a patient place an order</button></form>"
    } else {
        "<p>Changes that people make in Fullscript appear here.</p>"
    };
    page(
        "Welcome",
        &format!("{account}<h2>Events from Fullscript</h2>{news}{order}"),
    )
}

pub(crate) fn patients(names: &[String], next: Option<i64>) -> String {
    let rows: String = names
        .iter()
        .map(|name| format!("<li class=\"patient\">{}</li>", escaped(name)))
        .collect();
    let next = next.map_or(String::new(), |next| {
        format!("<a id=\"next\" class=\"next\" href=\"/patients?page={next}\">Next page</a>")
    });
    page(
        "Patients",
        &format!("<ul class=\"patients\">{rows}</ul>{next}"),
    )
}

pub(crate) fn embed(html: &str) -> String {
    page("Fullscript", html)
}

pub(crate) fn reconnect() -> String {
    page(
        "Connect again",
        &format!(
            "<p id=\"reconnect\">Fullscript ended the connection. Connect again to continue.</p>{CONNECT}"
        ),
    )
}

pub(crate) fn notice(text: &str) -> String {
    let text = escaped(text);
    page("Sorry", &format!("<p id=\"notice\">{text}</p>{CONNECT}"))
}

/// Returns what a person can do about a failed call. The log has the error itself.
pub(crate) fn of_call(error: &fullscript::Error) -> String {
    let text = if error.is_missing_scope() || error.needs_approval() {
        "This app is not allowed to read this in Fullscript. Please tell your administrator."
    } else if error.is_not_found() {
        "Fullscript does not have this any more."
    } else if error.is_transient() {
        "Fullscript cannot be reached at the moment. Please try again in a minute."
    } else {
        "Fullscript did not accept the request."
    };
    match error.request_id() {
        Some(id) => format!("{text} If it happens again, give our support this number: {id}"),
        None => text.into(),
    }
}

/// Returns what a person can do about a connection that failed.
pub(crate) fn of_connection(error: &AuthError) -> &'static str {
    if error.is_denied() {
        "You declined. Nothing was connected."
    } else if error.is_state_mismatch() {
        "This sign-in was started in another window or too long ago. Please start again."
    } else if error.is_code_expired() {
        "The sign-in took too long. Please start again."
    } else if error.is_transient() {
        "Fullscript cannot be reached at the moment. Please try again in a minute."
    } else {
        "The connection failed. Please start again, or tell your administrator."
    }
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <style>{STYLE}</style></head>\n<body><header><b>Northside Clinic</b>\
         <a href=\"/\">Home</a><a id=\"to-patients\" href=\"/patients\">Patients</a>\
         <a id=\"to-embed\" href=\"/embed\">Fullscript</a></header>\n\
         <main><h1>{title}</h1>{body}</main></body></html>\n"
    )
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('"', "&quot;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}
