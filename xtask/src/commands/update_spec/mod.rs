//! `cargo xtask update-spec`: the only writer of `spec/`.
//!
//! Everything happens in memory first: receive, judge, derive, generate,
//! review. The files are replaced only when all of that went well.

use std::panic;
use std::thread;

use crate::document::committed::Committed;
use crate::document::judge;
use crate::document::source::Source;
use crate::document::spec_dir::{Change, DOCUMENT, NORMALIZED, REVIEW, SOURCE, SpecDir};
use crate::normalize::{self, Derived};
use crate::refusal::{Refusal, refuse};
use crate::release::workspace::Workspace;
use crate::review::{Side, review};

mod incoming;
mod options;
mod report;

pub use options::{Format, Mode, Options};
pub use report::Report;

use incoming::{Incoming, receive};
use report::News;

/// How to use the command.
pub const HELP: &str = "\
cargo xtask update-spec [options]
    Receives the vendor's document, repairs it, tries the generator on it and
    only then replaces openapi.json, openapi.normalized.json, source.toml and
    REVIEW.md, and drafts the changelog's part about the API. An unchanged
    document changes nothing, the date included.

    --from <file or address>     where the document comes from, by default
                                 https://us.fullscript.com/docs/api/open-api/v1/openapi.json
                                 If it is spec/openapi.json itself, the rest is
                                 derived from it again, offline, and source.toml
                                 stays as it is: use this after an edit of
                                 overlay.yaml or of the normalizer.
    --dry-run                    do everything but write
    --check                      write nothing, exit 1 if anything would change
    --format text|json           how to tell what changed, by default in text
    --kind vendor|reconstructed  who wrote the document; by default the vendor,
                                 unless a file says that it is reconstructed
    --timeout <seconds>          for the whole transfer, by default 60
    --spec <directory>           by default the workspace's spec/
    Exit status: 0 done or unchanged, 1 would change (--check), 2 refused and
    nothing written, 3 the server could not be reached and nothing written
";

/// Brings a document into the directory.
///
/// # Errors
/// A [`Refusal`] if the document cannot be had, taken or written. The directory
/// is then as it was, unless the refusal says that a file was replaced.
pub fn run(options: &Options) -> Result<Report, Refusal> {
    let spec = SpecDir::open(&options.spec)?;
    if options.mode == Mode::Write {
        spec.sweep();
    }
    let overlay = spec.overlay()?;
    let incoming = receive(options, &spec)?;
    let derived = normalize::derive(&incoming.document, overlay)?;
    let mut changes = changes(&spec, &incoming, &derived);
    let is_news = changes
        .iter()
        .any(|change| [DOCUMENT, NORMALIZED].contains(&change.name));
    let committed = Committed::of(&spec).filter(|_| is_news);
    let (before, after) = sides(committed.as_ref(), overlay, &incoming.name, derived)?;

    let unmatched = after.unmatched.clone();
    let workspace = Workspace::of(&spec);
    // What is wrong with the record is told by the draft, which needs it too.
    let behind = workspace.behind(&after.surface).unwrap_or_default();
    let draft = workspace.draft(&after.surface);
    let draft =
        draft.map_err(|fault| refuse(fault, "a changelog to draft in", "mend the named place"))?;
    let news = match (is_news, before) {
        (false, _) => News::Unchanged,
        (true, None) => News::First(Box::new(after)),
        (true, Some(before)) => News::Reviewed(Box::new(review(&before, &after))),
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
            let came = format!("a write of CHANGELOG.md that failed: {error}");
            refuse(
                came,
                "a writable file",
                "mend the permissions, then run the command again",
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

/// The files of documents that are to be written.
fn changes(spec: &SpecDir, incoming: &Incoming, derived: &Derived) -> Vec<Change> {
    let record = incoming.record.as_ref().map(Source::to_text);
    let changes = [
        spec.change(DOCUMENT, judge::format(&incoming.document)),
        spec.change(NORMALIZED, judge::format(&derived.document)),
        record.and_then(|text| spec.change(SOURCE, text)),
    ];
    changes.into_iter().flatten().collect()
}

/// Runs the generator, whose output users compile, on the old and the new
/// document at once.
fn sides(
    committed: Option<&Committed>,
    overlay: &str,
    name: &str,
    derived: Derived,
) -> Result<(Option<Side>, Side), Refusal> {
    // The generator asserts where it should return, so a panic is an answer;
    // `generate` catches it, and its message is told below.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let (before, after) = thread::scope(|scope| {
        let before = scope.spawn(|| {
            let committed = committed?;
            Side::new(&committed.name, committed.derived(overlay).ok()?).ok()
        });
        let after = Side::new(name, derived);
        (before.join(), after)
    });
    panic::set_hook(hook);
    let after = after.map_err(|reason| {
        let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
        refuse(
            format!("a document from which no code can be generated: {reason}"),
            "a normalized document that progenitor turns into Rust",
            "add a fix to xtask/src/normalize/fixes for what the generator cannot take",
        )
    })?;
    // A committed document that today's generator does not take is as good as
    // none: the new one is then the first.
    Ok((before.ok().flatten(), after))
}
