//! Old against new on the wire: what the server takes and answers, and whether
//! a client built from the old document gets on with it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::renames::{Renames, anonymous};
use super::shape::{Shape, Shapes};
use super::subject::Subject;
use super::usage::Usage;
use crate::normalize::operations;

/// Whether a client of the old document gets on with the new server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Wire {
    /// Requests that were right may be refused or misunderstood.
    pub breaks_requests: bool,
    /// Answers may not decode, or lack what they held.
    pub breaks_answers: bool,
}

/// A difference on the wire.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) subject: Subject,
    pub(super) wire: Wire,
    pub(super) text: String,
}

/// One operation of a document.
struct Operation<'d> {
    method: String,
    path: &'d str,
    value: &'d Value,
}

/// Compares two normalized documents.
pub(super) struct Comparison<'d> {
    old: &'d Value,
    new: &'d Value,
    renames: &'d Renames,
    /// Who used the types so far: only their requests and answers can break.
    used: BTreeMap<String, Usage>,
    found: Vec<Difference>,
}

impl Wire {
    const COMPATIBLE: Self = Self::breaking(false, false);
    const REQUESTS: Self = Self::breaking(true, false);

    const fn breaking(requests: bool, answers: bool) -> Self {
        Self {
            breaks_requests: requests,
            breaks_answers: answers,
        }
    }

    /// The two together.
    pub(super) fn and(self, other: Self) -> Self {
        Self::breaking(
            self.breaks_requests || other.breaks_requests,
            self.breaks_answers || other.breaks_answers,
        )
    }

    /// The class in words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match (self.breaks_requests, self.breaks_answers) {
            (false, false) => "compatible",
            (true, false) => "breaks requests",
            (false, true) => "breaks answers",
            (true, true) => "breaks requests and answers",
        }
    }
}

impl<'d> Comparison<'d> {
    pub(super) fn new(old: &'d Value, new: &'d Value, renames: &'d Renames) -> Self {
        Self {
            old,
            new,
            renames,
            used: Usage::of_all(old),
            found: Vec::new(),
        }
    }

    /// All differences of operations and types.
    pub(super) fn run(mut self) -> Vec<Difference> {
        let (old, new) = (by_id(self.old), by_id(self.new));
        let now = |id: &String| self.renames.operations.get(id).unwrap_or(id).clone();
        let kept: BTreeMap<String, (&String, &Operation<'_>)> = old
            .iter()
            .map(|(id, operation)| (now(id), (id, operation)))
            .collect();
        for (id, (old_id, before)) in &kept {
            match new.get(id) {
                Some(after) => self.operation(id, old_id, before, after),
                None => self.note(
                    Subject::Operation(id.clone()),
                    Wire::REQUESTS,
                    format!("is gone ({} {})", before.method, before.path),
                ),
            }
        }
        for (id, added) in new.iter().filter(|(id, _)| !kept.contains_key(*id)) {
            let text = format!("is new ({} {})", added.method, added.path);
            self.note(Subject::Operation(id.clone()), Wire::COMPATIBLE, text);
        }
        self.types();
        self.found
    }

    fn note(&mut self, subject: Subject, wire: Wire, text: impl Into<String>) {
        let text = text.into();
        self.found.push(Difference {
            subject,
            wire,
            text,
        });
    }

    fn operation(&mut self, id: &str, old_id: &str, old: &Operation<'_>, new: &Operation<'_>) {
        let place = Subject::Operation(id.to_string());
        if id != old_id {
            let text = format!("is the new name of `{old_id}`");
            self.note(place.clone(), Wire::COMPATIBLE, text);
        }
        if (&old.method, anonymous(old.path)) != (&new.method, anonymous(new.path)) {
            let text = format!(
                "moved from {} {} to {} {}",
                old.method, old.path, new.method, new.path
            );
            self.note(place.clone(), Wire::REQUESTS, text);
        }
        let deprecated = |operation: &Operation<'_>| operation.value["deprecated"] == true;
        match (deprecated(old), deprecated(new)) {
            (false, true) => self.note(place.clone(), Wire::COMPATIBLE, "is deprecated"),
            (true, false) => self.note(place.clone(), Wire::COMPATIBLE, "is no longer deprecated"),
            _ => {}
        }
        let paged = |operation: &Operation<'_>| operation.value["x-paged"] == true;
        match (paged(old), paged(new)) {
            (false, true) => self.note(place, Wire::COMPATIBLE, "comes in pages"),
            (true, false) => self.note(place, Wire::COMPATIBLE, "no longer comes in pages"),
            _ => {}
        }
        self.parameters(id, old.value, new.value);
        self.body(id, old.value, new.value);
        self.answer(id, old.value, new.value);
    }

    fn parameters(&mut self, id: &str, old: &Value, new: &Value) {
        let (before, after) = (parameters(old), parameters(new));
        let subject = |name: &str| Subject::Argument {
            operation: id.to_string(),
            name: name.to_string(),
        };
        let now = Renames::default();
        for ((place, name), parameter) in &before {
            let was = Shapes::new(self.old, self.renames).of(&parameter["schema"]);
            let Some(other) = after.get(&(*place, *name)) else {
                // A variable of the path is what it is by its place.
                let wire = Wire::breaking(*place != "path", false);
                self.note(
                    subject(name),
                    wire,
                    format!("is gone from the {place} ({})", was.text),
                );
                continue;
            };
            let is = Shapes::new(self.new, &now).of(&other["schema"]);
            if was.values != is.values {
                let text = format!("was {} and is {}", was.text, is.text);
                self.note(subject(name), Wire::REQUESTS, text);
            } else if sent_as(parameter) != sent_as(other) {
                self.note(subject(name), Wire::REQUESTS, "is written in another way");
            }
            match (parameter["required"] == true, other["required"] == true) {
                (false, true) => self.note(subject(name), Wire::REQUESTS, "is required now"),
                (true, false) => self.note(subject(name), Wire::COMPATIBLE, "may be left out now"),
                _ => {}
            }
        }
        for ((place, name), parameter) in &after {
            if before.contains_key(&(*place, *name)) {
                continue;
            }
            let is = Shapes::new(self.new, &now).of(&parameter["schema"]);
            let required = parameter["required"] == true && *place != "path";
            let wire = Wire::breaking(required, false);
            let needed = if parameter["required"] == true {
                "required"
            } else {
                "optional"
            };
            self.note(
                subject(name),
                wire,
                format!("is new in the {place} ({}, {needed})", is.text),
            );
        }
    }

    fn body(&mut self, id: &str, old: &Value, new: &Value) {
        let subject = Subject::Argument {
            operation: id.to_string(),
            name: "body".into(),
        };
        let now = Renames::default();
        let was = content(&old["requestBody"], &Shapes::new(self.old, self.renames));
        let is = content(&new["requestBody"], &Shapes::new(self.new, &now));
        match (was, is) {
            (None, Some((_, shape))) => {
                let text = format!("is new ({})", shape.text);
                self.note(subject, Wire::REQUESTS, text);
            }
            (Some((_, shape)), None) => {
                let text = format!("is gone ({})", shape.text);
                self.note(subject, Wire::REQUESTS, text);
            }
            (Some((media, shape)), Some((new_media, new_shape))) => {
                if media != new_media {
                    let text = format!("was sent as {media} and is sent as {new_media}");
                    self.note(subject.clone(), Wire::REQUESTS, text);
                }
                if shape.values != new_shape.values {
                    let text = format!("was {} and is {}", shape.text, new_shape.text);
                    self.note(subject, Wire::REQUESTS, text);
                }
            }
            (None, None) => {}
        }
    }

    fn answer(&mut self, id: &str, old: &Value, new: &Value) {
        let subject = Subject::Answer(id.to_string());
        let now = Renames::default();
        let (old_status, was) = success(old, &Shapes::new(self.old, self.renames));
        let (new_status, is) = success(new, &Shapes::new(self.new, &now));
        if old_status != new_status {
            let text = format!("has status {new_status} instead of {old_status}");
            self.note(subject.clone(), Wire::COMPATIBLE, text);
        }
        let text = |shape: &Option<(&str, Shape)>| match shape {
            None => "nothing".to_string(),
            Some((media, shape)) if media.ends_with("json") => shape.text.clone(),
            Some((media, _)) => media.to_string(),
        };
        let values = |shape: &Option<(&str, Shape)>| {
            shape
                .as_ref()
                .map(|(media, shape)| (media.to_string(), shape.values.clone()))
        };
        if values(&was) != values(&is) {
            let wire = Wire::breaking(false, was.is_some());
            let text = format!("was {} and is {}", text(&was), text(&is));
            self.note(subject, wire, text);
        }
    }

    fn types(&mut self) {
        let (old, new) = (schemas(self.old), schemas(self.new));
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

    /// What a type is beside its fields.
    fn whole(&mut self, name: &str, old: &Value, new: &Value, ways: Ways) {
        let now = Renames::default();
        let was = Shapes::new(self.old, self.renames).of(old);
        let is = Shapes::new(self.new, &now).of(new);
        if was.values != is.values {
            let text = format!("was {} and is {}", was.text, is.text);
            self.note(Subject::Type(name.to_string()), ways.both(), text);
        }
    }

    fn fields(&mut self, name: &str, old: &Value, new: &Value, ways: Ways) {
        let now = Renames::default();
        let subject = |field: &str| Subject::Field {
            ty: name.to_string(),
            name: field.to_string(),
        };
        let none = serde_json::Map::new();
        let before = old["properties"].as_object().unwrap_or(&none);
        let after = new["properties"].as_object().unwrap_or(&none);
        let (needed, needs) = (required(old), required(new));
        for (field, schema) in before {
            let was = Shapes::new(self.old, self.renames).of(schema);
            let Some(other) = after.get(field) else {
                self.note(
                    subject(field),
                    ways.both(),
                    format!("is gone ({})", was.text),
                );
                continue;
            };
            let is = Shapes::new(self.new, &now).of(other);
            let (had_to, has_to) = (
                needed.contains(field.as_str()),
                needs.contains(field.as_str()),
            );
            if was.values != is.values {
                let text = format!("was {} and is {}", was.text, is.text);
                self.note(subject(field), ways.both(), text);
            } else {
                match (was.nullable, is.nullable) {
                    // Where it may be missing, null is read as missing, and is not sent.
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
            let is = Shapes::new(self.new, &now).of(schema);
            let has_to = needs.contains(field.as_str());
            let wire = Wire::breaking(ways.asks && has_to, false);
            let needed = if has_to { ", required" } else { "" };
            self.note(
                subject(field),
                wire,
                format!("is new ({}{needed})", is.text),
            );
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

/// Which way a type travelled so far.
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

fn by_id(document: &Value) -> BTreeMap<String, Operation<'_>> {
    let named = operations(document).filter_map(|(path, method, value)| {
        let id = value["operationId"].as_str()?;
        let method = method.to_uppercase();
        Some((
            id.to_string(),
            Operation {
                method,
                path,
                value,
            },
        ))
    });
    named.collect()
}

fn schemas(document: &Value) -> BTreeMap<String, &Value> {
    let schemas = document["components"]["schemas"].as_object();
    let named = schemas.into_iter().flatten();
    named.map(|(name, schema)| (name.clone(), schema)).collect()
}

/// The parameters by place and name.
fn parameters(operation: &Value) -> BTreeMap<(&str, &str), &Value> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let named = parameters.filter_map(|parameter| {
        let key = (parameter["in"].as_str()?, parameter["name"].as_str()?);
        Some((key, parameter))
    });
    named.collect()
}

/// How a parameter is written, beside its schema.
fn sent_as(parameter: &Value) -> Value {
    let mut rest = parameter.as_object().cloned().unwrap_or_default();
    rest.retain(|key, _| ["explode", "style", "allowReserved", "content"].contains(&key.as_str()));
    rest.into()
}

/// Media type and shape of a body or an answer.
fn content<'d>(holder: &'d Value, shapes: &Shapes<'_>) -> Option<(&'d str, Shape)> {
    let (media, content) = holder["content"].as_object()?.iter().next()?;
    Some((media, shapes.of(&content["schema"])))
}

/// The statuses and the content of a success.
fn success<'d>(operation: &'d Value, shapes: &Shapes<'_>) -> (String, Option<(&'d str, Shape)>) {
    let responses = operation["responses"].as_object().into_iter().flatten();
    let successes: BTreeMap<_, _> = responses
        .filter(|(status, _)| status.starts_with('2'))
        .collect();
    let statuses: Vec<&str> = successes.keys().map(|status| status.as_str()).collect();
    let shape = successes
        .values()
        .find_map(|response| content(response, shapes));
    (statuses.join(" or "), shape)
}

fn required(schema: &Value) -> BTreeSet<&str> {
    let names = schema["required"].as_array().into_iter().flatten();
    names.filter_map(Value::as_str).collect()
}

fn texts(values: &Value) -> Vec<&str> {
    let values = values.as_array().into_iter().flatten();
    values.filter_map(Value::as_str).collect()
}
