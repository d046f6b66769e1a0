//! How a call is made: its time, its attempts, its idempotency key.

use std::fmt;
use std::time::Duration;

use reqwest::header::HeaderValue;

/// The whole of one call: waiting for its turn, for a token, all attempts
/// with the pauses between them, and the answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// No call takes longer, whatever it is given: a day.
const LONGEST: Duration = Duration::from_secs(86_400);

/// One attempt of a call that may be tried again: half of the whole, so that
/// there is time for another.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);

/// How often a call is tried.
const ATTEMPTS: u32 = 4;

/// How calls are made: what is not set here is as it was before.
///
/// Set for all calls on a builder ([`ClientBuilder::options`],
/// [`OAuthAppBuilder::options`]), for some by
/// [`Client::with_options`](crate::Client::with_options):
///
/// ```no_run
/// use std::time::Duration;
/// use fullscript::CallOptions;
///
/// # async fn example(client: fullscript::Client) -> Result<(), fullscript::Error> {
/// let quick = CallOptions::new().timeout(Duration::from_secs(2)).attempts(1);
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
    attempts: Option<u32>,
    idempotency: Option<Idempotency>,
}

#[derive(Clone)]
enum Idempotency {
    Key(Box<str>),
    Random,
}

impl CallOptions {
    /// Sets nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a call may take as a whole: waiting for its turn and for a
    /// token, all attempts, and the answer. 30 seconds by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long one attempt may take, where there may be another. 15 seconds
    /// by default.
    ///
    /// A call that is never repeated has all the time that the call has.
    #[must_use]
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = Some(timeout);
        self
    }

    /// How often a call is tried at most: 4 times by default, 1 for never
    /// again, but for the one time more that follows a refused token.
    ///
    /// What is tried again: a request that never left this machine; and after
    /// a failure or a status of 408, 425, 429, 500, 502, 503 or 504 those
    /// that do no harm twice, which are GET, HEAD, PUT, DELETE, and POST with
    /// an idempotency key.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts.max(1));
        self
    }

    /// Sends this `Idempotency-Key` with every POST, the same on each attempt,
    /// and tries a POST again like a GET.
    ///
    /// Use a key for one call only. That the vendor heeds the header is told
    /// by third parties, for the creation of treatment plans: try it on the
    /// sandbox before you rely on it. A key is 1 to 255 visible ASCII
    /// characters; any other makes the call fail before it is sent.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl AsRef<str>) -> Self {
        self.idempotency = Some(Idempotency::Key(key.as_ref().into()));
        self
    }

    /// As [`idempotency_key`](Self::idempotency_key), with a new random key
    /// for each call.
    #[must_use]
    pub fn random_idempotency_keys(mut self) -> Self {
        self.idempotency = Some(Idempotency::Random);
        self
    }

    /// These options, and those of another where it has some.
    #[must_use]
    pub(crate) fn overridden_by(mut self, other: Self) -> Self {
        self.timeout = other.timeout.or(self.timeout);
        self.attempt_timeout = other.attempt_timeout.or(self.attempt_timeout);
        self.attempts = other.attempts.or(self.attempts);
        self.idempotency = other.idempotency.or(self.idempotency);
        self
    }

    pub(crate) fn whole_timeout(&self) -> Duration {
        self.timeout.unwrap_or(TIMEOUT).min(LONGEST)
    }

    pub(crate) fn timeout_of_attempts(&self) -> Duration {
        self.attempt_timeout.unwrap_or(ATTEMPT_TIMEOUT)
    }

    pub(crate) fn number_of_attempts(&self) -> u32 {
        self.attempts.unwrap_or(ATTEMPTS)
    }

    /// The header of a new call, if there is to be one: the one that the caller
    /// has set already, or one of these options.
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
                    return Some(Err("the machine has no randomness for an idempotency key"));
                }
                let key = format!("{:032x}", u128::from_le_bytes(random));
                Some(HeaderValue::try_from(key).map_err(|_| BAD))
            }
        }
    }
}

/// Shows no key, which may be made of what it stands for.
impl fmt::Debug for CallOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallOptions")
            .field("timeout", &self.whole_timeout())
            .field("attempt_timeout", &self.timeout_of_attempts())
            .field("attempts", &self.number_of_attempts())
            .finish_non_exhaustive()
    }
}
