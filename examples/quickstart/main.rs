//! The first ten minutes: connect, call, refresh, page, draft, hear of it, and
//! be refused. Without settings it runs against the embedded fake; with
//! `FULLSCRIPT_CLIENT_ID` and the rest against the sandbox.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

mod server;
mod webhook;

use std::error::Error;

use fullscript::types::{CreateTreatmentPlanRequest, RecommendationInput, TreatmentPlan};
use fullscript::{Client, operations};
use indicatif::{ProgressBar, ProgressStyle};

use server::Server;

/// What the steps fail with: the text of an [`fullscript::Error`] says what to
/// do next.
type Failure = Box<dyn Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut server = Server::choose().await?;
    println!("\n  Fullscript quickstart, against {}\n", server.name());

    // A practitioner says yes in a browser; the tokens are kept for them.
    let user = server.connect().await?;
    let client = server.app().client(user.id());
    tell(
        "Connected",
        format!(
            "practitioner {}, from now on by a token of their own",
            user.id()
        ),
    );

    let clinic = client.get_clinic().send().await?;
    let request_id = clinic.request_id().unwrap_or("without an id").to_string();
    let clinic = clinic.into_inner().clinic;
    tell(
        "Called",
        format!(
            "the clinic is \"{}\" (request {request_id})",
            clinic.name.as_deref().unwrap_or("without a name"),
        ),
    );

    match server.let_two_hours_pass().await {
        Some(before) => {
            client.get_clinic().send().await?;
            let refreshes = server.token_requests() - before;
            tell(
                "Refreshed",
                format!(
                    "two hours later the token was dead; the client got {refreshes} new one and went on"
                ),
            );
        }
        None => tell(
            "Refreshed",
            "not to be seen here: a real token lives for two hours",
        ),
    }

    let (patients, pages) = every_patient(&client).await?;
    tell(
        "Listed",
        format!("{patients} patients, in {pages} requests"),
    );

    match draft(&client).await {
        Ok(plan) => {
            tell(
                "Drafted",
                format!(
                    "plan {} is a draft: the patient hears nothing of it",
                    plan.id
                ),
            );
            match server.hear_of(&plan).await? {
                Some(event) => tell("Heard", event),
                None => tell(
                    "Heard",
                    "nothing yet: the vendor tells what people do in its web app, not what you did",
                ),
            }
        }
        // The sandbox may not let every app write plans: the text says why.
        Err(error) => tell("No plan", error),
    }

    match client.list_orders().send().await {
        Ok(orders) => tell("Allowed", format!("{} orders to see", orders.orders.len())),
        Err(error) => tell("Refused", error),
    }

    let restricted = operations::all()
        .iter()
        .filter(|operation| operation.requires_commercial_approval);
    println!(
        "\n  {} operations, of which {} require commercial approval. Each is a method of `Client`.\n",
        operations::all().len(),
        restricted.count(),
    );
    Ok(())
}

/// One step, in one line.
fn tell(step: &str, what: impl std::fmt::Display) {
    println!("  {step:>9}  {what}");
}

/// Reads the whole list, a hundred patients a page, four pages ahead.
async fn every_patient(client: &Client) -> Result<(usize, u64), Failure> {
    let bar = ProgressBar::no_length();
    bar.set_style(ProgressStyle::with_template(
        "             [{bar:32}] {pos} of {len} patients",
    )?);
    let mut pages = client.list_patients().pages().prefetch(4);
    let (mut count, mut requests) = (0, 0);
    while let Some(page) = pages.next().await {
        let page = page?;
        requests += 1;
        count += page.items().len();
        if let Some(total) = page.meta().and_then(|meta| meta.total_count) {
            bar.set_length(u64::try_from(total)?);
        }
        bar.set_position(u64::try_from(count)?);
    }
    bar.finish_and_clear();
    Ok((count, requests))
}

/// A plan for the first patient, with the first product that there is.
async fn draft(client: &Client) -> Result<TreatmentPlan, Failure> {
    let patients = client.list_patients().page_size(1).send().await?;
    let patient = patients
        .patients
        .first()
        .ok_or("the clinic has no patient")?;
    let products = client.list_products().page_size(1).send().await?;
    let product = products.products.first().ok_or("the catalog is empty")?;
    let product = client.get_product().id(product.id.clone()).send().await?;
    let variant = product.product.variants.iter().flatten().next();
    let variant = variant.ok_or("the product has no variant")?;
    let recommendation: RecommendationInput = RecommendationInput::new(variant.id.clone(), 1);
    // Never leave the state out: the vendor would make it active, and active
    // plans are sent to the patient.
    let plan = CreateTreatmentPlanRequest::draft(vec![recommendation]);
    let created = client
        .create_treatment_plan()
        .patient_id(patient.id.clone())
        .body(plan)
        .send()
        .await?;
    Ok(created.into_inner().treatment_plan)
}
