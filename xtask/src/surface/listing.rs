//! The surface as the lines of `tests/snapshots`: sorted, one fact a line.

use super::{Argument, Field, List, Operation, Surface, Type};

impl Surface {
    /// The lines of `operations.snap`: `!` stands before an operation that
    /// requires commercial approval.
    pub fn operation_lines(&self) -> Vec<String> {
        let line = |(id, operation): (&String, &Operation)| {
            let mark = if operation.approval { '!' } else { ' ' };
            let Operation { method, path, .. } = operation;
            let arguments: Vec<_> = operation.arguments.iter().map(argument).collect();
            let path = [path.as_str(), &arguments.join(", ")].join("  ");
            let answer = &operation.answer;
            format!(
                "{mark} {id:<34} {method:<6} {}  -> {answer}",
                path.trim_end()
            )
        };
        self.operations.iter().map(line).collect()
    }

    /// The lines of `approval.snap`.
    pub fn approval_lines(&self) -> Vec<String> {
        let marked = self
            .operations
            .iter()
            .filter(|(_, operation)| operation.approval);
        marked
            .map(|(id, Operation { method, path, .. })| format!("{id:<34} {method:<6} {path}"))
            .collect()
    }

    /// The lines of `lists.snap`.
    pub fn list_lines(&self) -> Vec<String> {
        let lists = self.operations.iter().filter_map(|(id, operation)| {
            let list = operation.list.as_ref()?;
            Some(format!("{id:<34} {}", list.text()))
        });
        lists.collect()
    }

    /// The lines of `types.snap`.
    pub fn type_lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.types.iter().flat_map(type_lines).collect();
        lines.sort();
        lines
    }
}

impl List {
    /// The record, the field it is in, how records are identified, and `meta`.
    pub fn text(&self) -> String {
        let List {
            record,
            field,
            meta,
            ..
        } = self;
        let known = if self.by_id {
            "by id"
        } else {
            "not told apart"
        };
        let paged = if self.paged { "" } else { ", all at once" };
        format!("{record} of {field}, {known}, meta: {meta}{paged}")
    }
}

/// `page_number?: i64`.
fn argument(argument: &Argument) -> String {
    let optional = if argument.optional { "?" } else { "" };
    format!("{}{optional}: {}", argument.name, argument.ty)
}

fn type_lines((name, ty): (&String, &Type)) -> Vec<String> {
    match ty {
        Type::Model { fields, .. } if fields.is_empty() => vec![format!("{name} {{}}")],
        Type::Model { fields, .. } => fields
            .iter()
            .map(|field| format!("{name}.{}", fact(field)))
            .collect(),
        Type::Wrapper(inner) => vec![format!("{name}({inner})")],
        Type::Values { values, closed } => {
            let values: Vec<_> = values.iter().map(|value| value.text.as_str()).collect();
            let values = values.join(" | ");
            let end = if *closed { "(closed)" } else { "| .." };
            vec![format!("{name} = {values} {end}")]
        }
        Type::Id(_) => vec![format!("{name}: id")],
        Type::Alias(other) => vec![format!("{name} = {other}")],
    }
}

/// `created_at: Option<Timestamp>`, with the name on the wire where that is
/// another.
fn fact(field: &Field) -> String {
    let Field { name, wire, ty } = field;
    if name == wire {
        format!("{name}: {ty}")
    } else {
        format!("{name} ({wire}): {ty}")
    }
}
