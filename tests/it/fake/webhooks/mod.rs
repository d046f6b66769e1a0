//! Deliveries of the fake to an app's own receiver.

mod endpoints;
mod faults;
mod log;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use fullscript::testing::{DeliveryAttempt, DeliveryFailure, FakeFullscript, Webhook};
use fullscript::types::CreatePatientRequest;
use fullscript::webhook::{Event, Receiver, axum::receive};
use serde_json::json;
use tokio::net::TcpListener;

const SECRET: &str = "fs-test-signing-secret";
const CHALLENGE: &str = "fs-test-challenge";
const MINUTE: Duration = Duration::from_secs(60);

/// An app with a webhook on its own port.
#[derive(Clone, Default)]
struct App {
    /// The ids of all received events.
    came: Arc<Mutex<Vec<String>>>,
    /// The number of deliveries at which its handler still fails.
    failures: Arc<Mutex<usize>>,
}

impl App {
    async fn handle(self, event: Event) -> Result<(), ()> {
        self.came
            .lock()
            .unwrap()
            .push(event.id.unwrap().to_string());
        let mut failures = self.failures.lock().unwrap();
        match failures.checked_sub(1) {
            None => Ok(()),
            Some(left) => {
                *failures = left;
                Err(())
            }
        }
    }

    /// Serves the webhook with the axum adapter.
    async fn serve(&self) -> String {
        let receiver = Receiver::new(SECRET, CHALLENGE).unwrap();
        let app = self.clone();
        let handler = move |event| app.clone().handle(event);
        serve(Router::new().route("/webhooks", receive(receiver, handler))).await
    }

    fn came(&self) -> Vec<String> {
        std::mem::take(&mut self.came.lock().unwrap())
    }
}

async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/webhooks", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

/// A fake that delivers to this app.
async fn subscribed(app: &App) -> FakeFullscript {
    let fake = FakeFullscript::start().await.unwrap();
    fake.subscribe(Webhook::new(app.serve().await, SECRET, CHALLENGE))
        .await
        .unwrap();
    fake
}

/// Creates a patient and returns the id of the event.
fn happens(fake: &FakeFullscript) -> String {
    let patient = json!({"patient": {"id": "patient-1", "first_name": "Zoë"}});
    let event = fake.send_event("patient.created", patient);
    event.id.unwrap().to_string()
}

fn outcomes(fake: &FakeFullscript) -> Vec<(u32, Option<DeliveryFailure>)> {
    let outcome = |attempt: &DeliveryAttempt| (attempt.attempt_number, attempt.failure);
    fake.deliveries().iter().map(outcome).collect()
}

#[tokio::test]
async fn an_event_reaches_the_apps_handler_signed_and_once() {
    let app = App::default();
    let fake = subscribed(&app).await;
    assert!(fake.is_subscribed());
    let event = happens(&fake);
    fake.deliveries_done().await;
    assert_eq!(app.came(), [event]);
    let deliveries = fake.deliveries();
    assert_eq!(deliveries.len(), 1);
    let delivery = &deliveries[0];
    assert!(delivery.is_delivered(), "{delivery:?}");
    assert_eq!((delivery.attempt_number, delivery.status), (1, Some(200)));
    assert!(delivery.next_attempt_at.is_none() && delivery.previous_attempt_at.is_none());
    fake.advance(24 * 60 * MINUTE).await;
    assert!(app.came().is_empty());
}

#[tokio::test]
async fn what_people_do_in_the_web_app_is_delivered_and_what_the_app_does_itself_is_not() {
    let app = App::default();
    let fake = subscribed(&app).await;
    let patient = CreatePatientRequest::new("fern@example.com", "Fern", "Example");
    let client = fake.client();
    client.create_patient().body(patient).send().await.unwrap();
    let patient = fake.web_app().add_patient(&json!({"first_name": "Basil"}));
    fake.deliveries_done().await;
    let deliveries = fake.deliveries();
    assert_eq!(deliveries.len(), 1);
    let event = &deliveries[0].event;
    assert_eq!(event.json()["data"]["patient"]["id"], patient["id"]);
    assert_eq!(app.came(), [event.id.as_ref().unwrap().to_string()]);
}

#[tokio::test]
async fn a_handler_that_fails_twice_gets_the_event_when_the_retries_are_due() {
    let app = App::default();
    let fake = subscribed(&app).await;
    *app.failures.lock().unwrap() = 2;
    let event = happens(&fake);
    fake.deliveries_done().await;
    assert_eq!(app.came(), [&*event]);
    fake.advance(MINUTE - Duration::from_secs(10)).await;
    assert!(app.came().is_empty(), "the retry is not due");
    fake.advance(Duration::from_secs(10)).await;
    assert_eq!(app.came(), [&*event]);
    fake.advance(5 * MINUTE).await;
    assert_eq!(app.came(), [&*event]);
    let failed = Some(DeliveryFailure::Status(503));
    assert_eq!(outcomes(&fake), [(1, failed), (2, failed), (3, None)]);
    let deliveries = fake.deliveries();
    for pair in deliveries.windows(2) {
        assert!(pair[0].next_attempt_at.unwrap() <= pair[1].attempted_at);
        assert_eq!(pair[1].previous_attempt_at, Some(pair[0].attempted_at));
    }
    fake.advance(24 * 60 * MINUTE).await;
    assert!(app.came().is_empty());
}

#[tokio::test]
async fn six_tries_are_made_in_the_vendors_gaps_though_all_the_time_passes_at_once() {
    let app = App::default();
    let fake = subscribed(&app).await;
    *app.failures.lock().unwrap() = usize::MAX;
    happens(&fake);
    fake.advance((1 + 5 + 30 + 60 + 300) * MINUTE).await;
    assert_eq!(app.came().len(), 6);

    let fake = subscribed(&app).await;
    fake.clock().stop();
    happens(&fake);
    fake.advance(24 * 60 * MINUTE).await;
    assert_eq!(app.came().len(), 6);
    let times: Vec<_> = fake
        .deliveries()
        .iter()
        .map(|try_| try_.attempted_at)
        .collect();
    let gaps = times
        .windows(2)
        .map(|pair| pair[1].duration_since(pair[0]).unwrap());
    assert_eq!(
        gaps.collect::<Vec<_>>(),
        [1, 5, 30, 60, 300].map(|gap| gap * MINUTE)
    );
    assert!(fake.deliveries()[5].next_attempt_at.is_none());
}

#[tokio::test]
async fn an_event_whose_handler_is_too_slow_is_delivered_again() {
    let app = App::default();
    let came = Arc::clone(&app.came);
    let receiver = Receiver::new(SECRET, CHALLENGE).unwrap();
    let handler = move |event: Event| {
        let came = Arc::clone(&came);
        async move {
            came.lock().unwrap().push(event.id.unwrap().to_string());
            let is_first = came.lock().unwrap().len() == 1;
            if is_first {
                std::future::pending::<()>().await;
            }
            Ok::<_, ()>(())
        }
    };
    let url = serve(Router::new().route("/webhooks", receive(receiver, handler))).await;
    let fake = FakeFullscript::start().await.unwrap();
    let webhook = Webhook::new(url, SECRET, CHALLENGE).timeout(Duration::from_millis(200));
    fake.subscribe(webhook).await.unwrap();
    let event = happens(&fake);
    fake.advance(MINUTE).await;
    assert_eq!(app.came(), [&*event, &*event]);
    assert_eq!(
        outcomes(&fake),
        [(1, Some(DeliveryFailure::TimedOut)), (2, None)]
    );
}
