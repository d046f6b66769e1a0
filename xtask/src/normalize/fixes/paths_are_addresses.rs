//! The path of an operation is the one that is sent, with variables in braces: other braces, spaces
//! and the like are percent-encoded.
//!
//! A call whose path is not its operation's is refused at run time, so both must be written in the
//! same way.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::parameters_are_sendable::NOT_SENT;
use crate::normalize::report::Report;
use crate::normalize::tree::walk::{METHODS, escape};
use crate::refusal::Refusal;

/// What a URL has percent-encoded in its path (WHATWG URL, 4.5), and a backslash, which it would
/// read as a slash.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'}');

pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else {
        return Ok(());
    };
    let mut sent = Map::new();
    let received = std::mem::take(paths);
    for (path, item) in &received {
        let (address, rest) = address(path);
        let is_free = !received.contains_key(&address) && !sent.contains_key(&address);
        let mut item = item.clone();
        if let Some(rest) = rest {
            not_sent(&mut item, rest);
        }
        if address == *path || !is_free {
            sent.insert(path.clone(), item);
            continue;
        }
        report.note(format!("/paths/{}", escape(path)), path, &address);
        sent.insert(address, item);
    }
    *paths = sent;
    Ok(())
}

/// Returns the path that is sent, and the query or fragment that is not.
fn address(path: &str) -> (String, Option<&str>) {
    let mut segments: Vec<String> = Vec::new();
    let end = literal_end(path);
    let mut steps = path[..end].split('/').skip(1).peekable();
    while let Some(step) = steps.next() {
        let kind = step.to_lowercase().replace("%2e", ".");
        if !matches!(kind.as_str(), "." | "..") {
            segments.push(encoded(step));
            continue;
        }
        // A URL has neither the step nor what it leads back from.
        if kind == ".." {
            segments.pop();
        }
        if steps.peek().is_none() {
            segments.push(String::new());
        }
    }
    let rest = Some(&path[end..]).filter(|rest| !rest.is_empty());
    (format!("/{}", segments.join("/")), rest)
}

/// Returns the position of the query or the fragment outside of variables.
fn literal_end(path: &str) -> usize {
    let mut at = 0;
    while let Some(rest) = path.get(at..).filter(|rest| !rest.is_empty()) {
        match (variable(rest), rest.chars().next()) {
            (Some(length), _) => at += length,
            (None, Some('?' | '#')) => return at,
            (None, next) => at += next.map_or(1, char::len_utf8),
        }
    }
    path.len()
}

fn encoded(segment: &str) -> String {
    let mut out = String::new();
    let mut literal = 0;
    let mut at = 0;
    while let Some(rest) = segment.get(at..).filter(|rest| !rest.is_empty()) {
        match variable(rest) {
            Some(length) => {
                out.extend(utf8_percent_encode(&segment[literal..at], ENCODED));
                out.push_str(&rest[..length]);
                at += length;
                literal = at;
            }
            None => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    out.extend(utf8_percent_encode(&segment[literal..], ENCODED));
    out
}

/// Returns the length of the variable that a text begins with.
fn variable(text: &str) -> Option<usize> {
    let name = text.strip_prefix('{')?;
    let end = name.find(['{', '}', '/'])?;
    (end > 0 && name[end..].starts_with('}')).then_some(end + 2)
}

/// Lists the end of a path among what the client cannot send.
fn not_sent(item: &mut Value, rest: &str) {
    let operations = item.as_object_mut().into_iter().flatten();
    let operations = operations.filter(|(method, _)| METHODS.contains(&method.as_str()));
    for (_, operation) in operations.filter(|(_, own)| own.is_object()) {
        let part = json!(format!("`{rest}` of its path"));
        match operation[NOT_SENT].as_array_mut() {
            Some(parts) if parts.contains(&part) => {}
            Some(parts) => parts.push(part),
            None => operation[NOT_SENT] = json!([part]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::report::check;

    #[test]
    fn what_is_no_variable_is_encoded() {
        let cases = [
            ("/a/{id}", "/a/{id}"),
            ("/a/{base}...{head}", "/a/{base}...{head}"),
            ("/a/{id", "/a/%7Bid"),
            ("/a/id}/{b}", "/a/id%7D/{b}"),
            ("/a/{{id}}", "/a/%7B{id}%7D"),
            ("/a/{}/{b}", "/a/%7B%7D/{b}"),
            ("/a/{b/c}", "/a/%7Bb/c%7D"),
            ("/a b/{id}", "/a%20b/{id}"),
            ("/a%20b/{id}", "/a%20b/{id}"),
            ("/é/{é}", "/%C3%A9/{é}"),
            ("/a\\b/{id}", "/a%5Cb/{id}"),
            ("/a/./b/../{id}", "/a/{id}"),
            ("/../{id}", "/{id}"),
            ("/{id}/b/%2E%2e", "/{id}/"),
            ("/a(x='{x}',y={y})/", "/a(x='{x}',y={y})/"),
            ("//a/{id}", "//a/{id}"),
            ("/", "/"),
            ("/a/{id?}", "/a/{id?}"),
        ];
        for (path, expected) in cases {
            let paths = json!({path: {"get": {"responses": {}}}});
            let (document, repairs) = check(apply, json!({ "paths": paths }));
            let sent: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
            assert_eq!(sent, [expected]);
            assert_eq!(repairs.len(), usize::from(path != expected));
            // The same as the URL of a request.
            let mut url = reqwest::Url::parse("https://example.com").unwrap();
            let filled = |path: &str| path.replace(['{', '}'], "_");
            if path == expected && !path.contains('?') {
                url.set_path(&filled(path));
                assert_eq!(url.path(), filled(expected));
            }
        }
    }

    #[test]
    fn a_query_or_a_fragment_is_listed_as_not_sent() {
        for (path, rest) in [("/a?type=x", "?type=x"), ("/a#Action=B", "#Action=B")] {
            let (document, _) = check(apply, json!({"paths": {path: {"get": {}}}}));
            let part = format!("`{rest}` of its path");
            assert_eq!(
                document["paths"],
                json!({"/a": {"get": {NOT_SENT: [part]}}})
            );
        }
    }

    #[test]
    fn two_paths_that_would_be_one_are_kept_apart() {
        let paths = json!({"/a b": {"get": {}}, "/a%20b": {"get": {}}, "/a?x": {"get": {}}, "/a?y": {"get": {}}});
        let (document, _) = check(apply, json!({ "paths": paths }));
        assert_eq!(document["paths"].as_object().unwrap().len(), 4);
    }
}
