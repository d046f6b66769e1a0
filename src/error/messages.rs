//! Extracts the vendor's messages and error codes from an error body.

use reqwest::header::CONTENT_TYPE;
use serde_json::Value;

use super::RawResponse;

/// The longest plain text that is a message, in bytes.
const MAX_TEXT: usize = 1_024;

/// The longest error code, in bytes.
const MAX_CODE: usize = 64;

/// Returns the messages in the fields of a JSON object that name an error.
pub(super) fn in_fields(body: &[u8]) -> Vec<String> {
    let mut messages = Vec::new();
    let body = serde_json::from_slice::<Value>(body).ok();
    for key in ["error", "errors", "message", "error_description"] {
        if let Some(value) = body.as_ref().and_then(|body| body.get(key)) {
            collect(value, None, &mut messages);
        }
    }
    messages
}

/// Returns the message of a body that is a plain text, or a JSON text or list of texts.
pub(super) fn in_text(response: &RawResponse) -> Vec<String> {
    let mut messages = Vec::new();
    match serde_json::from_slice::<Value>(&response.body) {
        Ok(value @ Value::String(_)) => collect(&value, None, &mut messages),
        Ok(Value::Array(list)) => list
            .iter()
            .filter(|value| value.is_string())
            .for_each(|value| collect(value, None, &mut messages)),
        Ok(_) => {}
        Err(_) => {
            let text = std::str::from_utf8(&response.body).unwrap_or_default();
            let text = text.trim();
            let is_text = !text.is_empty() && !text.starts_with(['{', '[', '<', '"']);
            if is_text && text.len() <= MAX_TEXT && !is_html(response) {
                messages.push(text.into());
            }
        }
    }
    messages.retain(|message| !message.trim().is_empty());
    messages
}

/// Returns whether a response is HTML, by its first characters or its type.
pub(super) fn is_html(response: &RawResponse) -> bool {
    let body = response.body.strip_prefix(b"\xef\xbb\xbf");
    let body = body.unwrap_or(&response.body).trim_ascii_start();
    let begins = |tag: &str| {
        let start = body.get(..tag.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(tag.as_bytes()))
    };
    let media_type = response.headers.get(CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    let is_declared = media_type.is_some_and(|value| value.to_ascii_lowercase().contains("html"));
    begins("<!doctype html")
        || begins("<html")
        || is_declared && !body.starts_with(b"{") && !body.starts_with(b"[")
}

/// Returns the error codes of a JSON object.
pub(super) fn codes(body: &[u8]) -> Vec<String> {
    let mut codes = Vec::new();
    if let Ok(Value::Object(fields)) = serde_json::from_slice(body) {
        collect_codes(&Value::Object(fields), &mut codes);
    }
    let mut known = std::collections::HashSet::new();
    codes.retain(|code| known.insert(code.clone()));
    codes
}

fn collect_codes(value: &Value, codes: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for key in ["code", "error_code"] {
                match fields.get(key) {
                    Some(Value::String(code)) if is_code(code) => codes.push(code.clone()),
                    Some(Value::Number(code)) => codes.push(code.to_string()),
                    _ => {}
                }
            }
            for key in ["error", "errors"] {
                if let Some(value) = fields.get(key) {
                    collect_codes(value, codes);
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| collect_codes(value, codes)),
        // A text is a code if it cannot be a sentence or a name: `token_expired`.
        Value::String(text) if is_code(text) => {
            let is_word = ["unauthorized", "forbidden"].contains(&text.as_str());
            let is_snake = text.contains('_') && !text.contains(|c: char| c.is_ascii_uppercase());
            if is_word || is_snake {
                codes.push(text.clone());
            }
        }
        _ => {}
    }
}

fn is_code(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    (1..=MAX_CODE).contains(&text.len()) && text.bytes().all(is_plain)
}

/// Collects every text in a value of any shape.
///
/// A text inside a field is prefixed with the name of the field: `{"email": ["is taken"]}` gives
/// `email: is taken`.
fn collect(value: &Value, field: Option<&str>, messages: &mut Vec<String>) {
    match value {
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(list @ Value::Array(_)) => collect(&list, field, messages),
            _ => messages.push(match field {
                Some(field) => format!("{field}: {text}"),
                None => text.clone(),
            }),
        },
        Value::Array(list) => list
            .iter()
            .for_each(|value| collect(value, field, messages)),
        Value::Object(fields) => match fields.get("message") {
            Some(message) => collect(message, field, messages),
            None => fields
                .iter()
                .for_each(|(field, value)| collect(value, Some(field), messages)),
        },
        _ => {}
    }
}
