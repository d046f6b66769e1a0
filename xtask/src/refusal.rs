//! What a command says instead of a result: what came, what was expected, what
//! to do.

use std::fmt;

/// A document that can't be taken: what came, what was expected, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What the document holds.
    pub came: String,
    /// What it should hold.
    pub expected: String,
    /// What the reader can do about it.
    pub remedy: String,
    /// Whether the server could not be reached, which says nothing of the
    /// document.
    pub unreachable: bool,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "came: {}\nexpected: {}\ndo: {}",
            self.came, self.expected, self.remedy
        )
    }
}

impl std::error::Error for Refusal {}

/// Makes a refusal of the three things a reader needs.
pub(crate) fn refuse(
    came: impl Into<String>,
    expected: impl Into<String>,
    remedy: impl Into<String>,
) -> Refusal {
    Refusal {
        came: came.into(),
        expected: expected.into(),
        remedy: remedy.into(),
        unreachable: false,
    }
}

/// Marks a refusal as one of a server that is down or out of reach.
pub(crate) fn unreachable(refusal: Refusal) -> Refusal {
    Refusal {
        unreachable: true,
        ..refusal
    }
}

/// Refuses a command line.
pub fn usage(came: impl fmt::Display) -> Refusal {
    refuse(
        came.to_string(),
        "a command line as in the help",
        "read `cargo xtask help`",
    )
}
