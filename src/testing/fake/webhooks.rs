//! Webhooks of a fake: subscription, events, and faults of deliveries.

use serde_json::Value;

use super::FakeFullscript;
use crate::testing::planned::Planned;
use crate::testing::webhooks::{DeliveryAttempt, DeliveryFailure, Webhook, WebhookFault};
use crate::transport::install_tls_provider;
use crate::webhook::Event;

impl FakeFullscript {
    /// Subscribes a webhook endpoint to the events of the fake; replaces the previous endpoint.
    ///
    /// First the fake calls the endpoint with an empty body and expects the challenge in the
    /// response. The vendor does the same when an address is saved in its dashboard.
    ///
    /// Each event is sent as a signed POST. Deliveries are sequential. A delivery succeeds if the
    /// endpoint responds with 200 or 201 and the challenge within 2 seconds. A failed delivery is
    /// retried after 1, 5, 30 and 60 minutes and 5 hours of the fake's [`clock`](Self::clock), then
    /// dropped (source: the vendor's pages on webhooks). An endpoint that responds with 410, or
    /// fails for more than 24 hours, is disabled until this method is called again; the vendor
    /// states that it may do so.
    ///
    /// ```
    /// # #[cfg(feature = "axum")]
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use std::time::Duration;
    ///
    /// use fullscript::testing::{FakeFullscript, Webhook, WebhookFault};
    /// use fullscript::webhook::{Event, Receiver, axum::receive};
    /// use serde_json::json;
    ///
    /// // The app under test, on a port of its own.
    /// let receiver = Receiver::new("the signature key", "the challenge token")?;
    /// async fn handle(_: Event) -> std::io::Result<()> { Ok(()) }
    /// let app = axum::Router::<()>::new().route("/webhooks", receive(receiver, handle));
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// let url = format!("http://{}/webhooks", listener.local_addr()?);
    /// tokio::spawn(async move { axum::serve(listener, app).await });
    ///
    /// let fake = FakeFullscript::start().await?;
    /// let webhook = Webhook::new(url, "the signature key", "the challenge token");
    /// fake.subscribe(webhook).await?;
    ///
    /// // The first response is lost, so the event is delivered again a minute later.
    /// fake.webhook_fault_times("patient.created", 1, WebhookFault::answer_lost());
    /// fake.send_event("patient.created", json!({"patient": {"id": "1"}}));
    /// fake.deliveries_done().await;
    /// assert!(!fake.deliveries()[0].is_delivered());
    /// fake.advance(Duration::from_secs(60)).await;
    /// assert!(fake.deliveries()[1].is_delivered());
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// Returns an error if the endpoint is unreachable or its response is not the expected one.
    ///
    /// # Panics
    /// Panics if TLS can't be set up on this machine.
    pub async fn subscribe(&self, webhook: Webhook) -> Result<(), DeliveryFailure> {
        install_tls_provider();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .expect("the HTTP client builds if TLS can be set up");
        let (_, answered) = webhook.ping(&http).await;
        answered?;
        self.shared.webhooks.begin(webhook, &self.clock(), http);
        Ok(())
    }

    /// Sends an event of the given type and data. The Events API lists it too.
    ///
    /// The clinic does not change: for example, a patient in `data` is not added to it. Use
    /// [`web_app`](Self::web_app) to change the clinic and emit the event.
    ///
    /// Returns the event as the webhook receives it.
    pub fn send_event(&self, event_type: &str, data: Value) -> Event {
        self.clinic(0).send_event(event_type, data)
    }

    /// Waits until all deliveries that are due on the fake's clock are made, successful or not.
    ///
    /// Do not await this in the handler of a delivery: it waits for that handler, which would
    /// deadlock.
    pub async fn deliveries_done(&self) {
        self.shared.webhooks.done(&self.shared.clock).await;
    }

    /// Returns all delivery attempts so far, oldest first.
    #[must_use]
    pub fn deliveries(&self) -> Vec<DeliveryAttempt> {
        self.shared.webhooks.lock().attempts.clone()
    }

    /// Returns whether events are delivered to a webhook: an endpoint is subscribed, and was not
    /// disabled after failures.
    #[must_use]
    pub fn is_subscribed(&self) -> bool {
        let state = self.shared.webhooks.lock();
        state.webhook.is_some() && !state.is_disabled
    }

    /// Applies a fault to the deliveries of each event of a type, until
    /// [`end_webhook_faults`](Self::end_webhook_faults) is called or another fault is set.
    pub fn webhook_fault(&self, event_type: impl Into<String>, fault: WebhookFault) {
        let mut state = self.shared.webhooks.lock();
        state.faults.always(event_type.into(), fault);
    }

    /// Applies a fault to the deliveries of the next `times` events of a type.
    ///
    /// Calls queue up: these faults start after the ones that were added before.
    ///
    /// See [`FakeFullscript::subscribe`] for an example.
    pub fn webhook_fault_times(
        &self,
        event_type: impl Into<String>,
        times: usize,
        fault: WebhookFault,
    ) {
        let mut state = self.shared.webhooks.lock();
        state.faults.times(event_type.into(), times, fault);
    }

    /// Removes the faults of events that happen from now on.
    pub fn end_webhook_faults(&self) {
        self.shared.webhooks.lock().faults = Planned::default();
    }
}
