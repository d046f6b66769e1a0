//! An HTTP server on loopback that answers each operation with its recorded
//! example.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

use super::consent;
use super::oauth::{RefreshMode, TokenServer};
use crate::auth::{OAuthApp, OAuthAppBuilder};
use crate::client::ClientBuilder;
use crate::operations;
use crate::{AccessToken, Client, Environment};

/// The normalized document, whose recorded examples are the answers.
const DOCUMENT: &str = include_str!("../../spec/openapi.normalized.json");

/// The one token that the fake takes.
const TOKEN: &str = "fake-access-token";

/// A fake of the Fullscript API, in this process, on a port of its own.
///
/// It answers each operation with the recorded example of the vendor's
/// document, refuses a call without its token (401) and a path that is no
/// operation's (404), and keeps a log of what it was asked. It stops when
/// dropped.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let fake = fullscript::testing::FakeFullscript::start().await?;
/// let client = fake.client();
/// let clinic = client.get_clinic().send().await?.into_inner().clinic;
/// assert!(clinic.name.is_some());
/// assert_eq!(fake.requests()[0].operation_id.as_deref(), Some("get_clinic"));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct FakeFullscript {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    handlers: Mutex<HashMap<String, Handler>>,
    /// Answers to give first, the next at the front.
    next: Mutex<HashMap<String, VecDeque<Script>>>,
    tokens: Mutex<TokenServer>,
    requests: Mutex<Vec<FakeRequest>>,
}

/// What makes an answer of a request.
type Handler = Arc<dyn Fn(&FakeRequest) -> Script + Send + Sync>;

/// An answer to give instead of the recorded one.
#[derive(Clone)]
pub struct Script {
    status: u16,
    content_type: &'static str,
    headers: Vec<(String, String)>,
    body: Bytes,
    delay: Duration,
}

impl Script {
    /// An answer in JSON.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        let body = body.to_string().into();
        Self {
            status,
            content_type: "application/json; charset=utf-8",
            headers: Vec::new(),
            body,
            delay: Duration::ZERO,
        }
    }

    /// An answer in HTML, as proxies and error pages give.
    pub fn html(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type: "text/html",
            headers: Vec::new(),
            body: body.into(),
            delay: Duration::ZERO,
        }
    }

    /// The same answer with one more header, such as `retry-after`.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same answer, given after this time.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// What the fake was asked.
#[derive(Clone)]
#[non_exhaustive]
pub struct FakeRequest {
    /// The operation, if the path is one's.
    pub operation_id: Option<String>,
    /// The HTTP method.
    pub method: String,
    /// Path and query as they came.
    pub target: String,
    /// The headers, names in lower case; the token stands in `authorization`.
    pub headers: Vec<(String, String)>,
    /// The body, if it is JSON.
    pub body: Option<Value>,
}

impl FakeRequest {
    /// The first value of an argument in the query.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.into_owned())
    }
}

impl FakeFullscript {
    /// Starts the fake on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be opened.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            handlers: Mutex::default(),
            next: Mutex::default(),
            tokens: Mutex::default(),
            requests: Mutex::default(),
        });
        let server = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            server,
        })
    }

    /// The address to give to [`ClientBuilder::base_url`].
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A token that the fake takes.
    #[must_use]
    pub fn access_token(&self) -> AccessToken {
        AccessToken::new(TOKEN)
    }

    /// A builder that leads here and has the token.
    #[must_use]
    pub fn client_builder(&self) -> ClientBuilder {
        Client::builder(Environment::UsSandbox)
            .base_url(self.url())
            .access_token(self.access_token())
    }

    /// A client that leads here and has the token.
    ///
    /// # Panics
    /// When TLS can't be set up on this machine.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_builder()
            .build()
            .expect("a loopback address is a base URL")
    }

    /// Answers this operation so from now on.
    pub fn answer(&self, operation_id: impl Into<String>, script: Script) {
        self.answer_with(operation_id, move |_| script.clone());
    }

    /// Answers this operation from now on with what this makes of each
    /// request: another page for another number, say.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use fullscript::testing::{FakeFullscript, Script};
    /// use serde_json::json;
    ///
    /// let fake = FakeFullscript::start().await?;
    /// fake.answer_with("list_patients", |request| {
    ///     let number = request.query("page[number]").unwrap_or_default();
    ///     Script::json(200, &json!({
    ///         "patients": [{"id": format!("patient-{number}")}],
    ///         "meta": {"current_page": number, "total_pages": 3},
    ///     }))
    /// });
    /// let patients = fake.client().list_patients().items().collect_all().await?;
    /// assert_eq!(patients.len(), 3);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn answer_with(
        &self,
        operation_id: impl Into<String>,
        handler: impl Fn(&FakeRequest) -> Script + Send + Sync + 'static,
    ) {
        lock(&self.shared.handlers).insert(operation_id.into(), Arc::new(handler));
    }

    /// Answers this operation so the next `times` times, before all else.
    pub fn answer_times(&self, operation_id: impl Into<String>, times: usize, script: Script) {
        let mut next = lock(&self.shared.next);
        let queue = next.entry(operation_id.into()).or_default();
        queue.extend(std::iter::repeat_n(script, times));
    }

    /// An app that leads here: the OAuth of the fake takes any client id and
    /// secret.
    #[must_use]
    pub fn app_builder(&self) -> OAuthAppBuilder {
        OAuthApp::builder(Environment::UsSandbox)
            .base_url(self.url())
            .client_id("fake-client-id")
            .client_secret("fake-client-secret")
            .redirect_uri("https://ehr.example/fullscript/callback")
    }

    /// What the browser brings back once this user has said yes to the
    /// request: the callback's address.
    ///
    /// # Panics
    /// When the address is not of [`OAuthApp::authorize`].
    #[must_use]
    pub fn approve(&self, authorize_url: &Url, user: &str) -> String {
        let query: HashMap<_, _> = authorize_url.query_pairs().into_owned().collect();
        let mut callback = Url::parse(&query["redirect_uri"]).expect("a redirect URI");
        let code = lock(&self.shared.tokens).code(user, &query);
        callback
            .query_pairs_mut()
            .append_pair("code", &code)
            .append_pair("state", &query["state"]);
        callback.into()
    }

    /// When the old pair dies after a refresh.
    pub fn refresh_mode(&self, mode: RefreshMode) {
        lock(&self.shared.tokens).mode = mode;
    }

    /// Two hours pass: all access tokens expire, their refresh tokens stay.
    pub fn expire_access_tokens(&self) {
        lock(&self.shared.tokens).expire();
    }

    /// A user ends the connection in the vendor's web app.
    pub fn end_connection(&self, user: &str) {
        lock(&self.shared.tokens).end(user);
    }

    /// How often an operation was asked for so far.
    #[must_use]
    pub fn count(&self, operation_id: &str) -> usize {
        let requests = lock(&self.shared.requests);
        requests
            .iter()
            .filter(|request| request.operation_id.as_deref() == Some(operation_id))
            .count()
    }

    /// All that was asked so far, the oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<FakeRequest> {
        lock(&self.shared.requests).clone()
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Shows neither headers, among which the token is, nor body.
impl fmt::Debug for FakeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeRequest")
            .field("method", &self.method)
            .field("operation_id", &self.operation_id)
            .finish_non_exhaustive()
    }
}

impl Drop for FakeFullscript {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// A test that panicked elsewhere leaves the log readable.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
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
    let authorization = head
        .headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let bearer = authorization.and_then(|value| value.strip_prefix("Bearer "));
    let admitted =
        bearer.is_some_and(|bearer| bearer == TOKEN || lock(&shared.tokens).admit(bearer));
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
        // As the vendor's server does: no body, the reason in a header.
        Some(operation) if operation.authenticated && !admitted => Script::html(401, ""),
        Some(operation) => scripted(&shared, operation.id, &asked).unwrap_or_else(|| {
            let (status, reply) = match operation.id {
                "create_oauth_token" => lock(&shared.tokens).token(asked.body.as_ref()),
                "revoke_oauth_token" => lock(&shared.tokens).revoke(asked.body.as_ref()),
                id => return RECORDED[id].clone(),
            };
            Script::json(status, &reply)
        }),
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

/// A page of the fake.
fn browsed(shared: &Shared, head: &Parts) -> Option<Script> {
    let query = head.uri.query().unwrap_or_default();
    let mut tokens = lock(&shared.tokens);
    (head.method == "GET")
        .then(|| consent::answer(head.uri.path(), query, &mut tokens))
        .flatten()
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

/// The example of an answer, or the first of several.
fn recorded(media: &Value) -> Option<&Value> {
    let several = media["examples"]
        .as_object()
        .and_then(|examples| examples.values().next());
    media.get("example").or_else(|| several?.get("value"))
}

/// What each operation answers, from the examples of the document: read once
/// for all fakes of the process, for it is large.
static RECORDED: LazyLock<HashMap<&'static str, Script>> = LazyLock::new(|| {
    let document: Value =
        serde_json::from_str(DOCUMENT).expect("the document that built this crate");
    let answers = operations::all().iter().map(|operation| {
        let method = operation.method.to_lowercase();
        let responses = &document["paths"][operation.path][method]["responses"];
        let success = responses
            .as_object()
            .into_iter()
            .flatten()
            .find(|(status, _)| status.starts_with('2'));
        let script = match success {
            None => Script::json(200, &json!({})),
            Some((status, answer)) => {
                let status = status.parse().unwrap_or(200);
                match answer["content"].get("application/json") {
                    Some(media) => Script::json(status, recorded(media).unwrap_or(&json!({}))),
                    None => Script {
                        status,
                        content_type: "application/octet-stream",
                        headers: Vec::new(),
                        body: Bytes::new(),
                        delay: Duration::ZERO,
                    },
                }
            }
        };
        (operation.id, script)
    });
    answers.collect()
});
