//! The subject of a line of the review, with names that the document and the Rust surface share.

use std::fmt;

use serde::{Serialize, Serializer};

/// The part of the API that changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// An operation.
    Operation(String),
    /// A parameter of an operation, or its body.
    Argument {
        /// The id of the operation.
        operation: String,
        /// The name, on the wire if it is known there.
        name: String,
    },
    /// The response of an operation.
    Answer(String),
    /// The list that an operation streams.
    List(String),
    /// A type.
    Type(String),
    /// A field of a type.
    Field {
        /// The type.
        ty: String,
        /// The name on the wire.
        name: String,
    },
    /// A value of an enumeration.
    Value {
        /// The type.
        ty: String,
        /// The value on the wire.
        text: String,
    },
}

impl Subject {
    /// Returns the operation or type that the subject belongs to.
    pub fn owner(&self) -> &str {
        match self {
            Self::Operation(owner)
            | Self::Argument {
                operation: owner, ..
            }
            | Self::Answer(owner)
            | Self::List(owner)
            | Self::Type(owner)
            | Self::Field { ty: owner, .. }
            | Self::Value { ty: owner, .. } => owner,
        }
    }

    /// Returns whether the subject belongs to a type.
    pub fn is_of_type(&self) -> bool {
        matches!(
            self,
            Self::Type(_) | Self::Field { .. } | Self::Value { .. }
        )
    }

    /// Returns whether two subjects are the same, although Rust and the wire have different names:
    /// `page[number]` and `page_number`, `type` and `type_`.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Argument { operation, name },
                Self::Argument {
                    operation: other,
                    name: other_name,
                },
            ) => operation == other && squeezed(name) == squeezed(other_name),
            _ => self == other,
        }
    }

    /// Returns the subject without its owner.
    pub(super) fn part(&self) -> String {
        match self {
            Self::Operation(_) => "it".into(),
            Self::Type(_) => "the type".into(),
            Self::Argument { name, .. } if name == "body" => "its body".into(),
            Self::Argument { name, .. } => format!("its argument `{name}`"),
            Self::Answer(_) => "its response".into(),
            Self::List(_) => "its list".into(),
            Self::Field { name, .. } => format!("field `{name}`"),
            Self::Value { text, .. } => format!("value `{text}`"),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operation(owner) | Self::Type(owner) => f.write_str(owner),
            Self::Argument { operation, name } => write!(f, "{operation}({name})"),
            Self::Answer(operation) => write!(f, "{operation} -> answer"),
            Self::List(operation) => write!(f, "{operation} -> list"),
            Self::Field { ty, name } => write!(f, "{ty}.{name}"),
            Self::Value { ty, text } => write!(f, "{ty} = {text}"),
        }
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn squeezed(name: &str) -> String {
    let kept = name.chars().filter(|c| c.is_alphanumeric());
    kept.flat_map(char::to_lowercase).collect()
}
