//! Decides whether the bytes received are the document we asked for, and
//! gives them the one form in which they are kept.

use serde_json::{Map, Value};

use crate::refusal::{Refusal, refuse};

const EXPECTED: &str = "Fullscript's OpenAPI 3.0 or 3.1 document, as UTF-8 JSON";
const LOOK_FIRST: &str = "open the source and see what it holds now, \
    then pass the right address or file with --from";
const ASK_AGAIN: &str = "run the command again, \
    or save the document with a browser and pass the file with --from";

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Paths by which the document is known even if it bears another title.
const KNOWN_PATHS: [&str; 4] = [
    "/api/clinic",
    "/api/clinic/patients",
    "/api/catalog/products",
    "/api/oauth/token",
];
const KNOWN_PREFIX: &str = "/api/events/";

/// One path in common may be chance, as with `/api/oauth/token`; three are not.
const KNOWN_PATHS_NEEDED: usize = 3;

/// Long enough to recognize a title, short enough for one line.
const QUOTE_LENGTH: usize = 60;

/// Reads the bytes received as the vendor's document.
///
/// # Errors
/// A [`Refusal`] for anything else: a web page, broken JSON, another version
/// of OpenAPI, another API.
pub fn judge(bytes: &[u8], content_type: Option<&str>) -> Result<Value, Refusal> {
    let text = text(bytes, content_type)?;
    let document = json(text)?;
    let Value::Object(fields) = &document else {
        let came = format!("JSON that is {}, not an object", kind_of(&document));
        return Err(refuse(came, EXPECTED, LOOK_FIRST));
    };
    check_version(fields)?;
    check_paths(fields)?;
    check_owner(fields)?;
    Ok(document)
}

/// Gives a document its one form: indented, keys sorted, a line break at the end.
pub fn format(document: &Value) -> String {
    let mut document = document.clone();
    document.sort_all_objects();
    format!("{document:#}\n")
}

/// Quotes a foreign text on one line, without control characters.
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
        return Err(refuse("an empty document", EXPECTED, ASK_AGAIN));
    };
    if *first == b'<' || content_type.is_some_and(is_html) {
        let declared = content_type.map_or_else(
            || "no content type given".to_owned(),
            |declared| format!("content type {}", quote(declared)),
        );
        let came = format!("a web page (HTML or XML, {declared}), not JSON");
        return Err(refuse(came, EXPECTED, LOOK_FIRST));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let came = format!(
            "{} bytes that are not UTF-8 from byte {} on",
            bytes.len(),
            error.valid_up_to()
        );
        refuse(
            came,
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

fn json(text: &str) -> Result<Value, Refusal> {
    serde_json::from_str(text).map_err(|error| {
        if error.is_eof() {
            let came = format!("JSON that breaks off: {error} ({} bytes)", text.len());
            return refuse(came, EXPECTED, ASK_AGAIN);
        }
        // serde_json has no predicate for this one; the text is all it gives.
        if error.to_string().starts_with("recursion limit exceeded") {
            let came = format!("JSON nested too deep: {error}");
            let expected = format!("{EXPECTED}, nested less than 128 levels deep");
            return refuse(came, expected, LOOK_FIRST);
        }
        refuse(
            format!("text that is not JSON: {error}"),
            EXPECTED,
            LOOK_FIRST,
        )
    })
}

fn kind_of(value: &Value) -> &'static str {
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
    let came = match (fields.get("openapi"), fields.get("swagger")) {
        (Some(Value::String(version)), _) if is_known_version(version) => return Ok(()),
        (Some(Value::String(version)), _) => format!("OpenAPI version {}", quote(version)),
        (Some(other), _) => format!("an `openapi` field that is {}", kind_of(other)),
        (None, Some(Value::String(version))) => format!("Swagger version {}", quote(version)),
        (None, Some(_)) => "a Swagger document".to_owned(),
        (None, None) => "JSON without an `openapi` field".to_owned(),
    };
    Err(refuse(
        came,
        EXPECTED,
        "look for a 3.0 or 3.1 document at the vendor and pass it with --from",
    ))
}

fn is_known_version(version: &str) -> bool {
    let mut parts = version.split('.');
    parts.next() == Some("3") && matches!(parts.next(), Some("0" | "1"))
}

fn check_paths(fields: &Map<String, Value>) -> Result<(), Refusal> {
    let came = match fields.get("paths") {
        Some(Value::Object(paths)) if !paths.is_empty() => return Ok(()),
        Some(Value::Object(_)) => "an OpenAPI document with empty `paths`".to_owned(),
        Some(other) => format!("an OpenAPI document whose `paths` is {}", kind_of(other)),
        None => "an OpenAPI document without `paths`".to_owned(),
    };
    Err(refuse(came, EXPECTED, LOOK_FIRST))
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
    let came = match title {
        Some(title) => format!("the document of another API, titled {}", quote(title)),
        None => "the document of another API, without a title".to_owned(),
    };
    let expected = format!(
        "a title with \"Fullscript\" or at least {KNOWN_PATHS_NEEDED} of its paths, \
         such as /api/clinic (there are {known})"
    );
    Err(refuse(came, expected, LOOK_FIRST))
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
    fn refused(document: &Value, came: &str) {
        let refusal = judge(document.to_string().as_bytes(), None).unwrap_err();
        assert!(refusal.came.contains(came), "{refusal}");
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
    fn both_versions_of_openapi_are_taken() {
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
    fn another_title_is_taken_if_the_paths_are_known() {
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
            assert!(refusal.came.contains("a web page"), "{refusal}");
        }
    }

    #[test]
    fn a_quoted_text_stays_on_one_line() {
        assert_eq!(quote("a\nb\u{1b}[31m"), "\"a b [31m\"");
        assert_eq!(quote(&"x".repeat(100)).len(), QUOTE_LENGTH + 5);
    }
}
