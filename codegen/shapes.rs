//! The shapes of responses, for noticing what the document does not have.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::document::Described;

/// A chain of references that is longer than this is a circle.
const LONGEST_CHAIN: usize = 32;

/// Returns a module with the shape of each JSON response.
pub(super) fn shapes(document: &Value, operations: &[Described<'_>]) -> String {
    let mut shapes = Shapes {
        document,
        names: components(document),
        waiting: Vec::new(),
        seen: BTreeSet::new(),
    };
    let (mut arms, mut statics) = (String::new(), String::new());
    for (at, operation) in operations.iter().enumerate() {
        let responses = operation.value["responses"].as_object();
        let success = responses
            .into_iter()
            .flatten()
            .find(|(status, _)| status.starts_with('2'));
        let Some((_, success)) = success else {
            continue;
        };
        let schema = &success["content"]["application/json"]["schema"];
        let shape = shapes.reference(schema);
        if shape == ANY {
            continue;
        }
        // A static of its own, because an expression that names another static is no constant.
        // Writing to a String does not fail.
        let _written = writeln!(statics, "    static R{at}: &Shape = {shape};");
        let _written = writeln!(arms, "        {:?} => R{at},", operation.id);
    }
    while let Some(name) = shapes.waiting.pop() {
        let at = shapes.index(&name);
        let schema = &document["components"]["schemas"][&name];
        let shape = shapes.expression(schema);
        let _written = writeln!(statics, "    static S{at}: Shape = {shape};");
    }
    format!(
        "\n#[cfg(feature = \"client\")]\npub(crate) mod shapes {{\n    \
         use crate::value::shape::Shape;\n\n    \
         /// Returns the shape of the response of an operation.\n    \
         pub(crate) fn response(operation_id: &str) -> &'static Shape {{\n        \
         match operation_id {{\n{arms}        _ => &Shape::Any,\n        }}\n    }}\n\n{statics}}}\n"
    )
}

const ANY: &str = "&Shape::Any";

struct Shapes<'d> {
    document: &'d Value,
    /// All components, sorted.
    names: Vec<&'d str>,
    /// The components whose shape is still to be written.
    waiting: Vec<String>,
    seen: BTreeSet<String>,
}

fn components(document: &Value) -> Vec<&str> {
    let components = document["components"]["schemas"].as_object();
    let mut names: Vec<&str> = components
        .into_iter()
        .flatten()
        .map(|(name, _)| &**name)
        .collect();
    names.sort_unstable();
    names
}

impl Shapes<'_> {
    fn index(&self, name: &str) -> usize {
        self.names.binary_search(&name).unwrap_or(self.names.len())
    }

    /// Returns an expression that refers to the shape of a schema.
    fn reference(&mut self, schema: &Value) -> String {
        let Some(name) = self.component(schema) else {
            return format!("&{}", self.expression(schema));
        };
        let at = self.index(&name);
        if self.seen.insert(name.clone()) {
            self.waiting.push(name);
        }
        format!("&S{at}")
    }

    /// Returns the component that a schema refers to, at the end of the chain of references.
    fn component(&self, schema: &Value) -> Option<String> {
        let mut name = referred(schema)?;
        for _ in 0..LONGEST_CHAIN {
            self.names.binary_search(&name).ok()?;
            match referred(&self.document["components"]["schemas"][name]) {
                Some(next) => name = next,
                None => return Some(name.into()),
            }
        }
        None
    }

    /// Returns the shape of a schema that is no reference.
    fn expression(&mut self, schema: &Value) -> String {
        let is_open = !matches!(
            schema.get("additionalProperties"),
            None | Some(Value::Bool(false))
        );
        if let Some(texts) = texts(schema) {
            return format!("Shape::Texts(&{texts:?})");
        }
        if schema.get("items").is_some() {
            return format!("Shape::List({})", self.reference(&schema["items"]));
        }
        match schema["properties"].as_object() {
            Some(properties) if !is_open && schema.get("allOf").is_none() => {
                let mut fields: Vec<_> = properties.iter().collect();
                fields.sort_by_key(|(name, _)| *name);
                let fields: Vec<String> = fields
                    .into_iter()
                    .map(|(name, schema)| format!("({name:?}, {})", self.reference(schema)))
                    .collect();
                format!("Shape::Object(&[{}])", fields.join(", "))
            }
            _ => "Shape::Any".into(),
        }
    }
}

/// Returns the name of the component that a schema refers to, directly or as the only member of
/// `allOf`.
fn referred(schema: &Value) -> Option<&str> {
    name_in(schema).or_else(|| match schema["allOf"].as_array()?.as_slice() {
        [only] => name_in(only),
        _ => None,
    })
}

fn name_in(schema: &Value) -> Option<&str> {
    schema["$ref"]
        .as_str()?
        .strip_prefix("#/components/schemas/")
}

/// Returns the values of an enum of texts.
fn texts(schema: &Value) -> Option<Vec<&str>> {
    let values = schema["enum"].as_array()?.iter();
    values
        .filter(|value| !value.is_null())
        .map(Value::as_str)
        .collect()
}
