//! The handle of a fake: what a test sets up, and what it looks at.

pub(super) mod builder;
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
use crate::testing::fake::web_app::WebApp;
use crate::testing::lock::lock;
use crate::testing::server::call::known;
use crate::testing::server::drift::Drift;
use crate::testing::server::oauth::RefreshMode;
use crate::testing::server::script::{FakeRequest, Script};
use crate::testing::server::{TOKEN, serve};
use crate::testing::settings::joined;
use crate::testing::shared::Shared;
use crate::{AccessToken, Client, Environment};

/// A fake of the Fullscript API, in this process, on a port of its own.
///
/// It begins with the clinic that the examples of the vendor's document
/// describe, and keeps what is created, changed, activated and cancelled.
/// Lists have pages and filters; a filter by what no record tells (allergens,
/// ingredients, availability) leaves out none. What is only read (the catalog, say) and what
/// has no known shape is answered as recorded.
///
/// It refuses, in the vendor's form, a call without its token (401), one
/// without the scopes that the operation needs or without
/// [approval](FakeBuilder::not_approved) (403), a path that is no operation's
/// and an id that nothing has (404), and a call that is not as the document
/// has it (422, unless [`lenient`](FakeBuilder::lenient)), with a message that
/// says what to do. Its statuses are documented by the vendor; the messages
/// are so only in part. An answer that a test gives itself, by
/// [`answer`](Self::answer) or its like, asks for the token alone.
///
/// The [module](crate::testing) shows three tests that use it.
///
/// It keeps a log of what it was asked, and stops when dropped. All
/// that it makes up follows from the [seed](FakeBuilder::seed), but for the
/// time, which its [clock](FakeBuilder::clock) tells.
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
            .clock(self.clock())
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
    ///
    /// # Panics
    /// When no operation has this id: the test would show nothing.
    pub fn answer(&self, operation_id: &str, script: Script) {
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
    ///
    /// # Panics
    /// When no operation has this id: the test would show nothing.
    pub fn answer_with(
        &self,
        operation_id: &str,
        handler: impl Fn(&FakeRequest) -> Script + Send + Sync + 'static,
    ) {
        lock(&self.shared.handlers).insert(known(operation_id), Arc::new(handler));
    }

    /// Answers this operation so the next `times` times, before all else.
    ///
    /// # Panics
    /// When no operation has this id: the test would show nothing.
    pub fn answer_times(&self, operation_id: &str, times: usize, script: Script) {
        let operation_id = known(operation_id);
        let mut next = lock(&self.shared.next);
        let queue = next.entry(operation_id).or_default();
        queue.extend(std::iter::repeat_n(script, times));
    }

    /// The next `times` successes of this operation are as they may become.
    ///
    /// # Panics
    /// When no operation has this id: the test would show nothing.
    pub fn drift(&self, operation_id: &str, times: usize, drift: Drift) {
        let operation_id = known(operation_id);
        let mut drifts = lock(&self.shared.drifts);
        let queue = drifts.entry(operation_id).or_default();
        queue.extend(std::iter::repeat_n(drift, times));
    }

    /// An app that leads here and has the [`clock`](Self::clock) of the fake:
    /// its OAuth takes any client id and secret.
    #[must_use]
    pub fn app_builder(&self) -> OAuthAppBuilder {
        OAuthApp::builder(Environment::UsSandbox)
            .base_url(self.url())
            .clock(self.clock())
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
        let query: BTreeMap<_, _> = authorize_url.query_pairs().into_owned().collect();
        let mut callback = Url::parse(&query["redirect_uri"]).expect("a redirect URI");
        let code = lock(&self.shared.tokens).code(user, &query, self.shared.clock.now());
        callback
            .query_pairs_mut()
            .append_pair("code", &code)
            .append_pair("state", &query["state"]);
        callback.into()
    }

    /// The scopes of the app in the vendor's dashboard from now on. Tokens of
    /// users keep those that they were given with, also through a refresh.
    pub fn grant_scopes<S: AsRef<str>>(&self, scopes: impl IntoIterator<Item = S>) {
        lock(&self.shared.tokens).scope = joined(scopes);
    }

    /// When the old pair dies after a refresh.
    pub fn refresh_mode(&self, mode: RefreshMode) {
        lock(&self.shared.tokens).mode = mode;
    }

    /// All access tokens die at once, although no time has passed and no
    /// client can know: the next call is told with 401. Their refresh tokens
    /// stay.
    ///
    /// Where time passes for both sides, [`advance`](Self::advance) it.
    pub fn expire_access_tokens(&self) {
        lock(&self.shared.tokens).expire();
    }

    /// A user ends the connection in the vendor's web app.
    pub fn end_connection(&self, user: &str) {
        lock(&self.shared.tokens).end(user);
    }

    /// What people do in the vendor's own web app, of which events tell.
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
        WebApp(&self.shared)
    }

    /// All patients, as the API shows each.
    #[must_use]
    pub fn patients(&self) -> Vec<Value> {
        lock(&self.shared.state).patients()
    }

    /// All treatment plans, as the API shows each.
    #[must_use]
    pub fn treatment_plans(&self) -> Vec<Value> {
        lock(&self.shared.state).treatment_plans()
    }

    /// All orders, as the API shows each.
    #[must_use]
    pub fn orders(&self) -> Vec<Value> {
        lock(&self.shared.state).orders()
    }

    /// How often an operation was asked for so far.
    ///
    /// # Panics
    /// When no operation has this id: the test would show nothing.
    #[must_use]
    pub fn count(&self, operation_id: &str) -> usize {
        self.requests_for(operation_id).len()
    }

    /// What an operation was asked so far, the oldest first.
    ///
    /// # Panics
    /// When no operation has this id: the test would show nothing.
    #[must_use]
    pub fn requests_for(&self, operation_id: &str) -> Vec<FakeRequest> {
        let operation_id = known(operation_id);
        let requests = lock(&self.shared.requests);
        let own = requests
            .iter()
            .filter(|request| request.operation_id.as_deref() == Some(operation_id));
        own.cloned().collect()
    }

    /// All that was asked so far, the oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<FakeRequest> {
        lock(&self.shared.requests).clone()
    }

    /// Whether a page that is given this `secret_token` shows Fullscript: it is
    /// of a grant of this fake, not claimed before, and not older than 120
    /// seconds on the fake's [`clock`](Self::clock).
    ///
    /// In a browser the vendor's script claims the grant when it is mounted.
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
        lock(&self.shared.state).claim_session_grant(secret_token)
    }
}

impl Drop for FakeFullscript {
    fn drop(&mut self) {
        self.server.abort();
        self.shared.webhooks.end();
    }
}
