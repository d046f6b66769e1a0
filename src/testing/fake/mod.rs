//! The handle of a fake: its settings, and the requests that it received.

pub(super) mod builder;
pub(super) mod clinic;
mod faults;
mod time;
pub(super) mod web_app;
mod webhooks;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use serde_json::Value;
use tokio::net::TcpListener;
use url::Url;

use crate::auth::{OAuthApp, OAuthAppBuilder};
use crate::client::ClientBuilder;
use crate::clock::Clock;
use crate::lock::lock;
use crate::testing::fake::web_app::WebApp;
use crate::testing::server::call::known;
use crate::testing::server::drift::Drift;
use crate::testing::server::oauth::RefreshMode;
use crate::testing::server::script::{FakeRequest, Script};
use crate::testing::server::{TOKEN, serve};
use crate::testing::settings::joined;
use crate::testing::shared::Shared;
use crate::{AccessToken, Client, Environment};

/// A fake of the Fullscript API, in this process, on its own port.
///
/// The fake starts with the clinic of the examples in the vendor's document, and stores created,
/// changed, activated and cancelled records. Lists have pages and filters. A filter on a value that
/// no record has (allergens, ingredients, availability) excludes no record. Read-only data, such as
/// the catalog, and responses of unknown shape are the recorded examples.
///
/// The fake rejects, in the vendor's format:
///
/// - a call without a valid token (401)
/// - a call without the scopes of the operation, or without
///   [approval](crate::testing::FakeBuilder::not_approved) (403)
/// - an unknown path or id (404)
/// - a call that does not match the document (422, unless
///   [`lenient`](crate::testing::FakeBuilder::lenient)), with a message that says what to do
///
/// The vendor documents the status codes, and the messages only in part. Responses that a test
/// sets, with [`answer`](Self::answer) and similar methods, require only a valid token.
///
/// The [module](crate::testing) shows three tests that use it.
///
/// The fake records all requests, and stops when dropped. Generated data depends only on the
/// [seed](crate::testing::FakeBuilder::seed), and times on the
/// [clock](crate::testing::FakeBuilder::clock).
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
    pub(in crate::testing) shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

impl FakeFullscript {
    pub(in crate::testing) async fn serving(shared: Shared) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(shared);
        let server = tokio::spawn(serve(listener, Arc::clone(&shared)));
        let fake = Self {
            address,
            shared,
            server,
        };
        let base = Url::parse(&fake.url()).expect("an address is a URL");
        fake.shared.files.serve_at(base);
        let clinics = fake.shared.clinics.iter();
        clinics.for_each(|clinic| lock(clinic).add_recorded_files());
        Ok(fake)
    }

    /// Returns the base URL to pass to [`ClientBuilder::base_url`].
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns an access token that the fake accepts.
    #[must_use]
    pub fn access_token(&self) -> AccessToken {
        AccessToken::new(TOKEN)
    }

    /// Returns a client builder with the fake's URL, clock and access token.
    #[must_use]
    pub fn client_builder(&self) -> ClientBuilder {
        Client::builder(Environment::UsSandbox)
            .base_url(self.url())
            .clock(self.clock())
            .access_token(self.access_token())
    }

    /// Returns a client with the fake's URL, clock and access token.
    ///
    /// # Panics
    /// Panics if TLS can't be set up on this machine.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_builder()
            .build()
            .expect("a loopback address is a base URL")
    }

    /// Sets the response of an operation for all later requests.
    ///
    /// # Panics
    /// Panics if no operation has this id.
    pub fn answer(&self, operation_id: &str, script: Script) {
        self.answer_with(operation_id, move |_| script.clone());
    }

    /// Sets a function that creates the response of an operation from each request, for example to
    /// return pages.
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
    ///
    /// # Panics
    /// Panics if no operation has this id.
    pub fn answer_with(
        &self,
        operation_id: &str,
        handler: impl Fn(&FakeRequest) -> Script + Send + Sync + 'static,
    ) {
        lock(&self.shared.handlers).insert(known(operation_id), Arc::new(handler));
    }

    /// Sets the response of the next `times` requests of an operation.
    ///
    /// These responses come before those of [`answer`](Self::answer) and
    /// [`answer_with`](Self::answer_with).
    ///
    /// # Panics
    /// Panics if no operation has this id.
    pub fn answer_times(&self, operation_id: &str, times: usize, script: Script) {
        lock(&self.shared.next).times(known(operation_id), times, script);
    }

    /// Changes the next `times` successful responses of an operation as the API may change in the
    /// future.
    ///
    /// # Panics
    /// Panics if no operation has this id.
    pub fn drift(&self, operation_id: &str, times: usize, drift: Drift) {
        lock(&self.shared.drifts).times(known(operation_id), times, drift);
    }

    /// Returns an app builder with the fake's URL and [`clock`](Self::clock).
    ///
    /// The fake's OAuth endpoints accept any client id and secret.
    #[must_use]
    pub fn app_builder(&self) -> OAuthAppBuilder {
        OAuthApp::builder(Environment::UsSandbox)
            .base_url(self.url())
            .clock(self.clock())
            .client_id("fake-client-id")
            .client_secret("fake-client-secret")
            .redirect_uri("https://ehr.example/fullscript/callback")
    }

    /// Approves an authorization request as the given user, and returns the callback URL that the
    /// browser would open.
    ///
    /// A user who works at no clinic of the fake joins the first one.
    ///
    /// # Panics
    /// Panics if the URL was not created by [`OAuthApp::authorize`].
    #[must_use]
    pub fn approve(&self, authorize_url: &Url, user: &str) -> String {
        let query: BTreeMap<_, _> = authorize_url.query_pairs().into_owned().collect();
        let mut callback = Url::parse(&query["redirect_uri"]).expect("a redirect URI");
        let code = lock(&self.shared.tokens).code(user, &query, self.shared.clock.now());
        callback
            .query_pairs_mut()
            .append_pair("code", &code)
            .append_pair("state", &query["state"]);
        callback.into()
    }

    /// Sets the scopes of the app in the vendor's dashboard.
    ///
    /// Existing tokens keep the scopes that they were issued with, also after a refresh.
    pub fn grant_scopes<S: AsRef<str>>(&self, scopes: impl IntoIterator<Item = S>) {
        lock(&self.shared.tokens).scope = joined(scopes);
    }

    /// Sets the client secrets that the server accepts. Default: any.
    ///
    /// Requests to the token endpoint and the revocation endpoint with another one are rejected as
    /// `invalid_client`.
    pub fn accept_client_secrets<S: Into<String>>(&self, secrets: impl IntoIterator<Item = S>) {
        let secrets = secrets.into_iter().map(Into::into).collect();
        lock(&self.shared.tokens).client_secrets = Some(secrets);
    }

    /// Sets when the old token set is revoked after a refresh.
    pub fn refresh_mode(&self, mode: RefreshMode) {
        lock(&self.shared.tokens).mode = mode;
    }

    /// Expires all access tokens without moving the clock.
    ///
    /// Clients cannot know this in advance, so the next call gets a 401. Refresh tokens stay valid.
    /// To move the time of both sides, use [`advance`](Self::advance).
    pub fn expire_access_tokens(&self) {
        lock(&self.shared.tokens).expire();
    }

    /// Revokes the tokens of a user, as if the user had disconnected the app in the vendor's web
    /// app.
    pub fn end_connection(&self, user: &str) {
        lock(&self.shared.tokens).end(user);
    }

    /// Returns the changes that people can make in the vendor's own web app. Each emits an event.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use fullscript::testing::FakeFullscript;
    /// use serde_json::json;
    ///
    /// let fake = FakeFullscript::start().await?;
    /// let patient = fake.web_app().add_patient(&json!({"first_name": "Basil"}));
    /// let client = fake.client();
    /// let events = client.list_patient_events().send().await?.into_inner().events;
    /// let event = client.get_event().id(events[0].id.clone()).send().await?.into_inner().event;
    /// assert_eq!(event.data.unwrap()["patient"]["id"], patient["id"]);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn web_app(&self) -> WebApp<'_> {
        self.clinic(0).web_app()
    }

    /// Returns all patients as the API shows them.
    #[must_use]
    pub fn patients(&self) -> Vec<Value> {
        self.clinic(0).patients()
    }

    /// Returns all treatment plans as the API shows them.
    #[must_use]
    pub fn treatment_plans(&self) -> Vec<Value> {
        self.clinic(0).treatment_plans()
    }

    /// Returns all orders as the API shows them.
    #[must_use]
    pub fn orders(&self) -> Vec<Value> {
        self.clinic(0).orders()
    }

    /// Serves a file at a path, and returns its URL, which [`Client::download`] accepts.
    ///
    /// A path that ends with `.pdf` has the type of a PDF. Results of lab orders have files of their
    /// own; see [`WebApp::add_lab_order`].
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use fullscript::testing::FakeFullscript;
    ///
    /// let fake = FakeFullscript::start().await?;
    /// let url = fake.file("/files/report.pdf", b"%PDF-1.4 a report %%EOF".to_vec());
    /// let file = fake.client().download(&url).pdf().send().await?.into_inner();
    /// assert!(file.bytes.starts_with(b"%PDF-"));
    ///
    /// fake.remove_file(&url);
    /// let error = fake.client().download(&url).pdf().send().await.unwrap_err();
    /// assert!(error.to_string().contains("the address may have expired"));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Panics
    /// Panics if the path belongs to an operation.
    pub fn file(&self, path: &str, content: impl Into<bytes::Bytes>) -> String {
        let url = self.shared.files.add(path, content);
        let own = Url::parse(&url).ok();
        let own = own.and_then(|url| crate::operations::at("GET", url.path()));
        assert!(own.is_none(), "the path belongs to an operation");
        url
    }

    /// Removes a file, given its path or its URL, like a URL that has expired.
    pub fn remove_file(&self, path_or_url: &str) {
        self.shared.files.remove(path_or_url);
    }

    /// Returns the number of requests of an operation so far.
    ///
    /// # Panics
    /// Panics if no operation has this id.
    #[must_use]
    pub fn count(&self, operation_id: &str) -> usize {
        self.requests_for(operation_id).len()
    }

    /// Returns the requests of an operation so far, oldest first.
    ///
    /// # Panics
    /// Panics if no operation has this id.
    #[must_use]
    pub fn requests_for(&self, operation_id: &str) -> Vec<FakeRequest> {
        let operation_id = known(operation_id);
        let requests = lock(&self.shared.requests);
        let own = requests
            .iter()
            .filter(|request| request.operation_id.as_deref() == Some(operation_id));
        own.cloned().collect()
    }

    /// Returns all requests so far, oldest first, and forgets them, so that a long test needs no
    /// memory for them.
    pub fn take_requests(&self) -> Vec<FakeRequest> {
        std::mem::take(&mut *lock(&self.shared.requests))
    }

    /// Returns all requests so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<FakeRequest> {
        lock(&self.shared.requests).clone()
    }

    /// Claims a session grant, and returns whether a page with this `secret_token` would show
    /// Fullscript.
    ///
    /// A claim succeeds if the grant was created by this fake, was not claimed before, and is less
    /// than 120 seconds old on the fake's [`clock`](Self::clock). In a browser, the vendor's script
    /// claims the grant when it is mounted.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use std::time::Duration;
    ///
    /// use fullscript::testing::FakeFullscript;
    ///
    /// let fake = FakeFullscript::start().await?;
    /// let client = fake.client();
    /// let grant = client.create_session_grant().send().await?.into_inner();
    /// let secret = grant.secret_token.ok_or("a grant has a secret")?;
    /// fake.advance(Duration::from_secs(121)).await;
    /// assert!(!fake.claim_session_grant(secret.expose()));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn claim_session_grant(&self, secret_token: &str) -> bool {
        let mut clinics = self.shared.clinics.iter();
        clinics.any(|clinic| lock(clinic).claim_session_grant(secret_token))
    }
}

impl Drop for FakeFullscript {
    fn drop(&mut self) {
        self.server.abort();
        self.shared.webhooks.end();
    }
}
