//! A spec directory for the tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::documents::document;

pub(crate) const OVERLAY: &str = "\
overlay: 1.0.0
info: {title: test, version: 1.0.0}
actions:
  - target: $.info
    update: {x-test: true}
";

pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// A temporary spec directory, with space next to it for other files.
pub(crate) struct Sandbox {
    root: TempDir,
}

impl Sandbox {
    /// A directory with only an overlay.
    pub(crate) fn fresh() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("spec")).unwrap();
        fs::write(root.path().join("spec/overlay.yaml"), OVERLAY).unwrap();
        Self { root }
    }

    /// A directory with a document.
    pub(crate) fn filled() -> Self {
        let sandbox = Self::fresh();
        sandbox.write("filled.json", document("filled"));
        sandbox.update_from("filled.json");
        sandbox
    }

    pub(crate) fn spec(&self) -> PathBuf {
        self.root.path().join("spec")
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.root.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.root.path().join(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.spec().join(name)).unwrap()
    }

    pub(crate) fn command(&self, verb: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.arg(verb).arg("--spec").arg(self.spec()).args(args);
        // Compiling takes seconds, so only the tests of it do so.
        if verb == "update-spec" {
            command.arg("--no-check");
        }
        command
    }

    /// Updates from a file, and compiles the generated crate first.
    pub(crate) fn update_compiled(&self, source: &str) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.arg("update-spec").arg("--spec").arg(self.spec());
        command.arg("--from").arg(self.source(source));
        Run(command.output().unwrap())
    }

    pub(crate) fn update(&self, args: &[&str]) -> Run {
        Run(self.command("update-spec", args).output().unwrap())
    }

    /// Updates from a file or a URL, and returns the report.
    #[track_caller]
    pub(crate) fn update_from(&self, source: &str) -> String {
        self.update(&["--from", &self.source(source)]).done()
    }

    /// Updates from a document.
    #[track_caller]
    pub(crate) fn bring(&self, document: impl AsRef<[u8]>) -> String {
        self.write("new.json", document);
        self.update_from("new.json")
    }

    /// Returns the value of `--from` for a URL, or for a file next to the spec directory.
    fn source(&self, source: &str) -> String {
        if source.contains("://") {
            source.to_owned()
        } else {
            self.path(source)
        }
    }

    /// Returns the content of a file next to the spec directory.
    pub(crate) fn beside(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn record_release(&self) -> Run {
        Run(self.command("record-release", &[]).output().unwrap())
    }

    pub(crate) fn check(&self) -> Run {
        Run(self.command("check", &[]).output().unwrap())
    }

    /// The files of `spec/`, without those of [`Sandbox::leftovers`].
    pub(crate) fn files(&self) -> Files {
        files(&self.spec())
    }

    /// Every file that a run could have left in `spec/` or next to it.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        [self.root.path(), &self.spec()]
            .iter()
            .flat_map(|directory| fs::read_dir(directory).unwrap())
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with('.'))
            .collect()
    }

    /// Asserts that the command fails with a complete message and changes no file.
    #[track_caller]
    pub(crate) fn refuses(&self, source: &str, problem: &str) {
        self.fails(&["--from", &self.source(source)], 2, problem);
    }

    #[track_caller]
    pub(crate) fn refuses_with(&self, args: &[&str], problem: &str) {
        self.fails(args, 2, problem);
    }

    /// Asserts the same for a failure of the server.
    #[track_caller]
    pub(crate) fn reaches_no_server(&self, args: &[&str], problem: &str) {
        self.fails(args, 3, problem);
    }

    #[track_caller]
    fn fails(&self, args: &[&str], code: i32, problem: &str) {
        let before = self.files();
        let run = self.update(args);
        let message = run.stderr();
        assert_eq!(run.0.status.code(), Some(code), "{message}");
        for part in ["error: ", "expected: ", "help: "] {
            let lines = message.lines().filter(|line| line.starts_with(part));
            assert_eq!(lines.count(), 1, "{part} in {message}");
        }
        says(&message, problem);
        assert!(!message.contains("panicked"), "{message}");
        assert_eq!(run.stdout(), "");
        assert_eq!(self.files(), before);
        assert_eq!(self.leftovers(), [""; 0]);
    }

    #[track_caller]
    pub(crate) fn refuses_file(&self, content: impl AsRef<[u8]>, problem: &str) {
        self.write("given.json", content);
        self.refuses("given.json", problem);
    }
}

pub(crate) struct Run(pub(crate) Output);

impl Run {
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    #[track_caller]
    pub(crate) fn ends_with(&self, code: i32) -> String {
        assert_eq!(
            self.0.status.code(),
            Some(code),
            "{}{}",
            self.stdout(),
            self.stderr()
        );
        self.stdout()
    }

    #[track_caller]
    pub(crate) fn done(&self) -> String {
        self.ends_with(0)
    }
}

/// Asserts that a text contains another one.
#[track_caller]
pub(crate) fn says(text: &str, part: &str) {
    assert!(text.contains(part), "{part:?} in {text}");
}

fn files(directory: &Path) -> Files {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .filter(|(name, _)| !name.starts_with('.'))
        .collect()
}
