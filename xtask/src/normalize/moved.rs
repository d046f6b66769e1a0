//! Operations whose paths the vendor changed. The overlay follows them, so that they keep their
//! names and everything else that it states about them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use super::tree::names::snake;
use super::tree::walk::{METHODS, operations, referenced_through};
use super::{overlay, prepared};
use crate::refusal::Refusal;

/// An operation with another path in the new document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// Its name.
    pub id: String,
    /// The method, in lower case.
    pub method: String,
    /// The old path.
    pub from: String,
    /// The new path.
    pub to: String,
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = self.method.to_uppercase();
        let Self { id, from, to, .. } = self;
        write!(f, "`{id}` from {method} {from} to {method} {to}")
    }
}

/// The operations that moved, and the paths that no operation of theirs is left at.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    pub(crate) moved: Vec<Moved>,
    /// The old paths that the new document does not have.
    left: Vec<String>,
}

impl Moves {
    /// Finds the operations that moved between two documents as received. `names` is the normalized
    /// old document.
    ///
    /// An operation moved if the same path has other variables, or if the only operation with its
    /// method, name, tags and response is at a path that is new.
    pub(crate) fn between(old: &Value, names: &Value, new: &Value) -> Result<Self, Refusal> {
        let (before, after) = (prepared(old)?, prepared(new)?);
        let gone = places(&before, &after);
        let added = places(&after, &before);
        let pairs = gone.iter().filter_map(|old| {
            let same = |new: &&Place<'_>| old.is_same(new);
            let mut found = added.iter().filter(same);
            let new = found.next()?;
            let unique = found.next().is_none()
                && gone.iter().filter(|other| other.is_same(new)).count() == 1;
            let id = names["paths"][old.path][old.method]["operationId"].as_str()?;
            unique.then(|| Moved {
                id: id.into(),
                method: old.method.into(),
                from: old.path.into(),
                to: new.path.into(),
            })
        });
        let moved: Vec<Moved> = pairs.collect();
        let left = moved.iter().map(|own| own.from.clone());
        let left = left.filter(|path| after["paths"].get(path.as_str()).is_none());
        Ok(Self {
            left: left.collect(),
            moved,
        })
    }

    /// Returns the overlay with the new paths in its targets, each with a note.
    pub(crate) fn forward(&self, overlay: &str) -> String {
        let mut text = String::new();
        for line in overlay.split_inclusive('\n') {
            let mut line = line.to_string();
            for own in &self.moved {
                let keeps = !self.left.contains(&own.from);
                if let Some(new) = retargeted(&line, &own.method, &own.from, &own.to, keeps) {
                    let indent = &line[..line.len() - line.trim_start().len()];
                    let note = format!("{indent}# {}\n", note(own));
                    if !text.ends_with(&note) {
                        text.push_str(&note);
                    }
                    line = new;
                }
            }
            text.push_str(&line);
        }
        text
    }

    /// Returns the overlay with the old paths in its targets, for the old document.
    pub(crate) fn backward(&self, overlay: &str) -> String {
        let mut text = overlay.to_string();
        for own in &self.moved {
            let lines = text.split_inclusive('\n');
            let lines = lines.map(|line| {
                let old = retargeted(line, &own.method, &own.to, &own.from, false);
                old.unwrap_or_else(|| line.into())
            });
            text = lines.collect();
        }
        text
    }

    /// Adds an action for each operation that has another name without it, and returns the overlay.
    ///
    /// An overlay that does not end with a list of actions is returned as it is.
    pub(crate) fn named(&self, overlay: &str, derived: &Value) -> String {
        let mut text = overlay.to_string();
        for own in &self.moved {
            let operation = &derived["paths"][&own.to][&own.method];
            if operation["operationId"] == json!(own.id) {
                continue;
            }
            let known = overlay::parse(&text).map_or(0, |own| own.actions.len());
            let target = format!("$.paths['{}'].{}", own.to, own.method);
            let longer = ["  ", "", "    "].into_iter().map(|indent| {
                let end = if text.ends_with('\n') { "" } else { "\n" };
                format!(
                    "{text}{end}\n{indent}# {}\n{indent}- target: {}\n{indent}  update: {}\n",
                    note(own),
                    json!(target),
                    json!({"operationId": own.id}),
                )
            });
            let mut valid = longer.filter(|text| {
                overlay::parse(text).is_ok_and(|own| own.actions.len() == known + 1)
            });
            if let Some(longer) = valid.next() {
                text = longer;
            }
        }
        text
    }
}

fn note(moved: &Moved) -> String {
    format!("Moved from {} {}.", moved.method.to_uppercase(), moved.from)
}

/// An operation that only one document has at its path.
struct Place<'d> {
    path: &'d str,
    method: &'d str,
    id: Option<String>,
    summary: Option<String>,
    tags: &'d Value,
    answer: Value,
}

impl Place<'_> {
    fn is_same(&self, other: &Self) -> bool {
        if self.method != other.method {
            return false;
        }
        anonymous(self.path) == anonymous(other.path)
            || self.has_same_name(other) && self.tags == other.tags && self.answer == other.answer
    }

    fn has_same_name(&self, other: &Self) -> bool {
        let same = |one: &Option<String>, other: &Option<String>| one.is_some() && one == other;
        // An id may be made from the path.
        if same(&self.id, &other.id) || same(&self.summary, &other.summary) {
            return true;
        }
        let nameless = |own: &Self| own.id.is_none() && own.summary.is_none();
        nameless(self) && nameless(other) && tail(self.path) == tail(other.path)
    }
}

/// Returns the operations that the other document does not have at their paths.
fn places<'d>(document: &'d Value, other: &Value) -> Vec<Place<'d>> {
    let own = operations(document).filter(|(path, method, _)| {
        let there = other["paths"].get(*path);
        there.is_none_or(|item| item.get(*method).is_none())
    });
    own.map(|(path, method, operation)| Place {
        path,
        method,
        id: operation["operationId"].as_str().map(snake),
        summary: operation["summary"]
            .as_str()
            .map(|text| text.trim().to_lowercase()),
        tags: &operation["tags"],
        answer: answer(operation),
    })
    .collect()
}

/// Returns the status, the media type and the shape of the first successful response: the name of a
/// component, or the names of the fields.
fn answer(operation: &Value) -> Value {
    let responses = operation["responses"].as_object().into_iter().flatten();
    let successes: BTreeMap<_, _> = responses
        .filter(|(status, _)| status.starts_with('2'))
        .collect();
    let Some((status, response)) = successes.into_iter().next() else {
        return Value::Null;
    };
    let content = response["content"].as_object();
    let media = content.and_then(|content| content.iter().next());
    json!([
        status,
        media.map(|(name, media)| json!([name, shape(&media["schema"])]))
    ])
}

fn shape(schema: &Value) -> Value {
    if let Some(name) = referenced_through(schema) {
        return json!(name);
    }
    match schema["properties"].as_object() {
        Some(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort();
            json!(names)
        }
        None if schema["type"] == "array" => json!({"list": shape(&schema["items"])}),
        None => json!({"type": schema["type"], "format": schema["format"]}),
    }
}

/// Returns a path without the names of its parameters: `/patients/{}`.
pub(crate) fn anonymous(path: &str) -> String {
    let mut out = String::new();
    for (index, part) in path.split('{').enumerate() {
        if index > 0 {
            out.push('{');
            out.push_str(part.split_once('}').map_or("", |_| "}"));
        }
        out.push_str(match (index, part.split_once('}')) {
            (0, _) | (_, None) => part,
            (_, Some((_, rest))) => rest,
        });
    }
    out
}

/// Returns the end of a path from its last part that is not a variable.
fn tail(path: &str) -> String {
    let path = anonymous(path);
    let parts: Vec<&str> = path.split('/').collect();
    let last = parts.iter().rposition(|part| !part.contains('{'));
    parts[last.unwrap_or_default()..].join("/")
}

/// Returns a line of an overlay whose target names an operation, with another path; `None` for any
/// other line. With `keeps`, a target of all methods of the path names both paths.
fn retargeted(line: &str, method: &str, from: &str, to: &str, keeps: bool) -> Option<String> {
    const START: &str = "$.paths[";
    let trimmed = line.trim_start().trim_start_matches("- ");
    let start = line
        .find(START)
        .filter(|_| trimmed.starts_with("target:"))?;
    let list = start + START.len();
    let quoted = |at: usize| {
        let is_quote = |c: Option<char>| matches!(c, Some('\'' | '"' | '\\'));
        is_quote(line[..at].chars().next_back()) && is_quote(line[at + from.len()..].chars().next())
    };
    let mut found = line[list..].match_indices(from);
    let at = found.find_map(|(at, _)| Some(list + at).filter(|at| quoted(*at)))?;
    let end = at + from.len() + line[at + from.len()..].find(']')?;
    let step = line[end + 1..].trim_start_matches(['.', '[', '\'', '"']);
    let named = METHODS.into_iter().find(|own| {
        let rest = step.strip_prefix(own);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    });
    let (before, after) = (&line[..at], &line[at + from.len()..]);
    match named {
        Some(named) if named != method => None,
        None if keeps => {
            let open = before.trim_end_matches(['\'', '"', '\\']).len();
            let quote = &before[open..];
            // Once for all methods that moved there.
            let is_there = line.contains(&format!("{quote}{to}{quote}"));
            (!is_there).then(|| format!("{before}{from}{quote},{quote}{to}{after}"))
        }
        _ => Some(format!("{before}{to}{after}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(path: &str, operation: Value) -> Value {
        let other = json!({"summary": "Other", "responses": {}});
        json!({"openapi": "3.0.3", "info": {"title": "t", "version": "1"},
            "paths": {path: operation, "/other": {"get": other}}})
    }

    fn operation(summary: &str, tag: &str, answer: &str) -> Value {
        let schema = json!({"$ref": format!("#/components/schemas/{answer}")});
        json!({"get": {"summary": summary, "tags": [tag], "responses": {
            "200": {"description": "", "content": {"application/json": {"schema": schema}}}}}})
    }

    fn moved(old: &Value, new: &Value) -> Vec<String> {
        let mut names = old.clone();
        for (_, item) in names["paths"].as_object_mut().unwrap() {
            for (_, operation) in item.as_object_mut().unwrap() {
                operation["operationId"] = json!("named");
            }
        }
        let moves = Moves::between(old, &names, new).unwrap();
        moves.moved.iter().map(ToString::to_string).collect()
    }

    fn with_schemas(mut document: Value) -> Value {
        let schema = json!({"type": "object", "properties": {"id": {"type": "string"}}});
        document["components"] = json!({"schemas": {"A": schema, "B": schema}});
        document
    }

    #[test]
    fn an_operation_of_the_same_name_tags_and_response_moved() {
        let old = with_schemas(document("/a/{id}", operation("Get it", "T", "A")));
        let cases = [
            ("/b/{id}", operation("get it ", "T", "A"), true),
            ("/a/{a_id}", operation("Read it", "U", "B"), true),
            ("/b/{id}", operation("Read it", "T", "A"), false),
            ("/b/{id}", operation("Get it", "U", "A"), false),
            ("/b/{id}", operation("Get it", "T", "B"), false),
            (
                "/b/{id}",
                json!({"post": operation("Get it", "T", "A")["get"]}),
                false,
            ),
        ];
        for (path, operation, is_moved) in cases {
            let found = moved(&old, &with_schemas(document(path, operation.clone())));
            let expected = format!("`named` from GET /a/{{id}} to GET {path}");
            let expected = Some(expected).filter(|_| is_moved);
            assert_eq!(
                found,
                expected.into_iter().collect::<Vec<_>>(),
                "{operation}"
            );
        }
    }

    #[test]
    fn an_operation_that_two_may_be_is_not_guessed() {
        let old = with_schemas(document("/a", operation("Get it", "T", "A")));
        let mut new = with_schemas(document("/b", operation("Get it", "T", "A")));
        new["paths"]["/c"] = new["paths"]["/b"].clone();
        assert_eq!(moved(&old, &new), [""; 0]);
        assert_eq!(moved(&new, &old), [""; 0]);
        // One that stays is no candidate.
        new["paths"]["/a"] = old["paths"]["/a"].clone();
        assert_eq!(moved(&old, &new), [""; 0]);
    }

    #[test]
    fn nameless_operations_are_known_by_the_end_of_their_paths() {
        let nameless = json!({"get": {"responses": {}}});
        let old = document("/v1/notes/{id}", nameless.clone());
        assert_eq!(
            moved(&old, &document("/v2/notes/{id}", nameless.clone())).len(),
            1
        );
        assert_eq!(moved(&old, &document("/v2/memos/{id}", nameless)).len(), 0);
    }

    #[test]
    fn the_targets_of_an_overlay_follow_and_return() {
        let moves = |left: &[&str]| Moves {
            moved: vec![Moved {
                id: "get_it".into(),
                method: "get".into(),
                from: "/a/{id}".into(),
                to: "/b/{id}".into(),
            }],
            left: left.iter().map(ToString::to_string).collect(),
        };
        let cases = [
            (
                "\"$.paths['/a/{id}'].get\"",
                Some("\"$.paths['/b/{id}'].get\""),
            ),
            (
                "$.paths[\"/a/{id}\"]['get'].x",
                Some("$.paths[\"/b/{id}\"]['get'].x"),
            ),
            (
                "'$.paths[''/a/{id}''].get'",
                Some("'$.paths[''/b/{id}''].get'"),
            ),
            (
                "\"$.paths['/o','/a/{id}'].get.x\"",
                Some("\"$.paths['/o','/b/{id}'].get.x\""),
            ),
            (
                "\"$.paths['/a/{id}'][*].x\"",
                Some("\"$.paths['/b/{id}'][*].x\""),
            ),
            ("\"$.paths['/a/{id}'].post\"", None),
            ("\"$.paths['/a/{id}/x'].get\"", None),
            ("\"$.paths['/x/a/{id}'].get\"", None),
        ];
        for (target, followed) in cases {
            let line = |target: &str| format!("  - target: {target}\n    update: {{}}\n");
            let noted = |target| format!("  # Moved from GET /a/{{id}}.\n{}", line(target));
            let expected = followed.map_or_else(|| line(target), noted);
            let after = moves(&["/a/{id}"]).forward(&line(target));
            assert_eq!(after, expected);
            assert_eq!(moves(&["/a/{id}"]).forward(&after), after, "only once");
            let back = moves(&["/a/{id}"]).backward(&after);
            assert!(back.ends_with(&line(target)), "{back}");
        }
        // The path has other operations still.
        let text = moves(&[]).forward("- target: \"$.paths['/a/{id}'][*].x\"\n");
        assert!(
            text.ends_with("- target: \"$.paths['/a/{id}','/b/{id}'][*].x\"\n"),
            "{text}"
        );
        assert_eq!(moves(&[]).forward(&text), text);
    }

    #[test]
    fn an_action_names_an_operation_that_no_other_one_names() {
        let moves = Moves {
            moved: vec![Moved {
                id: "get_it".into(),
                method: "get".into(),
                from: "/a".into(),
                to: "/b".into(),
            }],
            left: vec![],
        };
        let derived = |id: &str| json!({"paths": {"/b": {"get": {"operationId": id}}}});
        let head = "overlay: 1.0.0\ninfo: {title: t, version: '1'}\nactions:\n";
        for indent in ["", "  ", "    "] {
            let overlay = format!("{head}{indent}- target: $.info\n{indent}  update: {{}}");
            assert_eq!(moves.named(&overlay, &derived("get_it")), overlay);
            let named = moves.named(&overlay, &derived("get_b"));
            let expected = format!(
                "{overlay}\n\n{indent}# Moved from GET /a.\n{indent}- target: \"$.paths['/b'].get\"\n\
                 {indent}  update: {{\"operationId\":\"get_it\"}}\n"
            );
            assert_eq!(named, expected);
        }
        let flow = "overlay: 1.0.0\ninfo: {title: t, version: '1'}\nactions: []\n";
        assert_eq!(moves.named(flow, &derived("get_b")), flow);
    }
}
