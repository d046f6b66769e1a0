//! Every reference points to a component schema.

use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::normalize::report::Report;
use crate::normalize::tree::names::{pascal, unique};
use crate::normalize::tree::walk::{children, each_root, each_schema, escape, schemas_mut};
use crate::refusal::{Refusal, refuse};

/// The maximum length of a chain of references; a longer one is considered circular.
pub(crate) const LONGEST_CHAIN: usize = 32;

/// Parts of the components that exist only for references; they are inlined.
const INLINED: [&str; 7] = [
    "parameters",
    "requestBodies",
    "responses",
    "headers",
    "examples",
    "links",
    "callbacks",
];

pub(crate) fn apply(document: &mut Value, report: &mut Report) -> Result<(), Refusal> {
    inline_parts(document, report)?;
    lift_deep_targets(document, report)?;
    separate_siblings(document, report);
    refuse_circles(document)
}

fn inline_parts(document: &mut Value, report: &mut Report) -> Result<(), Refusal> {
    let whole = document.clone();
    if let Some(paths) = document.get_mut("paths") {
        inline(paths, "/paths", &whole, report, 0)?;
    }
    let components = document
        .get_mut("components")
        .and_then(Value::as_object_mut);
    if let Some(components) = components {
        components.retain(|bucket, _| !INLINED.contains(&bucket.as_str()));
    }
    Ok(())
}

/// Replaces each reference to anything but a schema by a copy of its target.
fn inline(
    value: &mut Value,
    pointer: &str,
    whole: &Value,
    report: &mut Report,
    depth: usize,
) -> Result<(), Refusal> {
    if depth > LONGEST_CHAIN {
        return Err(endless(pointer));
    }
    if let Some(target) = value["$ref"].as_str() {
        let target = target.to_string();
        *value = resolve(whole, &target, pointer)?.clone();
        report.note(pointer, &target, "inlined");
        return inline(value, pointer, whole, report, depth + 1);
    }
    match value {
        Value::Object(object) => {
            for key in ["links", "callbacks"] {
                if object.get(key).is_some_and(Value::is_object) {
                    object.remove(key);
                    let place = format!("{pointer}/{key}");
                    report.note(place, "present", "dropped, no part of a call");
                }
            }
            for (key, child) in object.iter_mut() {
                let skip = ["schema", "example", "value"].contains(&key.as_str());
                if !skip && !key.starts_with("x-") {
                    inline(
                        child,
                        &format!("{pointer}/{}", escape(key)),
                        whole,
                        report,
                        depth,
                    )?;
                }
            }
        }
        Value::Array(list) => {
            for (index, child) in list.iter_mut().enumerate() {
                inline(child, &format!("{pointer}/{index}"), whole, report, depth)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Makes a component of a schema that is referenced inside another one.
fn lift_deep_targets(document: &mut Value, report: &mut Report) -> Result<(), Refusal> {
    let mut lifted: BTreeMap<String, String> = BTreeMap::new();
    loop {
        let whole = document.clone();
        let mut wanted = Vec::new();
        let mut failure = None;
        each_schema(document, &mut |pointer, schema| {
            let Some(target) = schema["$ref"].as_str() else {
                return;
            };
            match resolve(&whole, target, pointer) {
                Err(refusal) => failure = failure.take().or(Some(refusal)),
                Ok(_) => {
                    let target = decoded(target);
                    let direct = target.strip_prefix("#/components/schemas/");
                    if direct.is_none_or(|name| name.contains('/')) {
                        wanted.push(target);
                    } else {
                        schema["$ref"] = json!(target);
                    }
                }
            }
        });
        if let Some(refusal) = failure {
            return Err(refusal);
        }
        if wanted.is_empty() {
            return Ok(());
        }
        for target in wanted {
            if lifted.contains_key(&target) {
                continue;
            }
            let copy = resolve(&whole, &target, "")?.clone();
            let schemas = schemas_mut(document);
            let name = unique(&name_of(&target), |name| schemas.contains_key(name));
            report.note(&target, "referenced inside another schema", &name);
            schemas.insert(name.clone(), copy);
            lifted.insert(target, name);
        }
        each_schema(document, &mut |_, schema| {
            let name = schema["$ref"]
                .as_str()
                .and_then(|target| lifted.get(&decoded(target)));
            if let Some(name) = name {
                schema["$ref"] = json!(format!("#/components/schemas/{name}"));
            }
        });
    }
}

fn name_of(target: &str) -> String {
    let steps = target.trim_start_matches("#/").split('/');
    let names = steps.filter(|step| {
        ![
            "components",
            "schemas",
            "properties",
            "$defs",
            "definitions",
            "paths",
        ]
        .contains(step)
    });
    pascal(&names.collect::<Vec<_>>().join("-"))
}

/// A reference has no siblings in 3.0, so siblings move to an `allOf` around it.
fn separate_siblings(document: &mut Value, report: &mut Report) {
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
        object.retain(|key, _| kept.contains(&key.as_str()) || key.starts_with("x-"));
        object.insert("allOf".into(), json!([{ "$ref": target }]));
        report.note(
            pointer,
            "a reference with siblings",
            "a reference inside allOf",
        );
    });
}

/// Rejects schemas that consist only of references to each other.
fn refuse_circles(document: &mut Value) -> Result<(), Refusal> {
    let mut leads_to: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    each_root(document, &mut |pointer, schema| {
        if let Some(name) = pointer.strip_prefix("/components/schemas/") {
            let mut targets = BTreeSet::new();
            same_level(schema, &mut targets);
            leads_to.insert(name.to_string(), targets);
        }
    });
    for start in leads_to.keys() {
        let mut seen = BTreeSet::new();
        let mut open = vec![start];
        while let Some(name) = open.pop() {
            for next in leads_to.get(name).into_iter().flatten() {
                if next == start {
                    return Err(endless(&format!("/components/schemas/{start}")));
                }
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
    }
    Ok(())
}

/// Returns the references that a schema consists of, without those of its members.
fn same_level(schema: &mut Value, found: &mut BTreeSet<String>) {
    if let Some(target) = schema["$ref"].as_str() {
        found.extend(target.strip_prefix("#/components/schemas/").map(escape));
    }
    for (step, child) in children(schema) {
        if ["allOf", "anyOf", "oneOf"]
            .iter()
            .any(|key| step.starts_with(key))
        {
            same_level(child, found);
        }
    }
}

pub(crate) fn resolve<'d>(
    whole: &'d Value,
    target: &str,
    pointer: &str,
) -> Result<&'d Value, Refusal> {
    let decoded = decoded(target);
    let Some(inside) = decoded.strip_prefix('#') else {
        return Err(refuse(
            format!("an external $ref {target:?} at {pointer}"),
            "references inside the document",
            "bundle the document into one file first",
        ));
    };
    let found = whole.pointer(inside).filter(|found| found.is_object());
    found.ok_or_else(|| {
        refuse(
            format!("a dangling $ref {target:?} at {pointer}"),
            "a $ref to an object in the document",
            "report it to the vendor, or fix a copy and pass it with --from",
        )
    })
}

/// Decodes the percent-encoding of a reference (RFC 3986).
fn decoded(target: &str) -> String {
    percent_decode_str(target).decode_utf8_lossy().into_owned()
}

pub(crate) fn endless(pointer: &str) -> Refusal {
    refuse(
        format!("circular references at {pointer}"),
        "a schema that is not a circle of references",
        "report it to the vendor, or fix a copy and pass it with --from",
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
    fn dangling_external_and_circular_references_are_refused() {
        let schemas = |schemas: Value| json!({"components": {"schemas": schemas}});
        let refusal = |mut document: Value| {
            apply(&mut document, &mut Report::default())
                .unwrap_err()
                .problem
        };
        assert!(
            refusal(schemas(json!({"A": {"$ref": "#/components/schemas/B"}}))).contains("dangling")
        );
        assert!(refusal(schemas(json!({"A": {"$ref": "./b.json"}}))).contains("external"));
        assert!(refusal(schemas(json!({"A": {"$ref": "#/components/schemas/B"}, "B": {"allOf": [{"$ref": "#/components/schemas/A"}]}}))).contains("circular references"));
    }
}
