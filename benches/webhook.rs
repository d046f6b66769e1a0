//! The cost of a delivery of 10 KB, compared with parsing it into a [`Value`].
#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::hint::black_box;
use std::time::{Duration, Instant, SystemTime};

use fullscript::webhook::{Event, Receiver, SIGNATURE_HEADER, sign};
use serde_json::{Value, json};

const BYTES: usize = 10_000;

/// The number of calls that are timed together, because a clock is too coarse for one.
const TOGETHER: u32 = 20;

fn main() {
    // Without `--bench`, which `cargo bench` passes, this only checks that it runs.
    let samples = if std::env::args().any(|argument| argument == "--bench") {
        2_000
    } else {
        1
    };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let body = body(BYTES);
    let header = sign("secret", now, &body);
    let headers = || [(SIGNATURE_HEADER, &header)];
    let receiver = Receiver::new("secret", "token").expect("the secrets are not empty");
    println!("a delivery of {} bytes, microseconds:", body.len());
    measure("verify", samples, || {
        receiver.verify(headers(), &body, now).is_ok()
    });
    measure("read", samples, || Event::from_body(&body));
    measure("parse as Value", samples, || {
        serde_json::from_slice::<Value>(&body)
    });
    measure("receive (both)", samples, || {
        receiver.receive(headers(), &body, now).is_ok()
    });
}

fn measure<T>(name: &str, samples: usize, mut call: impl FnMut() -> T) {
    let mut times: Vec<Duration> = (0..samples)
        .map(|_| {
            let begun = Instant::now();
            for _ in 0..TOGETHER {
                black_box(call());
            }
            begun.elapsed() / TOGETHER
        })
        .collect();
    times.sort_unstable();
    let at = |percent: usize| times[(samples - 1) * percent / 100].as_secs_f64() * 1e6;
    println!("{name:<16}{:>8.1} (median) {:>8.1} (99 %)", at(50), at(99));
}

/// A plan with about 20 recommendations.
fn body(bytes: usize) -> Vec<u8> {
    let recommendation = json!({
        "variant_id": "xx2688x2-4303-4278-xx73-x7083x6146x1",
        "refill": false,
        "units_to_purchase": 10,
        "take_with": "food",
        "dosage": {
            "amount": "1-2",
            "frequency": "once per day",
            "duration": "30",
            "format": "capsule",
            "additional_info": "Take with a large glass of water, not together with coffee or tea.",
            "time_of_day": ["morning", "evening"],
        },
    });
    let body = |count: usize| {
        let recommendations: Value = vec![recommendation.clone(); count].into();
        json!({"event": {
            "id": "x5xxxxx8-92x7-4xxx-9x0x-345x404x94x1",
            "type": "treatment_plan.created",
            "created_at": "2018-10-16T04:00:00.000Z",
            "clinic_id": "xx7x357x-9x36-xxxx-x553-7x3xx398xxx",
            "data": {"treatment_plan": {"id": "t", "recommendations": recommendations}},
        }})
        .to_string()
        .into_bytes()
    };
    let full = (1..).map(body).find(|body| body.len() >= bytes);
    full.unwrap_or_default()
}
