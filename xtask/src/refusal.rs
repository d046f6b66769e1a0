//! The error of every command: the problem, what was expected, and how to fix it.

use std::fmt;

/// A document, a command line or a server that a command cannot work with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What was found.
    pub problem: String,
    /// What was expected instead.
    pub expected: String,
    /// What the user can do about it.
    pub help: String,
    /// Whether the server could not be reached, so that nothing is known about the document.
    pub unreachable: bool,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "error: {}\nexpected: {}\nhelp: {}",
            self.problem, self.expected, self.help
        )
    }
}

impl std::error::Error for Refusal {}

/// Creates a refusal.
pub(crate) fn refuse(
    problem: impl Into<String>,
    expected: impl Into<String>,
    help: impl Into<String>,
) -> Refusal {
    Refusal {
        problem: problem.into(),
        expected: expected.into(),
        help: help.into(),
        unreachable: false,
    }
}

/// Marks an error as caused by a server that is down or unreachable.
pub(crate) fn unreachable(refusal: Refusal) -> Refusal {
    Refusal {
        unreachable: true,
        ..refusal
    }
}

/// Returns the error of an invalid command line.
pub fn usage(problem: impl fmt::Display) -> Refusal {
    refuse(
        problem.to_string(),
        "a valid command line",
        "see `cargo xtask help`",
    )
}
