//! Verifies requests and turns them into deliveries.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::error::{Kind, UnusableSecret, WebhookError, Which};
use super::event::Event;
use super::reply::Reply;
use super::signature::{Claim, SIGNATURE_HEADER};
use crate::value::Secret;

/// Default tolerance: Fullscript's suggestion, and the value of all known verifiers.
const DEFAULT_TOLERANCE: Duration = Duration::from_secs(300);

/// Default body limit in bytes. An event has a few kilobytes; a treatment plan with hundreds of
/// products still fits.
const DEFAULT_BODY_LIMIT: usize = 1024 * 1024;

/// An accepted webhook delivery; respond with its [`reply`](Self::reply).
#[derive(Clone, Debug)]
pub enum Delivery {
    /// A challenge without an event (empty body): Fullscript checks that the endpoint is yours.
    Ping {
        /// The reply to send.
        reply: Reply,
    },
    /// An event with a verified signature. It may have been delivered before.
    Event {
        /// The event.
        event: Box<Event>,
        /// The reply to send.
        reply: Reply,
    },
}

impl Delivery {
    /// Returns the reply to send.
    #[must_use]
    pub fn reply(&self) -> &Reply {
        match self {
            Self::Ping { reply } | Self::Event { reply, .. } => reply,
        }
    }

    /// Returns the event, or `None` for a ping.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        match self {
            Self::Ping { .. } => None,
            Self::Event { event, .. } => Some(event),
        }
    }

    /// Returns the event, or `None` for a ping.
    #[must_use]
    pub fn into_event(self) -> Option<Event> {
        match self {
            Self::Ping { .. } => None,
            Self::Event { event, .. } => Some(*event),
        }
    }
}

/// Receives the deliveries of a webhook: verifies signatures, reads events and provides replies.
///
/// Create one receiver at startup and share it. `Debug` shows no secret, and the receiver's copies
/// of the secrets are overwritten when it is dropped.
pub struct Receiver {
    secrets: Vec<Secret>,
    reply: Reply,
    tolerance: Duration,
    body_limit: usize,
}

impl Receiver {
    /// Creates a receiver from the two secrets of the dashboard: the "Fullscript-signature secret
    /// key" (signing secret) and the "Secret challenge token".
    ///
    /// # Errors
    /// Returns [`UnusableSecret`] if a secret is empty or contains a line break or another control
    /// character. With an empty key, anyone could sign deliveries.
    pub fn new(
        signing_secret: impl Into<Secret>,
        challenge_token: impl Into<Secret>,
    ) -> Result<Self, UnusableSecret> {
        let challenge_token = challenge_token.into();
        UnusableSecret::check(Which::Challenge, challenge_token.expose())?;
        let receiver = Self {
            secrets: Vec::new(),
            reply: Reply::new(challenge_token.expose()),
            tolerance: DEFAULT_TOLERANCE,
            body_limit: DEFAULT_BODY_LIMIT,
        };
        receiver.additional_secret(signing_secret)
    }

    /// Accepts signatures made with this signing secret too, to rotate secrets.
    ///
    /// # Errors
    /// Returns the errors of [`new`](Self::new).
    pub fn additional_secret(
        mut self,
        signing_secret: impl Into<Secret>,
    ) -> Result<Self, UnusableSecret> {
        let secret = signing_secret.into();
        UnusableSecret::check(Which::Signing, secret.expose())?;
        self.secrets.push(secret);
        Ok(self)
    }

    /// Sets the maximum age of a signature, which is also the maximum time it may be in the future.
    /// Counted in whole seconds. Default: 300 s.
    #[must_use]
    pub fn tolerance(mut self, tolerance: Duration) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Sets the maximum body size in bytes. Default: 1 MiB.
    ///
    /// Set the same limit in the HTTP server, because here the body is already in memory.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Verifies a delivery and reads its event.
    ///
    /// The body is parsed only after its signature was verified.
    ///
    /// `headers` are pairs of name and value in any order and case; headers other than the
    /// signature are ignored. Accepted are, for example, `&http::HeaderMap` of axum and actix,
    /// `&HashMap<String, String>` of a lambda, or `[(SIGNATURE_HEADER, value)]`. `body` is the
    /// unchanged request body.
    ///
    /// An empty body (or one of white space only) is a [`Delivery::Ping`] and needs no signature.
    ///
    /// # Errors
    /// Returns a [`WebhookError`] if the body is larger than the limit, or if its signature is
    /// missing, malformed, wrong, or too far from `now`.
    pub fn receive<N, V>(
        &self,
        headers: impl IntoIterator<Item = (N, V)>,
        body: &[u8],
        now: SystemTime,
    ) -> Result<Delivery, WebhookError>
    where
        N: AsRef<str>,
        V: AsRef<[u8]>,
    {
        let reply = self.reply.clone();
        if body.len() <= self.body_limit && body.trim_ascii().is_empty() {
            return Ok(Delivery::Ping { reply });
        }
        self.verify(headers, body, now)?;
        let event = Box::new(Event::from_body(body));
        Ok(Delivery::Event { event, reply })
    }

    /// Verifies a delivery like [`receive`](Self::receive) without reading its event.
    ///
    /// Use it to store the body and read it later with [`Event::from_body`]. Here an empty body
    /// also needs a signature.
    ///
    /// # Errors
    /// Returns the errors of [`receive`](Self::receive).
    pub fn verify<N, V>(
        &self,
        headers: impl IntoIterator<Item = (N, V)>,
        body: &[u8],
        now: SystemTime,
    ) -> Result<(), WebhookError>
    where
        N: AsRef<str>,
        V: AsRef<[u8]>,
    {
        if body.len() > self.body_limit {
            return Err(WebhookError::new(Kind::Oversized));
        }
        let ours = |name: &N| name.as_ref().eq_ignore_ascii_case(SIGNATURE_HEADER);
        let values: Vec<V> = headers
            .into_iter()
            .filter_map(|(name, value)| ours(&name).then_some(value))
            .collect();
        let values: Vec<&[u8]> = values.iter().map(AsRef::as_ref).collect();
        Claim::read(&values)?.verify(&self.secrets, body, now, self.tolerance)
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("secrets", &self.secrets.len())
            .field("tolerance", &self.tolerance)
            .field("body_limit", &self.body_limit)
            .finish_non_exhaustive()
    }
}
