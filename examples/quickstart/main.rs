//! The quickstart: connects a user, makes a call, refreshes a token, reads a list, creates a
//! draft plan, receives a webhook, and shows an error.
//!
//! Without settings it runs against the embedded fake. With `FULLSCRIPT_CLIENT_ID` and
//! `FULLSCRIPT_CLIENT_SECRET` it runs against the US sandbox.
#![allow(clippy::print_stdout, reason = "an example prints its steps")]

mod server;
mod webhook;

use std::error::Error;

use fullscript::types::{CreateTreatmentPlanRequest, RecommendationInput, TreatmentPlan};
use fullscript::{Client, operations};

use server::Server;

/// The error of each step. The text of an [`fullscript::Error`] says what to do next.
type Failure = Box<dyn Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut server = Server::choose().await?;
    println!("\n  Fullscript quickstart, against {}\n", server.name());

    // A practitioner authorizes the app in a browser, and the app saves the tokens.
    let user = server.connect().await?;
    let client = server.app().client(user.key());
    print_step(
        "Connected",
        format!("practitioner {}, with a token of their own", user.id()),
    );

    let clinic = client.get_clinic().await?;
    let request_id = clinic.request_id().unwrap_or("without an id").to_string();
    let clinic = clinic.into_inner().clinic;
    print_step(
        "Called",
        format!(
            "the clinic is \"{}\" (request {request_id})",
            clinic.name.as_deref().unwrap_or("without a name"),
        ),
    );

    match server.advance_two_hours().await {
        Some(before) => {
            client.get_clinic().await?;
            let refreshes = server.token_requests() - before;
            print_step(
                "Refreshed",
                format!(
                    "the access token expired after two hours; the client made {refreshes} refresh"
                ),
            );
        }
        None => print_step(
            "Refreshed",
            "not shown here: a real access token lives for two hours",
        ),
    }

    let (patients, pages) = count_patients(&client).await?;
    print_step(
        "Listed",
        format!("{patients} patients, in {pages} requests"),
    );

    match draft(&client).await {
        Ok(plan) => {
            print_step(
                "Drafted",
                format!("plan {} is a draft: the patient is not notified", plan.id),
            );
            match server.activate_in_web_app(&plan).await? {
                Some(event) => print_step("Webhook", event),
                None => print_step(
                    "Webhook",
                    "none: webhooks report changes that people make in Fullscript, not your own calls",
                ),
            }
        }
        // The sandbox does not let every app create plans; the error says why.
        Err(error) => print_step("No plan", error),
    }

    match client.list_orders().await {
        Ok(orders) => print_step(
            "Orders",
            format!("{} on the first page", orders.orders.len()),
        ),
        Err(error) => print_step("Refused", error),
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

fn print_step(step: &str, result: impl std::fmt::Display) {
    println!("  {step:>9}  {result}");
}

/// Reads all patients, 100 per page, with four concurrent requests. Returns the number of patients
/// and of requests.
async fn count_patients(client: &Client) -> Result<(usize, u64), Failure> {
    let mut pages = client.list_patients().pages().prefetch(4);
    let (mut count, mut requests) = (0, 0);
    while let Some(page) = pages.next().await {
        requests += 1;
        count += page?.items().len();
    }
    Ok((count, requests))
}

/// Creates a draft plan for the first patient, with the first product of the catalog.
async fn draft(client: &Client) -> Result<TreatmentPlan, Failure> {
    let patients = client.list_patients().page_size(1).await?;
    let patient = patients
        .patients
        .first()
        .ok_or("the clinic has no patient")?;
    let products = client.list_products().page_size(1).await?;
    let product = products.products.first().ok_or("the catalog is empty")?;
    let product = client.get_product().id(&product.id).await?;
    let variant = product.product.variants.iter().flatten().next();
    let variant = variant.ok_or("the product has no variant")?;
    // The vendor activates a plan without a state and notifies the patient, so the state is
    // always set: this plan is a draft.
    let plan = CreateTreatmentPlanRequest::draft([RecommendationInput::new(&variant.id, 1)]);
    let created = client
        .create_treatment_plan()
        .patient_id(&patient.id)
        .body(plan)
        .await?;
    Ok(created.into_inner().treatment_plan)
}
