//! The error of every command: what came, what was expected, what to do.

use std::fmt;

/// A document, a command line or a server that a command cannot work with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What was found.
    pub came: String,
    /// What was expected instead.
    pub expected: String,
    /// What the reader can do about it.
    pub remedy: String,
    /// Whether the server could not be reached: nothing is known about the
    /// document then.
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

/// Creates a refusal.
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

/// Marks a refusal as caused by a server that is down or cannot be reached.
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
