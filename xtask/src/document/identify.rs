//! What a text is that is not an OpenAPI 3 document, and what to do with it.

use serde_json::{Map, Value};

use super::judge::quote;

/// A format and the way to an OpenAPI 3 document.
pub(super) struct Found {
    pub(super) problem: String,
    pub(super) help: String,
}

const VENDORS_OWN: &str = "find the vendor's OpenAPI 3.0 or 3.1 document and pass it with --from";

fn found(problem: impl Into<String>, help: impl Into<String>) -> Found {
    Found {
        problem: problem.into(),
        help: help.into(),
    }
}

/// Recognizes bytes that are not a UTF-8 text.
pub(super) fn of_bytes(bytes: &[u8]) -> Option<Found> {
    let unpack = |name: &str| {
        found(
            format!("{name} instead of JSON or YAML"),
            "unpack it and pass the document with --from",
        )
    };
    match bytes {
        [0x1f, 0x8b, ..] => Some(unpack("a gzip file")),
        [b'P', b'K', 3, 4, ..] => Some(unpack("a zip file")),
        [b'B', b'Z', b'h', ..] => Some(unpack("a bzip2 file")),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(unpack("a zstd file")),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some(found(
            "a text in UTF-16",
            "save the document as UTF-8 and pass the file with --from",
        )),
        _ if bytes.starts_with(b"%PDF-") => {
            Some(found("a PDF file instead of JSON or YAML", VENDORS_OWN))
        }
        _ => None,
    }
}

/// Recognizes texts of other formats by their beginning.
pub(super) fn of_text(text: &str) -> Option<Found> {
    let text = text.trim_start();
    let convert = "convert it to OpenAPI 3.0 first, then pass the result with --from";
    let starts: [(&str, &str, &str); 6] = [
        ("#%RAML", "a RAML document", convert),
        ("FORMAT: 1A", "an API Blueprint document", convert),
        ("syntax = \"proto", "a Protocol Buffers file", VENDORS_OWN),
        ("type Query", "a GraphQL schema", VENDORS_OWN),
        ("schema {", "a GraphQL schema", VENDORS_OWN),
        (
            "version https://git-lfs",
            "a pointer of Git LFS",
            "fetch the file with `git lfs pull`",
        ),
    ];
    let mut starts = starts.into_iter();
    let (_, problem, help) = starts.find(|(start, ..)| text.starts_with(start))?;
    Some(found(problem, help))
}

/// Recognizes a document without a known version of OpenAPI.
pub(super) fn of_document(fields: &Map<String, Value>) -> Found {
    let version = |key: &str| match &fields[key] {
        Value::String(version) => quote(version),
        other => quote(&other.to_string()),
    };
    let has = |key: &str| fields.contains_key(key);
    let info = fields.get("info");
    let info = |key: &str| {
        let value = info.and_then(|info| info.get(key)).and_then(Value::as_str);
        value.unwrap_or_default()
    };
    if has("swagger") || has("swaggerVersion") {
        let key = if has("swagger") {
            "swagger"
        } else {
            "swaggerVersion"
        };
        return found(
            format!("Swagger version {}", version(key)),
            "convert it to OpenAPI 3.0 first, for example with `npx swagger2openapi`, \
             then pass the result with --from",
        );
    }
    if has("openapi") {
        let help = "convert it to OpenAPI 3.1 or 3.0, or find such a document of the vendor, \
             and pass it with --from";
        return match &fields["openapi"] {
            Value::String(version) => found(format!("OpenAPI version {}", quote(version)), help),
            other => found(
                format!("the `openapi` field is {}", super::judge::kind_of(other)),
                help,
            ),
        };
    }
    let kinds = [
        ("asyncapi", "an AsyncAPI document"),
        ("arazzo", "an Arazzo document"),
        ("overlay", "an OpenAPI overlay"),
        ("raml", "a RAML document"),
        ("resourceType", "a FHIR resource"),
        ("_type", "an export of Insomnia"),
    ];
    if !info("_postman_id").is_empty() || info("schema").contains("postman") {
        let help = "convert it to OpenAPI 3.0 first, then pass the result with --from";
        return found("a Postman collection", help);
    }
    if fields.get("kind").and_then(Value::as_str) == Some("discovery#restDescription") {
        return found("a Google API discovery document", VENDORS_OWN);
    }
    if fields
        .get("log")
        .is_some_and(|log| log["entries"].is_array())
    {
        return found("a recording of requests (HAR)", VENDORS_OWN);
    }
    if let Some((_, kind)) = kinds.into_iter().find(|(key, _)| has(key)) {
        return found(kind, VENDORS_OWN);
    }
    if has("$schema") {
        return found("a JSON Schema without operations", VENDORS_OWN);
    }
    found("the document has no `openapi` field", VENDORS_OWN)
}
