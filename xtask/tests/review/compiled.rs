//! The review's statements about a caller's code are true: small programs are compiled against the
//! package before and after each change.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};
use xtask::normalize::Derived;
use xtask::review::{Review, Side, review};

use crate::document::{put, take};
use crate::package::{cargo_check, copy_of_package, root};
use crate::planted::{Edit, edit};

/// The changes and the programs of `compiled.toml`.
#[derive(Deserialize)]
struct Table {
    change: Vec<Edit>,
    callers: Vec<Caller>,
}

/// The subject of the line that must predict the result, and the program, which compiles before the
/// change.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Caller {
    Breaks(String, String),
    Holds(String, String),
}

impl Caller {
    fn compiles(&self) -> bool {
        matches!(self, Self::Holds(..))
    }

    fn subject(&self) -> &str {
        let (Self::Breaks(subject, _) | Self::Holds(subject, _)) = self;
        subject
    }

    fn program(&self) -> &str {
        let (Self::Breaks(_, program) | Self::Holds(_, program)) = self;
        program
    }
}

#[test]
fn what_is_said_of_code_is_what_happens_to_it() {
    let committed = fs::read_to_string(root().join("spec/openapi.normalized.json")).unwrap();
    let before: Value = serde_json::from_str(&committed).unwrap();
    let table: Table = toml::from_str(include_str!("compiled.toml")).unwrap();
    let callers = &table.callers;
    let after = changed(before.clone(), &table.change);
    let review = review(&side(before), &side(after.clone()));

    let wrong = callers
        .iter()
        .map(|caller| (caller.subject(), caller.compiles()));
    let wrong: Vec<_> = wrong
        .filter(|(subject, compiles)| says_compiles(&review, subject) != *compiles)
        .collect();
    assert!(
        wrong.is_empty(),
        "the review is wrong on {wrong:?}\n{review}"
    );
    let failed = compile(callers, &copy_of_package("reviewed", &after));
    let should: BTreeSet<String> = (0..callers.len())
        .filter(|index| !callers[*index].compiles())
        .map(|index| format!("after_{index}"))
        .collect();
    assert_eq!(failed, should);
}

/// One change for each statement of the review about code.
fn changed(mut document: Value, edits: &[Edit]) -> Value {
    let mut twin = document["paths"]["/api/clinic"].clone();
    twin["get"]["operationId"] = json!("get_clinic_twin");
    put(&mut document, "/paths/~1api~1clinic~1twin", twin);
    edit(edits, &mut document, &mut String::new());
    let answer = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let text = |format: &str| json!({"type": "string", "format": format});
    let number = json!({"type": "number"});
    for (at, name, schema) in [
        ("/api/clinic/search/patients", "query", answer("Gender")),
        ("/api/catalog/search/products", "query", number.clone()),
        ("/api/clinic/metadata", "id", answer("Flag")),
        // The other lists by date are called by this crate itself.
        ("/api/clinic/orders", "completed_at", text("date-time")),
        ("/api/clinic/labs/orders", "page[size]", number),
    ] {
        let parameters = document["paths"][at]["get"]["parameters"].as_array_mut();
        let mut parameters = parameters.unwrap().iter_mut();
        let parameter = parameters.find(|parameter| parameter["name"] == name);
        parameter.unwrap()["schema"] = schema;
    }
    let text = document.to_string().replace(
        "\"#/components/schemas/PatientType\"",
        "\"#/components/schemas/PatientSort\"",
    );
    let mut document: Value = serde_json::from_str(&text).unwrap();
    let renamed = take(&mut document, "/components/schemas/PatientType");
    put(&mut document, "/components/schemas/PatientSort", renamed);
    document
}

fn side(document: Value) -> Side {
    let derived = Derived {
        document,
        repairs: Vec::new(),
        unmatched: Vec::new(),
    };
    Side::new("a document", derived).unwrap()
}

/// Returns whether no line about a subject states that code no longer compiles.
#[track_caller]
fn says_compiles(review: &Review, subject: &str) -> bool {
    let of_types = review.types.iter().flat_map(|ty| &ty.lines);
    let mut lines = review.operations.iter().chain(of_types);
    let line = lines.find(|line| line.subject.to_string() == subject);
    let line = line.unwrap_or_else(|| panic!("no line about {subject}\n{review}"));
    !line.effect.contains("no longer compiles")
}

/// Compiles all programs, and returns the names of those that failed.
fn compile(programs: &[Caller], after: &Path) -> BTreeSet<String> {
    let before = root();
    let callers = Path::new(env!("CARGO_TARGET_TMPDIR")).join("callers");
    let _absent = fs::remove_dir_all(&callers);
    fs::create_dir_all(callers.join("src/bin")).unwrap();
    fs::copy(before.join("Cargo.lock"), callers.join("Cargo.lock")).unwrap();
    let features = "features = [\"schemars\", \"testing\"]";
    let manifest = format!(
        "[package]\nname = \"callers\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n\
         [dependencies]\n\
         before = {{ package = \"fullscript\", path = {before:?}, {features} }}\n\
         after = {{ package = \"reviewed\", path = {after:?}, {features} }}\n"
    );
    fs::write(callers.join("Cargo.toml"), manifest).unwrap();
    for (index, caller) in programs.iter().enumerate() {
        for side in ["before", "after"] {
            let program = format!(
                "use {side} as fullscript;\nuse fullscript::{{Client, types::*}};\n\
                 {}\nfn main() {{}}\n",
                caller.program()
            );
            fs::write(callers.join(format!("src/bin/{side}_{index}.rs")), program).unwrap();
        }
    }
    let output = cargo_check(
        &callers,
        &["--bins", "--keep-going", "--message-format=json"],
    );
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut failed = BTreeSet::new();
    let mut finished = false;
    for message in messages {
        finished |= message["reason"] == "build-finished";
        if message["message"]["level"] == "error" {
            failed.insert(message["target"]["name"].as_str().unwrap().to_string());
        }
    }
    assert!(finished, "{}", String::from_utf8_lossy(&output.stderr));
    failed
}
