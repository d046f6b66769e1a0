//! A webhook endpoint on the loopback address; a real app has one on its own domain.

use std::convert::Infallible;

use axum::Router;
use fullscript::testing::{FakeFullscript, Webhook};
use fullscript::webhook::axum::receive;
use fullscript::webhook::{Event, EventData, Receiver};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::Failure;

/// The two secrets of the webhook. A real app copies them from the vendor's dashboard.
const SIGNATURE_KEY: &str = "the signature secret key";
const CHALLENGE: &str = "the challenge token";

/// The verified events.
pub(crate) struct Deliveries(mpsc::UnboundedReceiver<Event>);

impl Deliveries {
    /// Serves the endpoint, and subscribes it to the fake's events.
    pub(crate) async fn to(fake: &FakeFullscript) -> Result<Self, Failure> {
        let (sender, deliveries) = mpsc::unbounded_channel();
        // The route has verified the signature and its age, and answers the challenge.
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

    /// Waits for the next event, and describes it in one line.
    pub(crate) async fn next(&mut self) -> Option<String> {
        let event = self.0.recv().await?;
        let description = match &event.data {
            EventData::TreatmentPlanCreated(plan) if plan.active == Some(true) => {
                "the practitioner activated the plan, the patient is notified"
            }
            _ => "another event",
        };
        let type_ = event.type_.as_ref().map_or("?", |type_| type_.as_str());
        Some(format!("{type_}, signature verified: {description}"))
    }
}
