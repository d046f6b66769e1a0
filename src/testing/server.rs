//! The fake's server: takes a request down, and finds its answer.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::body::{Body, Cut, Link, Piece, Sending};
use super::clock::ManualClock;
use super::consent;
use super::fault::{Fault, Faults};
use super::oauth::TokenServer;
use super::rate::Rate;
use super::recorded::RECORDED;
use super::script::{FakeRequest, Script};
use super::session_grant::SessionGrants;
use super::webhooks::Webhooks;
use crate::auth::Clock;
use crate::operations::{self, Operation};

/// The one token that the fake takes.
pub(super) const TOKEN: &str = "fake-access-token";

#[derive(Default)]
pub(super) struct Shared {
    pub(super) handlers: Mutex<HashMap<String, Handler>>,
    /// Answers to give first, the next at the front.
    pub(super) next: Mutex<HashMap<String, VecDeque<Script>>>,
    pub(super) tokens: Mutex<TokenServer>,
    pub(super) requests: Mutex<Vec<FakeRequest>>,
    pub(super) faults: Mutex<Faults>,
    pub(super) rate: Mutex<Rate>,
    pub(super) webhooks: Arc<Webhooks>,
    pub(super) session_grants: Mutex<SessionGrants>,
    /// What the fake and the apps that it makes take for now.
    pub(super) clock: ManualClock,
}

/// What makes an answer of a request.
pub(super) type Handler = Arc<dyn Fn(&FakeRequest) -> Script + Send + Sync>;

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// A test that panicked elsewhere leaves the log readable.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with the server's task, which ends the connections too.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let link = Link::default();
            let ends = link.clone();
            let service =
                service_fn(move |request| answer(Arc::clone(&shared), link.clone(), request));
            let mut connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            // A client that hangs up is no failure of the fake.
            let _ended = (&mut connection).await;
            ends.end(connection.into_parts().io.inner());
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    shared: Arc<Shared>,
    link: Link,
    request: Request<Incoming>,
) -> Result<Response<Body>, Cut> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let now = shared.clock.now();
    let operation = operations::at(head.method.as_str(), head.uri.path());
    let authorization = head
        .headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let bearer = authorization.and_then(|value| value.strip_prefix("Bearer "));
    let headers = head.headers.iter().map(|(name, value)| {
        (
            name.to_string(),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    });
    let asked = FakeRequest {
        operation_id: operation.map(|operation| operation.id.to_string()),
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: headers.collect(),
        body: serde_json::from_slice(&body).ok(),
    };
    let number = {
        let mut requests = lock(&shared.requests);
        requests.push(asked.clone());
        requests.len()
    };
    let reaction = match operation {
        Some(operation) => {
            let refusal = lock(&shared.rate).refuse(now);
            let fault = match refusal {
                Some(refusal) => Fault::answer(refusal),
                None => lock(&shared.faults).befalling(operation.id),
            };
            fault.befall(|| carried_out(&shared, operation, bearer, &asked, now))
        }
        None => Fault::none().befall(|| {
            let not_found = || Script::json(404, &json!({"status": 404, "error": "Not Found"}));
            browsed(&shared, &head).unwrap_or_else(not_found)
        }),
    };
    let (script, pieces) = match reaction {
        Sending::Answer(script, pieces) => (script, pieces),
        Sending::Reset => return Err(link.reset()),
        Sending::Silence => std::future::pending().await,
    };
    if !script.delay.is_zero() {
        tokio::time::sleep(script.delay).await;
    }
    Ok(response(script, pieces, link, number))
}

/// What an operation answers, once it has had its effect.
fn carried_out(
    shared: &Shared,
    operation: &Operation,
    bearer: Option<&str>,
    asked: &FakeRequest,
    now: SystemTime,
) -> Script {
    let admitted =
        bearer.is_some_and(|bearer| bearer == TOKEN || lock(&shared.tokens).admit(bearer, now));
    if operation.authenticated && !admitted {
        // As the vendor's server does: no body, the reason in a header.
        return Script::html(401, "");
    }
    scripted(shared, operation.id, asked).unwrap_or_else(|| {
        let (status, reply) = match operation.id {
            "create_oauth_token" => lock(&shared.tokens).token(asked.body.as_ref(), now),
            "revoke_oauth_token" => lock(&shared.tokens).revoke(asked.body.as_ref()),
            "create_session_grant" => {
                let user = session_user(shared, bearer, asked.body.as_ref());
                (200, lock(&shared.session_grants).create(&user, now))
            }
            "list_webhook_deliveries" => match shared.webhooks.list(asked, now) {
                Some(listed) => (200, listed),
                None => return RECORDED[operation.id].clone(),
            },
            id => return RECORDED[id].clone(),
        };
        Script::json(status, &reply)
    })
}

fn response(script: Script, pieces: VecDeque<Piece>, link: Link, number: usize) -> Response<Body> {
    let mut response = Response::builder()
        .status(script.status)
        .header("content-type", script.content_type)
        .header(
            "x-request-id",
            format!("00000000-0000-4000-8000-{number:012}"),
        );
    let has = |name: &str| script.headers.iter().any(|(own, _)| own == name);
    if script.status == StatusCode::UNAUTHORIZED.as_u16() && !has("www-authenticate") {
        response = response.header(
            "www-authenticate",
            r#"Bearer realm="Fullscript", error="invalid_token", error_description="The access token is invalid""#,
        );
    }
    for (name, value) in script.headers {
        response = response.header(name, value);
    }
    // What is broken off has a byte at least that does not come.
    let length = script.body.len().max(usize::from(pieces.len() > 1));
    let whole = response.body(Body::new(pieces, length, link.clone()));
    whole.unwrap_or_else(|_| {
        let text = "a script of the fake has an impossible status or header";
        Response::new(Body::new(
            [Piece::Bytes(text.into())].into(),
            text.len(),
            link,
        ))
    })
}

/// A page of the fake.
fn browsed(shared: &Shared, head: &Parts) -> Option<Script> {
    let query = head.uri.query().unwrap_or_default();
    let mut tokens = lock(&shared.tokens);
    (head.method == "GET")
        .then(|| consent::answer(head.uri.path(), query, &mut tokens, shared.clock.now()))
        .flatten()
}

/// Whom a session grant signs in: the one whom the request names, as apps from
/// before August 2021 have to, or the token's user.
fn session_user(shared: &Shared, bearer: Option<&str>, body: Option<&Value>) -> Value {
    let named = |key: &str| body.and_then(|body| body[key].as_str()).map(String::from);
    let owner = lock(&shared.tokens).user(bearer.unwrap_or_default());
    let id = named("user_id").or(owner);
    json!({
        "id": id.as_deref().unwrap_or("practitioner"),
        "type": named("user_type").as_deref().unwrap_or("Practitioner"),
    })
}

/// What a test wants answered instead.
fn scripted(shared: &Shared, operation_id: &str, asked: &FakeRequest) -> Option<Script> {
    let next = lock(&shared.next)
        .get_mut(operation_id)
        .and_then(VecDeque::pop_front);
    next.or_else(|| {
        // Called without the lock, so that it may use the fake.
        let handler = lock(&shared.handlers).get(operation_id).cloned();
        handler.map(|handler| handler(asked))
    })
}
