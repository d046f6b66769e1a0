//! Old against new in Rust: what happens to a caller's code, read from the
//! generated code and not guessed from the document.

use std::collections::BTreeMap;
use std::fmt;

use super::renames::Renames;
use super::subject::Subject;
use super::verdict::Level;
use crate::surface::{Argument, Field, Operation, Surface, Type, Variant};

/// What happens to a caller's code.
#[derive(Debug)]
pub(super) struct Effect {
    pub(super) subject: Subject,
    pub(super) level: Level,
    pub(super) text: String,
}

/// Compares two surfaces; what was only renamed is compared under its new
/// name.
pub(super) fn effects(old: &Surface, new: &Surface, renames: &Renames) -> Vec<Effect> {
    let mut effects = Effects {
        renames,
        new,
        found: Vec::new(),
    };
    effects.operations(&old.operations, &new.operations);
    effects.types(&old.types, &new.types);
    effects.found
}

struct Effects<'s> {
    renames: &'s Renames,
    new: &'s Surface,
    found: Vec<Effect>,
}

const NO_COMPILE: &str = "no longer compiles";

/// Types of `fullscript::value`, and what they are converted from.
const TAKEN: [(&str, &str); 1] = [("Decimal", "i64")];

impl Effects<'_> {
    fn note(&mut self, subject: Subject, level: Level, text: impl Into<String>) {
        let text = text.into();
        self.found.push(Effect {
            subject,
            level,
            text,
        });
    }

    /// `code` compiles today, and no longer does.
    fn breaks(&mut self, subject: Subject, code: impl fmt::Display) {
        self.note(subject, Level::Major, format!("{code} {NO_COMPILE}"));
    }

    fn operations(&mut self, old: &BTreeMap<String, Operation>, new: &BTreeMap<String, Operation>) {
        let renames = self.renames;
        let kept: BTreeMap<String, &String> =
            old.keys().map(|id| (renames.new_id(id), id)).collect();
        for (id, old_id) in &kept {
            let subject = Subject::Operation(id.clone());
            if id != *old_id {
                let text = format!("code that calls `{old_id}`");
                self.breaks(subject.clone(), text);
            }
            match new.get(id) {
                Some(after) => self.operation(id, &old[*old_id], after),
                None => {
                    self.breaks(subject, "code that calls it");
                }
            }
        }
        for id in new.keys().filter(|id| !kept.contains_key(*id)) {
            self.note(Subject::Operation(id.clone()), Level::Minor, "a new method");
        }
    }

    fn operation(&mut self, id: &str, old: &Operation, new: &Operation) {
        let row = |operation: &Operation| {
            let Operation {
                method, path, row, ..
            } = operation;
            (method.clone(), path.clone(), row.clone())
        };
        if row(old) != row(new) {
            let text = "the table of operations says otherwise";
            self.note(Subject::Operation(id.into()), Level::Minor, text);
        }
        self.arguments(id, &old.arguments, &new.arguments);
        let was = self.renames.in_type(&old.answer);
        if was != new.answer {
            let text = format!(
                "`send` answers `{}` instead of `{was}`: code that reads it",
                new.answer
            );
            self.breaks(Subject::Answer(id.into()), text);
        }
        let subject = Subject::List(id.into());
        match (&old.list, &new.list) {
            (None, Some(_)) => self.note(subject, Level::Minor, "`pages` and `items` are new"),
            (Some(_), None) => {
                self.breaks(
                    subject,
                    "`pages` and `items` are gone; code that calls them",
                );
            }
            (Some(was), Some(is)) => {
                let record = self.renames.in_type(&was.record);
                if record != is.record {
                    let text = format!(
                        "`items` streams `{}` instead of `{record}`: code that reads it",
                        is.record
                    );
                    self.breaks(subject, text);
                } else if (was.paged, was.by_id) != (is.paged, is.by_id) {
                    self.note(subject, Level::Minor, format!("streams {}", is.text()));
                }
            }
            (None, None) => {}
        }
    }

    /// Whether what a setter took can be converted to what it takes.
    fn takes(&self, is: &str, was: &str) -> bool {
        let reads_text = match self.new.types.get(is) {
            Some(Type::Id(_)) => true,
            Some(Type::Values { closed, .. }) => !closed,
            _ => false,
        };
        reads_text && was == "String" || TAKEN.contains(&(is, was))
    }

    fn arguments(&mut self, id: &str, old: &[Argument], new: &[Argument]) {
        let subject = |name: &str| Subject::Argument {
            operation: id.to_string(),
            name: name.to_string(),
        };
        for was in old {
            let Some(is) = new.iter().find(|is| is.name == was.name) else {
                self.breaks(subject(&was.name), "code that sets it");
                continue;
            };
            let ty = self.renames.in_type(&was.ty);
            if ty != is.ty && self.takes(&is.ty, &ty) {
                let text = format!("its setter takes `{}`, and `{ty}` as before", is.ty);
                self.note(subject(&was.name), Level::Minor, text);
            } else if ty != is.ty {
                let text = format!(
                    "its setter takes `{}` instead of `{ty}`: \
                     code that gives the latter",
                    is.ty
                );
                self.breaks(subject(&was.name), text);
            }
            match (was.needed, is.needed) {
                (false, true) => self.note(subject(&was.name), Level::Major, UNSET),
                (true, false) => {
                    self.note(
                        subject(&was.name),
                        Level::Minor,
                        "calls without it are sent",
                    );
                }
                _ => {}
            }
        }
        for is in new
            .iter()
            .filter(|is| !old.iter().any(|was| was.name == is.name))
        {
            let (level, text) = if is.needed {
                (Level::Major, UNSET)
            } else {
                (Level::Minor, "a new setter")
            };
            self.note(subject(&is.name), level, text);
        }
    }

    fn types(&mut self, old: &BTreeMap<String, Type>, new: &BTreeMap<String, Type>) {
        let renames = self.renames;
        let kept: BTreeMap<&str, &String> = old
            .keys()
            .map(|name| (renames.new_name(name), name))
            .collect();
        for (name, old_name) in &kept {
            let subject = Subject::Type(name.to_string());
            if name != old_name {
                let text = format!("code that names `{old_name}`");
                self.breaks(subject.clone(), text);
            }
            match new.get(*name) {
                Some(after) => self.ty(name, &old[*old_name], after),
                None => {
                    self.breaks(subject, "code that names it");
                }
            }
        }
        for name in new.keys().filter(|name| !kept.contains_key(name.as_str())) {
            self.note(Subject::Type(name.clone()), Level::Minor, "a new type");
        }
    }

    fn ty(&mut self, name: &str, old: &Type, new: &Type) {
        let subject = Subject::Type(name.to_string());
        match (old, new) {
            (
                Type::Model {
                    fields: was,
                    default: had,
                    exhaustive: closed,
                    constructor: took,
                },
                Type::Model {
                    fields: is,
                    default: has,
                    exhaustive: closes,
                    constructor: takes,
                },
            ) => {
                if *had && !has {
                    self.breaks(
                        subject.clone(),
                        "it is no longer `Default`; code that relies on it",
                    );
                }
                if *has && !had {
                    self.note(subject.clone(), Level::Minor, "it is `Default` now");
                }
                match (closed, closes) {
                    (true, false) => {
                        self.breaks(subject, "it is non-exhaustive now; a literal of it");
                    }
                    (false, true) => self.note(subject, Level::Minor, "it is exhaustive now"),
                    _ => {}
                }
                self.constructor(name, took, takes);
                self.fields(name, (was, *closed), (is, takes));
            }
            (
                Type::Values {
                    values: was,
                    closed,
                },
                Type::Values {
                    values: is,
                    closed: closes,
                },
            ) => {
                if closed != closes {
                    self.breaks(subject, "matches on it");
                }
                self.values(name, was, is, *closed);
            }
            (Type::Wrapper(was), Type::Wrapper(is)) | (Type::Alias(was), Type::Alias(is)) => {
                let was = self.renames.in_type(was);
                if was != *is {
                    let text = format!("it holds `{is}` instead of `{was}`: code that uses it");
                    self.breaks(subject, text);
                }
            }
            (Type::Id(was), Type::Id(is)) => {
                if was != is {
                    self.note(subject, Level::Patch, "messages name another kind");
                }
            }
            _ => {
                self.breaks(subject, "it is another kind of type; code that uses it");
            }
        }
    }

    /// The parameters that both have, in another order: a call may compile and mean another.
    fn constructor(&mut self, name: &str, old: &[String], new: &[String]) {
        let common = |list: &[String], other: &[String]| -> Vec<String> {
            let both = list.iter().filter(|parameter| other.contains(parameter));
            both.cloned().collect()
        };
        let (was, is) = (common(old, new), common(new, old));
        if was != is {
            let text = format!(
                "`new` takes ({}) instead of ({}): code that calls it may compile and swap values",
                is.join(", "),
                was.join(", ")
            );
            self.note(Subject::Type(name.to_string()), Level::Major, text);
        }
    }

    fn fields(
        &mut self,
        name: &str,
        (old, exhaustive): (&[Field], bool),
        (new, constructor): (&[Field], &[String]),
    ) {
        let subject = |field: &Field| Subject::Field {
            ty: name.to_string(),
            name: field.wire.clone(),
        };
        for was in old {
            let Some(is) = new.iter().find(|is| is.wire == was.wire) else {
                self.breaks(subject(was), "code that names it");
                continue;
            };
            let ty = self.renames.in_type(&was.ty);
            if ty != is.ty {
                let text = format!("`{}` instead of `{ty}`: code that uses it", is.ty);
                self.breaks(subject(was), text);
            }
            if was.name != is.name {
                let text = format!("is called `{}` in Rust; code that names it", is.name);
                self.breaks(subject(was), text);
            }
        }
        for is in new
            .iter()
            .filter(|is| !old.iter().any(|was| was.wire == is.wire))
        {
            if constructor.contains(&is.name) {
                self.note(subject(is), Level::Major, UNBUILT);
            } else if exhaustive {
                self.breaks(subject(is), "a literal without it");
            } else {
                self.note(subject(is), Level::Minor, "a new field");
            }
        }
    }

    fn values(&mut self, name: &str, old: &[Variant], new: &[Variant], closed: bool) {
        let subject = |value: &Variant| Subject::Value {
            ty: name.to_string(),
            text: value.text.clone(),
        };
        for was in old {
            match new.iter().find(|is| is.text == was.text) {
                None => {
                    let text = format!(
                        "code that names `{}` {NO_COMPILE}; the value reads as `Unknown`",
                        was.name
                    );
                    self.note(subject(was), Level::Major, text);
                }
                Some(is) if is.name != was.name => {
                    let text = format!("is called `{}`; code that names `{}`", is.name, was.name);
                    self.breaks(subject(was), text);
                }
                Some(_) => {}
            }
        }
        let added: Vec<_> = new
            .iter()
            .filter(|is| !old.iter().any(|was| was.text == is.text))
            .collect();
        for is in &added {
            if closed {
                self.breaks(subject(is), "a match without it");
            } else {
                let text = format!("a new variant `{}`; it was read as `Unknown`", is.name);
                self.note(subject(is), Level::Minor, text);
            }
        }
        let order = |values: &[Variant], others: &[Variant]| -> Vec<String> {
            let common = values
                .iter()
                .filter(|value| others.iter().any(|other| other.text == value.text));
            common.map(|value| value.text.clone()).collect()
        };
        if order(old, new) != order(new, old) {
            let text = "its values stand in another order; `ALL` and comparisons follow it";
            self.note(Subject::Type(name.to_string()), Level::Patch, text);
        }
    }
}

/// What a new or newly required argument does to calls.
const UNSET: &str = "calls without it compile, and fail before they are sent";

/// What a new required field does to code that makes the model.
const UNBUILT: &str = "`new` takes it too; code that calls `new` no longer compiles";
