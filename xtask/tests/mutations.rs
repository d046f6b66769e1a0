//! Randomly changed documents are accepted or rejected, and never cause a panic.
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't go on says so by panicking"
)]

use fastrand::Rng;
use serde_json::{Value, json};
use xtask::codegen::generate;
use xtask::normalize::derive;

const OVERLAY: &str = include_str!("../../spec/overlay.yaml");
const DOCUMENT: &str = include_str!("../../spec/openapi.json");

/// The number of documents, each a few mutations away from the real one.
const DOCUMENTS: usize = 1_000;

/// Code generation takes most of the time, so only one of this many documents is generated.
const GENERATED_EVERY: usize = 25;

/// A value of another type than the present one.
fn intruder(random: &mut Rng) -> Value {
    let choices = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5),
        json!(""),
        json!("application/json"),
        json!([]),
        json!([null]),
        json!({}),
        json!({"$ref": "#/components/schemas/Patient"}),
        json!({"$ref": "#/components/schemas/Nowhere"}),
        json!({"type": ["string", "null"]}),
        json!({"oneOf": [{"type": "string"}, {"type": "object"}]}),
        json!({"allOf": [{"$ref": "#/components/schemas/Patient"}, {"type": "string"}]}),
        json!({"type": "array"}),
    ];
    random.choice(choices).unwrap()
}

/// Changes a random place of the document.
fn mutate(value: &mut Value, random: &mut Rng) -> String {
    let deeper = random.usize(..8) > 0;
    match value {
        Value::Object(object) if deeper && !object.is_empty() => {
            let index = random.usize(..object.len());
            let key = object.keys().nth(index).unwrap().clone();
            match random.usize(..24) {
                0 => {
                    object.remove(&key);
                    format!("remove {key}")
                }
                1 => {
                    let value = object.remove(&key).unwrap();
                    let names = [
                        "",
                        "type",
                        "$ref",
                        "é",
                        "x-name",
                        "properties",
                        "0",
                        "a/b~c",
                    ];
                    let name = random.choice(names).unwrap();
                    object.insert(name.into(), value);
                    format!("rename {key} {name}")
                }
                _ => format!("{key}/{}", mutate(object.get_mut(&key).unwrap(), random)),
            }
        }
        Value::Array(list) if deeper && !list.is_empty() => {
            let index = random.usize(..list.len());
            if random.usize(..8) == 0 {
                let copy = list[index].clone();
                list.push(copy);
                format!("repeat {index}")
            } else {
                format!("{index}/{}", mutate(&mut list[index], random))
            }
        }
        _ => {
            *value = intruder(random);
            format!("= {value}")
        }
    }
}

enum Outcome {
    Taken,
    Refused,
    Wrong(String),
}

/// Returns the outcome of one document, which is the same in every run.
fn fate(number: usize, whole: &Value) -> Outcome {
    let mut random = Rng::with_seed(2026 + number as u64);
    let mut document = whole.clone();
    let count = 1 + random.usize(..6);
    let applied: Vec<_> = (0..count)
        .map(|_| mutate(&mut document, &mut random))
        .collect();
    let applied = applied.join("; ");
    match std::panic::catch_unwind(|| derive(&document, OVERLAY)) {
        Err(_) => Outcome::Wrong(format!("{number} panicked: {applied}")),
        Ok(Err(refusal)) => {
            let lines = [&refusal.problem, &refusal.expected, &refusal.help];
            if lines.iter().any(|line| line.is_empty()) {
                Outcome::Wrong(format!(
                    "{number} was rejected without a message: {applied}"
                ))
            } else {
                Outcome::Refused
            }
        }
        Ok(Ok(_)) if !number.is_multiple_of(GENERATED_EVERY) => Outcome::Taken,
        Ok(Ok(derived)) => match generate(&derived.document.to_string()) {
            Ok(_) => Outcome::Taken,
            Err(error) => Outcome::Wrong(format!("{number} generates no code: {applied}: {error}")),
        },
    }
}

#[test]
fn a_thousand_mutations_are_accepted_or_rejected() {
    let whole: Value = serde_json::from_str(DOCUMENT).unwrap();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let whole = &whole;
        let share = |worker| {
            move || {
                (worker..DOCUMENTS)
                    .step_by(workers)
                    .map(|number| fate(number, whole))
                    .collect::<Vec<_>>()
            }
        };
        let handles: Vec<_> = (0..workers)
            .map(|worker| scope.spawn(share(worker)))
            .collect();
        handles
            .into_iter()
            .flat_map(|handle| handle.join().unwrap())
            .collect()
    });
    let (mut taken, mut refused, mut wrong) = (0, 0, Vec::new());
    for outcome in outcomes {
        match outcome {
            Outcome::Taken => taken += 1,
            Outcome::Refused => refused += 1,
            Outcome::Wrong(message) => wrong.push(message),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        taken > DOCUMENTS / 2 && refused > 0,
        "{taken} taken, {refused} refused"
    );
}
