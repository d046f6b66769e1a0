//! The fake's server: takes a request down, and finds its answer.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;

use super::builder::Settings;
use super::call::Call;
use super::consent;
use super::drift::Drift;
use super::oauth::TokenServer;
use super::permission;
use super::recorded::{RECORDED, example};
use super::script::{FakeRequest, Script};
use super::state::State;
use super::validate;
use crate::operations::{self, Operation};

/// The one token that the fake takes.
pub(super) const TOKEN: &str = "fake-access-token";

pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) handlers: Mutex<HashMap<String, Handler>>,
    /// Answers to give first, the next at the front.
    pub(super) next: Mutex<HashMap<String, VecDeque<Script>>>,
    /// How the next answers drift, the next at the front.
    pub(super) drifts: Mutex<HashMap<String, VecDeque<Drift>>>,
    pub(super) tokens: Mutex<TokenServer>,
    pub(super) requests: Mutex<Vec<FakeRequest>>,
    pub(super) state: Mutex<State>,
}

impl Shared {
    pub(super) fn new(state: State, settings: Settings) -> Self {
        let tokens = TokenServer::new(settings.scope.clone());
        Self {
            settings,
            handlers: Mutex::default(),
            next: Mutex::default(),
            drifts: Mutex::default(),
            tokens: Mutex::new(tokens),
            requests: Mutex::default(),
            state: Mutex::new(state),
        }
    }
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
            let service = service_fn(move |request| answer(Arc::clone(&shared), request));
            let connection = hyper::server::conn::http1::Builder::new();
            // A client that hangs up is no failure of the fake.
            let _ended = connection
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let operation = operations::at(head.method.as_str(), head.uri.path());
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
    let script = match operation {
        None => browsed(&shared, &head)
            .unwrap_or_else(|| Script::json(404, &json!({"status": 404, "error": "Not Found"}))),
        Some(operation) => drifted(&shared, operation, called(&shared, operation, &asked)),
    };
    if !script.delay.is_zero() {
        tokio::time::sleep(script.delay).await;
    }
    let mut response = Response::builder()
        .status(script.status)
        .header("content-type", script.content_type)
        .header(
            "x-request-id",
            format!("00000000-0000-4000-8000-{number:012}"),
        );
    if script.status == StatusCode::UNAUTHORIZED.as_u16() {
        response = response.header(
            "www-authenticate",
            r#"Bearer realm="Fullscript", error="invalid_token", error_description="The access token is invalid""#,
        );
    }
    for (name, value) in script.headers {
        response = response.header(name, value);
    }
    let whole = response.body(Full::new(script.body));
    Ok(whole.unwrap_or_else(|_| {
        Response::new(Full::new(Bytes::from_static(
            b"a script of the fake has an impossible status or header",
        )))
    }))
}

/// The answer, as a test wants it changed; a refusal stays as it is.
fn drifted(shared: &Shared, operation: &Operation, script: Script) -> Script {
    if !(200..300).contains(&script.status) {
        return script;
    }
    let drift = lock(&shared.drifts)
        .get_mut(operation.id)
        .and_then(VecDeque::pop_front);
    match drift {
        Some(drift) => drift.apply(operation, script),
        None => script,
    }
}

/// A page of the fake.
fn browsed(shared: &Shared, head: &Parts) -> Option<Script> {
    let query = head.uri.query().unwrap_or_default();
    let mut tokens = lock(&shared.tokens);
    (head.method == "GET")
        .then(|| consent::answer(head.uri.path(), query, &mut tokens))
        .flatten()
}

/// What a call is answered, be it let in or not.
fn called(shared: &Shared, operation: &'static Operation, asked: &FakeRequest) -> Script {
    let bearer = bearer(asked).unwrap_or_default();
    let admitted = bearer == TOKEN || lock(&shared.tokens).admit(bearer);
    if operation.authenticated && !admitted {
        // As the vendor's server does: no body, the reason in a header.
        return Script::html(401, "");
    }
    scripted(shared, operation.id, asked).unwrap_or_else(|| match operation.id {
        "create_oauth_token" => token(shared, asked),
        "revoke_oauth_token" => {
            let (status, reply) = lock(&shared.tokens).revoke(asked.body.as_ref());
            Script::json(status, &reply)
        }
        _ => operated(shared, operation, asked, bearer),
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

/// A pair of tokens; whoever gets one belongs to the clinic.
fn token(shared: &Shared, asked: &FakeRequest) -> Script {
    let (status, reply) = lock(&shared.tokens).token(asked.body.as_ref());
    if let Some(user) = reply["oauth"]["resource_owner"]["id"].as_str() {
        lock(&shared.state).welcome_practitioner(user);
    }
    Script::json(status, &reply)
}

/// What an operation of the clinic answers of itself.
fn operated(
    shared: &Shared,
    operation: &'static Operation,
    asked: &FakeRequest,
    bearer: &str,
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
    let answer = lock(&shared.state).answer(&call);
    match answer {
        Some(Ok((204, _))) => Script::html(204, ""),
        Some(Ok((status, body))) => Script::json(status, &body),
        Some(Err(refusal)) => refusal.into(),
        None => recorded(),
    }
}

/// Whose a token is, and its scopes; the one fixed token has those of the app.
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
