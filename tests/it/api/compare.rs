//! Our document compared with the canonical description of the same API.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::{shape, upstream};

const OURS: &str = include_str!("../../../spec/openapi.normalized.json");
const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

/// Intended differences: the place as the test names it, and the reason.
const ACCEPTED: &[(&str, &str)] = &[
    (
        "DynamicLinkPlanInput practitioner_id",
        "The vendor's document asks for it in create_treatment_plan_link, and only there do we.",
    ),
    (
        "ErrorResponse errors",
        "Only a third party's mock shows it, so it is read in whatever form it comes.",
    ),
    (
        "OauthError error",
        "One type reads all failures, and elsewhere `error` is also a list.",
    ),
    (
        "SessionGrant id",
        "An object's own id is in every recorded answer and names the object.",
    ),
    (
        "Variant product id",
        "An object's own id is in every recorded answer and names the object.",
    ),
    (
        "create_treatment_plan body state",
        "Left out, the plan is active and goes to the patient: the caller must choose.",
    ),
    (
        "update_practitioner_resource body",
        "Its fields are not documented, and to send none would change nothing.",
    ),
];

#[test]
fn both_have_the_same_operations_by_the_same_names() {
    let Some((ours, canonical)) = documents() else {
        return;
    };
    let (ours, canonical) = (names(&ours), names(&canonical));
    assert_eq!(canonical.len(), 78);
    assert_eq!(ours, canonical);
}

#[test]
fn both_restrict_the_same_operations() {
    let Some((ours, canonical)) = documents() else {
        return;
    };
    let restricted = |document: &Value| -> BTreeSet<String> {
        let all = operations(document);
        let flagged = all
            .values()
            .filter(|operation| operation["x-requires-commercial-approval"] == true);
        flagged
            .map(|operation| text(&operation["operationId"]).to_string())
            .collect()
    };
    assert_eq!(restricted(&canonical).len(), 6);
    assert_eq!(restricted(&ours), restricted(&canonical));
}

#[test]
fn both_ask_for_the_same_scopes() {
    let Some((ours, canonical)) = documents() else {
        return;
    };
    let scopes = |document: &Value| -> BTreeMap<String, Value> {
        let all = operations(document).into_values();
        let security = |operation: &Value| match &operation["security"] {
            Value::Null => document["security"].clone(),
            own => own.clone(),
        };
        all.map(|operation| (text(&operation["operationId"]).into(), security(operation)))
            .collect()
    };
    assert_eq!(scopes(&ours), scopes(&canonical));
}

#[test]
fn ours_has_all_that_the_canonical_description_has() {
    let Some((ours, canonical)) = documents() else {
        return;
    };
    let mut compared = Compared {
        ours: &ours,
        canonical: &canonical,
        found: BTreeMap::new(),
        open: Vec::new(),
        places: 0,
    };
    for (at, theirs) in operations(&canonical) {
        if let Some(own) = operations(&ours).get(&at) {
            compared.operation(own, theirs);
        }
    }
    let accepted: BTreeSet<&str> = ACCEPTED.iter().map(|(place, _)| *place).collect();
    assert_eq!(accepted.len(), ACCEPTED.len(), "a place accepted twice");
    let stale: Vec<_> = accepted
        .iter()
        .filter(|place| !compared.found.contains_key(**place))
        .collect();
    compared
        .found
        .retain(|place, _| !accepted.contains(place.as_str()));
    let lines: Vec<_> = compared
        .found
        .iter()
        .map(|(place, what)| format!("{place}: {what:?}"))
        .collect();
    assert!(
        lines.is_empty(),
        "{} differences:\n{}",
        lines.len(),
        lines.join("\n")
    );
    assert!(stale.is_empty(), "accepted and no longer so: {stale:?}");
    assert!(
        compared.places > 1000,
        "only {} places compared",
        compared.places
    );
}

/// The direction of a schema's values; each direction tolerates other differences.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Request,
    Answer,
}

struct Compared<'d> {
    ours: &'d Value,
    canonical: &'d Value,
    /// The differences by place.
    found: BTreeMap<String, BTreeSet<String>>,
    /// The schemas of the canonical description that enclose the current one.
    open: Vec<&'d Value>,
    places: usize,
}

impl<'d> Compared<'d> {
    fn operation(&mut self, ours: &'d Value, theirs: &'d Value) {
        let id = text(&theirs["operationId"]);
        for parameter in theirs["parameters"].as_array().into_iter().flatten() {
            self.parameter(id, ours, resolve(self.canonical, parameter));
        }
        let (body, their_body) = (&ours["requestBody"], &theirs["requestBody"]);
        if !their_body.is_null() {
            let place = format!("{id} body");
            // A body without required fields may be omitted: it is `{}`.
            let own = resolve(self.ours, json_schema(body));
            let given = own["properties"].is_object() && own["required"].is_null();
            if body["required"] == true && their_body["required"] != true && !given {
                self.differ(&place, "required by us alone");
            }
            let theirs = resolve(self.canonical, json_schema(their_body));
            self.schema(&place, json_schema(body), theirs, Way::Request);
        }
        for (status, answer) in theirs["responses"].as_object().into_iter().flatten() {
            let place = format!("{id} {status}");
            let range = format!("{}XX", &status[..1]);
            let mut known = [status, &range, "default"].into_iter();
            let own = known.find_map(|status| ours["responses"].get(status));
            let theirs = json_schema(resolve(self.canonical, answer));
            match own {
                None => self.differ(&place, "no such answer"),
                Some(own) if !theirs.is_null() => {
                    self.schema(&place, json_schema(own), theirs, Way::Answer);
                }
                Some(_) => {}
            }
        }
    }

    fn parameter(&mut self, id: &str, ours: &'d Value, theirs: &'d Value) {
        let place = format!("{id} {} {}", text(&theirs["in"]), text(&theirs["name"]));
        let mut all = ours["parameters"].as_array().into_iter().flatten();
        // The normalizer gives the variable at one position of a path one name.
        let same = all.find(|own| {
            own["in"] == theirs["in"] && (own["in"] == "path" || own["name"] == theirs["name"])
        });
        let Some(own) = same else {
            return self.differ(&place, "no such parameter");
        };
        if own["required"] == true && theirs["required"] != true {
            self.differ(&place, "required by us alone");
        }
        self.schema(&place, &own["schema"], &theirs["schema"], Way::Request);
    }

    /// Compares two schemas and their subschemas. A referenced schema has its name in the canonical
    /// description.
    fn schema(&mut self, place: &str, ours: &'d Value, theirs: &'d Value, way: Way) {
        self.places += 1;
        let place = referenced(theirs).unwrap_or(place).to_string();
        let (ours, theirs) = (resolve(self.ours, ours), resolve(self.canonical, theirs));
        if let Err(reason) = as_good(ours, theirs) {
            return self.differ(&place, &reason);
        }
        if self.open.iter().any(|known| std::ptr::eq(*known, theirs)) {
            return;
        }
        self.open.push(theirs);
        if theirs["items"].is_object() && ours["type"] == "array" {
            self.schema(&format!("{place}[]"), &ours["items"], &theirs["items"], way);
        }
        for (name, field) in theirs["properties"].as_object().into_iter().flatten() {
            let place = format!("{place} {name}");
            let Some(own) = ours["properties"].get(name) else {
                self.differ(&place, "no such field");
                continue;
            };
            match (requires(ours, name), requires(theirs, name)) {
                (true, false) => self.differ(&place, "required by us alone"),
                // Responses are decoded leniently, so hardly any field is required.
                (false, true) if way == Way::Request => self.differ(&place, "optional to us"),
                (true, true)
                    if takes_null(self.canonical, field) && !takes_null(self.ours, own) =>
                {
                    self.differ(&place, "null is not taken");
                }
                _ => {}
            }
            self.schema(&place, own, field, way);
        }
        self.open.pop();
    }

    fn differ(&mut self, place: &str, what: &str) {
        let known = self.found.entry(place.into()).or_default();
        known.insert(what.into());
    }
}

/// Returns whether our type is the same as theirs or more specific: a string may be a date, a
/// secret, an id or a number as text, but a date may not be a plain string.
fn as_good(ours: &Value, theirs: &Value) -> Result<(), String> {
    let (own, their) = (kind(ours), kind(theirs));
    let fine = match their {
        "any" => true,
        "string" => {
            let texts = [
                "date",
                "date-time",
                "password",
                "decimal",
                "flag",
                "id",
                "values",
            ];
            own == their || texts.contains(&own)
        }
        "values" if theirs["enum"] == json!(["true", "false"]) => own == "flag",
        "values" => {
            let known = ours["enum"].as_array().into_iter().flatten();
            let known: Vec<_> = known.collect();
            let theirs = theirs["enum"].as_array().into_iter().flatten();
            let mut texts = theirs.filter(|value| value.is_string());
            own == their && texts.all(|value| known.contains(&value))
        }
        "union" => ["any", "flag", "decimal"].contains(&own),
        "number" => own == their || own == "decimal",
        "boolean" => own == their || own == "flag",
        _ => own == their,
    };
    if fine {
        Ok(())
    } else {
        Err(format!("{own} where canonical has {their}"))
    }
}

/// Returns a type in one word.
fn kind(schema: &Value) -> &str {
    if let Some(value) = schema["x-value"].as_str() {
        return if value == "Flag" { "flag" } else { "decimal" };
    }
    match (text(&schema["type"]), text(&schema["format"])) {
        ("string", _) if schema["x-id"].is_string() => "id",
        ("string", _) if schema["enum"].is_array() => "values",
        ("string", "") => "string",
        ("string", format) => format,
        ("", _) if schema["oneOf"].is_array() => "union",
        ("", _) => "any",
        (name, _) => name,
    }
}

fn requires(schema: &Value, name: &str) -> bool {
    let names = schema["required"].as_array();
    names.is_some_and(|names| names.contains(&json!(name)))
}

fn takes_null(document: &Value, schema: &Value) -> bool {
    schema["nullable"] == true || resolve(document, schema)["nullable"] == true
}

fn documents() -> Option<(Value, Value)> {
    let canonical = upstream("../api/openapi.json")?;
    Some((serde_json::from_str(OURS).unwrap(), canonical))
}

/// The operations by method and shape of the path.
fn operations(document: &Value) -> BTreeMap<String, &Value> {
    let paths = document["paths"].as_object().unwrap().iter();
    let all = paths.flat_map(|(path, item)| {
        let methods = METHODS
            .iter()
            .filter_map(move |method| Some((method, item.get(*method)?)));
        methods.map(move |(method, operation)| (format!("{method} {}", shape(path)), operation))
    });
    all.collect()
}

fn names(document: &Value) -> BTreeMap<String, &str> {
    let named = operations(document).into_iter();
    named
        .map(|(at, operation)| (at, text(&operation["operationId"])))
        .collect()
}

/// Returns the target of a reference, bare or as the only one in an `allOf`.
fn resolve<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match target(value) {
        Some(target) => resolve(document, document.pointer(&target[1..]).unwrap()),
        None => value,
    }
}

/// Returns the name of the component schema of a reference.
fn referenced(schema: &Value) -> Option<&str> {
    target(schema)?.strip_prefix("#/components/schemas/")
}

fn target(value: &Value) -> Option<&str> {
    let only = match value["allOf"].as_array().map(Vec::as_slice) {
        Some([only]) => only,
        _ => value,
    };
    only["$ref"].as_str()
}

fn json_schema(message: &Value) -> &Value {
    &message["content"]["application/json"]["schema"]
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
