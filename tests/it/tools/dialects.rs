//! The rules that the three function-calling dialects publish, applied to each tool.

use std::collections::BTreeSet;

use fullscript::tools::{self, Tool};
use serde_json::{Value, json};

use super::{mismatch, walk};

#[track_caller]
fn for_each_tool(check: impl Fn(&'static Tool)) {
    assert_eq!(tools::all().len(), 75);
    tools::all().iter().for_each(check);
}

/// OpenAI API reference, `FunctionTool` of the Responses API, and "Function calling": the name has
/// letters, digits, `_` and `-`, 64 characters at most; the description of a function has 1,024 at
/// most; a request has 128 functions at most.
#[test]
fn each_tool_is_a_function_of_openai() {
    let schema = json!({
        "type": "object",
        "required": ["type", "name", "parameters", "strict"],
        "additionalProperties": false,
        "properties": {
            "type": {"const": "function"},
            "name": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$"},
            "description": {"type": "string", "minLength": 1, "maxLength": 1024},
            "strict": {"type": "boolean"},
            "parameters": {"type": "object", "properties": {"type": {"const": "object"}}},
        },
    });
    for_each_tool(|tool| assert_eq!(mismatch(&tool.openai(), &schema), None, "{}", tool.name()));
    assert!(tools::all().len() <= 128);
}

/// OpenAI, "Structured model outputs", section "Supported schemas": the root is an object and no
/// union; all fields are required; `additionalProperties` is false in each object; the keywords
/// `allOf`, `not`, `if` and those that depend on them are unsupported. Limits of the oldest models,
/// which Azure still documents: 5 levels of nesting, 100 properties, 500 enum values, 15,000
/// characters in names and values.
#[test]
fn each_strict_function_keeps_the_rules_of_structured_outputs() {
    let mut without = vec![];
    for tool in tools::all() {
        let function = tool.openai();
        if function["strict"] != true {
            without.push(tool.name());
            continue;
        }
        let root = &function["parameters"];
        assert!(root["type"] == "object" && root.get("anyOf").is_none());
        let (mut properties, mut values, mut characters) = (0, 0, 0);
        walk(root, 1, &mut |schema, depth| {
            let at = format!("{}: {schema}", tool.name());
            for keyword in schema.as_object().unwrap().keys() {
                const SUPPORTED: [&str; 8] = [
                    "additionalProperties",
                    "anyOf",
                    "description",
                    "enum",
                    "format",
                    "items",
                    "properties",
                    "type",
                ];
                let supported = SUPPORTED.contains(&keyword.as_str()) || keyword == "required";
                assert!(supported, "{keyword} {at}");
            }
            assert!(schema.get("type").or(schema.get("anyOf")).is_some(), "{at}");
            if let Some(own) = schema["properties"].as_object() {
                let names: BTreeSet<&str> = own.keys().map(String::as_str).collect();
                let required = schema["required"].as_array().unwrap().iter();
                let required: BTreeSet<&str> = required.filter_map(Value::as_str).collect();
                assert_eq!(required, names, "{at}");
                assert_eq!(schema["additionalProperties"], false, "{at}");
                assert!(depth <= 5, "{at}");
                properties += own.len();
                characters += own.keys().map(String::len).sum::<usize>();
            }
            for value in schema["enum"].as_array().into_iter().flatten() {
                values += 1;
                characters += value.as_str().map_or(0, str::len);
            }
        });
        assert!(properties <= 100 && values <= 500 && characters <= 15_000);
    }
    // Their bodies may have any fields.
    assert_eq!(without, ["update_practitioner_resource"]);
}

/// Anthropic, "Tool use", "Define tools": the name matches `^[a-zA-Z0-9_-]{1,64}$`, and
/// `input_schema` is a JSON Schema of an object. The API refuses a request whose tools have other
/// names of properties than `^[a-zA-Z0-9_.-]{1,64}$`, or a union at the top level of a schema.
#[test]
fn each_tool_is_a_tool_of_anthropic() {
    let schema = json!({
        "type": "object",
        "required": ["name", "description", "input_schema"],
        "additionalProperties": false,
        "properties": {
            "name": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$"},
            "description": {"type": "string", "minLength": 1},
            "input_schema": {
                "type": "object",
                "required": ["type"],
                "properties": {
                    "type": {"const": "object"},
                    "oneOf": false, "allOf": false, "anyOf": false,
                    "properties": {"propertyNames": {"pattern": "^[a-zA-Z0-9_.-]{1,64}$"}},
                },
            },
        },
    });
    for_each_tool(|tool| {
        assert_eq!(
            mismatch(&tool.anthropic(), &schema),
            None,
            "{}",
            tool.name()
        );
        walk(tool.input_schema(), 1, &mut |schema, _| {
            for name in schema["properties"].as_object().into_iter().flatten() {
                let is_plain = |at: char| at.is_ascii_alphanumeric() || at == '_';
                assert!(
                    name.0.len() <= 64 && name.0.chars().all(is_plain),
                    "{}",
                    name.0
                );
            }
        });
    });
}

/// Model Context Protocol, revision 2025-11-25: `Tool` of `schema.ts`; "Tools", "Tool Names": 1 to
/// 128 characters of letters, digits, `_`, `-` and `.`; "Data Types": a schema without `$schema` is
/// of 2020-12, and each is one of an object.
#[test]
fn each_tool_is_a_tool_of_the_model_context_protocol() {
    let of_an_object = json!({
        "type": "object",
        "required": ["type"],
        "properties": {
            "$schema": false,
            "type": {"const": "object"},
            "properties": {"type": "object", "additionalProperties": {"type": "object"}},
            "required": {"type": "array", "items": {"type": "string"}},
        },
    });
    let schema = json!({
        "type": "object",
        "required": ["name", "inputSchema"],
        "additionalProperties": false,
        "properties": {
            "name": {"type": "string", "pattern": "^[a-zA-Z0-9_.-]{1,128}$"},
            "title": {"type": "string"},
            "description": {"type": "string"},
            "inputSchema": of_an_object,
            "outputSchema": of_an_object,
            "annotations": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "title": {"type": "string"},
                    "readOnlyHint": {"type": "boolean"},
                    "destructiveHint": {"type": "boolean"},
                    "idempotentHint": {"type": "boolean"},
                    "openWorldHint": {"type": "boolean"},
                },
            },
        },
    });
    for_each_tool(|tool| assert_eq!(mismatch(&tool.mcp(), &schema), None, "{}", tool.name()));
}

/// Gemini and several gateways refuse references, and some clients fetch `$schema`.
#[test]
fn no_schema_has_references_or_keywords_that_a_client_may_not_know() {
    const KNOWN: [&str; 9] = [
        "additionalProperties",
        "anyOf",
        "description",
        "enum",
        "format",
        "items",
        "properties",
        "required",
        "type",
    ];
    for_each_tool(|tool| {
        for schema in [Some(tool.input_schema()), tool.output_schema()] {
            let Some(schema) = schema else { continue };
            super::compiled(schema);
            walk(schema, 1, &mut |schema, depth| {
                for keyword in schema.as_object().unwrap().keys() {
                    assert!(KNOWN.contains(&keyword.as_str()), "{keyword}");
                }
                assert!(depth <= 8, "{}", tool.name());
            });
        }
    });
}

#[test]
fn a_description_has_scopes_and_approval() {
    let description = |name: &str| tools::find(name).unwrap().description().to_string();
    assert_eq!(
        description("create_treatment_plan"),
        "Create a plan for a patient; active unless state is draft. Needs the scope clinic:write \
         and patients:read (documented). Restricted: Fullscript refuses it to apps without its \
         commercial approval."
    );
    assert_eq!(
        description("list_patients"),
        "List patients. Needs the scope patients:read (documented)."
    );
    for_each_tool(|tool| {
        let restricted = tool.description().contains("commercial approval");
        assert_eq!(restricted, tool.hints().restricted, "{}", tool.name());
        assert!(tool.description().len() <= 500, "{}", tool.description());
        for scope in tool.operation().scopes.concat() {
            assert!(tool.description().contains(scope), "{}", tool.description());
        }
    });
}

#[test]
fn hints_follow_the_method_and_the_topic() {
    let hints = |name: &str| tools::find(name).unwrap().hints();
    assert!(hints("list_patients").read_only && hints("list_patients").idempotent);
    assert!(!hints("create_patient").idempotent && !hints("create_patient").destructive);
    assert!(hints("cancel_treatment_plan").destructive);
    assert!(hints("delete_practitioner_resource").destructive);
    assert!(hints("list_products").restricted && !hints("get_product").restricted);
    let free = tools::all()
        .iter()
        .filter(|tool| !tool.hints().touches_patient_data);
    let free: Vec<_> = free.map(|tool| tool.operation().path).collect();
    for path in &free {
        let words = [
            "patient",
            "order",
            "treatment_plan",
            "metadata",
            "{id}/resources",
            "webhooks",
        ];
        let of_patients = words.iter().any(|word| path.contains(word));
        assert!(!of_patients, "{path}");
    }
    assert_eq!(free.len(), 40, "{free:#?}");
}
