//! JSON as a tree that can be repaired, for text that serde_json or a model refuses.
//!
//! The tree borrows from the text. Numbers keep the text that was sent, and every node knows its place in the text. A value that is
//! removed becomes [`Content::Absent`], so that the indexes of the others do not change.

mod deserializer;
mod parser;

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value;

use super::DecodeIssueKind;

#[cfg(feature = "client")]
pub(crate) use deserializer::Reason;
pub(crate) use parser::parse;

pub(crate) struct Node<'t> {
    pub(crate) span: Range<usize>,
    pub(crate) content: Content<'t>,
}

pub(crate) enum Content<'t> {
    /// The value was removed. Decoding skips it.
    Absent,
    /// The value has no meaning. Decoding skips it in an object, and fails at it in a list, so that
    /// it is known whether the list is one of the model.
    Malformed,
    Null,
    Boolean(bool),
    Number(Cow<'t, str>),
    Text(Cow<'t, str>),
    List(List<'t>),
    Object(Vec<(Cow<'t, str>, Node<'t>)>),
}

#[derive(Default)]
pub(crate) struct List<'t> {
    /// The index of the first element, if only a part of the list is present.
    pub(crate) first: usize,
    pub(crate) elements: Vec<Node<'t>>,
}

/// A step from a node to one of its children.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// A field of an object, by its position.
    Field(usize),
    /// An element of a list, by its index.
    Element(usize),
}

/// A JSON text that was read in spite of its flaws.
pub(crate) struct Parsed<'t> {
    pub(crate) root: Node<'t>,
    pub(crate) flaws: Vec<(Vec<Step>, Flaw)>,
}

/// A part of a text that is not valid JSON, or is ambiguous.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The value has no meaning.
    Malformed,
    /// The text contains control characters that are not escaped; they are kept.
    ControlCharacter,
    /// The object has an earlier value for the same key, which is absent.
    Duplicate,
}

impl From<Flaw> for DecodeIssueKind {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::Malformed => Self::Malformed,
            Flaw::ControlCharacter => Self::ControlCharacter,
            Flaw::Duplicate => Self::Duplicate,
        }
    }
}

impl Node<'_> {
    pub(crate) fn is_present(&self) -> bool {
        !matches!(self.content, Content::Absent | Content::Malformed)
    }

    pub(crate) fn child(&self, step: Step) -> Option<&Self> {
        match (&self.content, step) {
            (Content::Object(fields), Step::Field(at)) => fields.get(at).map(|(_, value)| value),
            (Content::List(list), Step::Element(index)) => {
                list.elements.get(index.checked_sub(list.first)?)
            }
            _ => None,
        }
    }

    #[cfg(feature = "client")]
    pub(crate) fn at(&self, path: &[Step]) -> Option<&Self> {
        path.iter().try_fold(self, |node, step| node.child(*step))
    }

    #[cfg(feature = "client")]
    pub(crate) fn at_mut(&mut self, path: &[Step]) -> Option<&mut Self> {
        path.iter()
            .try_fold(self, |node, step| match (&mut node.content, *step) {
                (Content::Object(fields), Step::Field(at)) => {
                    fields.get_mut(at).map(|(_, value)| value)
                }
                (Content::List(list), Step::Element(index)) => {
                    list.elements.get_mut(index.checked_sub(list.first)?)
                }
                _ => None,
            })
    }

    /// Returns a field's value, unless it was removed.
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        let Content::Object(fields) = &self.content else {
            return None;
        };
        let mut values = fields.iter().filter(|(key, _)| key == name);
        let value = values.rfind(|(_, value)| value.is_present());
        value.map(|(_, value)| value)
    }

    /// Returns a path as text: `patients[3].id`. Names that `is_known` refuses become `*`, because
    /// they may be patient data.
    pub(crate) fn path_text(&self, path: &[Step], is_known: impl Fn(&str) -> bool) -> String {
        let mut text = String::new();
        let mut node = Some(self);
        for step in path {
            match (step, node.map(|node| &node.content)) {
                (Step::Field(at), Some(Content::Object(fields))) => {
                    if !text.is_empty() {
                        text.push('.');
                    }
                    let name = fields.get(*at).map(|(name, _)| &**name);
                    text.push_str(name.filter(|name| is_known(name)).unwrap_or("*"));
                }
                (Step::Element(index), _) => text.push_str(&format!("[{index}]")),
                (Step::Field(_), _) => text.push('*'),
            }
            node = node.and_then(|node| node.child(*step));
        }
        text
    }

    #[cfg(feature = "client")]
    fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Returns the element of a list of one.
    pub(crate) fn only_element(&self) -> Option<&Self> {
        match &self.content {
            Content::List(list) => match list.elements.as_slice() {
                [one] => Some(one),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns whether the keys of an object are indexes, as some servers send lists that are empty
    /// or lack elements: `{}`, `{"0": .., "2": ..}`.
    pub(crate) fn has_indexes_as_keys(&self) -> bool {
        let is_index = |(name, _): &(Cow<'_, str>, Self)| name.parse::<usize>().is_ok();
        matches!(&self.content, Content::Object(fields) if fields.iter().all(is_index))
    }

    /// Returns what the JSON value is, for reports.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.content {
            Content::Absent | Content::Malformed => "nothing",
            Content::Null => "null",
            Content::Boolean(_) => "a boolean",
            Content::Number(_) => "a number",
            Content::Text(_) => "text",
            Content::List(_) => "a list",
            Content::Object(_) => "an object",
        }
    }
}

/// Returns the places of the records of a response in its text, by their index.
///
/// The records are in the field `list` or, without a name, in the response itself or its only list
/// besides `meta`. Other forms of a list are read as decoding does.
#[cfg(feature = "client")]
pub(crate) fn records(text: &[u8], list: Option<&str>) -> Vec<Range<usize>> {
    let Some(Parsed { root, .. }) = parse(text) else {
        return Vec::new();
    };
    let is_list = |node: &&Node<'_>| matches!(node.content, Content::List(_));
    let list = match (root.only_element().unwrap_or(&root), list) {
        (object, Some(name)) => object.field(name),
        (_, None) => match &root.content {
            Content::Object(fields) => {
                let mut besides = fields.iter().filter(|(name, _)| name != "meta");
                besides.find_map(|(_, value)| Some(value).filter(is_list))
            }
            _ => Some(&root),
        },
    };
    let Some(list) = list else {
        return Vec::new();
    };
    match &list.content {
        Content::List(list) => list.elements.iter().map(Node::span).collect(),
        Content::Object(fields) if list.has_indexes_as_keys() => {
            fields.iter().map(|(_, element)| element.span()).collect()
        }
        _ => vec![list.span()],
    }
}

impl From<&Node<'_>> for Value {
    fn from(node: &Node<'_>) -> Self {
        match &node.content {
            Content::Absent | Content::Malformed | Content::Null => Self::Null,
            Content::Boolean(value) => Self::Bool(*value),
            Content::Number(text) => text.parse().map_or(Self::Null, Self::Number),
            Content::Text(text) => Self::String(text.to_string()),
            Content::List(list) => {
                let present = list.elements.iter().filter(|node| node.is_present());
                Self::Array(present.map(Self::from).collect())
            }
            Content::Object(fields) => {
                let present = fields.iter().filter(|(_, value)| value.is_present());
                let fields = present.map(|(name, value)| (name.to_string(), Self::from(value)));
                Self::Object(fields.collect())
            }
        }
    }
}
