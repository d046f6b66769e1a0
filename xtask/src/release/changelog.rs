//! The drafted part of `CHANGELOG.md`: the changes of the next version for users. Each update
//! replaces it. Other lines are not touched.

use crate::release::record::Release;
use crate::review::{Level, Line, Subject, named};
use crate::surface::Surface;

/// The name of the file.
pub const NAME: &str = "CHANGELOG.md";

const BEGIN: &str = "<!-- drafted by `cargo xtask update-spec` -->";
const END: &str = "<!-- end of the draft -->";
const TITLE: &str = "### API surface";

/// Returns the changes since the release, or a summary for the first release; `None` if nothing
/// changed.
pub fn entry(release: Option<&Release>, surface: &Surface) -> Option<String> {
    let Some(release) = release else {
        return Some(surface.summary());
    };
    let before = &release.surface;
    let ids = |keep: &dyn Fn(&str) -> bool, all: &Surface| -> Vec<String> {
        all.operations
            .keys()
            .filter(|id| keep(id))
            .cloned()
            .collect()
    };
    let has = |all: &Surface, id: &str| all.operations.contains_key(id);
    let marked = |all: &Surface, id: &str| all.operations.get(id).is_some_and(|own| own.approval);
    let scopes = |all: &Surface, id: &str| all.operations.get(id).map(|own| own.scopes.clone());
    let groups = [
        ("Added", ids(&|id| !has(before, id), surface)),
        ("Removed", ids(&|id| !has(surface, id), before)),
        (
            "Requires commercial approval now",
            ids(&|id| marked(surface, id) && !marked(before, id), surface),
        ),
        (
            "No longer requires commercial approval",
            ids(
                &|id| marked(before, id) && has(surface, id) && !marked(surface, id),
                surface,
            ),
        ),
        (
            "Other scopes",
            ids(
                &|id| has(before, id) && scopes(before, id) != scopes(surface, id),
                surface,
            ),
        ),
    ];
    let mut lines: Vec<String> = groups
        .iter()
        .filter(|(_, ids)| !ids.is_empty())
        .map(|(what, ids)| format!("- {what}: {}.", named(ids)))
        .collect();
    let changes = release.compared_with(surface).lines;
    lines.extend(
        changes
            .iter()
            .filter(|line| is_breaking(line))
            .map(breaking),
    );
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Replaces the drafted part, at the end of "API surface" of the unreleased version.
///
/// # Errors
/// Returns a message that states what the text lacks.
pub fn drafted(text: &str, entry: Option<&str>) -> Result<String, String> {
    if let Some(begin) = text.find(BEGIN) {
        let length = text[begin..].find(END);
        let length = length.ok_or_else(|| format!("{NAME}: {BEGIN:?} without {END:?}"))?;
        let end = begin + length + END.len();
        let draft = draft(entry.unwrap_or("No changes since the last version."));
        return Ok(format!("{}{draft}{}", &text[..begin], &text[end..]));
    }
    let Some(entry) = entry else {
        return Ok(text.to_string());
    };
    let draft = draft(entry);
    let versions = unreleased(text);
    let titled = versions
        .iter()
        .find(|(begin, end)| text[*begin..*end].contains(TITLE));
    let Some((begin, end)) = titled.or(versions.first()).copied() else {
        return Err(format!(
            "{NAME}: no heading of a version that is not released, such as \"## [Unreleased]\""
        ));
    };
    let section = &text[begin..end];
    // The sections of a version end where the next version begins.
    let place = match section.find(TITLE) {
        Some(title) => {
            let after = title + TITLE.len();
            section[after..]
                .find("\n### ")
                .map_or(section.len(), |next| after + next)
        }
        None => section.len(),
    };
    let (head, tail) = text.split_at(begin + place);
    let title = if section.contains(TITLE) {
        String::new()
    } else {
        format!("{TITLE}\n\n")
    };
    let tail = tail.trim_start_matches('\n');
    let gap = if tail.is_empty() { "\n" } else { "\n\n" };
    Ok(format!("{}\n\n{title}{draft}{gap}{tail}", head.trim_end()))
}

/// Removes the marks of the drafted part.
pub fn settled(text: &str) -> String {
    let lines = text.lines().filter(|line| ![BEGIN, END].contains(line));
    lines.map(|line| format!("{line}\n")).collect()
}

impl Surface {
    /// Returns the number of operations and which of them require approval.
    pub fn summary(&self) -> String {
        let marked = self
            .operations
            .iter()
            .filter(|(_, operation)| operation.approval);
        let marked: Vec<String> = marked.map(|(id, _)| id.clone()).collect();
        let all = match self.operations.len() {
            1 => "1 operation".to_string(),
            count => format!("{count} operations"),
        };
        match marked.len() {
            0 => format!("{all}, none of which requires commercial approval."),
            1 => format!(
                "{all}, of which 1 requires commercial approval: {}.",
                named(&marked)
            ),
            count => format!(
                "{all}, of which {count} require commercial approval: {}.",
                named(&marked)
            ),
        }
    }
}

fn draft(entry: &str) -> String {
    format!("{BEGIN}\n{entry}\n{END}")
}

/// Returns the ranges of the unreleased versions.
fn unreleased(text: &str) -> Vec<(usize, usize)> {
    let mut starts: Vec<usize> = text.match_indices("\n## ").map(|(at, _)| at + 1).collect();
    starts.push(text.len());
    let sections = starts.windows(2).map(|pair| (pair[0], pair[1]));
    let open = sections.filter(|(begin, end)| {
        let heading = text[*begin..*end].lines().next().unwrap_or_default();
        heading.to_lowercase().contains("unreleased")
    });
    open.collect()
}

fn is_breaking(line: &Line) -> bool {
    // Removed operations are already listed.
    line.level == Level::Major && !matches!(line.subject, Subject::Operation(_))
}

fn breaking(line: &Line) -> String {
    format!("- Breaking: `{}`: {}.", line.subject, line.effect)
}
