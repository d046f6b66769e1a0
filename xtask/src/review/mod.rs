//! The effects of an update of the document on callers of the server and on their code, in one
//! report.
//!
//! Wire changes are found in the normalized documents, code changes in the code generated from
//! them. Both use the same names, so each line of the report joins the two.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::surface::Surface;

mod access;
mod annotations;
mod documentation;
mod renames;
mod repairs;
mod report;
mod rust;
mod shape;
mod side;
mod subject;
mod untyped;
mod usage;
mod verdict;
mod webhooks;
mod wire;

pub use access::Access;
pub use documentation::Documentation;
pub use repairs::{Overlay, Repairs, RepairsOfFix};
pub use side::Side;
pub use subject::Subject;
pub use usage::Usage;
pub(crate) use usage::named;
pub use verdict::{Level, version};
pub use webhooks::Webhooks;
pub use wire::Wire;

use renames::Renames;

/// The version of the JSON format of a review.
pub const FORMAT: u32 = 1;

/// The comparison of two documents.
#[derive(Debug, Serialize)]
pub struct Review {
    /// The version of the format.
    pub format: u32,
    /// The name of the old document.
    pub from: String,
    /// The name of the new document.
    pub to: String,
    /// The version that the update requires.
    pub verdict: Level,
    /// The changes that require it.
    pub because: Vec<Subject>,
    /// Errors of the vendor's in the new document, each with what it costs.
    pub faults: Vec<String>,
    /// Changes of commercial approval.
    pub approval: Vec<Access>,
    /// The number of operations that require approval now.
    pub approval_required: usize,
    /// Operations with their arguments, responses and lists.
    pub operations: Vec<Line>,
    /// Types with their fields and values.
    pub types: Vec<TypeLines>,
    /// Changes of scopes.
    pub scopes: Vec<Access>,
    /// Operations whose responses have no fields of their own any more.
    pub untyped: Vec<String>,
    /// The names of webhooks that are new or gone.
    pub webhooks: Webhooks,
    /// Repairs that were added or are no longer needed.
    pub repairs: Repairs,
    /// Overlay actions that no longer match, or match again.
    pub overlay: Overlay,
    /// Changes of documentation only.
    pub documentation: Documentation,
}

/// One change on the wire and in Rust.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The part of the API that changed.
    pub subject: Subject,
    /// The version that the change requires.
    pub level: Level,
    /// Whether a client of the old document works with the new server.
    pub wire: Wire,
    /// The change on the wire; empty if only code changes.
    pub change: String,
    /// The effect on a caller's code, or an empty string.
    pub effect: String,
}

/// The changes of one type, and the operations that use it.
#[derive(Debug, Serialize)]
pub struct TypeLines {
    /// The name of the type.
    pub name: String,
    /// Whether the type is new.
    pub came: bool,
    /// Whether the type was removed.
    pub gone: bool,
    /// The operations that use it, in either document.
    pub used: Usage,
    /// The changes.
    pub lines: Vec<Line>,
}

/// Compares two documents.
pub fn review(old: &Side, new: &Side) -> Review {
    let renames = Renames::between(&old.document, &new.document);
    let lines = lines(old, new, &renames);
    let (of_types, operations): (Vec<_>, Vec<_>) = lines
        .into_iter()
        .partition(|line| line.subject.is_of_type());
    let approval = access::approval(&old.surface, &new.surface, &renames);
    let scopes = access::scopes(&old.surface, &new.surface, &renames);
    let code_differs = old.generated != new.generated;
    let mut review = Review {
        format: FORMAT,
        from: old.name.clone(),
        to: new.name.clone(),
        verdict: Level::None,
        because: Vec::new(),
        faults: new.faults.clone(),
        untyped: untyped::between(&old.surface, &new.surface, &renames),
        webhooks: Webhooks::between(&old.document, &new.document),
        approval_required: marked(&new.surface),
        types: by_type(of_types, old, new, &renames),
        operations,
        approval,
        scopes,
        repairs: Repairs::between(old, new),
        overlay: Overlay::between(&old.unmatched, &new.unmatched),
        documentation: Documentation {
            level: if code_differs {
                Level::Patch
            } else {
                Level::None
            },
            ..Documentation::between(&old.document, &new.document, &renames)
        },
    };
    review.judge(code_differs);
    review
}

/// The changes of a public surface since an earlier one.
#[derive(Debug)]
pub struct Since {
    /// The version that the changes require.
    pub level: Level,
    /// The effects on a caller's code.
    pub lines: Vec<Line>,
    /// Changes of approval and scopes.
    pub access: Vec<Access>,
}

/// Compares two public surfaces without documents: the one of the last release and the current one.
pub fn since(recorded: &Surface, present: &Surface) -> Since {
    let renames = Renames::default();
    let mut lines: Vec<Line> = Vec::new();
    for effect in rust::effects(recorded, present, &renames) {
        join(&mut lines, effect);
    }
    let mut access = access::approval(recorded, present, &renames);
    access.extend(access::scopes(recorded, present, &renames));
    let of_lines = lines.iter().map(|line| line.level);
    let level = of_lines
        .chain(access.iter().map(|access| access.level))
        .max();
    Since {
        level: level.unwrap_or_default(),
        lines,
        access,
    }
}

impl Review {
    /// Returns whether the two documents are equivalent.
    pub fn is_empty(&self) -> bool {
        self.approval.is_empty()
            && self.operations.is_empty()
            && self.types.is_empty()
            && self.scopes.is_empty()
            && self.webhooks.is_empty()
            && self.repairs.is_empty()
            && self.overlay.is_empty()
            && self.documentation.is_empty()
            && self.verdict == Level::None
    }

    fn judge(&mut self, code_differs: bool) {
        let subjects: Vec<(Level, Subject)> = self
            .approval
            .iter()
            .chain(&self.scopes)
            .map(|access| (access.level, Subject::Operation(access.operation.clone())))
            .chain(self.lines().map(|line| (line.level, line.subject.clone())))
            .collect();
        let highest = subjects.iter().map(|(level, _)| *level).max();
        let least = if code_differs {
            Level::Patch
        } else {
            Level::None
        };
        self.verdict = highest.unwrap_or_default().max(least);
        if self.verdict > Level::None {
            let because = subjects
                .into_iter()
                .filter(|(level, _)| *level == self.verdict);
            self.because = because.map(|(_, subject)| subject).collect();
            self.because.dedup();
        }
    }

    fn lines(&self) -> impl Iterator<Item = &Line> {
        let of_types = self.types.iter().flat_map(|ty| &ty.lines);
        self.operations.iter().chain(of_types)
    }
}

fn marked(surface: &Surface) -> usize {
    let operations = surface.operations.values();
    operations.filter(|operation| operation.approval).count()
}

/// Joins the changes on the wire with their effects on code.
fn lines(old: &Side, new: &Side, renames: &Renames) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for difference in wire::Comparison::new(old, new, renames).run() {
        let known = lines
            .iter_mut()
            .find(|line| line.subject == difference.subject);
        match known {
            Some(line) => {
                line.wire = line.wire.and(difference.wire);
                line.change = format!("{} and {}", line.change, difference.text);
            }
            None => lines.push(Line {
                subject: difference.subject,
                level: Level::None,
                wire: difference.wire,
                change: difference.text,
                effect: String::new(),
            }),
        }
    }
    for effect in rust::effects(&old.surface, &new.surface, renames) {
        join(&mut lines, effect);
    }
    if old.generated != new.generated {
        // A change without effect on code may still change its documentation.
        let silent = lines.iter_mut().filter(|line| line.level == Level::None);
        silent.for_each(|line| line.level = Level::Patch);
    }
    lines.sort_by(|a, b| {
        let key = |line: &Line| (line.subject.owner().to_string(), line.subject.clone());
        key(a).cmp(&key(b))
    });
    lines
}

fn join(lines: &mut Vec<Line>, effect: rust::Effect) {
    let known = lines
        .iter_mut()
        .find(|line| line.subject.is_same(&effect.subject));
    match known {
        Some(line) => {
            line.level = line.level.max(effect.level);
            line.effect = if line.effect.is_empty() {
                effect.text
            } else {
                format!("{}; {}", line.effect, effect.text)
            };
        }
        None => lines.push(Line {
            subject: effect.subject,
            level: effect.level,
            wire: Wire::default(),
            change: String::new(),
            effect: effect.text,
        }),
    }
}

fn by_type(lines: Vec<Line>, old: &Side, new: &Side, renames: &Renames) -> Vec<TypeLines> {
    let (before, now) = (Usage::of_all(&old.document), Usage::of_all(&new.document));
    let used = |all: &BTreeMap<String, Usage>, name: &str| all.get(name).cloned();
    let mut types: Vec<TypeLines> = Vec::new();
    for line in lines {
        let name = line.subject.owner().to_string();
        if types.last().is_none_or(|last| last.name != name) {
            let old_name = renames.old_name(&name);
            let before = used(&before, old_name).unwrap_or_default();
            types.push(TypeLines {
                came: !old.surface.types.contains_key(old_name),
                gone: !new.surface.types.contains_key(&name),
                used: before.and(&used(&now, &name).unwrap_or_default()),
                name,
                lines: Vec::new(),
            });
        }
        if let Some(last) = types.last_mut() {
            last.lines.push(line);
        }
    }
    types
}
