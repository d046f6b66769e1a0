//! Descriptions are text that rustdoc shows correctly: no HTML, no code that would run as a test,
//! no brackets that would become links.

use serde_json::{Value, json};

use crate::normalize::report::Report;
use crate::normalize::tree::walk::{element, escape};
use crate::refusal::Refusal;

pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    clean_all(document, "", report);
    Ok(())
}

fn clean_all(value: &mut Value, pointer: &str, report: &mut Report<'_>) {
    match value {
        Value::Object(object) => {
            for (key, child) in object {
                let below = format!("{pointer}/{}", escape(key));
                match (key.as_str(), &*child) {
                    ("description" | "summary", Value::String(text)) => {
                        let clean = plain(text);
                        if clean != *text {
                            report.note(below, text, &clean);
                            *child = json!(clean);
                        }
                    }
                    ("example" | "examples" | "enum", _) => {}
                    // A property may be named `description`. It is then a schema, which the arm
                    // above leaves to this one.
                    _ => clean_all(child, &below, report),
                }
            }
        }
        Value::Array(list) => {
            for (index, child) in list.iter_mut().enumerate() {
                let below = format!("{pointer}/{}", element(pointer, index, child));
                clean_all(child, &below, report);
            }
        }
        _ => {}
    }
}

/// Returns a text without its markup, paragraph by paragraph.
fn plain(text: &str) -> String {
    let text = without_tags(text);
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        let fence = line.starts_with("```") || line.starts_with("~~~");
        let rule = !line.is_empty() && line.chars().all(|c| "|-=:_* ".contains(c));
        if fence || rule {
            continue;
        }
        let line = line.trim_start_matches('#').trim().trim_matches('|').trim();
        let line = harmless(line);
        if !line.is_empty() || lines.last().is_some_and(|last| !last.is_empty()) {
            lines.push(line);
        }
    }
    lines.join("\n").trim().to_string()
}

/// Replaces tags by spaces or line breaks, and entities by their characters.
fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        out.push_str(&rest[..start]);
        let tag = &rest[start..];
        let opens = tag[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!');
        // `<yyyy-mm-dd` in backticks is a value, not a tag.
        let escaped = out.ends_with(['\\', '`']);
        match tag.find('>').filter(|_| opens && !escaped) {
            Some(end) => {
                let name = tag[1..end].trim_matches('/').to_lowercase();
                let name: String = name
                    .chars()
                    .take_while(char::is_ascii_alphanumeric)
                    .collect();
                let breaks = [
                    "br", "p", "tr", "li", "ul", "ol", "table", "div", "h1", "h2", "h3", "h4",
                    "pre",
                ];
                out.push_str(match name.as_str() {
                    "code" | "b" | "strong" | "i" | "em" | "a" | "span" => "",
                    name if breaks.contains(&name) => "\n",
                    _ => " ",
                });
                rest = &tag[end + 1..];
            }
            None => {
                out.push('<');
                rest = &tag[1..];
            }
        }
    }
    out.push_str(rest);
    for (entity, character) in [
        ("&nbsp;", " "),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ] {
        out = out.replace(entity, character);
    }
    out
}

/// Replaces links by their text, and escapes text that rustdoc would read as markup.
fn harmless(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut in_code = false;
    let mut rest = line;
    let balanced = line.matches('`').count().is_multiple_of(2);
    while let Some(c) = rest.chars().next() {
        let tail = &rest[c.len_utf8()..];
        match c {
            '`' if balanced => {
                in_code = !in_code;
                out.push(c);
            }
            '`' => out.push('\''),
            '\\' if tail.starts_with(['[', ']', '<', '>', '*']) => {
                out.push(c);
                let escaped = tail.chars().next().expect("just seen");
                out.push(escaped);
                rest = &tail[escaped.len_utf8()..];
                continue;
            }
            '[' if !in_code => {
                if let Some((words, after)) = link(rest) {
                    out.push_str(&harmless(words));
                    rest = after;
                    continue;
                }
                out.push_str("\\[");
            }
            ']' | '<' | '>' if !in_code => {
                out.push('\\');
                out.push(c);
            }
            '*' if tail.starts_with('/') => out.push_str("\\*"),
            '/' if tail.starts_with('*') => out.push_str("/ "),
            _ => out.push(c),
        }
        rest = tail;
    }
    // rustdoc warns about a bare URL.
    let words = out.split(' ').map(|word| {
        let bare = word.starts_with("http://") || word.starts_with("https://");
        if bare && !in_code {
            format!("`{}`", word.trim_end_matches(['.', ',']))
        } else {
            word.to_string()
        }
    });
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Returns the text of `[text](url)` and the rest after it.
fn link(text: &str) -> Option<(&str, &str)> {
    let (words, after) = text.strip_prefix('[')?.split_once("](")?;
    if words.contains(['[', ']']) {
        return None;
    }
    let (_, after) = after.split_once(')')?;
    Some((words, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::report::check;

    fn cleaned(text: &str) -> String {
        let (document, _) = check(apply, json!({ "description": text }));
        document["description"].as_str().unwrap().to_string()
    }

    #[test]
    fn markup_is_removed_and_text_is_kept() {
        let cases = [
            ("Plain words.", "Plain words."),
            ("A<br/>b <code>x</code> &amp; c", "A\nb x & c"),
            ("<table><tr><td>a</td><td>b</td></tr></table>", "a b"),
            ("    let x = 1;", "let x = 1;"),
            ("```rust\nlet x = 1;\n```", "let x = 1;"),
            (
                "see [the guide](https://example.com) and [x]",
                "see the guide and \\[x\\]",
            ),
            ("a < b, &lt;b&gt;", "a \\< b, \\<b\\>"),
            ("`<day`, `>day`", "`<day`, `>day`"),
            ("end */ comment /* start", "end \\*/ comment / * start"),
            ("at https://example.com/a.", "at `https://example.com/a`"),
            ("# Title\n\n\n| a | b |\n|---|---|", "Title\n\na | b"),
        ];
        for (text, expected) in cases {
            assert_eq!(cleaned(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_property_called_description_is_left_to_its_schema() {
        let document = json!({"properties": {"description": {"type": "string"}}});
        assert_eq!(check(apply, document.clone()).0, document);
    }
}
