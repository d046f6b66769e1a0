//! The types of other crates in the public API. A breaking version of one of these crates is a
//! breaking version of this one.
//!
//! Reads rustdoc's JSON. Its format is unstable, so this does not use a crate that is tied to one
//! version of it. `.ci/run` generates it and sets `FULLSCRIPT_RUSTDOC_JSON`.
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't go on says so by panicking"
)]

mod foreign;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::foreign::foreign;

/// All allowed types; `docs/decisions.md` gives the reasons.
const ALLOWED: [(&str, &[&str]); 12] = [
    ("axum", &["MethodRouter"]),
    (
        "axum_core",
        &[
            "FromRef",
            "FromRequest",
            "IntoResponse",
            "Request",
            "Response",
        ],
    ),
    ("bytes", &["Bytes"]),
    ("chrono", &["DateTime", "FixedOffset", "NaiveDate", "Utc"]),
    ("futures_core", &["Stream"]),
    (
        "http",
        &[
            "HeaderMap",
            "HeaderName",
            "HeaderValue",
            "Method",
            "Response",
            "StatusCode",
            "http",
        ],
    ),
    ("reqwest", &["Body", "Client", "Proxy", "reqwest"]),
    ("rust_decimal", &["Decimal"]),
    ("schemars", &["JsonSchema", "Schema", "SchemaGenerator"]),
    // The targets of serde's own names.
    (
        "serde_core",
        &[
            "Deserialize",
            "DeserializeOwned",
            "Deserializer",
            "Serialize",
            "Serializer",
        ],
    ),
    ("serde_json", &["Map", "Value"]),
    ("url", &["Url"]),
];

#[test]
#[allow(clippy::print_stdout, reason = "says what was not tested")]
fn the_public_api_has_no_foreign_types_but_those_listed() {
    let Some(path) = std::env::var_os("FULLSCRIPT_RUSTDOC_JSON") else {
        println!("skipped: FULLSCRIPT_RUSTDOC_JSON is not set; `.ci/run` makes it");
        return;
    };
    let found = foreign(&read(Path::new(&path)));
    let allowed = ALLOWED.iter().map(|(name, types)| {
        let types = types.iter().map(|name| name.to_string());
        (name.to_string(), types.collect())
    });
    assert_eq!(found, allowed.collect::<BTreeMap<_, _>>());
}

#[test]
fn the_decisions_name_the_crates_of_foreign_types() {
    let text = include_str!("../../docs/decisions.md");
    let (_, text) = text
        .split_once("\n### Foreign types in the public API\n")
        .unwrap();
    let (section, _) = text.split_once("\n## ").unwrap();
    for (name, _) in ALLOWED {
        let name = name
            .trim_end_matches("_core")
            .replace("futures", "futures-core");
        assert!(section.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn each_place_of_a_foreign_type_is_found() {
    const OUTSIDER: &str = "
        pub struct Argument; pub struct Answer; pub struct Field; pub struct Bound<T>(pub T);
        pub trait Limit {} pub trait Implemented {} pub struct Converted; pub struct Aliased;
        pub struct Reexported; pub trait Opaque {} impl Opaque for () {} pub trait Shown {} pub struct Associated;
        pub struct Constant; pub struct Variant; pub struct Within; pub struct Hidden;
        pub trait Blanket {} impl<T> Blanket for T {}";
    const FIXTURE: &str = "
        mod private { pub struct Own(outsider::Hidden); impl Own { fn of(_: outsider::Hidden) {} } }
        pub use private::Own;
        pub use outsider::Reexported;
        pub fn takes(_: &[Option<outsider::Argument>]) {}
        pub fn gives() -> Result<(), Box<outsider::Answer>> { todo!() }
        pub struct Shape { pub field: outsider::Field, hidden: outsider::Hidden }
        pub fn bound<T: outsider::Limit>(_: outsider::Bound<T>) {}
        impl outsider::Implemented for Shape {}
        impl From<outsider::Converted> for Shape { fn from(_: outsider::Converted) -> Self { todo!() } }
        pub type Alias = outsider::Aliased;
        pub fn opaque() -> impl outsider::Opaque {}
        impl Own { pub fn shown(_: &dyn outsider::Shown) {} }
        impl Iterator for Shape { type Item = outsider::Associated; fn next(&mut self) -> Option<Self::Item> { None } }
        pub const CONSTANT: Option<outsider::Constant> = None;
        pub enum Choice { One(outsider::Variant) }
        pub mod inner { pub static WITHIN: fn(outsider::Within) = |_| (); }";
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    for (name, text) in [("outsider", OUTSIDER), ("fixture", FIXTURE)] {
        std::fs::write(place.join(name).with_extension("rs"), text).unwrap();
    }
    let common = ["--edition", "2024", "--crate-type", "rlib"];
    run(place, "rustc", &common, &["outsider.rs"]);
    let json = ["fixture.rs", "--extern", "outsider=liboutsider.rlib"];
    let json = [
        &json[..],
        &["-Z", "unstable-options", "--output-format", "json"],
    ]
    .concat();
    run(place, "rustdoc", &common, &json);

    let found = foreign(&read(&place.join("doc/fixture.json")));
    assert_eq!(found.keys().collect::<Vec<_>>(), ["outsider"]);
    assert_eq!(
        Vec::from_iter(&found["outsider"]),
        [
            "Aliased",
            "Answer",
            "Argument",
            "Associated",
            "Bound",
            "Constant",
            "Converted",
            "Field",
            "Implemented",
            "Limit",
            "Opaque",
            "Reexported",
            "Shown",
            "Variant",
            "Within",
        ]
    );
}

fn run(place: &Path, program: &str, common: &[&str], arguments: &[&str]) {
    let status = Command::new(program)
        .args(common)
        .args(arguments)
        .current_dir(place)
        // Allows unstable features for this command only.
        .env("RUSTC_BOOTSTRAP", "1")
        .status();
    assert!(status.unwrap().success(), "{program} {arguments:?}");
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}
