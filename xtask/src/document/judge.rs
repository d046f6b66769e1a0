//! Validation of the received document, and its canonical format.

use serde_json::{Map, Value};

use super::identify::{self, Found};
use super::tree::Tree;
use super::yaml;
use crate::refusal::{Refusal, refuse};

const EXPECTED: &str = "Fullscript's OpenAPI 3.0 or 3.1 document, as JSON or YAML in UTF-8";
const CHECK_SOURCE: &str = "open the source to see what it contains now, \
    then pass the right address or file with --from";
const RUN_AGAIN: &str = "run the command again, \
    or save the document with a browser and pass the file with --from";

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Paths that identify the document even if its title is different.
const KNOWN_PATHS: [&str; 4] = [
    "/api/clinic",
    "/api/clinic/patients",
    "/api/catalog/products",
    "/api/oauth/token",
];
const KNOWN_PREFIX: &str = "/api/events/";

/// A single common path may be a coincidence, like `/api/oauth/token`; three are not.
const KNOWN_PATHS_NEEDED: usize = 3;

/// Long enough to recognize a title, short enough for one line.
const QUOTE_LENGTH: usize = 60;

/// Parses the received bytes as the vendor's document.
///
/// # Errors
/// Returns a [`Refusal`] for anything else: a web page, invalid JSON or YAML, another format, another
/// version of OpenAPI, another API.
pub fn judge(bytes: &[u8], content_type: Option<&str>) -> Result<Value, Refusal> {
    let text = text(bytes, content_type)?;
    let document = parsed(text)?;
    let Value::Object(fields) = &document else {
        let problem = format!("the document is {}, not an object", kind_of(&document));
        return Err(refuse(problem, EXPECTED, CHECK_SOURCE));
    };
    check_version(fields)?;
    check_paths(fields)?;
    check_owner(fields)?;
    Ok(document)
}

/// Formats a document: indented, keys sorted, a line break at the end.
pub fn format(document: &Value) -> String {
    if is_sorted(document) {
        return format!("{document:#}\n");
    }
    let mut document = document.clone();
    document.sort_all_objects();
    format!("{document:#}\n")
}

/// Returns whether the keys of all objects are sorted, which saves a copy of a large document.
fn is_sorted(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.keys().is_sorted() && object.values().all(is_sorted),
        Value::Array(list) => list.iter().all(is_sorted),
        _ => true,
    }
}

/// Quotes an external text on one line, without control characters.
pub(crate) fn quote(text: &str) -> String {
    let mut plain: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(QUOTE_LENGTH)
        .collect();
    if text.chars().nth(QUOTE_LENGTH).is_some() {
        plain.push_str("...");
    }
    format!("\"{plain}\"")
}

fn text<'a>(bytes: &'a [u8], content_type: Option<&str>) -> Result<&'a str, Refusal> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let Some(first) = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) else {
        return Err(refuse("the document is empty", EXPECTED, RUN_AGAIN));
    };
    if *first == b'<' || content_type.is_some_and(is_html) {
        let declared = content_type.map_or_else(
            || "no content type given".to_owned(),
            |declared| format!("content type {}", quote(declared)),
        );
        let problem = format!("a web page (HTML or XML, {declared}) instead of JSON or YAML");
        return Err(refuse(problem, EXPECTED, CHECK_SOURCE));
    }
    if let Some(found) = identify::of_bytes(bytes) {
        return Err(refuse_found(found));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let problem = format!(
            "invalid UTF-8 at byte {} of {}",
            error.valid_up_to(),
            bytes.len()
        );
        refuse(
            problem,
            EXPECTED,
            "save the document as UTF-8 and pass the file with --from",
        )
    })
}

fn is_html(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("text/html")
        || essence.eq_ignore_ascii_case("application/xhtml+xml")
}

fn refuse_found(Found { problem, help }: Found) -> Refusal {
    refuse(problem, EXPECTED, help)
}

/// Parses JSON, or YAML if the text does not begin like JSON or has keys without quotes.
fn parsed(text: &str) -> Result<Value, Refusal> {
    if text.trim_start().starts_with(['{', '[']) {
        return match serde_json::from_str(text) {
            Ok(Tree::<false>(document)) => Ok(document),
            // serde_json has no predicate for this error, so its text is matched.
            Err(error) if error.to_string().starts_with("key must be a string") => {
                yaml(text).map_err(|_| refused_json(text, &error))
            }
            Err(error) => Err(refused_json(text, &error)),
        };
    }
    if let Some(found) = identify::of_text(text) {
        return Err(refuse_found(found));
    }
    match yaml(text) {
        Ok(Value::String(text)) => {
            let problem = format!("a plain text instead of a document: {}", quote(&text));
            Err(refuse(problem, EXPECTED, CHECK_SOURCE))
        }
        Ok(document) => Ok(document),
        Err(problem) => Err(refuse(problem, EXPECTED, CHECK_SOURCE)),
    }
}

fn yaml(text: &str) -> Result<Value, String> {
    let mut document = yaml::parse(text)?;
    // Without quotes, `3.0` is a number.
    if let Some(Value::Number(version)) = document.get("openapi") {
        document["openapi"] = version.to_string().into();
    }
    Ok(document)
}

fn refused_json(text: &str, error: &serde_json::Error) -> Refusal {
    if error.is_eof() {
        let problem = format!("truncated JSON: {error} ({} bytes)", text.len());
        return refuse(problem, EXPECTED, RUN_AGAIN);
    }
    if error.to_string().starts_with("recursion limit exceeded") {
        let problem = format!("JSON nested too deep: {error}");
        let expected = format!("{EXPECTED}, nested less than 128 levels deep");
        return refuse(problem, expected, CHECK_SOURCE);
    }
    refuse(format!("invalid JSON: {error}"), EXPECTED, CHECK_SOURCE)
}

pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn check_version(fields: &Map<String, Value>) -> Result<(), Refusal> {
    match fields.get("openapi") {
        Some(Value::String(version)) if is_known_version(version) => Ok(()),
        _ => Err(refuse_found(identify::of_document(fields))),
    }
}

fn is_known_version(version: &str) -> bool {
    let mut parts = version.split('.');
    parts.next() == Some("3") && matches!(parts.next(), Some("0" | "1"))
}

fn check_paths(fields: &Map<String, Value>) -> Result<(), Refusal> {
    let problem = match fields.get("paths") {
        Some(Value::Object(paths)) if !paths.is_empty() => return Ok(()),
        Some(Value::Object(_)) => "the OpenAPI document has empty `paths`".to_owned(),
        Some(other) => format!("`paths` of the OpenAPI document is {}", kind_of(other)),
        None => "the OpenAPI document has no `paths`".to_owned(),
    };
    Err(refuse(problem, EXPECTED, CHECK_SOURCE))
}

fn check_owner(fields: &Map<String, Value>) -> Result<(), Refusal> {
    let title = fields
        .get("info")
        .and_then(|info| info.get("title"))
        .and_then(Value::as_str);
    if title.is_some_and(|title| title.to_lowercase().contains("fullscript")) {
        return Ok(());
    }
    let known = fields
        .get("paths")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::keys)
        .filter(|path| KNOWN_PATHS.contains(&path.as_str()) || path.starts_with(KNOWN_PREFIX))
        .count();
    if known >= KNOWN_PATHS_NEEDED {
        return Ok(());
    }
    let problem = match title {
        Some(title) => format!("a document of another API, titled {}", quote(title)),
        None => "a document of another API, without a title".to_owned(),
    };
    let expected = format!(
        "a title with \"Fullscript\" or at least {KNOWN_PATHS_NEEDED} of its paths, \
         such as /api/clinic (there are {known})"
    );
    Err(refuse(problem, expected, CHECK_SOURCE))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        json!({
            "openapi": "3.0.1",
            "info": { "title": "Fullscript test" },
            "paths": { "/api/clinic": {} },
        })
    }

    #[track_caller]
    fn refused(document: &Value, problem: &str) {
        let refusal = judge(document.to_string().as_bytes(), None).unwrap_err();
        assert!(refusal.problem.contains(problem), "{refusal}");
    }

    #[test]
    fn the_form_is_sorted_indented_and_stable() {
        let once = format(&serde_json::from_str(r#"{"b": 1, "a": [16.99, {}]}"#).unwrap());
        assert_eq!(
            once,
            "{\n  \"a\": [\n    16.99,\n    {}\n  ],\n  \"b\": 1\n}\n"
        );
        assert_eq!(format(&serde_json::from_str(&once).unwrap()), once);
    }

    #[test]
    fn both_versions_of_openapi_are_accepted() {
        for version in ["3.0.0", "3.0.3", "3.1.0", "3.1"] {
            let mut document = document();
            document["openapi"] = version.into();
            judge(document.to_string().as_bytes(), None).unwrap();
        }
    }

    #[test]
    fn other_versions_are_not() {
        for version in ["2.0", "3.2.0", "3.10.0", "30.0", "4.0.0", ""] {
            let mut document = document();
            document["openapi"] = version.into();
            refused(&document, "OpenAPI version");
        }
    }

    #[test]
    fn another_title_is_accepted_if_the_paths_are_known() {
        let mut document = document();
        document["info"]["title"] = "Partner API".into();
        refused(&document, "another API, titled \"Partner API\"");
        document["paths"] = json!({
            "/api/clinic": {}, "/api/clinic/patients": {}, "/api/events/{id}": {},
        });
        judge(document.to_string().as_bytes(), None).unwrap();
    }

    #[test]
    fn html_is_known_by_its_type_or_its_first_byte() {
        let json = document().to_string();
        for (bytes, content_type) in [
            (json.as_str(), Some("text/html; charset=utf-8")),
            ("  \n<!DOCTYPE html>", None),
            ("<html>", Some("application/json")),
        ] {
            let refusal = judge(bytes.as_bytes(), content_type).unwrap_err();
            assert!(refusal.problem.contains("a web page"), "{refusal}");
        }
    }

    #[test]
    fn yaml_is_accepted_with_statuses_that_are_numbers() {
        let yaml = "# rswag\n---\nopenapi: 3.0\ninfo:\n  title: Fullscript API V1\n\
            paths:\n  \"/api/clinic\":\n    get:\n      responses:\n        200: {description: ok}\n";
        let document = judge(yaml.as_bytes(), Some("text/yaml")).unwrap();
        let ok = &document["paths"]["/api/clinic"]["get"]["responses"]["200"];
        assert_eq!(ok["description"], "ok");
        let flow = "{openapi: 3.1, info: {title: Fullscript}, paths: {/api/clinic: {}}}";
        judge(flow.as_bytes(), None).unwrap();
    }

    #[test]
    fn anything_else_is_refused_by_its_name() {
        let cases: &[(&[u8], &str)] = &[
            (b"swagger: '2.0'\npaths: {}\n", "Swagger version \"2.0\""),
            (b"{\"swagger\": 2.0}", "Swagger version \"2.0\""),
            (b"{\"swaggerVersion\": \"1.2\"}", "Swagger version \"1.2\""),
            (b"asyncapi: 3.0.0\n", "an AsyncAPI document"),
            (b"{\"arazzo\": \"1.0.0\"}", "an Arazzo document"),
            (b"overlay: 1.0.0\n", "an OpenAPI overlay"),
            (
                b"{\"info\": {\"_postman_id\": \"x\"}}",
                "a Postman collection",
            ),
            (
                b"{\"kind\": \"discovery#restDescription\"}",
                "discovery document",
            ),
            (b"{\"log\": {\"entries\": []}}", "a recording of requests"),
            (b"{\"$schema\": \"x\"}", "a JSON Schema"),
            (b"openapi: 3.2.0\n", "OpenAPI version \"3.2.0\""),
            (b"#%RAML 1.0\ntitle: x\n", "a RAML document"),
            (b"FORMAT: 1A\n# x\n", "an API Blueprint"),
            (b"type Query { a: Int }", "a GraphQL schema"),
            (b"syntax = \"proto3\";", "a Protocol Buffers file"),
            (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
            (b"\x1f\x8b\x08", "a gzip file"),
            (b"PK\x03\x04", "a zip file"),
            (b"%PDF-1.4", "a PDF file"),
            (b"\xff\xfeo\x00", "a text in UTF-16"),
            (
                b"Not found",
                "a plain text instead of a document: \"Not found\"",
            ),
            (b"a: [1\n", "invalid YAML"),
            (b"- a\n", "is an array"),
        ];
        for (bytes, problem) in cases {
            let refusal = judge(bytes, None).unwrap_err();
            assert!(refusal.problem.contains(problem), "{refusal}");
            assert!(!refusal.help.is_empty());
        }
    }

    #[test]
    fn a_quoted_text_is_one_line() {
        assert_eq!(quote("a\nb\u{1b}[31m"), "\"a b [31m\"");
        assert_eq!(quote(&"x".repeat(100)).len(), QUOTE_LENGTH + 5);
    }
}
