//! Where calls go, and by what means; what both builders can be told.

mod limit;
mod options;
pub(crate) mod retry;
pub(crate) mod shared;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::shared::Listener;
use crate::clock::Clock;
use crate::environment::Environment;

pub use self::limit::RateLimit;
pub(crate) use self::limit::Turn;
pub use self::options::CallOptions;
pub use self::shared::CallReport;
pub(crate) use self::shared::Calls;

/// Long enough for a handshake across an ocean on a bad day.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// One request to the token endpoint, answer included: a few of them must fit
/// into the time that a caller is ready to wait.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(10);

/// The name that the client gives itself.
const USER_AGENT: &str = concat!("fullscript-rust/", env!("CARGO_PKG_VERSION"));

/// How many requests are under way at once. Each may need a connection of its
/// own, of which a machine has some thousands.
const CONCURRENCY: usize = 256;

/// The settings that `ClientBuilder` and `OAuthAppBuilder` share.
pub(crate) struct Connection {
    pub(crate) environment: Environment,
    pub(crate) base_url: String,
    pub(crate) http: Option<reqwest::Client>,
    pub(crate) connect_timeout: Duration,
    pub(crate) user_agent: String,
    pub(crate) proxy: Option<reqwest::Proxy>,
    pub(crate) options: CallOptions,
    pub(crate) rate_limit: RateLimit,
    pub(crate) concurrency: usize,
    pub(crate) listener: Option<Listener>,
}

/// What is made of the settings.
pub(crate) struct Connected {
    /// As requests will spell it, so that their paths can be compared.
    pub(crate) base_url: String,
    pub(crate) base: Arc<reqwest::Url>,
    pub(crate) http: reqwest::Client,
    pub(crate) calls: Arc<Calls>,
    pub(crate) options: CallOptions,
}

/// The setters of the shared settings, for a builder with a field
/// `connection`.
macro_rules! connection_setters {
    () => {
        /// An HTTP client of your own for the calls: TLS, pool, protocol.
        ///
        /// It takes the place of [`connect_timeout`](Self::connect_timeout),
        /// [`user_agent`](Self::user_agent) and [`proxy`](Self::proxy). Let it
        /// follow no redirects to other hosts; the default one follows none at
        /// all. A time-out that it has of its own holds for each attempt, beside
        /// those of [`CallOptions`](crate::CallOptions).
        #[must_use]
        pub fn http_client(mut self, http: reqwest::Client) -> Self {
            self.connection.http = Some(http);
            self
        }

        /// How long a connection may take to be made: 10 seconds by default.
        #[must_use]
        pub fn connect_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.connection.connect_timeout = timeout;
            self
        }

        /// The name that the client gives itself, `fullscript-rust/` and its
        /// version by default.
        #[must_use]
        pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
            self.connection.user_agent = user_agent.into();
            self
        }

        /// A proxy to go through. Those that the environment names
        /// (`HTTPS_PROXY` and the like) are used without being given here.
        #[must_use]
        pub fn proxy(mut self, proxy: reqwest::Proxy) -> Self {
            self.connection.proxy = Some(proxy);
            self
        }

        /// How calls are made: their time, their attempts.
        #[must_use]
        pub fn options(mut self, options: $crate::CallOptions) -> Self {
            self.connection.options = self.connection.options.overridden_by(options);
            self
        }

        /// How many requests may be sent in what time, by all who share this;
        /// the vendor's limit by default.
        #[must_use]
        pub fn rate_limit(mut self, limit: $crate::RateLimit) -> Self {
            self.connection.rate_limit = limit;
            self
        }

        /// How many requests may be under way at once; the others wait. 256 by
        /// default.
        #[must_use]
        pub fn concurrency(mut self, requests: usize) -> Self {
            self.connection.concurrency = requests;
            self
        }

        /// Called at the end of each call, on the task that made it, with what
        /// a counter or a histogram wants: be quick.
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

    /// Makes what calls need.
    pub(crate) fn open(self, clock: Arc<dyn Clock>) -> Result<Connected, BuildError> {
        let base_url = base_url(&self.base_url)?;
        let http = match &self.http {
            Some(http) => http.clone(),
            None => finished(self.http_client_builder())?,
        };
        let calls = Calls::new(self.concurrency, self.rate_limit, clock, self.listener);
        Ok(Connected {
            base_url: base_url.as_str().trim_end_matches('/').into(),
            base: Arc::new(base_url),
            http,
            calls: Arc::new(calls),
            options: self.options,
        })
    }

    /// A client for the token endpoint: replies are small, and none is
    /// unpacked.
    pub(crate) fn token_http_client(&self) -> Result<reqwest::Client, BuildError> {
        let builder = self.http_client_builder().timeout(TOKEN_TIMEOUT);
        finished(builder.no_gzip().no_brotli().no_deflate().no_zstd())
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

/// Without a provider rustls would panic at the first handshake; one that the
/// application has installed already stays.
pub(crate) fn install_tls_provider() {
    #[cfg(feature = "rustls-ring")]
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _lost_a_race = rustls::crypto::ring::default_provider().install_default();
    }
}

fn finished(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, BuildError> {
    builder
        .build()
        .map_err(|_| BuildError::new("TLS could not be set up, or the user agent is no header"))
}

/// An address that tokens and health data may travel to: `https`, or
/// loopback; nothing but scheme, host, port and path.
pub(crate) fn base_url(text: &str) -> Result<reqwest::Url, BuildError> {
    let url =
        reqwest::Url::parse(text).map_err(|_| BuildError::new("the base URL is not a URL"))?;
    let plain = url.scheme() == "http" && is_loopback(&url);
    if url.scheme() != "https" && !plain {
        return Err(BuildError::new(
            "the base URL is not https: tokens and health data travel over it",
        ));
    }
    let has_user = !url.username().is_empty() || url.password().is_some();
    if url.query().is_some() || url.fragment().is_some() || has_user {
        return Err(BuildError::new(
            "the base URL has more than scheme, host, port and path",
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

/// A client that can't be built; says why.
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
