//! Operations: paths, parameters, bodies and responses.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Comparison, Operation, Wire};
use crate::normalize::anonymous;
use crate::review::shape::{Shape, Shapes};
use crate::review::subject::Subject;

impl Comparison<'_> {
    pub(super) fn operation(
        &mut self,
        id: &str,
        old_id: &str,
        old: &Operation<'_>,
        new: &Operation<'_>,
    ) {
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
            (false, true) => self.note(place, Wire::COMPATIBLE, "is paged"),
            (true, false) => self.note(place, Wire::COMPATIBLE, "is no longer paged"),
            _ => {}
        }
        let place = || Subject::Operation(id.to_string());
        let (before, after) = (not_sent(old.value), not_sent(new.value));
        for part in after.iter().filter(|part| !before.contains(part)) {
            let text = format!("has a part that the client cannot send: {part}");
            self.note(place(), Wire::COMPATIBLE, text);
        }
        for part in before.iter().filter(|part| !after.contains(part)) {
            let text = format!("no longer has a part that the client cannot send: {part}");
            self.note(place(), Wire::COMPATIBLE, text);
        }
        self.parameters(id, old.value, new.value);
        self.body(id, old.value, new.value);
        self.answer(id, old.value, new.value);
    }

    fn parameters(&mut self, id: &str, old: &Value, new: &Value) {
        let (before, after) = (parameters(old), parameters(new));
        let subject = |parameter: &Value| {
            // The code has this name, so that the changes of both are one line.
            let given = ["x-rust-name", "name"].iter();
            let mut given = given.filter_map(|key| parameter[*key].as_str());
            Subject::Argument {
                operation: id.to_string(),
                name: given.next().unwrap_or_default().to_string(),
            }
        };
        for (key @ (place, ..), parameter) in &before {
            let was = self.old.of(&parameter["schema"]);
            let Some(other) = after.get(key) else {
                // A path parameter is identified by its position.
                let wire = Wire::breaking(*place != "path", false);
                self.note(
                    subject(parameter),
                    wire,
                    format!("is gone from the {place} ({})", was.text),
                );
                continue;
            };
            let is = self.new.of(&other["schema"]);
            let reshaped = self.reshaped(subject(parameter), Wire::REQUESTS, &was, &is);
            if !reshaped && sent_as(parameter) != sent_as(other) {
                self.note(subject(parameter), Wire::REQUESTS, "has another encoding");
            }
            match (parameter["required"] == true, other["required"] == true) {
                (false, true) => self.note(subject(parameter), Wire::REQUESTS, "is required now"),
                (true, false) => self.note(subject(parameter), Wire::COMPATIBLE, "is optional now"),
                _ => {}
            }
        }
        for (key @ (place, ..), parameter) in &after {
            if before.contains_key(key) {
                continue;
            }
            let is = self.new.of(&parameter["schema"]);
            let required = parameter["required"] == true && *place != "path";
            let wire = Wire::breaking(required, false);
            let needed = if parameter["required"] == true {
                "required"
            } else {
                "optional"
            };
            self.note(
                subject(parameter),
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
        let was = content(&old["requestBody"], &self.old);
        let is = content(&new["requestBody"], &self.new);
        match (was, is) {
            (None, Some((_, is))) => {
                self.note(subject, Wire::REQUESTS, format!("is new ({})", is.text));
            }
            (Some((_, was)), None) => {
                self.note(subject, Wire::REQUESTS, format!("is gone ({})", was.text));
            }
            (Some((media, was)), Some((new_media, is))) => {
                if media != new_media {
                    let text = format!("was sent as {media} and is sent as {new_media}");
                    self.note(subject.clone(), Wire::REQUESTS, text);
                }
                self.reshaped(subject, Wire::REQUESTS, &was, &is);
            }
            (None, None) => {}
        }
    }

    fn answer(&mut self, id: &str, old: &Value, new: &Value) {
        let subject = Subject::Answer(id.to_string());
        let (old_status, was) = success(old, &self.old);
        let (new_status, is) = success(new, &self.new);
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
}

/// Returns the parameters by location and name, and by whether it names an object.
fn parameters(operation: &Value) -> BTreeMap<(&str, &str, bool), &Value> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let named = parameters.filter_map(|parameter| {
        let is_deep = parameter["style"] == "deepObject";
        let key = (
            parameter["in"].as_str()?,
            parameter["name"].as_str()?,
            is_deep,
        );
        Some((key, parameter))
    });
    named.collect()
}

/// Returns the encoding of a parameter: everything but its schema.
fn sent_as(parameter: &Value) -> Value {
    let mut rest = parameter.as_object().cloned().unwrap_or_default();
    rest.retain(|key, _| ["explode", "style", "allowReserved", "content"].contains(&key.as_str()));
    rest.into()
}

/// Returns what an operation takes and the client cannot send.
pub(super) fn not_sent(operation: &Value) -> Vec<&str> {
    let parts = operation["x-not-sent"].as_array().into_iter().flatten();
    parts.filter_map(Value::as_str).collect()
}

/// Returns the media type and shape of a body or a response.
fn content<'d>(holder: &'d Value, shapes: &Shapes<'_>) -> Option<(&'d str, Shape)> {
    let (media, content) = holder["content"].as_object()?.iter().next()?;
    Some((media, shapes.of(&content["schema"])))
}

/// Returns the statuses and the content of a success response.
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
