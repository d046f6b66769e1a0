//! Types: their fields and values, by direction.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Comparison, Wire};
use crate::review::subject::Subject;

/// The direction of a type in the old document: requests or responses.
#[derive(Clone, Copy)]
struct Ways {
    asks: bool,
    answers: bool,
}

impl Ways {
    fn both(self) -> Wire {
        Wire::breaking(self.asks, self.answers)
    }
}

impl Comparison<'_> {
    pub(super) fn types(&mut self) {
        let (old, new) = (schemas(self.old.document), schemas(self.new.document));
        for (old_name, before) in &old {
            let name = self.renames.new_name(old_name).to_string();
            let Some(after) = new.get(&name) else {
                continue;
            };
            let used = self.used.get(old_name).cloned().unwrap_or_default();
            let (asks, answers) = (!used.requests.is_empty(), !used.answers.is_empty());
            let ways = Ways { asks, answers };
            if before["enum"].is_array() && after["enum"].is_array() {
                self.values(&name, before, after, ways);
            } else {
                self.whole(&name, before, after, ways);
                self.fields(&name, before, after, ways);
            }
        }
    }

    /// Compares everything of a type but its fields.
    fn whole(&mut self, name: &str, old: &Value, new: &Value, ways: Ways) {
        let was = self.old.of(old);
        let is = self.new.of(new);
        self.reshaped(Subject::Type(name.to_string()), ways.both(), &was, &is);
    }

    fn fields(&mut self, name: &str, old: &Value, new: &Value, ways: Ways) {
        let subject = |field: &str| Subject::Field {
            ty: name.to_string(),
            name: field.to_string(),
        };
        let none = serde_json::Map::new();
        let before = old["properties"].as_object().unwrap_or(&none);
        let after = new["properties"].as_object().unwrap_or(&none);
        let (needed, needs) = (required(old), required(new));
        for (field, schema) in before {
            let was = self.old.of(schema);
            let Some(other) = after.get(field) else {
                self.note(
                    subject(field),
                    ways.both(),
                    format!("is gone ({})", was.text),
                );
                continue;
            };
            let is = self.new.of(other);
            let (had_to, has_to) = (
                needed.contains(field.as_str()),
                needs.contains(field.as_str()),
            );
            let reshaped = was.values != is.values;
            if reshaped {
                let text = format!("was {} and is {}", was.text, is.text);
                let text = match self.declared.overridden(name, field, &is) {
                    Some(note) => format!("{text} ({note})"),
                    None => text,
                };
                self.note(subject(field), ways.both(), text);
            } else if let Some(text) = self.declared.kept(name, field, &is) {
                self.note(subject(field), Wire::COMPATIBLE, text);
            }
            if !reshaped {
                match (was.nullable, is.nullable) {
                    // In an optional field, null is read as missing and is not sent.
                    (false, true) => {
                        let wire = Wire::breaking(false, ways.answers && had_to);
                        self.note(subject(field), wire, "may be null now");
                    }
                    (true, false) => {
                        let wire = Wire::breaking(ways.asks && had_to, false);
                        self.note(subject(field), wire, "is never null now");
                    }
                    _ => {}
                }
            }
            match (had_to, has_to) {
                (false, true) => {
                    let wire = Wire::breaking(ways.asks, false);
                    self.note(subject(field), wire, "is required now");
                }
                (true, false) => {
                    let wire = Wire::breaking(false, ways.answers);
                    self.note(subject(field), wire, "may be missing now");
                }
                _ => {}
            }
        }
        for (field, schema) in after
            .iter()
            .filter(|(field, _)| !before.contains_key(*field))
        {
            let is = self.new.of(schema);
            let has_to = needs.contains(field.as_str());
            let wire = Wire::breaking(ways.asks && has_to, false);
            let needed = if has_to { ", required" } else { "" };
            let overridden = self.declared.overridden(name, field, &is);
            let overridden = overridden
                .map(|note| format!("; {note}"))
                .unwrap_or_default();
            let text = format!("is new ({}{needed}{overridden})", is.text);
            self.note(subject(field), wire, text);
        }
    }

    fn values(&mut self, name: &str, old: &Value, new: &Value, ways: Ways) {
        let (before, after) = (texts(&old["enum"]), texts(&new["enum"]));
        let subject = |text: &str| Subject::Value {
            ty: name.to_string(),
            text: text.to_string(),
        };
        for gone in before.iter().filter(|text| !after.contains(text)) {
            self.note(subject(gone), Wire::breaking(ways.asks, false), "is gone");
        }
        for added in after.iter().filter(|text| !before.contains(text)) {
            self.note(subject(added), Wire::COMPATIBLE, "is new");
        }
    }
}

fn schemas(document: &Value) -> BTreeMap<String, &Value> {
    let schemas = document["components"]["schemas"].as_object();
    let named = schemas.into_iter().flatten();
    named.map(|(name, schema)| (name.clone(), schema)).collect()
}

fn required(schema: &Value) -> BTreeSet<&str> {
    let names = schema["required"].as_array().into_iter().flatten();
    names.filter_map(Value::as_str).collect()
}

fn texts(values: &Value) -> Vec<&str> {
    let values = values.as_array().into_iter().flatten();
    values.filter_map(Value::as_str).collect()
}
