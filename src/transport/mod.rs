//! The transport of calls: HTTP client, limits, retries, and the settings of both builders.

mod limit;
mod options;
mod outcome;
pub(crate) mod retry;
pub(crate) mod shared;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::shared::Listener;
use crate::clock::{Clock, SystemClock};
use crate::environment::Environment;

pub use self::limit::RateLimit;
pub(crate) use self::limit::{NoPermit, Permit};
pub use self::options::CallOptions;
pub use self::outcome::CallOutcome;
pub use self::shared::CallReport;
pub(crate) use self::shared::Calls;

/// The default connect timeout: enough for an intercontinental TLS handshake on a slow network.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The timeout of one request to the token endpoint, including the response: several attempts
/// must fit into the time that a caller waits.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(10);

/// The default `User-Agent`.
const USER_AGENT: &str = concat!("fullscript-rust/", env!("CARGO_PKG_VERSION"));

/// The default concurrency limit. Each in-flight request may need its own TCP connection, of which
/// a machine supports a few thousand.
const CONCURRENCY: usize = 256;

/// The settings that `ClientBuilder` and `OAuthAppBuilder` share.
pub(crate) struct Connection {
    pub(crate) environment: Environment,
    pub(crate) base_url: String,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) http: Option<reqwest::Client>,
    pub(crate) connect_timeout: Duration,
    pub(crate) user_agent: String,
    pub(crate) proxy: Option<reqwest::Proxy>,
    pub(crate) options: CallOptions,
    pub(crate) rate_limit: RateLimit,
    pub(crate) concurrency: usize,
    pub(crate) listener: Option<Listener>,
}

/// The HTTP client, the limits and the options that are built from the settings.
#[derive(Clone)]
pub(crate) struct Connected {
    pub(crate) base: Arc<reqwest::Url>,
    pub(crate) http: reqwest::Client,
    pub(crate) calls: Arc<Calls>,
    pub(crate) options: CallOptions,
}

/// Defines the setters of the shared settings, for a builder with a field `connection`.
macro_rules! connection_setters {
    () => {
        /// Overrides the environment's base URL, for example to use a proxy or a fake.
        ///
        /// The scheme must be `https`; `http` is accepted only for loopback addresses.
        #[must_use]
        pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
            self.connection.base_url = base_url.into();
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
        /// Proxies from environment variables (`HTTPS_PROXY` etc.) are used without this setting.
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
        /// Default: the vendor's limit, 5,000 requests in 5 minutes.
        #[must_use]
        pub fn rate_limit(mut self, limit: $crate::RateLimit) -> Self {
            self.connection.rate_limit = limit;
            self
        }

        /// Sets the maximum number of in-flight requests.
        ///
        /// Further requests wait in a queue per user, served round-robin. One connected user can
        /// have three quarters of them, so that slow requests of one user leave room for the
        /// others. Requests to the token endpoint do not count. Default: 256.
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
    };
}
pub(crate) use connection_setters;

impl Connection {
    pub(crate) fn to(environment: Environment) -> Self {
        Self {
            environment,
            base_url: environment.base_url().into(),
            clock: Arc::new(SystemClock),
            http: None,
            connect_timeout: CONNECT_TIMEOUT,
            user_agent: USER_AGENT.into(),
            proxy: None,
            options: CallOptions::new(),
            rate_limit: RateLimit::default(),
            concurrency: CONCURRENCY,
            listener: None,
        }
    }

    /// Builds the HTTP client and the shared state of calls.
    pub(crate) fn open(self) -> Result<Connected, BuildError> {
        let base = base_url(&self.base_url)?;
        let http = match &self.http {
            Some(http) => http.clone(),
            None => build_http_client(self.http_client_builder())?,
        };
        let calls = Calls::new(self.concurrency, self.rate_limit, self.clock, self.listener);
        Ok(Connected {
            base: Arc::new(base),
            http,
            calls: Arc::new(calls),
            options: self.options,
        })
    }

    /// Builds the HTTP client for the token endpoint, which decompresses no responses because token
    /// responses are small.
    pub(crate) fn token_http_client(&self) -> Result<reqwest::Client, BuildError> {
        let builder = self.http_client_builder().timeout(TOKEN_TIMEOUT);
        build_http_client(builder.no_gzip().no_brotli().no_deflate().no_zstd())
    }

    fn http_client_builder(&self) -> reqwest::ClientBuilder {
        install_tls_provider();
        let builder = reqwest::Client::builder()
            .connect_timeout(self.connect_timeout)
            .user_agent(&self.user_agent)
            .redirect(reqwest::redirect::Policy::none());
        match &self.proxy {
            Some(proxy) => builder.proxy(proxy.clone()),
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

/// Parses a URL that tokens and health data may be sent to.
///
/// It must use `https`, or `http` on a loopback address, and must consist of scheme, host, port
/// and path only.
pub(crate) fn base_url(text: &str) -> Result<reqwest::Url, BuildError> {
    let url = reqwest::Url::parse(text)
        .map_err(|_| BuildError::new("base URL or OAuth URL: not a valid URL"))?;
    let is_local_http = url.scheme() == "http" && is_loopback(&url);
    if url.scheme() != "https" && !is_local_http {
        return Err(BuildError::new(
            "base URL or OAuth URL: not https; tokens and health data are sent to it",
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

pub(crate) fn is_loopback(url: &reqwest::Url) -> bool {
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
