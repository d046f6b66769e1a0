//! Decoding only: the part of the difference that grows with the response.

use std::hint::black_box;
use std::time::Instant;

use fullscript::types::PatientListResponse;
use serde::de::DeserializeOwned;

use crate::by_hand::PatientList;
use crate::records::{Kind, page};
use crate::samples::Effort;

const RECORDS: usize = 100;

/// Compares the handwritten types with the client's, and prints a table.
pub(crate) async fn compare(effort: Effort) {
    println!("| Decoding a record | By hand | Client | More |");
    println!("|---|---|---|---|");
    for (name, kind) in [("five fields", Kind::Listed), ("all fields", Kind::Whole)] {
        let body = page(kind, RECORDS, 1, 1);
        let round = async |order: [usize; 2]| {
            let mut taken = [0; 2];
            for types in order {
                taken[types] = match types {
                    0 => decode::<PatientList>(&body),
                    _ => decode::<PatientListResponse>(&body),
                };
            }
            taken
        };
        let [by_hand, client] = effort.spend(round).await;
        let one = |nanos: f64| nanos / RECORDS as f64;
        println!(
            "| {name} | {:.0} ns | {:.0} ns | {:.0} ns |",
            one(by_hand.median()),
            one(client.median()),
            one(client.more_than(&by_hand))
        );
    }
    println!();
}

/// Returns the time to decode and drop a value, in nanoseconds.
fn decode<T: DeserializeOwned>(body: &str) -> u64 {
    let begun = Instant::now();
    drop(black_box(
        serde_json::from_slice::<T>(black_box(body.as_bytes())).unwrap(),
    ));
    begun.elapsed().as_nanos() as u64
}
