//! What an update of the document means: for the server's callers and for the
//! code that they have written, in one report.
//!
//! The wire is compared on the normalized documents, the code on what is
//! generated from them. Both name the same things, so each line joins the two.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::surface::Surface;

mod access;
mod documentation;
mod renames;
mod repairs;
mod report;
mod rust;
mod said;
mod shape;
mod side;
mod subject;
mod usage;
mod verdict;
mod wire;

pub use access::Access;
pub use documentation::Documentation;
pub use repairs::{Overlay, Repairs, RepairsOfFix};
pub use side::Side;
pub use subject::Subject;
pub use usage::Usage;
pub(crate) use usage::named;
pub use verdict::{Level, version};
pub use wire::Wire;

use renames::Renames;

/// The version of the form in which `--format json` writes a review.
pub const FORMAT: u32 = 1;

/// Old against new.
#[derive(Debug, Serialize)]
pub struct Review {
    /// The version of this form.
    pub format: u32,
    /// The old document's name.
    pub from: String,
    /// The new document's name.
    pub to: String,
    /// What it asks of the next version.
    pub verdict: Level,
    /// What made it so.
    pub because: Vec<Subject>,
    /// Who may call what.
    pub approval: Vec<Access>,
    /// How many operations require approval now.
    pub approval_required: usize,
    /// Operations with their arguments, answers and lists.
    pub operations: Vec<Line>,
    /// Types with their fields and values.
    pub types: Vec<TypeLines>,
    /// What tokens have to be good for.
    pub scopes: Vec<Access>,
    /// Repairs that began or ceased.
    pub repairs: Repairs,
    /// Overlay actions that match nothing any more, or match again.
    pub overlay: Overlay,
    /// What only reads otherwise.
    pub documentation: Documentation,
}

/// One change, on the wire and in Rust.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What it is about.
    pub subject: Subject,
    /// What it asks of the next version.
    pub level: Level,
    /// Whether a client of the old document gets on with it.
    pub wire: Wire,
    /// What changed on the wire, empty where only code changes.
    pub change: String,
    /// What happens to a caller's code, empty where nothing does.
    pub effect: String,
}

/// The changes of one type, and who uses it.
#[derive(Debug, Serialize)]
pub struct TypeLines {
    /// The type.
    pub name: String,
    /// Whether the old document has none of this name.
    pub came: bool,
    /// Whether the new document has none of this name.
    pub gone: bool,
    /// The operations that use it, before or now.
    pub used: Usage,
    /// What changed.
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

/// What a surface is beside an earlier one.
#[derive(Debug)]
pub struct Since {
    /// What it asks of the next version.
    pub level: Level,
    /// What happens to a caller's code.
    pub lines: Vec<Line>,
    /// Who may call what, and what tokens have to be good for.
    pub access: Vec<Access>,
}

/// Compares surfaces alone, where no documents are at hand: the one that a
/// release recorded and the present one.
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
    /// Whether the two documents come to the same.
    pub fn is_empty(&self) -> bool {
        self.approval.is_empty()
            && self.operations.is_empty()
            && self.types.is_empty()
            && self.scopes.is_empty()
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

/// Joins what changed on the wire with what that does to code.
fn lines(old: &Side, new: &Side, renames: &Renames) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for difference in wire::Comparison::new(&old.document, &new.document, renames).run() {
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
        // What does nothing to code may still be said in its documentation.
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
