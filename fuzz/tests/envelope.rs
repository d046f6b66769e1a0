//! JSON of any shape becomes an event and is preserved.

use fullscript::webhook::{Event, EventKey};
use fuzz::{BODIES, edited};
use serde_json::{Map, Value};

/// Names with a meaning in an event, inserted anywhere.
const NAMES: &[&str] = &[
    "event",
    "event_payload",
    "id",
    "type",
    "created_at",
    "clinic_id",
    "integration_id",
    "data",
    "patient",
    "product",
    "treatment_plan",
    "lab_order",
    "order",
    "status",
    "line_items",
    "recommendations",
    "dosage",
    "variants",
    "tests",
    "active",
    "practitioner",
    "x",
];

const TEXTS: &[&str] = &[
    "patient.created",
    "treatment_plan.updated",
    "order.placed",
    "lab_order.updated",
    "product.updated",
    "clinic_key.revoked",
    "order.paid",
    "",
    "true",
    "1-2",
    "results_received",
    "2018-10-16T04:00:00.000Z",
    "{\"patient\":{\"id\":1}}",
    "é",
];

/// Builds JSON from bytes, up to the given depth.
fn json(input: &mut impl Iterator<Item = u8>, depth: u8) -> Value {
    let Some(kind) = input.next() else {
        return Value::Null;
    };
    let size = kind >> 5;
    match kind % 8 {
        0 => Value::Null,
        1 => (size % 2 == 0).into(),
        2 => i64::from(size).into(),
        3 => (f64::from(size) * 1e300).into(),
        _ if depth == 0 => Value::Null,
        4 => (0..size).map(|_| json(input, depth - 1)).collect(),
        5 => pick(input, TEXTS).into(),
        _ => {
            let mut object = Map::new();
            for _ in 0..=size {
                object.insert(pick(input, NAMES).into(), json(input, depth - 1));
            }
            object.into()
        }
    }
}

fn pick(input: &mut impl Iterator<Item = u8>, from: &[&'static str]) -> &'static str {
    from[usize::from(input.next().unwrap_or(0)) % from.len()]
}

#[test]
fn any_json_is_an_event_and_is_preserved() {
    bolero::check!().for_each(|input: &[u8]| {
        let sample = input.last().map_or(0, |last| usize::from(*last)) % BODIES.len();
        let edited = serde_json::from_slice(&edited(BODIES[sample].as_bytes(), input));
        let built = json(&mut input.iter().copied(), 12);
        for json in edited.into_iter().chain([built]) {
            let event = Event::from_json(json);
            assert_eq!(Event::from_json(event.json()), event);
            let back: Event =
                serde_json::from_str(&serde_json::to_string(&event).unwrap()).unwrap();
            assert_eq!(back, event);
            assert_eq!(EventKey::from(&back), EventKey::from(&event));
        }
    });
}
