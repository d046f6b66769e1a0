//! What a reference points to.

use std::borrow::Cow;
use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::normalize::tree::walk::{LONGEST_CHAIN, escape};

/// What a reference points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A component schema with this name.
    Schema(String),
    /// Any other part of the document, by its pointer.
    Part(String),
    /// Nothing in this document.
    Dangling,
    /// Another document.
    External,
}

/// The parts of a document that references can name, by all of their spellings.
pub(crate) struct Targets<'d> {
    document: &'d Value,
    /// The document before all fixes, which has the parts that earlier fixes removed.
    received: Option<&'d Value>,
    /// Pointers by `$anchor` and `$id`.
    anchors: BTreeMap<String, String>,
}

impl<'d> Targets<'d> {
    pub(crate) fn of(document: &'d Value, received: Option<&'d Value>) -> Self {
        let mut anchors = BTreeMap::new();
        collect_anchors(document, &mut String::new(), &mut anchors);
        Self {
            document,
            received,
            anchors,
        }
    }

    /// Returns the object at a pointer, also through references on the way.
    pub(crate) fn at(&self, pointer: &str) -> Option<&'d Value> {
        let from = |root| follow(root, root, pointer, 0).filter(|found| found.is_object());
        from(self.document).or_else(|| from(self.received?))
    }

    /// Finds the target of a reference. `pointer` is the place of the reference.
    pub(crate) fn find(&self, reference: &str, pointer: &str) -> Target {
        let decoded = decoded(reference);
        let inside = match decoded.split_once('#') {
            // The document is no part of itself.
            Some(("", "")) => return Target::Dangling,
            None if decoded.is_empty() => return Target::Dangling,
            Some(("", inside)) => inside,
            Some((base, inside)) => match self.anchors.get(base) {
                Some(base) => return self.part(&format!("{base}{inside}")),
                None => return Target::External,
            },
            None => match self.anchors.get(&*decoded) {
                Some(found) => return self.part(found),
                None => return self.bare(&decoded),
            },
        };
        if !inside.is_empty() && !inside.starts_with('/') {
            return match self.anchors.get(inside) {
                Some(found) => self.part(found),
                None => Target::Dangling,
            };
        }
        match self.part(inside) {
            Target::Dangling => self.relocated(inside, pointer),
            found => found,
        }
    }

    fn part(&self, pointer: &str) -> Target {
        if self.at(pointer).is_none() {
            return Target::Dangling;
        }
        match pointer.strip_prefix("/components/schemas/") {
            Some(name) if !name.contains('/') => Target::Schema(unescape(name)),
            _ => Target::Part(pointer.to_string()),
        }
    }

    /// A name without `#` is the name of a component, as in a discriminator's mapping.
    fn bare(&self, name: &str) -> Target {
        match self.part(&format!("/components/schemas/{}", escape(name))) {
            Target::Dangling => Target::External,
            found => found,
        }
    }

    /// Finds definitions that are not where the reference says: `$defs` inside the schema that
    /// refers to them, and `#/definitions/X` for a component.
    fn relocated(&self, inside: &str, pointer: &str) -> Target {
        let Some((bucket, name)) = inside[1..].split_once('/') else {
            return Target::Dangling;
        };
        if !["$defs", "definitions"].contains(&bucket) {
            return Target::Dangling;
        }
        let mut holder = pointer;
        while let Some((outer, _)) = holder.rsplit_once('/') {
            let found = self.part(&format!("{holder}{inside}"));
            if found != Target::Dangling {
                return found;
            }
            holder = outer;
        }
        self.part(&format!("/components/schemas/{name}"))
    }
}

fn follow<'d>(root: &'d Value, from: &'d Value, pointer: &str, chain: usize) -> Option<&'d Value> {
    if chain > LONGEST_CHAIN {
        return None;
    }
    let mut at = from;
    for step in pointer.split('/').skip(1) {
        let step = unescape(step);
        let below = |holder: &'d Value| match holder {
            Value::Object(object) => object.get(&step),
            Value::Array(list) => list.get(step.parse::<usize>().ok()?),
            _ => None,
        };
        at = match (below(at), at["$ref"].as_str()) {
            (Some(found), _) => found,
            (None, Some(reference)) => {
                let target = decoded(reference);
                below(follow(root, root, target.strip_prefix('#')?, chain + 1)?)?
            }
            (None, None) => return None,
        };
    }
    Some(at)
}

fn collect_anchors(value: &Value, pointer: &mut String, anchors: &mut BTreeMap<String, String>) {
    let length = pointer.len();
    match value {
        Value::Object(object) => {
            for key in ["$anchor", "$dynamicAnchor", "$id"] {
                if let Some(name) = object.get(key).and_then(Value::as_str) {
                    anchors
                        .entry(name.trim_end_matches('#').to_string())
                        .or_insert_with(|| pointer.clone());
                }
            }
            for (key, child) in object {
                if !["example", "examples"].contains(&key.as_str()) {
                    pointer.push('/');
                    pointer.push_str(&escape(key));
                    collect_anchors(child, pointer, anchors);
                    pointer.truncate(length);
                }
            }
        }
        Value::Array(list) => {
            for (index, child) in list.iter().enumerate() {
                pointer.push_str(&format!("/{index}"));
                collect_anchors(child, pointer, anchors);
                pointer.truncate(length);
            }
        }
        _ => {}
    }
}

/// Decodes the percent-encoding of a reference (RFC 3986).
fn decoded(reference: &str) -> Cow<'_, str> {
    percent_decode_str(reference).decode_utf8_lossy()
}

fn unescape(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}
