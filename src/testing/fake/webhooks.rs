//! Webhooks of a fake: subscribing, sending events, faults of deliveries.

use serde_json::Value;

use super::FakeFullscript;
use crate::testing::lock::lock;
use crate::testing::webhooks::{DeliveryAttempt, DeliveryFailure, Faults, Webhook, WebhookFault};
use crate::transport::install_tls_provider;
use crate::webhook::Event;

impl FakeFullscript {
    /// Delivers events to this webhook from now on, in place of the one before.
    ///
    /// As the vendor does when the address is saved in its dashboard, the fake
    /// calls it first, with an empty body, and takes it if it answers with the
    /// challenge.
    ///
    /// Each event comes as a signed POST, the next when the one before is done,
    /// and counts as delivered when it is answered with 200 or 201 and the
    /// challenge within two seconds. What fails is tried again after 1, 5, 30
    /// and 60 minutes and 5 hours of the fake's [`clock`](Self::clock), and then
    /// given up (source: the vendor's pages on webhooks). An endpoint that
    /// answers 410, or fails for more than a day, gets nothing until this is
    /// called again: the vendor says it may be so.
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
    /// // The first answer is lost: the event comes again, a minute later.
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
    /// When the address can't be reached, or does not answer as it has to.
    ///
    /// # Panics
    /// When TLS can't be set up on this machine.
    pub async fn subscribe(&self, webhook: Webhook) -> Result<(), DeliveryFailure> {
        install_tls_provider();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .expect("a client without settings is built where TLS can be set up");
        let (_, answered) = webhook.ping(&http).await;
        answered?;
        self.shared.webhooks.begin(webhook, &self.clock(), http);
        Ok(())
    }

    /// Sends an event of this type, with this for its `data`, which the Events
    /// API lists too.
    ///
    /// Nothing else changes: a patient that it tells of is not in the clinic.
    /// [`web_app`](Self::web_app) changes the clinic and tells of it.
    ///
    /// Returns the event, as the webhook gets it.
    pub fn send_event(&self, event_type: &str, data: Value) -> Event {
        Event::from_json(lock(&self.shared.state).emit(event_type, data))
    }

    /// Ends when all deliveries that are due on the fake's clock are done, well
    /// or not.
    ///
    /// Not to be awaited by the handler of a delivery, which it would wait for.
    pub async fn deliveries_done(&self) {
        self.shared.webhooks.done(&self.shared.clock).await;
    }

    /// All tries to deliver an event so far, the oldest first.
    #[must_use]
    pub fn deliveries(&self) -> Vec<DeliveryAttempt> {
        self.shared.webhooks.lock().attempts.clone()
    }

    /// Whether events are delivered to a webhook: one was given, and is not
    /// disabled for having failed.
    #[must_use]
    pub fn is_subscribed(&self) -> bool {
        let state = self.shared.webhooks.lock();
        state.webhook.is_some() && !state.is_disabled
    }

    /// Lets this go wrong with the deliveries of each event of a type from now
    /// on, until [`end_webhook_faults`](Self::end_webhook_faults) or another
    /// fault.
    pub fn webhook_fault(&self, event_type: impl Into<String>, fault: WebhookFault) {
        let mut state = self.shared.webhooks.lock();
        state.faults.lasting.insert(event_type.into(), fault);
    }

    /// Lets this go wrong with the deliveries of the next `times` events of a
    /// type, after those that are to go wrong already.
    ///
    /// See [`FakeFullscript::subscribe`] for an example.
    pub fn webhook_fault_times(
        &self,
        event_type: impl Into<String>,
        times: usize,
        fault: WebhookFault,
    ) {
        let mut state = self.shared.webhooks.lock();
        let queue = state.faults.next.entry(event_type.into()).or_default();
        queue.extend(std::iter::repeat_n(fault, times));
    }

    /// Nothing goes wrong with any event any more that happens from now on.
    pub fn end_webhook_faults(&self) {
        self.shared.webhooks.lock().faults = Faults::default();
    }
}
