//! What the review says of a caller's code is what happens to it: small
//! programs, compiled against the package before and after.

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

/// A program that compiles before, and whether it does after; the line of the
/// review that has to know.
struct Caller {
    subject: &'static str,
    program: &'static str,
    compiles: bool,
}

const fn breaks(subject: &'static str, program: &'static str) -> Caller {
    Caller {
        subject,
        program,
        compiles: false,
    }
}

const fn holds(subject: &'static str, program: &'static str) -> Caller {
    Caller {
        subject,
        program,
        compiles: true,
    }
}

const CALLERS: [Caller; 28] = [
    breaks("list_allergens", "fn f(c: &Client) { c.list_allergens(); }"),
    breaks("AllergenListResponse", "fn f(_: AllergenListResponse) {}"),
    breaks("get_the_brand", "fn f(c: &Client) { c.get_brand(); }"),
    holds("get_clinic_twin", "fn f(c: &Client) { c.get_clinic(); }"),
    breaks(
        "list_brands(clinic_permitted)",
        "fn f(c: &Client) { c.list_brands().clinic_permitted(true); }",
    ),
    holds("list_brands(size)", "fn f(c: &Client) { c.list_brands().available(true); }"),
    holds("get_clinic(region)", "fn f(c: &Client) { let _ = c.get_clinic().send(); }"),
    breaks(
        "search_lab_tests(query)",
        "fn f(c: &Client) { c.search_lab_tests().query(String::new()); }",
    ),
    // Text is converted to whatever a setter takes, and an integer to a decimal.
    holds(
        "search_patients(query)",
        "fn f(c: &Client) { c.search_patients().query(String::new()); }",
    ),
    holds(
        "search_products(query)",
        "fn f(c: &Client) { c.search_products().query(String::new()); }",
    ),
    holds(
        "find_objects_by_metadata(id)",
        "fn f(c: &Client) { c.find_objects_by_metadata().id(String::new()); }",
    ),
    holds(
        "list_product_events(created_at)",
        "fn f(c: &Client) { c.list_product_events().created_at(String::new()); }",
    ),
    holds(
        "list_patient_events(created_at)",
        "fn f(c: &Client) { c.list_patient_events().created_at(String::new()); }",
    ),
    holds(
        "list_lab_orders(page[size])",
        "fn f(c: &Client) { c.list_lab_orders().page_size(1_i64); }",
    ),
    holds(
        "list_orders(order_number)",
        "fn f(c: &Client) { c.list_orders().order_number(\"R1\"); let _ = c.list_orders().send(); }",
    ),
    breaks(
        "get_category -> answer",
        "async fn f(c: &Client) -> Result<Category, fullscript::Error> {
            Ok(c.get_category().id(\"1\").send().await?.into_inner().category)
        }",
    ),
    breaks(
        "list_ingredients -> list",
        "fn f(c: &Client) { let _ = c.list_ingredients().items(); }",
    ),
    breaks("Clinic.discount", "fn f(clinic: Clinic) { let _ = clinic.discount; }"),
    holds("Clinic.motto", "fn f(Clinic { name, .. }: Clinic) {}"),
    breaks("Brand.prefix", "fn f(brand: Brand) -> Option<String> { brand.prefix }"),
    breaks(
        "UpdatePatientRequest.email",
        "fn f(mut r: UpdatePatientRequest) { r.email = Some(String::new()); }",
    ),
    breaks(
        "UpdatePatientRequest",
        "fn f() -> UpdatePatientRequest { Default::default() }",
    ),
    holds(
        "CreatePatientRequest.nickname",
        "fn f() -> Result<CreatePatientRequest, error::ConversionError> {
            CreatePatientRequest::builder().email(\"a\").first_name(\"b\").last_name(\"c\").try_into()
        }",
    ),
    holds(
        "Gender = other",
        "fn f(gender: Gender) -> u8 { match gender { Gender::Male => 1, _ => 2 } }",
    ),
    breaks("BrandStatus = unavailable", "fn f() -> BrandStatus { BrandStatus::Unavailable }"),
    holds("SortOrder", "fn f() -> SortOrder { SortOrder::Asc }"),
    breaks("PatientSort", "fn f(_: PatientType) {}"),
    breaks("Category.id", "fn f(category: Category) -> CategoryId { category.id }"),
];

#[test]
fn what_is_said_of_code_is_what_happens_to_it() {
    let committed = fs::read_to_string(root().join("spec/openapi.normalized.json")).unwrap();
    let before: Value = serde_json::from_str(&committed).unwrap();
    let after = changed(before.clone());
    let review = review(&side(before), &side(after.clone()));

    let wrong: Vec<&str> = CALLERS
        .iter()
        .filter(|caller| says_compiles(&review, caller.subject) != caller.compiles)
        .map(|caller| caller.subject)
        .collect();
    assert!(
        wrong.is_empty(),
        "the review is wrong on {wrong:?}\n{review}"
    );
    let failed = compile(root(), &copy_of_package("reviewed", &after));
    let should: BTreeSet<String> = (0..CALLERS.len())
        .filter(|index| !CALLERS[*index].compiles)
        .map(|index| format!("after_{index}"))
        .collect();
    assert_eq!(failed, should);
}

/// One change for each thing that the review says of code.
fn changed(mut document: Value) -> Value {
    #[derive(Deserialize)]
    struct Edits {
        change: Vec<Edit>,
    }
    let mut twin = document["paths"]["/api/clinic"].clone();
    twin["get"]["operationId"] = json!("get_clinic_twin");
    put(&mut document, "/paths/~1api~1clinic~1twin", twin);
    let edits: Edits = toml::from_str(include_str!("compiled.toml")).unwrap();
    edit(&edits.change, &mut document, &mut String::new());
    let answer = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let text = |format: &str| json!({"type": "string", "format": format});
    let number = json!({"type": "number"});
    for (at, name, schema) in [
        ("/api/clinic/search/patients", "query", answer("Gender")),
        ("/api/catalog/search/products", "query", number.clone()),
        ("/api/clinic/metadata", "id", answer("Flag")),
        ("/api/events/products", "created_at", text("date-time")),
        ("/api/events/patients", "created_at", text("date")),
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

/// Whether no line about a subject says that code no longer compiles.
#[track_caller]
fn says_compiles(review: &Review, subject: &str) -> bool {
    let of_types = review.types.iter().flat_map(|ty| &ty.lines);
    let mut lines = review.operations.iter().chain(of_types);
    let line = lines.find(|line| line.subject.to_string() == subject);
    let line = line.unwrap_or_else(|| panic!("no line about {subject}\n{review}"));
    !line.effect.contains("no longer compiles")
}

/// Compiles all programs, and names those that failed.
fn compile(before: &Path, after: &Path) -> BTreeSet<String> {
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
    for (index, caller) in CALLERS.iter().enumerate() {
        for side in ["before", "after"] {
            let program = format!(
                "use {side} as fullscript;\nuse fullscript::{{Client, types::*}};\n\
                 {}\nfn main() {{}}\n",
                caller.program
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
