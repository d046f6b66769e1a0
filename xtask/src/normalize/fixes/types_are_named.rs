//! Every schema that becomes a Rust type is a component with a name.
//!
//! The generator silently merges inline schemas with equal derived names. The names assigned here
//! are unique. The overlay's `x-name` replaces an unsuitable derived name, and lets equal schemas
//! share a name.

use serde_json::{Value, json};

use crate::normalize::report::Report;
use crate::normalize::tree::names::{pascal, singular, unique};
use crate::normalize::tree::walk::{
    body_schemas, children, each_operation, each_schema, members_mut, reference,
    referenced_through, schemas_mut, take, text,
};
use crate::refusal::Refusal;

/// Types for values that the server writes in several forms.
const VALUES: [(&str, &str, &str); 2] = [
    (
        "boolean",
        "Flag",
        "True or false in whichever form the server uses; written as text.",
    ),
    (
        "decimal",
        "Decimal",
        "An exact decimal number, as text or as a number; written as text.",
    ),
];

pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    values_by_reference(document, report);
    let taken = std::mem::take(schemas_mut(document));
    let mut named = Named {
        schemas: taken,
        report,
    };
    let components: Vec<String> = named.schemas.keys().cloned().collect();
    for name in components {
        let mut schema = named.schemas[&name].clone();
        named.below(&mut schema, &name, &format!("/components/schemas/{name}"));
        named.schemas.insert(name, schema);
    }
    each_operation(document, |pointer, _, _, operation| {
        let id = pascal(text(operation, "operationId"));
        let parameters = operation
            .get_mut("parameters")
            .and_then(Value::as_array_mut);
        for parameter in parameters.into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap_or_default().to_string();
            let pointer = format!("{pointer}/parameters/{name}/schema");
            let named_as = format!("{id}{}", pascal(&name));
            named.site(&mut parameter["schema"], &named_as, &pointer);
            unwrap_reference(&mut parameter["schema"]);
        }
        for schema in body_schemas(operation) {
            let pointer = format!("{pointer}/requestBody");
            named.site(schema, &format!("{id}Request"), &pointer);
            unwrap_reference(schema);
        }
        for (status, response) in members_mut(operation, "responses") {
            let pointer = format!("{pointer}/responses/{status}");
            let response = response.as_object_mut();
            for (_, media) in response
                .into_iter()
                .flat_map(|own| members_mut(own, "content"))
            {
                let schema = &mut media["schema"];
                let own = format!("{id}Response");
                let name = wrapper_name(schema).unwrap_or_else(|| own.clone());
                named.answer(schema, &name, &own, &pointer);
                unwrap_reference(schema);
            }
        }
    });
    *schemas_mut(document) = named.schemas;
    Ok(())
}

/// Replaces fields of mixed forms by references to the value types.
fn values_by_reference(document: &mut Value, report: &mut Report<'_>) {
    let schemas = schemas_mut(document);
    // A component of the vendor's may have the name already.
    let names = VALUES.map(|(_, value, _)| {
        let mut known = schemas.iter().filter(|(_, own)| own["x-value"] == value);
        let known = known.next().map(|(name, _)| name.clone());
        known.unwrap_or_else(|| unique(value, |name| schemas.contains_key(name)))
    });
    let mut used = [false; VALUES.len()];
    each_schema(document, &mut |_, schema| {
        let is_of = |(format, _, _): &(&str, _, _)| {
            schema["type"] == "string" && schema["format"] == *format
        };
        if let Some(index) = VALUES.iter().position(is_of) {
            let object = schema.as_object_mut().expect("has a type");
            for key in ["type", "format", "enum", "$ref"] {
                object.remove(key);
            }
            object.insert("allOf".into(), json!([reference(&names[index])]));
            unwrap_reference(schema);
            used[index] = true;
        }
    });
    let schemas = schemas_mut(document);
    for (((_, value, description), name), used) in VALUES.into_iter().zip(names).zip(used) {
        if used && !schemas.contains_key(&name) {
            let forms = match value {
                "Flag" => json!([{"type": "boolean"}, {"type": "integer"}, {"type": "string"}]),
                _ => json!([{"type": "number"}, {"type": "string"}]),
            };
            report.note(format!("/components/schemas/{name}"), "absent", "added");
            // All query values are strings, which is more than one of the forms.
            let schema = json!({"description": description, "anyOf": forms, "x-value": value});
            schemas.insert(name, schema);
        }
    }
}

struct Named<'r, 'd> {
    schemas: serde_json::Map<String, Value>,
    report: &'r mut Report<'d>,
}

impl Named<'_, '_> {
    /// Names the schema at a place, or the schemas inside it.
    fn site(&mut self, schema: &mut Value, name: &str, pointer: &str) {
        self.settle(schema, name, None, pointer);
    }

    /// Does the same as [`Named::site`] for a response: equal wrappers share a name.
    fn answer(&mut self, schema: &mut Value, shared: &str, own: &str, pointer: &str) {
        self.settle(schema, shared, Some(own), pointer);
    }

    fn settle(&mut self, schema: &mut Value, name: &str, own: Option<&str>, pointer: &str) {
        if referenced_through(schema).is_some() {
            return only_reference(schema);
        }
        let given = take(schema, "x-name");
        let given = given.as_ref().and_then(Value::as_str).map(pascal);
        if given.is_none() && !needs_name(schema) {
            return self.below(schema, name, pointer);
        }
        let shares = given.is_some() || own.is_some();
        let name = given.unwrap_or_else(|| pascal(name));
        let mut inner = schema.take();
        let nullable = take(&mut inner, "nullable") == Some(json!(true));
        let description = if shares {
            take(&mut inner, "description")
        } else {
            None
        };
        self.below(&mut inner, &name, pointer);
        let name = self.place(inner, &name, own, shares, pointer);
        *schema = reference(&name);
        if nullable || description.is_some() {
            *schema = json!({"allOf": [reference(&name)]});
            if nullable {
                schema["nullable"] = json!(true);
            }
            if let Some(description) = description {
                schema["description"] = description;
            }
        }
    }

    /// Adds a schema to the components and returns its name.
    fn place(
        &mut self,
        schema: Value,
        name: &str,
        own: Option<&str>,
        shares: bool,
        pointer: &str,
    ) -> String {
        let joined = match self.schemas.get(name) {
            None => Some(schema.clone()),
            Some(known) if shares => join(known, &schema),
            Some(_) => None,
        };
        if let Some(joined) = joined {
            self.schemas.insert(name.into(), joined);
            return name.into();
        }
        let free = unique(&pascal(own.unwrap_or(name)), |name| {
            self.schemas.contains_key(name)
        });
        self.report
            .note(pointer, format!("{name} is taken by another shape"), &free);
        self.schemas.insert(free.clone(), schema);
        free
    }

    fn below(&mut self, schema: &mut Value, name: &str, pointer: &str) {
        for (step, child) in children(schema) {
            let pointer = format!("{pointer}/{step}");
            let child_name = match step.split_once('/') {
                Some(("properties", property)) if child["type"] == "array" => {
                    format!("{name}-{}", singular(property))
                }
                Some(("properties", property)) => format!("{name}-{property}"),
                _ if step == "items" => name.to_string(),
                _ if step == "additionalProperties" => format!("{name}Value"),
                _ => format!("{name}Part"),
            };
            let child_name = if step == "items" && self.schemas.contains_key(&pascal(&child_name)) {
                format!("{child_name}Item")
            } else {
                child_name
            };
            self.site(child, &child_name, &pointer);
        }
    }
}

/// Merges two schemas of the same name if they agree: the result has the fields and values of both,
/// and requires only what both require.
fn join(one: &Value, other: &Value) -> Option<Value> {
    if one["properties"].is_null() && shape(one) == shape(other) {
        return Some(one.clone());
    }
    let mut joined = one.clone();
    match (one["enum"].as_array(), other["enum"].as_array()) {
        (Some(ours), Some(theirs)) => {
            let new = theirs.iter().filter(|value| !ours.contains(value));
            joined["enum"] = json!(ours.iter().chain(new).collect::<Vec<_>>());
            return Some(joined);
        }
        (None, None) => {}
        _ => return None,
    }
    let (ours, theirs) = (
        one["properties"].as_object()?,
        other["properties"].as_object()?,
    );
    for (name, field) in theirs {
        match ours.get(name) {
            None => joined["properties"][name] = field.clone(),
            Some(known) if shape(known) == shape(field) => {
                joined["properties"][name] = fuller(known, field);
            }
            Some(_) => return None,
        }
    }
    let both = |name: &&Value| {
        let theirs = other["required"].as_array();
        theirs.is_some_and(|theirs| theirs.contains(name))
            && joined["properties"][name.as_str().unwrap_or_default()]["nullable"] != true
    };
    let ours = one["required"].as_array().into_iter().flatten();
    let required = json!(ours.filter(both).collect::<Vec<_>>());
    take(&mut joined, "required");
    if required != json!([]) {
        joined["required"] = required;
    }
    Some(joined)
}

/// Returns the field with more information of two fields of the same shape; nullable if either is.
fn fuller(known: &Value, field: &Value) -> Value {
    let null = |field: &Value| field["nullable"] == true;
    let says = |field: &&Value| (field.get("description").is_some(), null(field));
    let fuller = if says(&field) > says(&known) {
        field
    } else {
        known
    };
    let mut fuller = fuller.clone();
    if null(known) || null(field) {
        fuller["nullable"] = json!(true);
    }
    fuller
}

/// Removes the keywords that do not affect the Rust type of a schema.
fn shape(schema: &Value) -> Value {
    match schema {
        Value::Object(object)
            if object.contains_key("allOf") && referenced_through(schema).is_some() =>
        {
            reference(referenced_through(schema).expect("just seen"))
        }
        Value::Object(object) => {
            let relevant = object
                .iter()
                .filter(|(key, _)| !["description", "nullable"].contains(&key.as_str()));
            Value::Object(
                relevant
                    .map(|(key, value)| (key.clone(), shape(value)))
                    .collect(),
            )
        }
        other => other.clone(),
    }
}

/// Returns whether a schema becomes a type: an object with fields, or an enumeration.
fn needs_name(schema: &Value) -> bool {
    schema["properties"].is_object() || schema["enum"].is_array()
}

/// Returns `PatientListResponse` for `{patients: [Patient], meta}` and `PatientResponse` for
/// `{patient: Patient}`.
fn wrapper_name(schema: &Value) -> Option<String> {
    let properties = schema["properties"].as_object()?;
    let mut wrapped = properties
        .iter()
        .filter(|(name, _)| name.as_str() != "meta");
    let (_, only) = wrapped.next()?;
    if wrapped.next().is_some() {
        return None;
    }
    match referenced_through(only) {
        Some(name) => Some(format!("{name}Response")),
        None => Some(format!(
            "{}ListResponse",
            referenced_through(&only["items"])?
        )),
    }
}

/// A schema that already has a name keeps it, regardless of the overlay.
fn only_reference(schema: &mut Value) {
    let kept = ["$ref", "allOf", "nullable", "description", "deprecated"];
    if let Some(object) = schema.as_object_mut() {
        object.retain(|key, _| kept.contains(&key.as_str()));
    }
    unwrap_reference(schema);
}

/// Returns a bare reference if it has no siblings.
fn unwrap_reference(schema: &mut Value) {
    let alone = schema.as_object().is_some_and(|object| object.len() == 1);
    if let Some(name) = referenced_through(schema).filter(|_| alone) {
        *schema = reference(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::report::check;

    fn named(schemas: Value) -> Value {
        let (document, _) = check(
            apply,
            json!({"components": {"schemas": schemas}, "paths": {}}),
        );
        document["components"]["schemas"].clone()
    }

    #[test]
    fn inline_objects_get_names_that_no_other_has() {
        let object =
            |field: &str| json!({"type": "object", "properties": {field: {"type": "string"}}});
        let after = named(json!({
            "Order": {"type": "object", "properties": {"item_status": object("a")}},
            "OrderItem": {"type": "object", "properties": {"status": object("b"), "lines": {"type": "array", "items": object("c")}}},
        }));
        assert_eq!(
            after["Order"]["properties"]["item_status"],
            reference("OrderItemStatus")
        );
        assert_eq!(
            after["OrderItem"]["properties"]["status"],
            reference("OrderItemStatus2")
        );
        assert_eq!(
            after["OrderItem"]["properties"]["lines"]["items"],
            reference("OrderItemLine")
        );
    }

    #[test]
    fn a_given_name_is_shared_by_equals_and_sets_of_values_join() {
        let after = named(json!({
            "A": {"type": "object", "properties": {
                "id": {"type": "string", "x-name": "PatientId", "x-id": "patient"},
                "state": {"type": "string", "enum": ["x"], "x-name": "State", "nullable": true}}},
            "B": {"type": "object", "properties": {
                "patient_id": {"type": "string", "x-name": "PatientId", "x-id": "patient"},
                "state": {"type": "string", "enum": ["y"], "x-name": "State"}}},
        }));
        assert_eq!(
            after["PatientId"],
            json!({"type": "string", "x-id": "patient"})
        );
        assert_eq!(after["State"]["enum"], json!(["x", "y"]));
        assert_eq!(
            after["A"]["properties"]["state"],
            json!({"allOf": [reference("State")], "nullable": true})
        );
        assert_eq!(
            after["B"]["properties"]["patient_id"],
            reference("PatientId")
        );
    }

    #[test]
    fn equal_wrappers_share_a_type() {
        let answer = json!({"200": {"content": {"application/json": {"schema": {"type": "object",
            "properties": {"patients": {"type": "array", "items": reference("Patient")}, "meta": {"type": "object", "properties": {"n": {"type": "integer"}}, "x-name": "Meta"}}}}}}});
        let (document, _) = check(
            apply,
            json!({"components": {"schemas": {"Patient": {"type": "object", "properties": {"n": {"type": "string"}}}}},
                "paths": {"/a": {"get": {"operationId": "list_a", "responses": answer}}, "/b": {"get": {"operationId": "list_b", "responses": answer}}}}),
        );
        for path in ["/a", "/b"] {
            let schema = &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
                ["schema"];
            assert_eq!(*schema, reference("PatientListResponse"));
        }
    }

    #[test]
    fn mixed_spellings_refer_to_a_value_type() {
        let after = named(
            json!({"A": {"type": "object", "properties": {"f": {"type": "string", "format": "boolean", "nullable": true}}}}),
        );
        assert_eq!(
            after["A"]["properties"]["f"],
            json!({"allOf": [reference("Flag")], "nullable": true})
        );
        assert_eq!(after["Flag"]["x-value"], "Flag");
    }

    #[test]
    fn a_component_of_the_vendor_keeps_the_name_of_a_value_type() {
        let theirs = json!({"type": "object", "properties": {"on": {"type": "string", "format": "boolean"}}});
        let after = named(json!({"Flag": theirs}));
        assert_eq!(after["Flag"]["properties"]["on"], reference("Flag2"));
        assert_eq!(after["Flag2"]["x-value"], "Flag");
    }
}
