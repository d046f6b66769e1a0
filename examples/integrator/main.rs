//! A small integration and its tests: it imports patients, proposes plans and counts orders.
//!
//! `cargo run --example integrator` runs it against the embedded fake, and
//! `cargo test --example integrator` runs its tests. Each test also runs against code with a bug
//! that is common in such integrations, and must fail there.
#![allow(clippy::print_stdout, reason = "an example prints its steps")]

mod orders;
mod patients;
mod plans;
#[cfg(test)]
mod planted;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::sync::Arc;

use fullscript::testing::{FakeFullscript, Webhook};
use fullscript::webhook::{MemoryEventLog, Receiver};
use serde_json::json;

use orders::Orders;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let fake = FakeFullscript::builder().patients(250).start().await?;
    let client = fake.client();

    let addresses = patients::addresses(&client).await?;
    println!("imported {} patients", addresses.len());

    let patient = client.list_patients().page_size(1).await?;
    let patient = patient.patients.first().ok_or("no patient")?.id.clone();
    let plan = plans::propose(&client, patient).await?;
    println!("proposed plan {plan} as a draft, for a practitioner to review");

    let orders = Arc::new(Orders::new(MemoryEventLog::new()));
    let receiver = Receiver::new("the signature key", "the challenge token")?;
    let url = orders::serve(receiver, Arc::clone(&orders)).await?;
    let webhook = Webhook::new(url, "the signature key", "the challenge token");
    fake.subscribe(webhook).await?;
    fake.web_app().add_order(&json!({}));
    fake.deliveries_done().await;
    println!("counted {} order", orders.count());
    Ok(())
}
