//! The webhook that counts orders.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use fullscript::webhook::axum::receive;
use fullscript::webhook::{Claim, Event, EventData, EventKey, EventLog, Receiver};
use fullscript::{Clock, SystemClock};
use tokio::net::TcpListener;

/// The deadline of a claim: longer than counting an order takes.
const TIME_TO_HANDLE: Duration = Duration::from_secs(60);

/// Counts the orders of webhook events.
pub(crate) struct Orders {
    event_log: Box<dyn EventLog>,
    count: AtomicUsize,
}

impl Orders {
    /// Creates a counter that deduplicates events with this log.
    pub(crate) fn new(event_log: impl EventLog + 'static) -> Self {
        Self {
            event_log: Box::new(event_log),
            count: AtomicUsize::new(0),
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Counts an order once, even if its event is delivered several times.
    async fn handle(&self, event: Event) -> Result<(), Box<dyn Error + Send + Sync>> {
        let now = SystemClock.now();
        let key = EventKey::from(&event);
        let claim = self.event_log.claim(&key, now, now + TIME_TO_HANDLE);
        match claim.await? {
            Claim::Granted(grant) => {
                if matches!(event.data, EventData::OrderPlaced(_)) {
                    self.count.fetch_add(1, Ordering::Relaxed);
                }
                Ok(self
                    .event_log
                    .acknowledge(&grant, SystemClock.now())
                    .await?)
            }
            Claim::Processed => Ok(()),
            // The error response makes the vendor deliver the event again, in case the holder dies.
            Claim::HeldUntil(_) => Err("another handler holds the event".into()),
        }
    }
}

/// Serves the endpoint on a free loopback port, and returns its address.
pub(crate) async fn serve(receiver: Receiver, orders: Arc<Orders>) -> io::Result<String> {
    let handle = move |event| {
        let orders = Arc::clone(&orders);
        async move { orders.handle(event).await }
    };
    let site = Router::new().route("/webhooks", receive(receiver, handle));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/webhooks", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, site).await });
    Ok(url)
}
