//! Responses as the API may change them while an app stays the same.

use serde_json::Value;

use crate::operations::Operation;
use crate::testing::server::recorded::{DOCUMENT, success};
use crate::testing::server::script::Script;

/// A change of responses that the vendor considers compatible, or makes without notice.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use fullscript::testing::{Drift, FakeFullscript};
/// use fullscript::types::TreatmentPlanState;
///
/// let fake = FakeFullscript::start().await?;
/// let id = fake.treatment_plans()[0]["id"].as_str().unwrap().to_string();
/// fake.drift("get_treatment_plan", 1, Drift::NewValue);
/// let plan = fake.client().get_treatment_plan().id(id).send().await?.into_inner().treatment_plan;
/// // The plan has a state that this crate does not know.
/// assert!(!plan.state.unwrap().is_known());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Drift {
    /// Replaces each value of an enumeration with an unknown one.
    NewValue,
    /// Adds an unknown field to each object.
    NewField,
    /// Sets each optional field to null, also fields that are not documented as nullable.
    Null,
}

/// The name and value of what is added.
const NEW: &str = "newly_invented";

impl Drift {
    /// Returns the changed response. A response without JSON is unchanged.
    pub(in crate::testing) fn apply(self, operation: &Operation, mut script: Script) -> Script {
        let (Ok(mut body), Some((_, answer))) =
            (serde_json::from_slice(&script.body), success(operation))
        else {
            return script;
        };
        let schema = &answer["content"]["application/json"]["schema"];
        self.change(&mut body, schema);
        script.body = body.to_string().into();
        script
    }

    fn change(self, value: &mut Value, schema: &'static Value) {
        let schema = resolved(schema);
        match value {
            Value::Object(fields) => {
                for (name, field) in fields.iter_mut() {
                    let required = schema["required"].as_array().into_iter().flatten();
                    let is_optional = required.into_iter().all(|required| required != name);
                    match &schema["properties"][name.as_str()] {
                        Value::Null => {}
                        _ if self == Self::Null && is_optional => *field = Value::Null,
                        own => self.change(field, own),
                    }
                }
                if self == Self::NewField {
                    fields.insert(NEW.into(), serde_json::json!({NEW: [1, null]}));
                }
            }
            Value::Array(items) => {
                let own = &schema["items"];
                items.iter_mut().for_each(|item| self.change(item, own));
            }
            Value::String(_) if self == Self::NewValue && schema["enum"].is_array() => {
                *value = NEW.into();
            }
            _ => {}
        }
    }
}

/// Returns the schema that a reference points to.
fn resolved(schema: &'static Value) -> &'static Value {
    let reference = &schema["$ref"];
    let referred = reference.as_str().or_else(|| {
        let all = schema["allOf"].as_array()?;
        all.iter().find_map(|one| one["$ref"].as_str())
    });
    let pointer = referred.and_then(|referred| referred.strip_prefix('#'));
    match pointer.and_then(|pointer| DOCUMENT.pointer(pointer)) {
        Some(found) => resolved(found),
        None => schema,
    }
}
