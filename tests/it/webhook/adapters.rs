//! The adapters for axum and for `http`, each behind a real socket.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use ::axum::Router;
use ::axum::extract::{FromRef, State};
use ::axum::routing::post;
use fullscript::webhook::{
    Claim, Delivery, Event, EventKey, EventLog, EventLogError, EventLogFuture, Grant,
    MemoryEventLog, NotProcessed, Receiver, Reply, SIGNATURE_HEADER, axum, http, process_once,
    sign,
};
use fullscript::{Clock, SystemClock};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

const SECRET: &str = "fs-test-adapter-secret";
const CHALLENGE: &str = "fs-test-adapter-challenge";

/// White space and escapes that re-serialized JSON would not have.
const EVENT: &str = "{\"event\": {\"id\":\"1\",\n \"type\":\"patient.created\",\"data\":{\"first_name\":\"Zo\\u00eb \u{1f33f}\"}}}";

/// The ids of the events that a handler received.
#[derive(Clone, Default)]
struct Handled(Arc<Mutex<Vec<String>>>);

impl Handled {
    /// Handles all events except `fail`.
    async fn handle(self, event: Event) -> Result<(), String> {
        let id = event.id.unwrap().to_string();
        let failed = id == "fail";
        self.0.lock().unwrap().push(id);
        if failed {
            return Err("planted-in-error".into());
        }
        Ok(())
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

struct Answer {
    status: u16,
    content_type: String,
    body: String,
}

fn receiver() -> Receiver {
    Receiver::new(SECRET, CHALLENGE).unwrap()
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/webhooks", listener.local_addr().unwrap());
    (listener, url)
}

async fn serve(app: Router) -> String {
    let (listener, url) = listen().await;
    tokio::spawn(async move { ::axum::serve(listener, app).await });
    url
}

/// The ready-made axum route.
async fn axum_route(handled: Handled) -> String {
    let handler = move |event| handled.clone().handle(event);
    serve(Router::new().route("/webhooks", axum::receive(receiver(), handler))).await
}

/// The axum extractor, in an app with its own state.
async fn axum_extractor(handled: Handled) -> String {
    #[derive(Clone)]
    struct App(Arc<Receiver>, Handled);

    impl FromRef<App> for Arc<Receiver> {
        fn from_ref(app: &App) -> Self {
            Self::clone(&app.0)
        }
    }

    async fn webhook(State(app): State<App>, delivery: Delivery) -> Result<Reply, StatusCode> {
        let reply = delivery.reply().clone();
        if let Some(event) = delivery.into_event() {
            let handled = app.1.handle(event).await;
            handled.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        }
        Ok(reply)
    }

    let app = App(Arc::new(receiver()), handled);
    serve(
        Router::new()
            .route("/webhooks", post(webhook))
            .with_state(app),
    )
    .await
}

/// hyper, with `answer`.
async fn hyper_service(handled: Handled) -> String {
    let (listener, url) = listen().await;
    let receiver = Arc::new(receiver());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (receiver, handled) = (Arc::clone(&receiver), handled.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                let (receiver, handled) = (Arc::clone(&receiver), handled.clone());
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    let handler = |event| handled.handle(event);
                    let now = SystemClock.now();
                    let answer: Response<Full<Bytes>> =
                        http::answer(&receiver, &head.headers, &body, now, handler).await;
                    Ok::<_, Infallible>(answer)
                }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
        }
    });
    url
}

async fn post_to(url: &str, signature: Option<String>, body: impl Into<Bytes>) -> Answer {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut request = Request::post(url);
    if let Some(signature) = signature {
        request = request.header(SIGNATURE_HEADER, signature);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    let answer = client.request(request).await.unwrap();
    let content_type = answer.headers().get("content-type");
    Answer {
        status: answer.status().as_u16(),
        content_type: content_type
            .map_or("", |value| value.to_str().unwrap())
            .into(),
        body: {
            let body = answer.into_body().collect().await.unwrap();
            String::from_utf8(body.to_bytes().into()).unwrap()
        },
    }
}

/// Posts a body with a current signature.
async fn deliver(url: &str, body: &str) -> Answer {
    let signature = sign(SECRET, SystemClock.now(), body.as_bytes());
    post_to(url, Some(signature), body.to_owned()).await
}

/// Checks the behavior of an adapter.
async fn check(url: &str, handled: &Handled) {
    let accepted = deliver(url, EVENT).await;
    assert_eq!(accepted.status, 200);
    assert_eq!(accepted.content_type, "application/json");
    assert_eq!(accepted.body, format!(r#"{{"challenge":"{CHALLENGE}"}}"#));
    assert_eq!(handled.take(), ["1"]);

    let ping = post_to(url, None, "").await;
    assert_eq!((ping.status, ping.body), (200, accepted.body));

    let now = SystemClock.now();
    let hour = Duration::from_secs(3600);
    for (signature, status) in [
        (None, 401),
        (Some(sign("a guess", now, EVENT.as_bytes())), 401),
        (Some(sign(SECRET, now - hour, EVENT.as_bytes())), 401),
        (Some("nonsense".into()), 400),
    ] {
        let refused = post_to(url, signature, EVENT).await;
        assert_eq!(refused.status, status, "{}", refused.body);
        assert!(refused.content_type.starts_with("text/plain"));
        assert!(!refused.body.contains(CHALLENGE));
    }
    // The receiver's limit is 1 MiB.
    let oversized = deliver(url, &" ".repeat(1_100_000)).await;
    assert_eq!(oversized.status, 413);
    assert_eq!(handled.take().len(), 0);

    let failed = deliver(url, r#"{"event":{"id":"fail","type":"order.placed"}}"#).await;
    assert_eq!(failed.status, 503);
    assert!(!failed.body.contains("planted") && !failed.body.contains(CHALLENGE));
    assert_eq!(handled.take(), ["fail"]);
}

#[tokio::test]
async fn the_axum_route_accepts_and_rejects_as_documented() {
    let handled = Handled::default();
    check(&axum_route(handled.clone()).await, &handled).await;
}

#[tokio::test]
async fn the_axum_extractor_accepts_and_rejects_as_documented() {
    let handled = Handled::default();
    check(&axum_extractor(handled.clone()).await, &handled).await;
}

#[tokio::test]
async fn the_http_adapter_accepts_and_rejects_as_documented() {
    let handled = Handled::default();
    check(&hyper_service(handled.clone()).await, &handled).await;
}

#[tokio::test]
async fn a_body_beyond_the_limit_of_axum_is_refused_with_413() {
    let handled = Handled::default();
    let body = " ".repeat(2_200_000);
    for url in [
        axum_route(handled.clone()).await,
        axum_extractor(handled.clone()).await,
    ] {
        assert_eq!(deliver(&url, &body).await.status, 413);
    }
    assert_eq!(handled.take().len(), 0);
}

/// An event log whose methods fail.
struct Unreachable;

impl EventLog for Unreachable {
    fn is_processed<'a>(&'a self, _: &'a EventKey) -> EventLogFuture<'a, bool> {
        failed()
    }

    fn claim<'a>(
        &'a self,
        _: &'a EventKey,
        _: SystemTime,
        _: SystemTime,
    ) -> EventLogFuture<'a, Claim> {
        failed()
    }

    fn acknowledge<'a>(&'a self, _: &'a Grant, _: SystemTime) -> EventLogFuture<'a, ()> {
        failed()
    }

    fn release<'a>(&'a self, _: &'a Grant) -> EventLogFuture<'a, ()> {
        failed()
    }
}

fn failed<T: Send + 'static>() -> EventLogFuture<'static, T> {
    let error = EventLogError::new(std::io::Error::other("the database is down"));
    Box::pin(std::future::ready(Err(error)))
}

#[tokio::test]
async fn an_event_is_processed_once_by_the_axum_route_and_a_failed_one_again() {
    let (handled, event_log) = (Handled::default(), MemoryEventLog::new());
    let handler = {
        let handled = handled.clone();
        move |event| handled.clone().handle(event)
    };
    let route = axum::receive_once(receiver(), event_log.clone(), handler);
    let url = serve(Router::new().route("/webhooks", route)).await;
    check(&url, &handled).await;
    for _ in 0..3 {
        let again = deliver(&url, EVENT).await;
        assert_eq!(again.status, 200);
        assert!(again.body.contains(CHALLENGE));
    }
    assert_eq!(handled.take().len(), 0);
    for _ in 0..3 {
        let failed = deliver(&url, r#"{"event":{"id":"fail","type":"order.placed"}}"#).await;
        assert_eq!(failed.status, 503);
    }
    assert_eq!(handled.take(), ["fail", "fail", "fail"]);
    // Another process has the claim, and may still fail.
    let (now, minute) = (SystemClock.now(), Duration::from_secs(60));
    let key = EventKey::new("claimed");
    let claim = event_log.claim(&key, now, now + minute).await.unwrap();
    let claimed = r#"{"event":{"id":"claimed","type":"order.placed"}}"#;
    assert_eq!(deliver(&url, claimed).await.status, 503);
    assert_eq!(handled.take().len(), 0);
    let Claim::Granted(grant) = claim else {
        panic!("{claim:?}");
    };
    event_log.release(&grant).await.unwrap();
    assert_eq!(deliver(&url, claimed).await.status, 200);
    assert_eq!(handled.take(), ["claimed"]);
}

#[tokio::test]
async fn an_event_log_that_fails_loses_no_event() {
    let handled = Handled::default();
    let handler = {
        let handled = handled.clone();
        move |event| handled.clone().handle(event)
    };
    let route = axum::receive_once(receiver(), Unreachable, handler);
    let url = serve(Router::new().route("/webhooks", route)).await;
    let answer = deliver(&url, EVENT).await;
    assert_eq!(answer.status, 503);
    assert!(!answer.body.contains(CHALLENGE) && !answer.body.contains("database"));
    assert_eq!(handled.take().len(), 0);
    let event = Event::from_body(EVENT.as_bytes());
    let now = SystemClock.now();
    let ended = process_once(&Unreachable, event, now, |event| {
        handled.clone().handle(event)
    })
    .await;
    let error = ended.map_err(|error| match error {
        NotProcessed::EventLog(error) => error.to_string(),
        other => other.to_string(),
    });
    assert!(error.unwrap_err().contains("event log"));
}
