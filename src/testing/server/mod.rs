//! The fake's server: records each request and creates its response.

pub(super) mod body;
pub(super) mod call;
pub(super) mod consent;
pub(super) mod drift;
pub(super) mod embeddable;
pub(super) mod fault;
pub(super) mod oauth;
pub(super) mod permission;
pub(super) mod rate;
pub(super) mod recorded;
pub(super) mod script;
pub(super) mod session_grant;
pub(super) mod validate;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;

use crate::clock::Clock;
use crate::lock::lock;
use crate::operations::{self, Operation};
use crate::testing::server::body::{Body, Cut, Link, Piece, Sending};
use crate::testing::server::call::Call;
use crate::testing::server::fault::Fault;
use crate::testing::server::recorded::{RECORDED, example};
use crate::testing::server::script::{FakeRequest, Script};
use crate::testing::shared::Shared;

/// The fixed access token that the fake accepts.
pub(in crate::testing) const TOKEN: &str = "fake-access-token";

pub(in crate::testing) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with the server's task, which closes the connections too.
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
            // A client that hangs up is not a failure of the fake.
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
    let headers = head.headers.iter().map(|(name, value)| {
        (
            name.to_string(),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    });
    let asked = FakeRequest {
        received_at: now,
        operation_id: operation.map(|operation| operation.id.to_string()),
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: headers.collect(),
        body: serde_json::from_slice(&body).ok(),
    };
    let number = shared.received.fetch_add(1, Ordering::Relaxed) + 1;
    lock(&shared.requests).push(asked.clone());
    let reaction = match operation {
        Some(operation) => {
            let refusal = lock(&shared.rate).refuse(now);
            let fault = match refusal {
                Some(refusal) => Fault::answer(refusal),
                None => lock(&shared.faults)
                    .take(operation.id)
                    .unwrap_or_else(Fault::none),
            };
            fault.apply(|| with_drift(&shared, operation, respond(&shared, operation, &asked, now)))
        }
        None => Fault::none().apply(|| {
            let not_found = || Script::json(404, &json!({"status": 404, "error": "Not Found"}));
            // Each clinic keeps the patient that a page sends, and the one whose grant it is opens.
            let clinics = shared.clinics.iter();
            let embedded = clinics
                .filter_map(|clinic| lock(clinic).embeddable(&asked))
                .reduce(|first, next| if first.status < 400 { first } else { next });
            embedded
                .or_else(|| page_at(&shared, &head))
                .unwrap_or_else(not_found)
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

/// Returns the response to a call, accepted or rejected.
fn respond(
    shared: &Shared,
    operation: &'static Operation,
    asked: &FakeRequest,
    now: SystemTime,
) -> Script {
    let bearer = bearer(asked).unwrap_or_default();
    let admitted = bearer == TOKEN || lock(&shared.tokens).admit(bearer, now);
    if operation.authenticated && !admitted {
        // The vendor's server sends the reason in a header and no body.
        return Script::html(401, "");
    }
    scripted(shared, operation.id, asked).unwrap_or_else(|| match operation.id {
        "create_oauth_token" => token(shared, asked, now),
        "revoke_oauth_token" => {
            let (status, reply) = lock(&shared.tokens).revoke(asked.body.as_ref());
            Script::json(status, &reply)
        }
        _ => execute(shared, operation, asked, bearer, now),
    })
}

/// Issues a token set, and adds its user to the practitioners of the clinic.
fn token(shared: &Shared, asked: &FakeRequest, now: SystemTime) -> Script {
    let (status, reply) = lock(&shared.tokens).token(asked.body.as_ref(), now);
    if let Some(user) = reply["oauth"]["resource_owner"]["id"].as_str() {
        shared.clinic_of(user).add_connected_practitioner(user);
    }
    Script::json(status, &reply)
}

/// Returns the fake's own response to an operation.
fn execute(
    shared: &Shared,
    operation: &'static Operation,
    asked: &FakeRequest,
    bearer: &str,
    now: SystemTime,
) -> Script {
    let recorded = || RECORDED[operation.id].clone();
    if shared.settings.stateless {
        return recorded();
    }
    let call = Call::new(operation, asked, holder(shared, bearer));
    if let Err(refusal) = permission::check(&call, shared.settings.approved) {
        return refusal.into();
    }
    if !shared.settings.lenient
        && let Err(refusal) = validate::check(&call)
    {
        return refusal.into();
    }
    let answer = match operation.id {
        "list_webhook_deliveries" => {
            let clinic = shared.clinic_of(&call.caller).id().to_owned();
            shared.webhooks.list(&call, &clinic, now)
        }
        _ => shared.clinic_of(&call.caller).answer(&call),
    };
    match answer {
        Some(Ok((204, _))) => Script::html(204, ""),
        Some(Ok((status, body))) => Script::json(status, &body),
        Some(Err(refusal)) => refusal.into(),
        None => recorded(),
    }
}

/// Returns the user of a token and its scopes. The fixed token has the scopes of the app.
fn holder(shared: &Shared, bearer: &str) -> (String, String) {
    let tokens = lock(&shared.tokens);
    tokens.holder(bearer).unwrap_or_else(|| {
        let id = &example("get_practitioner")["practitioner"]["id"];
        let id = id.as_str().unwrap_or_default();
        (id.into(), tokens.scope.clone())
    })
}

fn bearer(asked: &FakeRequest) -> Option<&str> {
    let mut headers = asked.headers.iter();
    let (_, value) = headers.find(|(name, _)| name == "authorization")?;
    value.strip_prefix("Bearer ")
}

/// Applies the next drift to a successful response.
fn with_drift(shared: &Shared, operation: &Operation, script: Script) -> Script {
    if !(200..300).contains(&script.status) {
        return script;
    }
    let drift = lock(&shared.drifts).take(operation.id);
    match drift {
        Some(drift) => drift.apply(operation, script),
        None => script,
    }
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
    // A truncated body has at least one byte that is not sent.
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

/// Returns a page or a file of the fake.
fn page_at(shared: &Shared, head: &Parts) -> Option<Script> {
    let query = head.uri.query().unwrap_or_default();
    if head.method != "GET" {
        return None;
    }
    if let Some((media_type, content)) = shared.files.get(head.uri.path()) {
        return Some(Script::new(200, media_type, content));
    }
    let mut tokens = lock(&shared.tokens);
    consent::answer(head.uri.path(), query, &mut tokens, shared.clock.now())
}

/// Returns the response that a test has set.
fn scripted(shared: &Shared, operation_id: &str, asked: &FakeRequest) -> Option<Script> {
    let next = lock(&shared.next).take(operation_id);
    next.or_else(|| {
        // The handler is called without the lock, so that it may use the fake.
        let handler = lock(&shared.handlers).get(operation_id).cloned();
        handler.map(|handler| handler(asked))
    })
}
