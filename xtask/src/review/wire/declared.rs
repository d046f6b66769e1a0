//! What the vendor declares, where a recorded example says something else.

use serde_json::Value;

use crate::review::renames::Renames;
use crate::review::shape::{Shape, Shapes};
use crate::review::side::Side;

/// The documents without their recorded examples.
pub(super) struct Declared<'d> {
    old: Option<Shapes<'d>>,
    new: Option<Shapes<'d>>,
    renames: &'d Renames,
}

/// What a document declares of a field.
#[derive(PartialEq)]
enum Field {
    /// The document does not have the type.
    Unknown,
    Absent,
    Is(Shape),
}

impl<'d> Declared<'d> {
    pub(super) fn of(old: &'d Side, new: &'d Side, renames: &'d Renames) -> Self {
        let shapes = |side: &'d Side, renames| {
            let document = side.declared.as_ref()?;
            Some(Shapes { document, renames })
        };
        Self {
            old: shapes(old, Some(renames)),
            new: shapes(new, None),
            renames,
        }
    }

    /// Returns a note on the type of a field, if an example overrides what the new document
    /// declares.
    pub(super) fn overridden(&self, ty: &str, field: &str, is: &Shape) -> Option<String> {
        match self.now(ty, field) {
            Field::Unknown => None,
            Field::Absent => Some("not declared, in an example".into()),
            Field::Is(declared) => (declared.values != is.values)
                .then(|| format!("declared {}, example {}", declared.text, is.text)),
        }
    }

    /// Returns how the declaration of a field changed that examples keep as it was.
    pub(super) fn kept(&self, ty: &str, field: &str, is: &Shape) -> Option<String> {
        let was = field_of(&self.old, self.renames.old_name(ty), field);
        match (was, self.now(ty, field)) {
            (Field::Is(_), Field::Absent) => {
                Some("is gone from the schema and kept, because an example has it".into())
            }
            (Field::Absent, Field::Is(_)) => {
                Some("is declared now; before, only an example had it".into())
            }
            (Field::Is(was), Field::Is(declared))
                if was.values != declared.values && declared.values != is.values =>
            {
                Some(format!(
                    "is declared {} instead of {}, and stays {} by its example",
                    declared.text, was.text, is.text
                ))
            }
            _ => None,
        }
    }

    fn now(&self, ty: &str, field: &str) -> Field {
        field_of(&self.new, ty, field)
    }
}

fn field_of(shapes: &Option<Shapes<'_>>, ty: &str, field: &str) -> Field {
    let Some(shapes) = shapes else {
        return Field::Unknown;
    };
    let fields: &Value = &shapes.document["components"]["schemas"][ty]["properties"];
    match (fields.as_object(), fields.get(field)) {
        (None, _) => Field::Unknown,
        (Some(_), None) => Field::Absent,
        (Some(_), Some(schema)) => Field::Is(shapes.of(schema)),
    }
}
