//! The pages of the example.

const CONNECT: &str = "<form method=\"post\" action=\"/connect\">\
     <button id=\"connect\">Connect my Fullscript account</button></form>";

pub(crate) fn home(connected: bool, news: &[String]) -> String {
    let body = if connected {
        "<p id=\"connected\">Your account is connected.</p>\
         <p><a id=\"to-patients\" href=\"/patients\">Patients</a> \
         <a id=\"to-embed\" href=\"/embed\">Open Fullscript</a></p>\
         <form method=\"post\" action=\"/disconnect\"><button id=\"disconnect\">Disconnect</button></form>"
    } else {
        CONNECT
    };
    let items: String = news
        .iter()
        .map(|item| format!("<li>{}</li>", escaped(item)))
        .collect();
    page(
        "Clinic",
        &format!("{body}<h2>News from Fullscript</h2><ul id=\"news\">{items}</ul>"),
    )
}

pub(crate) fn patients(names: &[String], next: Option<i64>) -> String {
    let rows: String = names
        .iter()
        .map(|name| format!("<li class=\"patient\">{}</li>", escaped(name)))
        .collect();
    let next = next.map_or(String::new(), |next| {
        format!("<a id=\"next\" href=\"/patients?page={next}\">Next page</a>")
    });
    page(
        "Patients",
        &format!("<ul>{rows}</ul>{next}<p><a href=\"/\">Home</a></p>"),
    )
}

pub(crate) fn embed(html: &str) -> String {
    page("Fullscript", html)
}

pub(crate) fn reconnect() -> String {
    page(
        "Connect again",
        &format!(
            "<p id=\"reconnect\">Fullscript has ended the connection. Connect again to go on.</p>{CONNECT}"
        ),
    )
}

pub(crate) fn notice(text: &str) -> String {
    let text = escaped(text);
    page("Clinic", &format!("<p id=\"notice\">{text}</p>{CONNECT}"))
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <style>body {{ font-family: sans-serif; max-width: 40em; margin: 3em auto; color: #223 }}\
         button {{ padding: .6em 1.2em; border: 0; border-radius: .4em; background: #36624c; color: #fff; font-size: 1em }}\
         a {{ color: #36624c; margin-right: 1em }} li {{ margin: .4em 0 }}</style></head>\
         <body><h1>{title}</h1>{body}</body></html>\n"
    )
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('"', "&quot;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}
