//! Reports of values that do not fit the model of a response.

use std::fmt;

/// A part of a response that differs from its model, with its place and without its value.
///
/// `Display` describes the issue: ``` `patients[3].discount`: expected an integer, found text```.
/// Neither `Display` nor `Debug` contains data of the response.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeIssue {
    /// The path in the response: `patients[3].id`, with the indexes that the server sent.
    ///
    /// A name that is not a field of a model, such as a key of metadata, is replaced by `*`,
    /// because it may be patient data.
    pub path: String,
    /// What differs, and what became of the value.
    pub kind: DecodeIssueKind,
}

/// The kind of a [`DecodeIssue`].
///
/// A value that is absent is `None`, or is left out of its list. If a required field is absent,
/// the object that contains it is absent too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecodeIssueKind {
    /// The value has another type than the model; it is absent.
    #[non_exhaustive]
    Unexpected {
        /// The type of the model: `a list`, `text`, `an integer`.
        expected: &'static str,
        /// The type of the JSON value: `null`, `a number`, `an object`.
        found: &'static str,
    },
    /// The value has another form, which is used: a single value in place of a list, or the
    /// reverse; an object with indexes as keys, no keys, or null in place of a list.
    #[non_exhaustive]
    Converted {
        /// The type of the model.
        expected: &'static str,
        /// The type of the JSON value.
        found: &'static str,
    },
    /// A required field, such as an object's own id, is missing; the object is absent.
    Missing,
    /// The object has several values for the key; the last one is used.
    Duplicate,
    /// The value is not valid JSON, as text with invalid UTF-8 or a lone surrogate, a number
    /// beyond the range of 64-bit floats, or nesting deeper than 127 levels; it is absent.
    Malformed,
    /// The text contains control characters that are not escaped; they are kept.
    ControlCharacter,
}

impl fmt::Display for DecodeIssue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str("the response: ")?;
        } else {
            write!(f, "`{}`: ", self.path)?;
        }
        match self.kind {
            DecodeIssueKind::Unexpected { expected, found } => {
                write!(f, "expected {expected}, found {found}")
            }
            DecodeIssueKind::Converted { expected, found } => {
                write!(f, "expected {expected}, found {found}, which was converted")
            }
            DecodeIssueKind::Missing => f.write_str("a required field is missing"),
            DecodeIssueKind::Duplicate => f.write_str("the key is duplicated"),
            DecodeIssueKind::Malformed => f.write_str("the value is not valid JSON"),
            DecodeIssueKind::ControlCharacter => {
                f.write_str("the text contains control characters that are not escaped")
            }
        }
    }
}

impl std::error::Error for DecodeIssue {}
