//! Decodes a body into a model, and repairs a body that does not fit the model.
//!
//! A body that fits is decoded by serde_json alone. Any other body is parsed into a tree. The tree
//! is decoded again and again, and the value at which decoding fails is converted or removed, until
//! the rest fits. The records of a list are repaired one by one, so that the time grows with the
//! length of the list and not with its square.

use std::collections::HashMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::types::is_field;
use crate::value::json::{Content, List, Node, Parsed, Reason, Step, parse};
use crate::value::{DecodeIssue, DecodeIssueKind, UnreadableRecord};

/// The number of bytes that are decoded to repair one body: 256 MiB, which takes about a second.
///
/// A page of 100 records of 2 KB, each with 20 values that do not fit, takes 4 MB.
const MAX_WORK: usize = 256 << 20;

/// What differs in a response from its model.
#[derive(Clone, Default)]
pub(crate) struct Findings {
    pub(crate) issues: Vec<DecodeIssue>,
    pub(crate) unreadable: Vec<UnreadableRecord>,
}

/// A decoded body.
pub(crate) struct Decoded<T> {
    pub(crate) value: T,
    /// `None` if the body fits its model.
    pub(crate) findings: Option<Box<Findings>>,
}

/// The reason why a body cannot be decoded, even after a repair.
pub(crate) struct Undecodable {
    /// The error of decoding the body as it is.
    pub(crate) error: serde_json::Error,
    /// The issue because of which nothing could be decoded, if the body is JSON.
    pub(crate) cause: Option<DecodeIssue>,
}

/// Decodes a body. If `strict`, a body that needs a repair is an error.
pub(crate) fn decode<T: DeserializeOwned>(
    text: &[u8],
    strict: bool,
) -> Result<Decoded<T>, Undecodable> {
    let error = match serde_json::from_slice(text) {
        Ok(value) => {
            return Ok(Decoded {
                value,
                findings: None,
            });
        }
        Err(error) => error,
    };
    let Some(parsed) = parse(text) else {
        return Err(Undecodable { error, cause: None });
    };
    let mut repair = Repair::new(text, parsed);
    match repair.decode() {
        Some(value) if !strict => Ok(Decoded {
            value,
            findings: Some(Box::new(repair.into_findings())),
        }),
        value => {
            let decisive = if value.is_some() {
                Some(0)
            } else {
                repair.blame
            };
            let cause = decisive.and_then(|at| repair.issues.get(at));
            Err(Undecodable {
                error,
                cause: cause.map(|found| found.issue.clone()),
            })
        }
    }
}

/// Returns where a body differs from a model, also if nothing of it can be decoded.
pub(crate) fn issues<T: DeserializeOwned>(text: &[u8]) -> Vec<DecodeIssue> {
    match decode::<T>(text, false) {
        Ok(decoded) => decoded.findings.map_or_else(Vec::new, |it| it.issues),
        Err(Undecodable { cause, .. }) => cause.into_iter().collect(),
    }
}

/// Decodes a body into a type of the caller.
pub(crate) fn decode_as<T: DeserializeOwned>(text: &[u8]) -> Result<T, DecodeIssue> {
    match decode(text, false) {
        Ok(decoded) => Ok(decoded.value),
        Err(Undecodable { cause, .. }) => Err(cause.unwrap_or(DecodeIssue {
            path: String::new(),
            kind: DecodeIssueKind::Malformed,
        })),
    }
}

/// An issue with the path of its value.
struct Found {
    path: Vec<Step>,
    issue: DecodeIssue,
    /// Whether the issue is in a value that was removed for another reason.
    is_moot: bool,
}

/// A body under repair.
struct Repair<'t> {
    text: &'t [u8],
    root: Node<'t>,
    issues: Vec<Found>,
    unreadable: Vec<UnreadableRecord>,
    /// Index of the issue of each value that was converted.
    converted: HashMap<Vec<Step>, usize>,
    /// Index of the issue because of which the latest value was removed.
    blame: Option<usize>,
    /// The path of the list of which only a part is in the tree, until it turns out that the model
    /// has no list there.
    part: Option<Vec<Step>>,
    /// The number of bytes that were decoded.
    work: usize,
}

impl<'t> Repair<'t> {
    fn new(text: &'t [u8], Parsed { root, flaws }: Parsed<'t>) -> Self {
        let issues = flaws.into_iter().map(|(path, flaw)| Found {
            issue: DecodeIssue {
                path: root.path_text(&path, is_field),
                kind: flaw.into(),
            },
            path,
            is_moot: false,
        });
        Self {
            text,
            issues: issues.collect(),
            root,
            unreadable: Vec::new(),
            converted: HashMap::new(),
            blame: None,
            part: None,
            work: 0,
        }
    }

    fn into_findings(self) -> Findings {
        let issues = self.issues.into_iter().filter(|found| !found.is_moot);
        Findings {
            issues: issues.map(|found| found.issue).collect(),
            unreadable: self.unreadable,
        }
    }

    fn decode<T: DeserializeOwned>(&mut self) -> Option<T> {
        if let Some(path) = longest_list(&self.root) {
            self.records::<T>(&path)?;
        }
        self.attempt(self.text.len())
    }

    /// Repairs the records of the list at `path` one by one, if the model has a list there.
    fn records<T: DeserializeOwned>(&mut self, path: &[Step]) -> Option<()> {
        let mut records = self.replace_list(path, 0, Vec::new())?.into_iter();
        let size: usize = records.as_slice().iter().map(|at| at.span.len()).sum();
        let rest = self.text.len().saturating_sub(size);
        let mut repaired = Vec::with_capacity(records.len());
        self.part = Some(path.to_vec());
        for record in records.by_ref() {
            let size = rest + record.span.len();
            self.replace_list(path, repaired.len(), vec![record])?;
            // The value is decoded once more with the others.
            let value = self.attempt::<T>(size);
            repaired.append(&mut self.replace_list(path, 0, Vec::new())?);
            if self.part.is_none() {
                break;
            }
            value?;
        }
        self.part = None;
        repaired.extend(records);
        self.replace_list(path, 0, repaired)?;
        Some(())
    }

    /// Replaces the elements of the list at `path` and returns the previous ones.
    fn replace_list(
        &mut self,
        path: &[Step],
        first: usize,
        elements: Vec<Node<'t>>,
    ) -> Option<Vec<Node<'t>>> {
        match &mut self.root.at_mut(path)?.content {
            Content::List(list) => {
                list.first = first;
                Some(std::mem::replace(&mut list.elements, elements))
            }
            _ => None,
        }
    }

    /// Decodes the tree, and repairs it until it fits. One decoding takes `size` units of work.
    fn attempt<T: DeserializeOwned>(&mut self, size: usize) -> Option<T> {
        loop {
            self.work = self.work.saturating_add(size);
            if self.work > MAX_WORK {
                return None;
            }
            match T::deserialize(&self.root) {
                Ok(value) => return Some(value),
                Err(misfit) => self.fix(misfit.path(), &misfit.reason)?,
            }
        }
    }

    /// Converts or removes the value at `path`; `None` if nothing remains.
    fn fix(&mut self, path: Vec<Step>, reason: &Reason) -> Option<()> {
        if self.part.as_ref() == Some(&path) {
            self.part = None;
            return None;
        }
        let node = self.root.at(&path)?;
        if matches!(node.content, Content::Malformed) {
            // Its flaw is reported already.
            self.blame = self.issues.iter().position(|found| found.path == path);
            return self.clear(path);
        }
        let found = node.kind();
        let expected = match reason {
            Reason::Missing(name) => return self.without(path, name),
            Reason::Unexpected(expected) => name_of(expected),
            Reason::Other => "another value",
        };
        let converted = DecodeIssueKind::Converted { expected, found };
        if expected == LIST
            && let Some(list) = list_in_place(self.root.at_mut(&path)?)
        {
            self.root.at_mut(&path)?.content = Content::List(list);
            let place = self.path_text(&path);
            self.report(path, place, converted);
            return Some(());
        }
        if self.conversion_of(&path).is_none() {
            let node = self.root.at_mut(&path)?;
            match &mut node.content {
                Content::List(list) if expected != LIST && list.elements.len() == 1 => {
                    node.content = list.elements.pop()?.content;
                    return self.convert(path, converted);
                }
                Content::List(_) | Content::Null | Content::Absent | Content::Malformed => {}
                content if expected == LIST => {
                    let element = Node {
                        span: node.span.clone(),
                        content: std::mem::replace(content, Content::Absent),
                    };
                    *content = Content::List(List {
                        first: 0,
                        elements: vec![element],
                    });
                    return self.convert(path, converted);
                }
                _ => {}
            }
        }
        for found in &mut self.issues {
            found.is_moot |= found.path.starts_with(&path);
        }
        let place = self.path_text(&path);
        self.remove(path, place, DecodeIssueKind::Unexpected { expected, found })
    }

    /// Removes the object at `path`, which lacks the field `name`.
    fn without(&mut self, path: Vec<Step>, name: &str) -> Option<()> {
        let mut place = path.clone();
        if let Content::Object(fields) = &self.root.at(&path)?.content
            && let Some(at) = fields.iter().position(|(key, _)| key == name)
        {
            // The field was removed, or had no meaning, which is reported already.
            place.push(Step::Field(at));
            let mut issues = self.issues.iter();
            self.blame = issues.position(|found| found.path.starts_with(&place));
            return self.clear(path);
        }
        let mut place = self.path_text(&path);
        if !place.is_empty() {
            place.push('.');
        }
        place.push_str(if is_field(name) { name } else { "*" });
        self.remove(path, place, DecodeIssueKind::Missing)
    }

    fn convert(&mut self, path: Vec<Step>, kind: DecodeIssueKind) -> Option<()> {
        self.converted.insert(path.clone(), self.issues.len());
        let place = self.path_text(&path);
        self.report(path, place, kind);
        Some(())
    }

    fn report(&mut self, path: Vec<Step>, place: String, kind: DecodeIssueKind) {
        self.issues.push(Found {
            path,
            issue: DecodeIssue { path: place, kind },
            is_moot: false,
        });
    }

    /// Removes the value at `path` and reports it, unless its conversion is already reported.
    fn remove(&mut self, path: Vec<Step>, place: String, kind: DecodeIssueKind) -> Option<()> {
        let conversion = self.conversion_of(&path);
        if let Some(found) = conversion.and_then(|at| self.issues.get_mut(at)) {
            found.is_moot = false;
            if let DecodeIssueKind::Converted {
                expected,
                found: was,
            } = found.issue.kind
            {
                found.issue.kind = DecodeIssueKind::Unexpected {
                    expected,
                    found: was,
                };
            }
            self.blame = conversion;
        } else {
            self.blame = Some(self.issues.len());
            self.report(path.clone(), place, kind);
        }
        self.clear(path)
    }

    /// Returns the issue of the conversion that made the value at `path` what it is.
    fn conversion_of(&self, path: &[Step]) -> Option<usize> {
        let own = self.converted.get(path);
        let of_list = || self.converted.get(list_of_one(path)?);
        own.or_else(of_list).copied()
    }

    /// Removes the value at `path`, which is reported already.
    fn clear(&mut self, mut path: Vec<Step>) -> Option<()> {
        // A value that was converted to a list is removed with the list.
        if list_of_one(&path).is_some_and(|list| self.converted.contains_key(list)) {
            path.pop();
        }
        if path.is_empty() {
            return None;
        }
        self.note_record(&path);
        self.root.at_mut(&path)?.content = Content::Absent;
        Some(())
    }

    /// Reports an element of a list of records that is removed.
    fn note_record(&mut self, path: &[Step]) {
        let (Some(Step::Element(index)), true) = (path.last(), path.len() <= 2) else {
            return;
        };
        let Some(node) = self.root.at(path) else {
            return;
        };
        let id = node.field("id").and_then(|id| match &id.content {
            Content::Text(text) | Content::Number(text) => Some(&**text),
            _ => None,
        });
        let json = self.text.get(node.span.clone()).unwrap_or_default();
        let cause = self.blame.and_then(|at| self.issues.get(at));
        if let Some(Found { issue, .. }) = cause {
            self.unreadable.push(UnreadableRecord {
                index: *index,
                id: id.filter(|id| !id.is_empty()).map(Into::into),
                json: Arc::from(json),
                cause: issue.clone(),
            });
        }
    }

    fn path_text(&self, path: &[Step]) -> String {
        self.root.path_text(path, is_field)
    }
}

/// Returns the list that an object or null in the place of a required list stands for.
fn list_in_place<'t>(node: &mut Node<'t>) -> Option<List<'t>> {
    let has_indexes = node.has_indexes_as_keys();
    match &mut node.content {
        Content::Null => Some(List::default()),
        Content::Object(fields) if has_indexes => {
            let elements = fields.drain(..).map(|(_, value)| value);
            Some(List {
                first: 0,
                elements: elements.collect(),
            })
        }
        _ => None,
    }
}

/// The name of a list in a [`DecodeIssueKind`].
const LIST: &str = "a list";

/// Translates what a decoder expects, in its own words, into the words of [`DecodeIssueKind`].
fn name_of(expected: &str) -> &'static str {
    match expected {
        "a sequence" => LIST,
        "a map" => "an object",
        "text" | "a string" | "a character" => "text",
        "an integer that fits in 64 bits" => "an integer",
        "a boolean" => "a boolean",
        "text, a number or a boolean" => "text, a number or a boolean",
        "f32" | "f64" => "a number",
        _ if expected.starts_with("struct ") => "an object",
        _ if expected.starts_with(['i', 'u']) => "an integer",
        _ => "another value",
    }
}

/// Returns the path of the list whose first element is at `path`.
fn list_of_one(path: &[Step]) -> Option<&[Step]> {
    match path.split_last()? {
        (Step::Element(0), list) => Some(list),
        _ => None,
    }
}

/// Returns the path of the longest list that has more than one element and is the response or a
/// field of it: the records of a list operation.
fn longest_list(root: &Node<'_>) -> Option<Vec<Step>> {
    let length = |node: &Node<'_>| match &node.content {
        Content::List(list) if list.elements.len() > 1 => Some(list.elements.len()),
        _ => None,
    };
    match &root.content {
        Content::List(_) => length(root).map(|_| Vec::new()),
        Content::Object(fields) => {
            let lists = fields.iter().enumerate();
            let lists = lists.filter_map(|(at, (_, value))| Some((length(value)?, at)));
            lists.max().map(|(_, at)| vec![Step::Field(at)])
        }
        _ => None,
    }
}
