//! Notices where responses differ from the document, and reports each difference once.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use crate::lock::lock;
use crate::types::shapes;
use crate::value::json::{Content, Node, parse};
use crate::value::shape::Shape;
use crate::value::{DecodeIssue, DecodeIssueKind};

/// The application's callback for drift.
pub(crate) type DriftListener = Arc<dyn Fn(&DriftReport) + Send + Sync>;

/// The number of responses of an operation that are all examined for unknown fields and values: 16.
///
/// A change of the vendor is then noticed right after the start of a process.
const EXAMINED_FIRST: u32 = 16;

/// Of the later responses, one in this number is examined: 128.
///
/// Examining a response takes a few times as long as decoding it, so the sample is small.
const EXAMINED_OF: u32 = 128;

/// The number of reports that are remembered: 1,000. Further differences are not reported.
const MAX_REPORTS: usize = 1_000;

/// The number of unknown fields above which an object is taken for a map, whose keys may be data: 8.
const MAX_UNKNOWN_FIELDS: usize = 8;

/// The length of the longest name of an unknown field that is reported.
const MAX_NAME: usize = 48;

/// The number of digits in a name that is reported: more are likely an id.
const MAX_DIGITS: usize = 3;

/// A difference between a response and the document that this crate was generated from.
///
/// It contains no value of the response. The name of an unknown field is shown if it looks like the
/// name of a field: `snake_case` or `camelCase` in ASCII, at most 48 characters and three digits.
/// Any other name is shown as `*`, and so is each name in an object with more than 8 unknown fields,
/// because it may be patient data.
///
/// `Display` describes the difference:
/// ``get_patient: `patient.pronouns`: unknown field (text)``.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct DriftReport {
    /// The id of the operation.
    pub operation_id: &'static str,
    /// The path in the response, without indexes: `patients[].id`.
    pub path: String,
    /// What differs.
    pub kind: DriftKind,
}

/// The kind of a [`DriftReport`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DriftKind {
    /// The value does not fit its model: one of the [issues](crate::Response::issues).
    Decode(DecodeIssueKind),
    /// The field is not in the document.
    #[non_exhaustive]
    UnknownField {
        /// The type of the JSON value: `text`, `a number`, `an object`.
        found: &'static str,
    },
    /// The value is not one of the values of its enum.
    UnknownValue,
}

impl fmt::Display for DriftReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            operation_id,
            path,
            kind,
        } = self;
        write!(f, "{operation_id}: ")?;
        match kind {
            DriftKind::Decode(kind) => {
                let path = path.clone();
                DecodeIssue { path, kind: *kind }.fmt(f)
            }
            DriftKind::UnknownField { found } => write!(f, "`{path}`: unknown field ({found})"),
            DriftKind::UnknownValue => write!(f, "`{path}`: unknown value"),
        }
    }
}

/// Examines responses for a listener.
pub(crate) struct DriftWatch {
    listener: DriftListener,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// The number of responses of each operation.
    responses: HashMap<&'static str, u32>,
    reports: HashSet<DriftReport>,
}

impl DriftWatch {
    pub(crate) fn new(listener: DriftListener) -> Self {
        Self {
            listener,
            seen: Mutex::default(),
        }
    }

    /// Reports what is new in a response: each of the issues, and, in a sample of the responses, the
    /// unknown fields and values of the body.
    pub(crate) fn observe(&self, operation_id: &'static str, issues: &[DecodeIssue], body: &[u8]) {
        let is_sampled = self.sample(operation_id);
        if issues.is_empty() && !is_sampled {
            return;
        }
        let mut found = Found {
            operation_id,
            path: String::new(),
            reports: HashSet::new(),
        };
        for issue in issues {
            found.path = without_indexes(&issue.path);
            found.report(DriftKind::Decode(issue.kind));
        }
        found.path.clear();
        if is_sampled && let Some(parsed) = parse(body) {
            found.walk(&parsed.root, shapes::response(operation_id));
        }
        let mut reports: Vec<DriftReport> = {
            let mut seen = lock(&self.seen);
            let new = found.reports.into_iter();
            new.filter(|report| {
                seen.reports.len() < MAX_REPORTS && seen.reports.insert(report.clone())
            })
            .collect()
        };
        reports.sort_by(|a, b| a.path.cmp(&b.path));
        for report in &reports {
            if catch_unwind(AssertUnwindSafe(|| (self.listener)(report))).is_err() {
                #[cfg(feature = "tracing")]
                tracing::error!(target: "fullscript", "the on_drift listener panicked; fix the listener");
            }
        }
    }

    /// Counts a response, and returns whether it is examined.
    fn sample(&self, operation_id: &'static str) -> bool {
        let mut seen = lock(&self.seen);
        let count = seen.responses.entry(operation_id).or_default();
        *count = count.wrapping_add(1);
        // Spread by a hash, so that a job that makes calls in a fixed order is not always examined
        // at the same of its calls.
        *count <= EXAMINED_FIRST || count.wrapping_mul(0x9E37_79B9) < u32::MAX / EXAMINED_OF
    }
}

/// What was found in a response.
struct Found {
    operation_id: &'static str,
    /// The path of the value that is examined.
    path: String,
    reports: HashSet<DriftReport>,
}

impl Found {
    fn report(&mut self, kind: DriftKind) {
        self.reports.insert(DriftReport {
            operation_id: self.operation_id,
            path: self.path.clone(),
            kind,
        });
    }

    fn below(&mut self, name: &str, examine: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if length > 0 && !name.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(name);
        examine(self);
        self.path.truncate(length);
    }

    /// Examines a value. A value of another form is left to decoding.
    fn walk(&mut self, node: &Node<'_>, shape: &Shape) {
        match (shape, &node.content) {
            (Shape::List(element), Content::List(list)) => self.below("[]", |found| {
                for node in &list.elements {
                    found.walk(node, element);
                }
            }),
            (Shape::Object(known), Content::Object(fields)) => self.fields(fields, known),
            (Shape::Texts(known), Content::Text(text) | Content::Number(text))
                if !known.contains(&&**text) =>
            {
                self.report(DriftKind::UnknownValue);
            }
            (Shape::Texts(_), Content::Boolean(_)) => self.report(DriftKind::UnknownValue),
            _ => {}
        }
    }

    fn fields(
        &mut self,
        fields: &[(std::borrow::Cow<'_, str>, Node<'_>)],
        known: &[(&str, &'static Shape)],
    ) {
        let mut unknown = Vec::new();
        for (name, node) in fields {
            match known.binary_search_by(|(known, _)| (**known).cmp(name)) {
                Ok(at) => {
                    let (name, shape) = known[at];
                    self.below(name, |found| found.walk(node, shape));
                }
                Err(_) => unknown.push((name, node.kind())),
            }
        }
        let is_map = unknown.len() > MAX_UNKNOWN_FIELDS;
        for (name, found) in unknown {
            let name = if !is_map && is_name(name) { name } else { "*" };
            self.below(name, |it| it.report(DriftKind::UnknownField { found }));
        }
    }
}

/// Returns whether a key looks like the name of a field, and not like data.
fn is_name(key: &str) -> bool {
    let bytes = key.as_bytes();
    let is_lower = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_lowercase);
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    let mut places = bytes.iter().enumerate();
    key.len() <= MAX_NAME
        && is_lower(0)
        && digits <= MAX_DIGITS
        && places.all(|(at, byte)| match byte {
            b'A'..=b'Z' => is_lower(at + 1) && is_lower(at + 2),
            byte => byte.is_ascii_alphanumeric() || *byte == b'_',
        })
}

/// Returns a path without its indexes: `patients[].id`.
fn without_indexes(path: &str) -> String {
    let mut shown = String::with_capacity(path.len());
    let mut is_index = false;
    for c in path.chars() {
        is_index = if is_index { c != ']' } else { c == '[' };
        if !is_index || c == '[' {
            shown.push(c);
        }
    }
    shown
}
