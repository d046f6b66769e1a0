//! The vendor in one environment: the embedded fake, what it received, and the load balancer through
//! which it reaches the processes.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use fullscript::Clock;
use fullscript::testing::{FakeFullscript, Webhook};
use serde_json::json;

use crate::worker::{CHALLENGE, SIGNING_SECRET};

/// A request that the vendor received.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The time since the start on the machine's clock, whatever moved that of the vendor.
    pub(crate) at: Duration,
    pub(crate) operation: Option<String>,
    /// The refresh token of a token request.
    pub(crate) refresh_token: Option<String>,
}

pub(crate) struct Vendor {
    pub(crate) fake: FakeFullscript,
    started: SystemTime,
    /// The time to which the clock was moved, and by how much.
    jumps: Vec<(SystemTime, Duration)>,
    requests: Vec<Request>,
}

impl Vendor {
    pub(crate) async fn start(seed: u64, scopes: &[&str]) -> Self {
        let builder = FakeFullscript::builder().seed(seed).scopes(scopes);
        let fake = builder.start().await.unwrap();
        Self {
            started: fake.clock().now(),
            fake,
            jumps: Vec::new(),
            requests: Vec::new(),
        }
    }

    /// Moves the clock, and makes the deliveries that become due.
    pub(crate) async fn advance(&mut self, by: Duration) {
        self.collect();
        self.fake.advance(by).await;
        self.jumps.push((self.fake.clock().now(), by));
    }

    /// Notes the requests that were received, and returns all since the start.
    pub(crate) fn collect(&mut self) -> &[Request] {
        for request in self.fake.take_requests() {
            let moved: Duration = self
                .jumps
                .iter()
                .filter(|(at, _)| *at <= request.received_at)
                .map(|(_, by)| *by)
                .sum();
            let since = request.received_at.duration_since(self.started);
            let token = request.body.as_ref().map(|body| &body["refresh_token"]);
            self.requests.push(Request {
                at: since.unwrap_or_default().saturating_sub(moved),
                operation: request.operation_id,
                refresh_token: token.and_then(|it| it.as_str()).map(str::to_string),
            });
        }
        &self.requests
    }

    /// Emits an event, and returns its id.
    pub(crate) fn emit(&self) -> String {
        let patient = self.fake.patients()[0].clone();
        let event = self
            .fake
            .send_event("patient.updated", json!({"patient": patient}));
        event.id.unwrap().to_string()
    }

    /// Delivers events to the load balancer.
    pub(crate) async fn subscribe(&self, environment: usize, balancer: &Balancer) {
        let url = format!("http://127.0.0.1:{}/{environment}", balancer.port);
        let webhook = Webhook::new(url, SIGNING_SECRET, CHALLENGE);
        // A process may just have been killed.
        while self.fake.subscribe(webhook.clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Passes each delivery to one process after the other, without knowing whether it lives.
#[derive(Clone)]
pub(crate) struct Balancer {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    ports: Mutex<Vec<u16>>,
    next: AtomicUsize,
    loses_all: AtomicBool,
    http: reqwest::Client,
}

impl Balancer {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            ports: Mutex::default(),
            next: AtomicUsize::new(0),
            loses_all: AtomicBool::new(false),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        });
        let routes = axum::Router::new()
            .route("/{environment}", post(pass_on))
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { port, shared }
    }

    pub(crate) fn set_ports(&self, ports: Vec<u16>) {
        *self.shared.ports.lock().unwrap() = ports;
    }

    /// Sets whether no delivery arrives.
    pub(crate) fn loses_all(&self, loses_all: bool) {
        self.shared.loses_all.store(loses_all, Ordering::Relaxed);
    }
}

async fn pass_on(
    State(shared): State<Arc<Shared>>,
    Path(environment): Path<usize>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let unavailable = StatusCode::SERVICE_UNAVAILABLE.into_response();
    let port = {
        let ports = shared.ports.lock().unwrap();
        let next = shared.next.fetch_add(1, Ordering::Relaxed);
        ports.get(next % ports.len().max(1)).copied()
    };
    let Some(port) = port.filter(|_| !shared.loses_all.load(Ordering::Relaxed)) else {
        return unavailable;
    };
    let mut request = shared
        .http
        .post(format!("http://127.0.0.1:{port}/{environment}"));
    for (name, value) in &headers {
        if name.as_str().contains("signature") || name == "content-type" {
            request = request.header(name, value);
        }
    }
    let answered = async {
        let response = request.body(body).send().await?;
        let status = response.status();
        Ok::<_, reqwest::Error>((status, response.bytes().await?))
    };
    match answered.await {
        Ok(answer) => answer.into_response(),
        Err(_) => unavailable,
    }
}
