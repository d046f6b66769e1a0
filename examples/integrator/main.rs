//! A small integration and its tests, as a user of this crate writes them:
//! patients are imported, plans are proposed, orders are counted.
//!
//! `cargo run --example integrator` shows it against the embedded fake, and
//! `cargo test --example integrator` runs its tests. Each test is also held to
//! code with a bug that such integrations really have, and must fail there.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

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

    let patient = client.list_patients().page_size(1).send().await?;
    let patient = patient.patients.first().ok_or("no patient")?.id.clone();
    let plan = plans::propose(&client, patient).await?;
    println!("proposed plan {plan}, for a practitioner to look at");

    let orders = Arc::new(Orders::keeping(MemoryEventLog::new()));
    let receiver = Receiver::new("the signature key", "the challenge token")?;
    let url = orders::serve(receiver, Arc::clone(&orders)).await?;
    let webhook = Webhook::new(url, "the signature key", "the challenge token");
    fake.subscribe(webhook).await?;
    fake.web_app().add_order(&json!({}));
    fake.deliveries_done().await;
    println!("counted {} order", orders.count());
    Ok(())
}
