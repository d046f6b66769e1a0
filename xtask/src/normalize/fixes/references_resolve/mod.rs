//! Every reference points to a component schema.

mod targets;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::well_formed;
use crate::normalize::report::Report;
use crate::normalize::tree::names::{pascal, unique};
use crate::normalize::tree::walk::{
    LONGEST_CHAIN, METHODS, each_below, each_schema, element, escape, schemas_mut,
};
use crate::refusal::{Refusal, refuse};
pub(crate) use targets::{Target, Targets};

/// Parts of the components that exist only for references; they are inlined.
const INLINED: [&str; 8] = [
    "pathItems",
    "parameters",
    "requestBodies",
    "responses",
    "headers",
    "examples",
    "links",
    "callbacks",
];

/// Objects whose keys are names that the vendor chose.
const NAMES: [&str; 5] = ["content", "encoding", "examples", "headers", "responses"];

/// The maximum number of copies. The largest public documents need a tenth of it; more are
/// references that multiply each other.
const MOST_COPIES: usize = 2_000_000;

/// Keywords beside a reference that add to its schema, which OpenAPI 3.1 allows.
const SHAPES: [&str; 8] = [
    "additionalProperties",
    "allOf",
    "anyOf",
    "enum",
    "items",
    "oneOf",
    "properties",
    "required",
];

pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    inline_parts(document, report)?;
    lift_deep_targets(document, report)?;
    separate_siblings(document, report);
    // A copy may come from a place where nothing was checked.
    well_formed::apply(document, report)
}

fn inline_parts(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    let whole = document.clone();
    let mut inlining = Inlining {
        targets: Targets::of(&whole, report.received),
        copies: 0,
        report,
    };
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for (path, item) in paths.into_iter().flatten() {
        inlining.inline(item, &format!("/paths/{}", escape(path)), 0)?;
    }
    let components = document
        .get_mut("components")
        .and_then(Value::as_object_mut);
    if let Some(components) = components {
        components.retain(|bucket, _| !INLINED.contains(&bucket.as_str()));
    }
    Ok(())
}

struct Inlining<'d, 'w, 'r> {
    targets: Targets<'w>,
    copies: usize,
    report: &'d mut Report<'r>,
}

impl Inlining<'_, '_, '_> {
    /// Replaces each reference to anything but a schema by a copy of its target.
    fn inline(&mut self, value: &mut Value, pointer: &str, chain: usize) -> Result<(), Refusal> {
        if let Some(reference) = value["$ref"].as_str() {
            let reference = reference.to_string();
            self.copies += 1;
            if chain > LONGEST_CHAIN || self.copies > MOST_COPIES {
                self.report.fault(pointer, "circular references", "dropped");
                *value = json!({});
                return Ok(());
            }
            let beside = value.take();
            *value = self.copy(&reference, pointer)?;
            // A path item may have operations beside its reference.
            for key in METHODS.into_iter().chain(["parameters"]) {
                if let Some(own) = beside.get(key).filter(|own| !own.is_null()) {
                    value[key] = own.clone();
                }
            }
            return self.inline(value, pointer, chain + 1);
        }
        match value {
            Value::Object(object) => self.members(object, pointer, chain),
            Value::Array(list) => {
                for (index, child) in list.iter_mut().enumerate() {
                    let pointer = format!("{pointer}/{}", element(pointer, index, child));
                    self.inline(child, &pointer, chain)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn members(
        &mut self,
        object: &mut Map<String, Value>,
        pointer: &str,
        chain: usize,
    ) -> Result<(), Refusal> {
        for key in ["links", "callbacks"] {
            if object.get(key).is_some_and(Value::is_object) {
                object.remove(key);
                let place = format!("{pointer}/{key}");
                self.report
                    .note(place, "present", "dropped, no part of a call");
            }
        }
        for (key, child) in object {
            let skip = ["schema", "example", "value"].contains(&key.as_str());
            if skip || key.starts_with("x-") {
                continue;
            }
            let below = format!("{pointer}/{}", escape(key));
            match child {
                Value::Object(named) if NAMES.contains(&key.as_str()) => {
                    for (name, child) in named {
                        let below = format!("{below}/{}", escape(name));
                        self.inline(child, &below, chain)?;
                    }
                }
                child => self.inline(child, &below, chain)?,
            }
        }
        Ok(())
    }

    fn copy(&mut self, reference: &str, pointer: &str) -> Result<Value, Refusal> {
        let found = match self.targets.find(reference, pointer) {
            Target::External => return Err(external(reference, pointer)),
            Target::Dangling => None,
            Target::Schema(name) => {
                let pointer = format!("/components/schemas/{}", escape(&name));
                self.targets.at(&pointer)
            }
            Target::Part(inside) => self.targets.at(&inside),
        };
        let Some(found) = found else {
            let problem = format!("a dangling $ref {reference:?}");
            if pointer.ends_with("/requestBody") {
                self.report.fault(pointer, problem, "a body of any JSON");
                return Ok(json!({"content": {"application/json": {"schema": {}}}}));
            }
            self.report.fault(pointer, problem, "dropped");
            return Ok(json!({}));
        };
        self.report.note(pointer, reference, "inlined");
        Ok(found.clone())
    }
}

/// Makes a component of a schema that is referenced outside of the component schemas, or inside
/// another one.
fn lift_deep_targets(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    let whole = document.clone();
    let schemas = whole["components"]["schemas"].as_object();
    let mut lifting = Lifting {
        targets: Targets::of(&whole, report.received),
        is_taken: &|name| schemas.is_some_and(|schemas| schemas.contains_key(name)),
        lifted: BTreeMap::new(),
        open: Vec::new(),
        external: None,
        report,
    };
    each_schema(document, &mut |pointer, schema| {
        lifting.resolve(pointer, schema);
    });
    while let Some(pointer) = lifting.open.pop() {
        let (Some(found), Some(name)) = (
            lifting.targets.at(&pointer),
            lifting.lifted.get(&pointer).cloned(),
        ) else {
            continue;
        };
        let mut copy = found.clone();
        each_below(&mut copy, &pointer, &mut |pointer, schema| {
            lifting.resolve(pointer, schema);
        });
        schemas_mut(document).insert(name, copy);
    }
    lifting.external.map_or(Ok(()), Err)
}

struct Lifting<'d, 'w, 'r> {
    targets: Targets<'w>,
    is_taken: &'w dyn Fn(&str) -> bool,
    /// The names of the new components, by the pointer of their source.
    lifted: BTreeMap<String, String>,
    /// Those that were not copied yet.
    open: Vec<String>,
    external: Option<Refusal>,
    report: &'d mut Report<'r>,
}

impl Lifting<'_, '_, '_> {
    /// Lets the reference of a schema name a component.
    fn resolve(&mut self, pointer: &str, schema: &mut Value) {
        let Some(reference) = schema["$ref"].as_str() else {
            return;
        };
        let name = match self.targets.find(reference, pointer) {
            Target::Schema(name) => name,
            Target::Part(inside) => self.lift(inside),
            Target::External => {
                let refusal = external(reference, pointer);
                self.external.get_or_insert(refusal);
                return;
            }
            Target::Dangling => {
                let problem = format!("a dangling $ref {reference:?}");
                self.report.fault(pointer, problem, "any JSON");
                if let Some(object) = schema.as_object_mut() {
                    object.remove("$ref");
                }
                return;
            }
        };
        let reference = format!("#/components/schemas/{}", escape(&name));
        if schema["$ref"] != reference {
            schema["$ref"] = json!(reference);
        }
    }

    fn lift(&mut self, pointer: String) -> String {
        if let Some(name) = self.lifted.get(&pointer) {
            return name.clone();
        }
        let name = unique(&name_of(&pointer), |name| {
            (self.is_taken)(name) || self.lifted.values().any(|own| own == name)
        });
        let place = format!("#{pointer}");
        self.report
            .note(place, "referenced inside another schema", &name);
        self.open.push(pointer.clone());
        self.lifted.insert(pointer, name.clone());
        name
    }
}

fn name_of(pointer: &str) -> String {
    const NO_NAMES: &str = "\
        $defs application~1json components content definitions parameters paths properties \
        requestBodies requestBody responses schema schemas webhooks";
    let steps = pointer.split('/').skip(1);
    let names = steps.filter(|step| !NO_NAMES.split_whitespace().any(|own| own == *step));
    pascal(&names.collect::<Vec<_>>().join("-"))
}

/// A reference has no siblings in 3.0, so siblings move to an `allOf` around it.
fn separate_siblings(document: &mut Value, report: &mut Report<'_>) {
    each_schema(document, &mut |pointer, schema| {
        let object = schema.as_object_mut().filter(|object| object.len() > 1);
        let Some((target, object)) = object.and_then(|own| Some((own.remove("$ref")?, own))) else {
            return;
        };
        let kept = [
            "nullable",
            "description",
            "deprecated",
            "readOnly",
            "writeOnly",
            "example",
        ];
        let mut added = object.clone();
        added.retain(|key, _| SHAPES.contains(&key.as_str()));
        let is_shaped = ["properties", "allOf", "anyOf", "oneOf"]
            .iter()
            .any(|key| added.contains_key(*key));
        object.retain(|key, _| kept.contains(&key.as_str()) || key.starts_with("x-"));
        let parts = if is_shaped {
            json!([{ "$ref": target }, added])
        } else {
            json!([{ "$ref": target }])
        };
        object.insert("allOf".into(), parts);
        report.note(
            pointer,
            "a reference with siblings",
            "a reference inside allOf",
        );
    });
}

pub(crate) fn external(reference: &str, pointer: &str) -> Refusal {
    refuse(
        format!("an external $ref {reference:?} at {pointer}"),
        "references inside the document",
        "bundle the document into one file first, for example with `redocly bundle`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::report::check;

    #[test]
    fn parts_are_inlined_where_used() {
        let (document, _) = check(
            apply,
            json!({"paths": {"/a": {"get": {"parameters": [{"$ref": "#/components/parameters/P"}],
                "responses": {"200": {"$ref": "#/components/responses/R"}}}}},
                "components": {"parameters": {"P": {"name": "p", "in": "query"}}, "responses": {"R": {"description": "d"}}}}),
        );
        assert_eq!(document["paths"]["/a"]["get"]["parameters"][0]["name"], "p");
        assert_eq!(
            document["paths"]["/a"]["get"]["responses"]["200"]["description"],
            "d"
        );
        assert_eq!(document["components"], json!({}));
    }

    #[test]
    fn a_schema_inside_another_gets_a_name() {
        let (document, _) = check(
            apply,
            json!({"components": {"schemas": {
                "A": {"properties": {"x": {"$ref": "#/components/schemas/B/properties/c"}}},
                "B": {"properties": {"c": {"type": "object", "properties": {"again": {"$ref": "#/components/schemas/B/properties/c"}}}}}}}}),
        );
        let schemas = &document["components"]["schemas"];
        assert_eq!(
            schemas["A"]["properties"]["x"]["$ref"],
            "#/components/schemas/Bc"
        );
        assert_eq!(
            schemas["Bc"]["properties"]["again"]["$ref"],
            "#/components/schemas/Bc"
        );
    }

    #[test]
    fn null_beside_a_reference_survives() {
        let (document, _) = check(
            apply,
            json!({"components": {"schemas": {"A": {}, "B": {"properties": {"a": {"$ref": "#/components/schemas/A", "nullable": true}}}}}}),
        );
        assert_eq!(
            document["components"]["schemas"]["B"]["properties"]["a"],
            json!({"allOf": [{"$ref": "#/components/schemas/A"}], "nullable": true}),
        );
    }

    #[test]
    fn an_external_reference_is_refused() {
        let mut document = json!({"components": {"schemas": {"A": {"$ref": "./b.json"}}}});
        let refusal = apply(&mut document, &mut Report::default()).unwrap_err();
        assert!(refusal.problem.contains("external"), "{refusal}");
    }

    #[test]
    fn a_dangling_reference_costs_its_place_and_is_a_fault_of_the_vendor() {
        let mut document = json!({"components": {"schemas": {"A": {"properties": {
            "a": {"$ref": "#/components/schemas/B"}, "b": {"type": "string"}}}}},
            "paths": {"/a": {"get": {"parameters": [{"$ref": "#/components/parameters/P"}],
                "requestBody": {"$ref": "#/components/requestBodies/R"},
                "responses": {"200": {"$ref": "#/components/responses/R"}}}}}});
        let mut report = Report::default();
        apply(&mut document, &mut report).unwrap();
        let fields = &document["components"]["schemas"]["A"]["properties"];
        assert_eq!(*fields, json!({"a": {}, "b": {"type": "string"}}));
        let get = &document["paths"]["/a"]["get"];
        let body = json!({"content": {"application/json": {"schema": {}}}});
        let expected = json!({"parameters": [], "requestBody": body, "responses": {"200": {}}});
        assert_eq!(*get, expected);
        let expected = [
            "/paths/~1a/get/parameters/0",
            "/paths/~1a/get/requestBody",
            "/paths/~1a/get/responses/200",
            "/components/schemas/A/properties/a",
        ];
        assert_eq!(report.faults(), expected);
    }

    #[test]
    fn references_into_any_part_are_found() {
        let string = json!({"type": "string"});
        let own = json!({"properties": {
            "into_parameter": {"$ref": "#/components/parameters/P/schema"},
            "through_reference": {"$ref": "#/paths/~1a/get/parameters/0/schema"},
            "into_response": {"$ref": "#/paths/~1a/get/responses/200/content/application~1json/schema"},
            "own_definition": {"$ref": "#/$defs/X"},
            "root_definition": {"$ref": "#/$defs/Y"},
            "elsewhere": {"$ref": "#/definitions/Z"},
            "anchor": {"$ref": "#here"},
            "id": {"$ref": "https://example.com/z.json"},
            "name": {"$ref": "Z"},
        }, "$defs": {"X": string}});
        let mut document = json!({
            "$defs": {"Y": string},
            "components": {
                "parameters": {"P": {"name": "p", "in": "query", "schema": string}},
                "schemas": {"A": own, "Z": {"type": "string", "$anchor": "here", "$id": "https://example.com/z.json"}},
            },
            "paths": {"/a": {"get": {"parameters": [{"$ref": "#/components/parameters/P"}],
                "responses": {"200": {"content": {"application/json": {"schema": {"type": "string"}}}}}}}},
        });
        let received = document.clone();
        let mut report = Report::new(&received);
        apply(&mut document, &mut report).unwrap();
        assert_eq!(report.faults(), [""; 0]);
        let schemas = &document["components"]["schemas"];
        for (name, field) in schemas["A"]["properties"].as_object().unwrap() {
            let target = field["$ref"].as_str().unwrap();
            let target = target.strip_prefix("#/components/schemas/").unwrap();
            assert_eq!(schemas[target]["type"], "string", "{name}: {target}");
        }
    }

    #[test]
    fn an_example_may_be_called_links() {
        let media = json!({"examples": {"links": {"value": 1}}});
        let response = json!({"content": {"application/json": media}, "links": {"self": {}}});
        let (document, _) = check(
            apply,
            json!({"components": {"schemas": {}}, "info": {"title": "t", "version": "1"},
                "paths": {"/a": {"get": {"responses": {"200": response}}}}}),
        );
        let response = &document["paths"]["/a"]["get"]["responses"]["200"];
        assert_eq!(*response, json!({"content": {"application/json": media}}));
    }
}
