//! The transport of calls: HTTP client, limits, retries, and the settings of both builders.

mod drift;
mod limit;
mod options;
mod outcome;
mod pools;
pub(crate) mod retry;
pub(crate) mod shared;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use self::drift::DriftListener;
use self::shared::Listener;
use crate::clock::{Clock, SystemClock};
use crate::environment::Environment;

pub use self::drift::{DriftKind, DriftReport};
pub(crate) use self::limit::{Entry, NoPermit, Permit, StreamSlot, Waits};
pub use self::limit::{RateLimit, shared_limit};
pub use self::options::CallOptions;
pub use self::outcome::CallOutcome;
pub(crate) use self::pools::{HttpPools, PoolInUse};
pub use self::shared::CallReport;
pub(crate) use self::shared::Calls;

/// The default connect timeout: enough for an intercontinental TLS handshake on a slow network.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The time without any data on an HTTP/2 connection after which a ping is sent: 2 s.
///
/// Together with [`PING_TIMEOUT`], a connection that carries no data is closed after at most 4 s,
/// which is well within the timeout of an attempt of a call (15 s) and of a token request (10 s).
const PING_INTERVAL: Duration = Duration::from_secs(2);

/// The time to wait for the response to a ping, enough for an intercontinental round trip on a slow
/// network: 2 s.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// The default `User-Agent`.
const USER_AGENT: &str = concat!("fullscript-rust/", env!("CARGO_PKG_VERSION"));

/// The default concurrency limit. Each in-flight request may need its own TCP connection, of which
/// a machine supports a few thousand.
const CONCURRENCY: usize = 256;

/// Fullscript's domains; subdomains are included.
const VENDOR_DOMAINS: [&str; 2] = ["fullscript.com", "fullscript.io"];

/// The settings that `ClientBuilder` and `OAuthAppBuilder` share.
pub(crate) struct Connection {
    pub(crate) environment: Environment,
    pub(crate) base_url: String,
    pub(crate) http_hosts: Vec<String>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) http: Option<reqwest::Client>,
    pub(crate) connect_timeout: Duration,
    pub(crate) user_agent: String,
    pub(crate) proxy: Option<reqwest::Proxy>,
    pub(crate) options: CallOptions,
    pub(crate) rate_limit: RateLimit,
    pub(crate) concurrency: usize,
    pub(crate) listener: Option<Listener>,
    pub(crate) drift: Option<DriftListener>,
}

/// The HTTP client, the limits and the options that are built from the settings.
#[derive(Clone)]
pub(crate) struct Connected {
    pub(crate) base: Arc<Url>,
    pub(crate) http: Arc<HttpPools>,
    pub(crate) calls: Arc<Calls>,
    pub(crate) options: CallOptions,
}

/// Defines the setters of the shared settings, for a builder with a field `connection`.
macro_rules! connection_setters {
    () => {
        /// Overrides the environment's base URL, for example to use a proxy or a fake.
        ///
        /// Write it without `/api`, because the path of each operation starts with `/api`.
        /// The scheme must be `https`; `http` is accepted only for loopback addresses and for
        /// hosts that [`allow_http_host`](Self::allow_http_host) names.
        #[must_use]
        pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
            self.connection.base_url = base_url.into();
            self
        }

        /// Allows plain `http` to a host, for tests against a mock in another container.
        ///
        /// `host` is the name alone, such as `mock`. Tokens and the client secret are sent to it
        /// without encryption, and not through a proxy of the environment variables.
        /// The hosts of Fullscript are refused. Can be called several times.
        #[must_use]
        pub fn allow_http_host(mut self, host: impl Into<String>) -> Self {
            self.connection.http_hosts.push(host.into());
            self
        }

        /// Sets the clock, for tests. Default: [`SystemClock`](crate::SystemClock).
        #[must_use]
        pub fn clock(mut self, clock: impl $crate::Clock) -> Self {
            self.connection.clock = std::sync::Arc::new(clock);
            self
        }

        /// Sets the HTTP client for calls, for example to configure TLS, pooling or protocols.
        ///
        /// It replaces [`connect_timeout`](Self::connect_timeout),
        /// [`user_agent`](Self::user_agent) and [`proxy`](Self::proxy).
        /// It should not follow redirects to other hosts; the default client follows no redirects.
        /// It should send HTTP/2 pings, as the default client does every 2 s (with a timeout of
        /// 2 s, also on idle connections). Without pings, all calls share a connection that
        /// silently carries no data any more, and fail until it is closed.
        /// A timeout that is configured on it applies to each attempt, in addition to those of
        /// [`CallOptions`](crate::CallOptions).
        #[must_use]
        pub fn http_client(mut self, http: reqwest::Client) -> Self {
            self.connection.http = Some(http);
            self
        }

        /// Sets the timeout for establishing a connection. Default: 10 s.
        #[must_use]
        pub fn connect_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.connection.connect_timeout = timeout;
            self
        }

        /// Sets the `User-Agent` header. Default: `fullscript-rust/` and the crate version.
        #[must_use]
        pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
            self.connection.user_agent = user_agent.into();
            self
        }

        /// Sets a proxy.
        ///
        /// Proxies from environment variables (`HTTPS_PROXY` etc.) are used without this setting,
        /// except for loopback addresses and for hosts that
        /// [`allow_http_host`](Self::allow_http_host) names.
        #[must_use]
        pub fn proxy(mut self, proxy: reqwest::Proxy) -> Self {
            self.connection.proxy = Some(proxy);
            self
        }

        /// Sets timeouts, retries and idempotency of calls.
        #[must_use]
        pub fn options(mut self, options: $crate::CallOptions) -> Self {
            self.connection.options = self.connection.options.overridden_by(options);
            self
        }

        /// Sets the rate limit that all calls of this client or app share.
        ///
        /// Default: the vendor's limit, 5,000 requests in 5 minutes, for this process alone.
        /// [`RateLimit::shared`](crate::RateLimit::shared) shares it with other processes.
        #[must_use]
        pub fn rate_limit(mut self, limit: $crate::RateLimit) -> Self {
            self.connection.rate_limit = limit;
            self
        }

        /// Sets the maximum number of in-flight requests.
        ///
        /// Further requests wait in a queue per user, served round-robin. One connected user can
        /// have three quarters of them, so that slow requests of one user leave room for the
        /// others. Requests to the token endpoint do not count. A response that is streamed counts
        /// until its body ends, if at most half of the limit is streamed. Default: 256.
        #[must_use]
        pub fn concurrency(mut self, requests: usize) -> Self {
            self.connection.concurrency = requests;
            self
        }

        /// Sets a listener that is called once at the end of each call, for counters and
        /// histograms.
        ///
        /// It runs on the task that made the call and must not block.
        #[must_use]
        pub fn on_call_end(
            mut self,
            listener: impl Fn(&$crate::CallReport) + Send + Sync + 'static,
        ) -> Self {
            self.connection.listener = Some(std::sync::Arc::new(listener));
            self
        }

        /// Sets a listener for differences between responses and the document that this crate was
        /// generated from: values that do not fit, unknown fields, unknown values of enums.
        ///
        /// Each difference is reported once for each client or app that was built, without any value
        /// of the response. Values that do not fit are noticed in each response; unknown fields and
        /// values in the first 16 responses of each operation, and in one of 128 later ones.
        /// It runs on the task that made the call and must not block. Default: no listener, and
        /// nothing is examined.
        ///
        /// ```
        /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
        /// # use std::sync::{Arc, Mutex};
        /// # use fullscript::testing::{FakeFullscript, Script};
        /// # let fake = FakeFullscript::start().await?;
        /// # let body = serde_json::json!({"patient": {"id": "1", "pronouns": "she"}});
        /// # fake.answer("get_patient", Script::json(200, &body));
        /// # let seen = Arc::new(Mutex::new(Vec::new()));
        /// # let copy = Arc::clone(&seen);
        /// # let builder = fake.client_builder();
        /// let client = builder
        ///     .on_drift(move |drift| {
        ///         // get_patient: `patient.pronouns`: unknown field (text)
        ///         eprintln!("{drift}");
        /// #         copy.lock().unwrap().push(drift.to_string());
        ///     })
        ///     .build()?;
        /// client.get_patient().id("1").await?;
        /// # assert_eq!(*seen.lock().unwrap(), ["get_patient: `patient.pronouns`: unknown field (text)"]);
        /// # Ok::<_, Box<dyn std::error::Error>>(())
        /// # }).unwrap();
        /// ```
        #[must_use]
        pub fn on_drift(
            mut self,
            listener: impl Fn(&$crate::DriftReport) + Send + Sync + 'static,
        ) -> Self {
            self.connection.drift = Some(std::sync::Arc::new(listener));
            self
        }
    };
}
pub(crate) use connection_setters;

impl Connection {
    pub(crate) fn to(environment: Environment) -> Self {
        Self {
            environment,
            base_url: environment.base_url().into(),
            http_hosts: Vec::new(),
            clock: Arc::new(SystemClock),
            http: None,
            connect_timeout: CONNECT_TIMEOUT,
            user_agent: USER_AGENT.into(),
            proxy: None,
            options: CallOptions::new(),
            rate_limit: RateLimit::default(),
            concurrency: CONCURRENCY,
            listener: None,
            drift: None,
        }
    }

    /// Builds the HTTP client and the shared state of calls. `client_id` is that of the app.
    pub(crate) fn open(self, client_id: Option<&str>) -> Result<Connected, BuildError> {
        let base = self.base()?;
        let http = match &self.http {
            Some(http) => HttpPools::of(http.clone()),
            None => {
                let settings = self.http_settings(&base);
                HttpPools::build(move || build_http_client(settings.builder()))?
            }
        };
        let mut app = self.environment.name().to_string();
        if let Some(client_id) = client_id {
            app.extend(["/", client_id]);
        }
        let calls = Calls::new(
            self.concurrency,
            &self.rate_limit,
            &app,
            self.clock,
            self.listener,
            self.drift,
        );
        Ok(Connected {
            base: Arc::new(base),
            http: Arc::new(http),
            calls: Arc::new(calls),
            options: self.options,
        })
    }

    /// Builds the HTTP client for a URL of the token endpoint, which decompresses no responses
    /// because token responses are small.
    pub(crate) fn token_http_pools(&self, url: &Url) -> Result<HttpPools, BuildError> {
        let settings = self.http_settings(url);
        HttpPools::build(move || {
            let builder = settings.builder();
            build_http_client(builder.no_gzip().no_brotli().no_deflate().no_zstd())
        })
    }

    fn http_settings(&self, url: &Url) -> HttpSettings {
        HttpSettings {
            connect_timeout: self.connect_timeout,
            user_agent: self.user_agent.clone(),
            proxy: self.proxy.clone(),
            is_local: self.is_local(url),
        }
    }

    /// Parses the base URL, whose path must not repeat the `/api` of the operations.
    pub(crate) fn base(&self) -> Result<Url, BuildError> {
        let base = self.url(&self.base_url)?;
        let path = base.path().to_ascii_lowercase();
        if path.trim_end_matches('/').ends_with("/api") {
            return Err(BuildError::new(
                "base URL: ends with `/api`, which the path of each operation starts with; write \
                 the URL without `/api`, such as `https://api-us.fullscript.com`",
            ));
        }
        Ok(base)
    }

    /// Parses a URL that tokens and health data may be sent to.
    ///
    /// It must use `https`, or `http` on a loopback address or an allowed host, and must consist
    /// of scheme, host, port and path only.
    pub(crate) fn url(&self, text: &str) -> Result<Url, BuildError> {
        if !self.http_hosts.iter().all(|host| is_test_host(host)) {
            return Err(BuildError::new(
                "allow_http_host: not the name of a test host; pass the name alone, such as \
                 `mock`, and use https for the hosts of Fullscript",
            ));
        }
        let url = Url::parse(text)
            .map_err(|_| BuildError::new("base URL or OAuth URL: not a valid URL"))?;
        if url.scheme() != "https" && !(url.scheme() == "http" && self.is_local(&url)) {
            return Err(BuildError::new(
                "base URL or OAuth URL: not https; tokens and health data are sent to it, so use \
                 https, a loopback address, or `allow_http_host` for a test host",
            ));
        }
        let has_user = !url.username().is_empty() || url.password().is_some();
        if url.query().is_some() || url.fragment().is_some() || has_user {
            return Err(BuildError::new(
                "base URL or OAuth URL: only scheme, host, port and path are allowed",
            ));
        }
        Ok(url)
    }

    /// Returns whether a URL is on this machine, or on a host that may be used without TLS.
    pub(crate) fn is_local(&self, url: &Url) -> bool {
        let is_allowed = |host: &str| {
            let mut allowed = self.http_hosts.iter();
            allowed.any(|allowed| allowed.eq_ignore_ascii_case(host))
        };
        is_loopback(url) || url.host_str().is_some_and(is_allowed)
    }
}

/// Returns whether a host is one of Fullscript's.
pub(crate) fn is_vendor_host(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    VENDOR_DOMAINS.iter().any(|domain| {
        host.strip_suffix(domain)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// Returns whether a text is the name of a host, and not one of Fullscript's.
fn is_test_host(host: &str) -> bool {
    let url = Url::parse(&format!("http://{host}"));
    let is_host = url.is_ok_and(|url| {
        url.host_str()
            .is_some_and(|parsed| parsed.eq_ignore_ascii_case(host))
            && url.port().is_none()
    });
    is_host && !is_vendor_host(host)
}

/// The settings of an HTTP client for a URL.
struct HttpSettings {
    connect_timeout: Duration,
    user_agent: String,
    proxy: Option<reqwest::Proxy>,
    /// Whether the URL is on this machine, or on a host that may be used without TLS.
    is_local: bool,
}

impl HttpSettings {
    fn builder(&self) -> reqwest::ClientBuilder {
        install_tls_provider();
        let builder = reqwest::Client::builder()
            .connect_timeout(self.connect_timeout)
            .user_agent(&self.user_agent)
            .redirect(reqwest::redirect::Policy::none())
            .http2_keep_alive_interval(PING_INTERVAL)
            .http2_keep_alive_timeout(PING_TIMEOUT)
            // A connection that died while idle is closed before a request uses it.
            .http2_keep_alive_while_idle(true);
        match &self.proxy {
            Some(proxy) => builder.proxy(proxy.clone()),
            // A proxy of the environment variables would receive tokens that are meant for this
            // machine or a container beside it, in plain text.
            None if self.is_local => builder.no_proxy(),
            None => builder,
        }
    }
}

/// Installs a TLS provider unless the application has installed one.
///
/// Without a provider, rustls panics at the first handshake.
pub(crate) fn install_tls_provider() {
    #[cfg(feature = "rustls-ring")]
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _lost_a_race = rustls::crypto::ring::default_provider().install_default();
    }
}

fn build_http_client(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, BuildError> {
    builder.build().map_err(|_| {
        BuildError::new(
            "HTTP client: TLS setup failed, or the user agent is not a valid header value",
        )
    })
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host.parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

/// An invalid setting of [`ClientBuilder`](crate::ClientBuilder) or
/// [`OAuthAppBuilder`](crate::auth::OAuthAppBuilder).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildError {
    reason: &'static str,
}

impl BuildError {
    pub(crate) fn new(reason: &'static str) -> Self {
        Self { reason }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason)
    }
}

impl std::error::Error for BuildError {}
