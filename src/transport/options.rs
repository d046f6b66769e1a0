//! Options of calls: timeouts, attempts, idempotency keys.

use std::fmt;
use std::time::Duration;

use reqwest::header::HeaderValue;

/// The default timeout of a call: waits for a permit and a token, all attempts with the delays
/// between them, and the response.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest timeout of a call, whatever is configured: 1 day.
const MAX_TIMEOUT: Duration = Duration::from_secs(86_400);

/// The default timeout of an attempt that can be retried: half of the call's, which leaves time
/// for a second attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);

/// The default number of attempts.
///
/// If a server fails one request of five at random, one call of 400,000 fails all eight attempts;
/// with four attempts it would be one of 600. The retry budget keeps their number small while
/// nothing succeeds.
const MAX_ATTEMPTS: u32 = 8;

/// The default size limit of a response that is read into memory: 8 MiB.
///
/// The largest recorded record has 1.3 KB and a page has at most 100 records, so this is room for
/// records 60 times as large.
const MAX_RESPONSE_SIZE: usize = 8 << 20;

/// Timeouts, retries and idempotency of calls.
///
/// Unset options are inherited from the client.
/// Set options for all calls on a builder ([`ClientBuilder::options`],
/// [`OAuthAppBuilder::options`]), or for some calls with
/// [`Client::with_options`](crate::Client::with_options).
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
/// use fullscript::CallOptions;
///
/// # async fn example(client: fullscript::Client) -> Result<(), fullscript::Error> {
/// let quick = CallOptions::new().timeout(Duration::from_secs(2)).max_attempts(1);
/// let clinic = client.with_options(quick).get_clinic().send().await?;
/// # Ok(())
/// # }
/// ```
///
/// [`ClientBuilder::options`]: crate::ClientBuilder::options
/// [`OAuthAppBuilder::options`]: crate::auth::OAuthAppBuilder::options
#[derive(Clone, Default)]
pub struct CallOptions {
    timeout: Option<Duration>,
    attempt_timeout: Option<Duration>,
    max_attempts: Option<u32>,
    max_response_size: Option<usize>,
    retry_refused_writes: Option<bool>,
    strict_decoding: Option<bool>,
    idempotency: Option<Idempotency>,
}

#[derive(Clone)]
enum Idempotency {
    Key(Box<str>),
    Random,
}

impl CallOptions {
    /// Creates options that override nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the timeout of the whole call.
    ///
    /// The timeout covers the waits for a rate-limit permit and for a token, all attempts with the
    /// delays between them, and the response. Default: 30 s. Maximum: 1 day.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the timeout of an attempt that can be followed by another one.
    ///
    /// The last attempt, and a call that is never retried, may use the rest of
    /// [`timeout`](Self::timeout). Default: 15 s.
    #[must_use]
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = Some(timeout);
        self
    }

    /// Sets the maximum number of attempts, including the first one.
    ///
    /// Set 1 to disable retries; a connected user's call is still retried once, with a refreshed
    /// token, after a 401. A value of 0 is treated as 1. Default: 8.
    ///
    /// Two kinds of requests are retried:
    ///
    /// - A request that was never sent, because the connection could not be established or was
    ///   closed before the request was written.
    /// - An idempotent request after a timeout, a connection failure, an incomplete response or a
    ///   status of 408, 425, 429, 500, 502 to 504, 507, 520 to 527, 529, 530, 598 or 599. GET, HEAD,
    ///   PUT and DELETE are idempotent, and so is a POST with an idempotency key. With a key, a 409
    ///   is also retried if its body says that the first request is still in progress
    ///   (`request_in_progress`).
    ///
    /// [`retry_refused_writes`](Self::retry_refused_writes) adds a third kind.
    #[must_use]
    pub fn max_attempts(mut self, max_attempts: u32) -> Self {
        self.max_attempts = Some(max_attempts.max(1));
        self
    }

    /// Retries a POST or PATCH that the server refused without processing it: after a 429, and
    /// after a 503 with a `Retry-After` header. Default: false.
    ///
    /// A server that limits requests or is in maintenance sends such a response before it looks at
    /// the request. Fullscript does not document this, and a proxy could send a 503 after the server
    /// has acted, so the default is not to retry: then the call fails, and
    /// [`Error::is_transient`](crate::Error::is_transient) is true.
    #[must_use]
    pub fn retry_refused_writes(mut self, retry: bool) -> Self {
        self.retry_refused_writes = Some(retry);
        self
    }

    /// Sets the largest response body that is read into memory, in bytes. Default: 8 MiB.
    ///
    /// A call with a larger response fails with
    /// [`ErrorKind::Decode`](crate::ErrorKind::Decode), and the rest of the body is not read. The
    /// limit applies to bodies that are decoded, not to those that are streamed: a download has
    /// [its own limit](crate::Download::limit).
    #[must_use]
    pub fn max_response_size(mut self, bytes: usize) -> Self {
        self.max_response_size = Some(bytes);
        self
    }

    /// Returns an error for a response that differs from its model, instead of decoding what fits.
    /// Default: false.
    ///
    /// By default, a value of another type is absent and is reported by
    /// [`Response::issues`](crate::Response::issues). Use this option in tests, to notice that the
    /// server has changed. The error is [`ErrorKind::Decode`](crate::ErrorKind::Decode) and names
    /// the field.
    #[must_use]
    pub fn strict_decoding(mut self, strict: bool) -> Self {
        self.strict_decoding = Some(strict);
        self
    }

    /// Sets the `Idempotency-Key` that is sent with every POST, and retries a POST like a GET.
    ///
    /// All attempts of a call send the same key. Use a key for one call only.
    ///
    /// Only third parties report that the vendor honors this header, and only for the creation of
    /// treatment plans: test it on the sandbox before you rely on it.
    ///
    /// A key consists of 1 to 255 visible ASCII characters. With any other key, the call fails
    /// before it is sent.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl AsRef<str>) -> Self {
        self.idempotency = Some(Idempotency::Key(key.as_ref().into()));
        self
    }

    /// Sends a new random [`idempotency_key`](Self::idempotency_key) with each call.
    #[must_use]
    pub fn random_idempotency_keys(mut self) -> Self {
        self.idempotency = Some(Idempotency::Random);
        self
    }

    /// Returns these options, overridden by those that are set in `other`.
    #[must_use]
    pub(crate) fn overridden_by(mut self, other: Self) -> Self {
        self.timeout = other.timeout.or(self.timeout);
        self.attempt_timeout = other.attempt_timeout.or(self.attempt_timeout);
        self.max_attempts = other.max_attempts.or(self.max_attempts);
        self.max_response_size = other.max_response_size.or(self.max_response_size);
        self.retry_refused_writes = other.retry_refused_writes.or(self.retry_refused_writes);
        self.strict_decoding = other.strict_decoding.or(self.strict_decoding);
        self.idempotency = other.idempotency.or(self.idempotency);
        self
    }

    pub(crate) fn whole_timeout(&self) -> Duration {
        self.timeout.unwrap_or(TIMEOUT).min(MAX_TIMEOUT)
    }

    pub(crate) fn timeout_of_attempts(&self) -> Duration {
        self.attempt_timeout.unwrap_or(ATTEMPT_TIMEOUT)
    }

    pub(crate) fn number_of_attempts(&self) -> u32 {
        self.max_attempts.unwrap_or(MAX_ATTEMPTS)
    }

    pub(crate) fn largest_response(&self) -> usize {
        self.max_response_size.unwrap_or(MAX_RESPONSE_SIZE)
    }

    pub(crate) fn retries_refused_writes(&self) -> bool {
        self.retry_refused_writes.unwrap_or_default()
    }

    pub(crate) fn decodes_strictly(&self) -> bool {
        self.strict_decoding.unwrap_or_default()
    }

    /// Returns the idempotency key of a new call: the caller's own header, or the one that these
    /// options define.
    pub(crate) fn key_of_a_call(
        &self,
        own: Option<&HeaderValue>,
    ) -> Option<Result<HeaderValue, &'static str>> {
        const BAD: &str = "the idempotency key is not 1 to 255 visible ASCII characters";
        let checked = |key: &[u8]| {
            let good = (1..=255).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
            let value = HeaderValue::from_bytes(key).ok().filter(|_| good);
            value.ok_or(BAD)
        };
        if let Some(own) = own {
            return Some(checked(own.as_bytes()));
        }
        match self.idempotency.as_ref()? {
            Idempotency::Key(key) => Some(checked(key.as_bytes())),
            Idempotency::Random => {
                let mut random = [0; 16];
                if getrandom::fill(&mut random).is_err() {
                    return Some(Err(
                        "the operating system provides no random numbers for an idempotency key",
                    ));
                }
                let key = format!("{:032x}", u128::from_le_bytes(random));
                Some(HeaderValue::try_from(key).map_err(|_| BAD))
            }
        }
    }
}

/// Omits the key, which may be derived from patient data.
impl fmt::Debug for CallOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallOptions")
            .field("timeout", &self.whole_timeout())
            .field("attempt_timeout", &self.timeout_of_attempts())
            .field("max_attempts", &self.number_of_attempts())
            .field("max_response_size", &self.largest_response())
            .field("retry_refused_writes", &self.retries_refused_writes())
            .field("strict_decoding", &self.decodes_strictly())
            .finish_non_exhaustive()
    }
}
