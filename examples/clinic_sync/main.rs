//! A service of an EHR: practitioners of several clinics connect, and the service copies their
//! patients and lab results every night, proposes treatment plans, receives webhooks, and reports
//! its health.
//!
//! ```text
//! cargo run --example clinic_sync      against the embedded fake, with 50 practitioners
//! cargo test --example clinic_sync     its tests
//! ```
#![allow(clippy::print_stdout, reason = "an example prints its steps")]

mod service;
mod sync;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use fullscript::auth::UserKey;
use fullscript::testing::{FakeFullscript, Webhook};
use fullscript::webhook::Receiver;
use tokio::net::TcpListener;
use tokio::time::interval;

use service::{Result, Service};

const PRACTITIONERS: usize = 50;

#[tokio::main]
async fn main() -> Result<()> {
    let fake = FakeFullscript::builder().clinics(5).patients(250);
    let fake = fake.start().await?;
    let (service, url) = serve(&fake).await?;
    let users = connect(&fake, &service, PRACTITIONERS).await?;
    println!("{PRACTITIONERS} practitioners are connected; health: {url}/health");
    let client = service.app.client(&users[0]);
    let patient = client.list_patients().await?.patients[0].id.clone();
    let product = client.list_products().await?.products[0].clone();
    let variant = product.primary_variant.ok_or("no variant")?.id;
    let id = service.propose(&users[0], &patient, &variant, "own-1");
    println!("proposed the plan {} as a draft", id.await?);
    let mut nights = interval(Duration::from_secs(24 * 3600));
    loop {
        nights.tick().await;
        let report = service.synchronize().await;
        println!("copied {}, failed {}", report.done, report.failed);
        println!("{}", service.health().await.1);
    }
}

/// Starts the web server, and enters the address of its webhook in the vendor's dashboard.
async fn serve(fake: &FakeFullscript) -> Result<(Arc<Service>, String)> {
    // In production: a durable store, such as `SqliteStore`, and its event log.
    let service = Service::new(fake.app_builder().build()?, fake.clock());
    let (key, challenge) = ("the signature key", "the challenge token");
    let routes = service.routes(Receiver::new(key, challenge)?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, routes).into_future());
    let webhook = format!("{url}/fullscript/webhooks");
    fake.subscribe(Webhook::new(webhook, key, challenge))
        .await?;
    Ok((service, url))
}

/// Lets practitioners of all clinics connect in turn, as they do in their browsers.
async fn connect(fake: &FakeFullscript, service: &Service, count: usize) -> Result<Vec<UserKey>> {
    let mut users = Vec::new();
    for number in 0..count {
        let request = service.app.authorize();
        let clinic = fake.clinic(number % fake.clinics());
        let user = format!("user-{number}");
        let callback = clinic.approve(request.url(), &user);
        users.push(service.connect(&callback, request.state()).await?);
    }
    Ok(users)
}
