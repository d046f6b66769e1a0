//! A webhook on loopback, as an app has it on its own domain.

use std::convert::Infallible;

use axum::Router;
use fullscript::testing::{FakeFullscript, Webhook};
use fullscript::webhook::axum::receive;
use fullscript::webhook::{Event, EventData, Receiver};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::Failure;

/// From the vendor's dashboard, in a real app.
const SIGNATURE_KEY: &str = "the signature secret key";
const CHALLENGE: &str = "the challenge token";

/// The events that were delivered and verified.
pub(crate) struct Deliveries(mpsc::UnboundedReceiver<Event>);

impl Deliveries {
    /// Serves the endpoint, and has the fake deliver to it.
    pub(crate) async fn to(fake: &FakeFullscript) -> Result<Self, Failure> {
        let (sender, deliveries) = mpsc::unbounded_channel();
        // Signature, age and challenge are looked after before this is called.
        let queue = move |event: Event| {
            let _queued = sender.send(event);
            async { Ok::<_, Infallible>(()) }
        };
        let receiver = Receiver::new(SIGNATURE_KEY, CHALLENGE)?;
        let site = Router::new().route("/webhooks", receive(receiver, queue));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/webhooks", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, site).await });
        let webhook = Webhook::new(url, SIGNATURE_KEY, CHALLENGE);
        fake.subscribe(webhook).await?;
        Ok(Self(deliveries))
    }

    /// The next event, in a line.
    pub(crate) async fn next(&mut self) -> Option<String> {
        let event = self.0.recv().await?;
        let told = match &event.data {
            EventData::TreatmentPlanCreated(plan) if plan.active == Some(true) => {
                "a practitioner has activated the plan, the patient has it"
            }
            _ => "something else happened",
        };
        let type_ = event.type_.as_ref().map_or("?", |type_| type_.as_str());
        Some(format!("{type_}, signed and verified: {told}"))
    }
}
