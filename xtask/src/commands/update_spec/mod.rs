//! `cargo xtask update-spec`: the only writer of `spec/`.
//!
//! All steps run in memory first: download, validate, derive, generate, review. The files are
//! replaced only if all of them succeed.

use crate::document::committed::Committed;
use crate::document::judge;
use crate::document::source::Source;
use crate::document::spec_dir::{Change, DOCUMENT, NORMALIZED, OVERLAY, REVIEW, SOURCE, SpecDir};
use crate::guard::guarded;
use crate::normalize::{self, Derived, Moves};
use crate::refusal::{Refusal, refuse};
use crate::release::workspace::Workspace;
use crate::review::{Side, review};
use crate::trial::Trial;

mod incoming;
mod options;
mod report;

pub use options::{Format, Mode, Options};
pub use report::Report;

use incoming::{Incoming, receive};
use report::News;

/// The help text of the command.
pub const HELP: &str = "\
cargo xtask update-spec [options]
    Downloads the vendor's document, fixes it, and runs the generator on it.
    Then replaces openapi.json, openapi.normalized.json, source.toml and
    REVIEW.md, and drafts the changelog's part about the API. If the document
    is unchanged, no file changes, and the date in source.toml stays.
    If the vendor moved an operation to another path, the targets of
    overlay.yaml follow it, each with a note.

    --from <file or URL>         the document; default:
                                 https://us.fullscript.com/docs/api/open-api/v1/openapi.json
                                 With spec/openapi.json itself, the other files
                                 are derived from it again, offline, and
                                 source.toml does not change: use this after an
                                 edit of overlay.yaml or of a fix.
    --dry-run                    run all steps without writing
    --check                      write nothing, exit 1 if a file would change
    --format text|json           format of the report; default: text
    --kind vendor|reconstructed  who wrote the document; default: vendor, or
                                 reconstructed if the document states it
    --timeout <seconds>          limit of the whole download; default: 60
    --spec <directory>           default: the workspace's spec/
    --strict                     refuse a document with an error of the vendor's,
                                 such as a dangling reference; without it, the
                                 error costs the place its type and is reported
    --no-check                   do not compile the generated crate; without it,
                                 a new document is refused if its code does not
                                 compile (not with --check)
    Exit status: 0 done or unchanged, 1 would change (--check), 2 error and
    nothing written, 3 server unreachable and nothing written
";

/// Updates the directory from a document.
///
/// # Errors
/// Returns a [`Refusal`] if the document cannot be downloaded, accepted or written. The directory
/// is unchanged then, unless the error states that a file was replaced.
pub fn run(options: &Options) -> Result<Report, Refusal> {
    let spec = SpecDir::open(&options.spec)?;
    if options.mode == Mode::Write {
        spec.sweep();
    }
    let mut overlay = spec.overlay()?.to_owned();
    let incoming = receive(options, &spec)?;
    let mut derived = normalize::derive(&incoming.document, &overlay)?;
    let faults = derived.faults();
    if let Some(fault) = faults.first().filter(|_| options.strict) {
        return Err(refuse(
            format!("{fault} ({} in all)", faults.len()),
            "a document without errors, because of --strict",
            "report it to the vendor, or run the command without --strict",
        ));
    }
    let mut changes = changed(&spec, &incoming, &derived, &overlay);
    let is_news = changes
        .iter()
        .any(|change| [DOCUMENT, NORMALIZED].contains(&change.name));
    if let Some(held) = is_news.then(|| Committed::held(&spec)).flatten() {
        let moves = Moves::between(&held.document, &held.normalized, &incoming.document)?;
        if !moves.moved.is_empty() {
            overlay = moves.forward(&overlay);
            derived = normalize::derive(&incoming.document, &overlay)?;
            overlay = moves.named(&overlay, &derived.document);
            derived = normalize::derive(&incoming.document, &overlay)?;
            changes = changed(&spec, &incoming, &derived, &overlay);
        }
    }
    let committed = is_news.then(|| Committed::of(&spec)).flatten();
    let moves = match &committed {
        Some(old) => Moves::between(&old.document, &old.normalized, &incoming.document)?,
        None => Moves::default(),
    };
    let before = committed.as_ref();
    let before = before.and_then(|old| old_side(old, &moves.backward(&overlay)));
    let after = new_side(&incoming.name, derived)?;
    // Without a predecessor there is nothing to compare it with.
    let declared = before
        .as_ref()
        .and_then(|_| normalize::declared(&incoming.document, &overlay).ok());
    let after = after.with_declared(declared);

    if is_news && options.compile && options.mode != Mode::Check {
        compile(&after)?;
    }
    let unmatched = after.unmatched.clone();
    let workspace = Workspace::of(&spec);
    let refused = |fault| {
        refuse(
            fault,
            "a changelog to draft in",
            "fix the place named above",
        )
    };
    let release = workspace.release().map_err(refused)?;
    let behind = workspace.behind(release.as_ref(), &after.surface);
    let behind = behind.unwrap_or_default();
    let draft = workspace.draft(release.as_ref(), &after.surface);
    let draft = draft.map_err(refused)?;
    let news = match (is_news, before) {
        (false, _) => News::Unchanged,
        (true, None) => News::First(Box::new(after)),
        (true, Some(before)) => {
            let mut review = review(&before, &after);
            review.overlay.moved = moves.moved;
            News::Reviewed(Box::new(review))
        }
    };
    changes.extend(
        news.text(committed.as_ref())
            .and_then(|text| spec.change(REVIEW, text)),
    );

    if options.mode == Mode::Write && !changes.is_empty() {
        spec.replace(&changes)?;
    }
    if let (Mode::Write, Some(draft)) = (options.mode, &draft) {
        workspace.write(draft).map_err(|error| {
            let problem = format!("cannot write CHANGELOG.md: {error}");
            refuse(
                problem,
                "a writable file",
                "fix the permissions, then run the command again",
            )
        })?;
    }
    Ok(Report {
        options: options.clone(),
        spec: spec.path().to_owned(),
        changes,
        draft,
        news,
        unmatched,
        behind,
    })
}

/// Returns the changed files of the directory.
fn changed(spec: &SpecDir, incoming: &Incoming, derived: &Derived, overlay: &str) -> Vec<Change> {
    let record = incoming.record.as_ref().map(Source::to_text);
    let changes = [
        spec.change(OVERLAY, overlay.to_owned()),
        spec.change(DOCUMENT, judge::format(&incoming.document)),
        spec.change(NORMALIZED, judge::format(&derived.document)),
        record.and_then(|text| spec.change(SOURCE, text)),
    ];
    changes.into_iter().flatten().collect()
}

/// Compiles the generated code.
fn compile(side: &Side) -> Result<(), Refusal> {
    eprintln!("compiling the generated crate");
    let checked = Trial::of(&side.generated).and_then(|trial| trial.check());
    checked.map_err(|errors| {
        refuse(
            format!("the generated crate does not compile: {errors}"),
            "code that compiles",
            "correct codegen/, or add a fix to xtask/src/normalize/fixes for the construct; \
             --no-check takes the document nevertheless",
        )
    })
}

/// Generates the code of the committed document.
///
/// One that the current generator does not accept is ignored: the new one is then the first.
fn old_side(committed: &Committed, overlay: &str) -> Option<Side> {
    let derived = committed.derived(overlay).ok()?;
    let declared = normalize::declared(&committed.document, overlay).ok();
    let side = guarded(|| Side::new(&committed.name, derived).ok()).ok()?;
    Some(side?.with_declared(declared))
}

/// Generates the code of the new document.
fn new_side(name: &str, derived: Derived) -> Result<Side, Refusal> {
    let side = guarded(|| Side::new(name, derived));
    let side = side.unwrap_or_else(|panic| Err(panic.message));
    side.map_err(|reason| {
        let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
        refuse(
            format!("no code can be generated from the document: {reason}"),
            "a normalized document that progenitor turns into Rust",
            "add a fix to xtask/src/normalize/fixes for what the generator does not support",
        )
    })
}
