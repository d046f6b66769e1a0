//! The server's responses: a recorded record, repeated.

use serde_json::{Value, json};

const DOCUMENT: &str = include_str!("../../spec/openapi.normalized.json");

/// The record that is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The record in the vendor's example of a list, with five fields.
    Listed,
    /// The record in the vendor's example of a single patient, with all fields.
    Whole,
}

/// A page of patients with unique ids.
pub(crate) fn page(kind: Kind, size: usize, number: usize, pages: usize) -> String {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let example = |path: &str| {
        document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["example"]
            .clone()
    };
    let record = match kind {
        Kind::Listed => example("/api/clinic/patients")["patients"][0].clone(),
        Kind::Whole => example("/api/clinic/patients/{id}")["patient"].clone(),
    };
    assert!(record.is_object(), "the example of {kind:?} has moved");
    let patients = (0..size).map(|place| {
        let mut patient = record.clone();
        let own = (number - 1) * size + place;
        patient["id"] = json!(format!("00000000-0000-4000-8000-{own:012}"));
        patient
    });
    let answer = json!({
        "meta": {
            "current_page": number,
            "next_page": (number < pages).then_some(number + 1),
            "prev_page": (number > 1).then_some(number - 1),
            "total_count": size * pages,
            "total_pages": pages,
        },
        "patients": patients.collect::<Vec<_>>(),
    });
    answer.to_string()
}
