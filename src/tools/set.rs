//! The tools that a model may use.

use std::collections::BTreeSet;
use std::fmt;

use super::definition::Tool;
use super::mask::Mask;

/// The list of tools that a model may use, and what is masked in their results.
///
/// [`read_only`](Self::read_only) is the default. A list of few tools serves a model better than
/// all of them: see [`empty`](Self::empty).
#[derive(Clone, Debug)]
pub struct ToolSet {
    allowed: BTreeSet<&'static str>,
    pub(super) mask: Option<Mask>,
}

impl ToolSet {
    /// Creates a list of all tools that only read.
    #[must_use]
    pub fn read_only() -> Self {
        let tools = super::all().iter();
        let tools = tools.filter(|tool| tool.hints().read_only);
        Self {
            allowed: tools.map(Tool::name).collect(),
            mask: None,
        }
    }

    /// Creates a list without tools.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            allowed: BTreeSet::new(),
            mask: None,
        }
    }

    /// Allows one more tool, also one that writes.
    ///
    /// # Errors
    ///
    /// Returns an error if no tool has this name.
    pub fn allow(mut self, name: &str) -> Result<Self, NotATool> {
        self.allowed.insert(known(name)?.name());
        Ok(self)
    }

    /// Removes one tool.
    ///
    /// # Errors
    ///
    /// Returns an error if no tool has this name, because the one that was meant would stay.
    pub fn forbid(mut self, name: &str) -> Result<Self, NotATool> {
        self.allowed.remove(known(name)?.name());
        Ok(self)
    }

    /// Masks fields of the results of tools that touch data of patients. Default: nothing is masked.
    #[must_use]
    pub fn mask(mut self, mask: Mask) -> Self {
        self.mask = Some(mask);
        self
    }

    /// Returns the tools, sorted by name.
    pub fn tools(&self) -> impl Iterator<Item = &'static Tool> {
        self.allowed.iter().filter_map(|name| super::find(name))
    }

    /// Returns the tool with this name, if it is allowed.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&'static Tool> {
        super::find(self.allowed.get(name)?)
    }
}

impl Default for ToolSet {
    fn default() -> Self {
        Self::read_only()
    }
}

fn known(name: &str) -> Result<&'static Tool, NotATool> {
    super::find(name).ok_or_else(|| NotATool { name: name.into() })
}

/// A name that no tool has; returned by [`ToolSet::allow`] and [`ToolSet::forbid`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotATool {
    /// The name.
    pub name: String,
}

impl fmt::Display for NotATool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        write!(
            f,
            "tools: no tool has the name {name:?}; compare it with `tools::all` (operations that \
             carry secrets are not tools)"
        )
    }
}

impl std::error::Error for NotATool {}
