//! The output of the fake's webhook types.

use axum::Router;
use fullscript::testing::{Envelope, FakeFullscript, Fault, Webhook, WebhookFault};
use fullscript::webhook::{Event, Receiver, axum::receive};
use serde_json::json;

use super::{Secrets, Shown};

/// A delivery about a patient, one that fails, and a rejected endpoint.
pub(super) async fn show_deliveries(shown: &mut Shown, secrets: &Secrets) {
    let receiver = Receiver::new(&*secrets.client_secret, &*secrets.key).unwrap();
    let handler = async |_: Event| Ok::<_, ()>(());
    let route = format!("/{}", secrets.code);
    let app = Router::<()>::new().route(&route, receive(receiver, handler));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}{route}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let fake = FakeFullscript::start().await.unwrap();
    let webhook = Webhook::new(url, &*secrets.client_secret, &*secrets.key);
    shown.debug(&webhook);
    shown.debug(&Envelope::default());
    let stranger = Webhook::new("nonsense", &*secrets.client_secret, &*secrets.key);
    shown.error(&fake.subscribe(stranger).await.unwrap_err());
    fake.subscribe(webhook).await.unwrap();
    let fault = WebhookFault::wrong_signature();
    shown.debug(&fault);
    fake.webhook_fault_times("patient.created", 1, fault);
    for _ in 0..2 {
        let patient = json!({"patient": {"id": "patient-1", "email": secrets.patient}});
        shown.debug(&fake.send_event("patient.created", patient));
    }
    fake.deliveries_done().await;
    let [refused, delivered] = fake.deliveries().try_into().unwrap();
    assert!(delivered.reply.contains(&secrets.key));
    for attempt in [&refused, &delivered] {
        shown.debug(attempt);
    }
    shown.error(&refused.failure.unwrap());
    shown.debug(&Fault::invalid_grant());
    shown.debug(&fake);
    server.abort();
}
