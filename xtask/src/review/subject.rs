//! What a line of the review is about, by the names that both the wire and
//! the Rust surface lead to.

use std::fmt;

use serde::{Serialize, Serializer};

/// The part of the API that changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// An operation as a whole.
    Operation(String),
    /// A parameter of an operation, or its body.
    Argument {
        /// The operation's id.
        operation: String,
        /// The name, on the wire where it is known there.
        name: String,
    },
    /// What an operation answers.
    Answer(String),
    /// What an operation streams.
    List(String),
    /// A type as a whole.
    Type(String),
    /// A field of a type.
    Field {
        /// The type.
        ty: String,
        /// The name on the wire.
        name: String,
    },
    /// A value of a set.
    Value {
        /// The type.
        ty: String,
        /// The text on the wire.
        text: String,
    },
}

impl Subject {
    /// The operation or type that it belongs to.
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

    /// Whether it belongs to a type.
    pub fn is_of_type(&self) -> bool {
        matches!(
            self,
            Self::Type(_) | Self::Field { .. } | Self::Value { .. }
        )
    }

    /// Equal for the names that Rust and the wire have for one thing:
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

    /// The subject within its owner.
    pub(super) fn part(&self) -> String {
        match self {
            Self::Operation(_) => "it".into(),
            Self::Type(_) => "the type".into(),
            Self::Argument { name, .. } if name == "body" => "its body".into(),
            Self::Argument { name, .. } => format!("its argument `{name}`"),
            Self::Answer(_) => "its answer".into(),
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
