//! From a request to a delivery, or to its refusal.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::error::{Kind, UnusableSecret, WebhookError, Which};
use super::event::Event;
use super::reply::Reply;
use super::signature::{Claim, SIGNATURE_HEADER};
use crate::value::Secret;

/// What the vendor's pages suggest, and all verifiers that were found use.
const TOLERANCE: Duration = Duration::from_secs(300);

/// In bytes. An event is of a few kilobytes; a treatment plan of hundreds of
/// products still fits.
const BODY_LIMIT: usize = 1024 * 1024;

/// A delivery that is accepted; answer it with its [`reply`](Self::reply).
#[derive(Clone, Debug)]
pub enum Delivery {
    /// An empty body: the vendor asks whether the address is yours.
    Ping {
        /// What to answer.
        reply: Reply,
    },
    /// An event, surely the vendor's; perhaps not for the first time.
    Event {
        /// What has happened.
        event: Box<Event>,
        /// What to answer.
        reply: Reply,
    },
}

impl Delivery {
    /// What to answer, whatever was delivered.
    #[must_use]
    pub fn reply(&self) -> &Reply {
        match self {
            Self::Ping { reply } | Self::Event { reply, .. } => reply,
        }
    }

    /// The event, unless it is a ping.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        match self {
            Self::Ping { .. } => None,
            Self::Event { event, .. } => Some(event),
        }
    }

    /// The event, unless it is a ping.
    #[must_use]
    pub fn into_event(self) -> Option<Event> {
        match self {
            Self::Ping { .. } => None,
            Self::Event { event, .. } => Some(*event),
        }
    }
}

/// Takes the deliveries of one webhook: checks, reads and answers them.
///
/// Make one when the process starts and share it. Debug shows no secret; the
/// copies held here are overwritten when it is dropped.
pub struct Receiver {
    secrets: Vec<Secret>,
    reply: Reply,
    tolerance: Duration,
    body_limit: usize,
}

impl Receiver {
    /// Makes a receiver from the two secrets of the dashboard: the
    /// "Fullscript-signature secret key" and the "Secret challenge token".
    ///
    /// # Errors
    /// When one of them is empty or has a line break: an empty key would let
    /// everybody in.
    pub fn new(
        signing_secret: impl Into<Secret>,
        challenge_token: impl Into<Secret>,
    ) -> Result<Self, UnusableSecret> {
        let challenge_token = challenge_token.into();
        UnusableSecret::check(Which::Challenge, challenge_token.expose())?;
        let receiver = Self {
            secrets: Vec::new(),
            reply: Reply::new(challenge_token.expose()),
            tolerance: TOLERANCE,
            body_limit: BODY_LIMIT,
        };
        receiver.additional_secret(signing_secret)
    }

    /// Accepts what is signed with this secret too, while one replaces the
    /// other.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn additional_secret(
        mut self,
        signing_secret: impl Into<Secret>,
    ) -> Result<Self, UnusableSecret> {
        let secret = signing_secret.into();
        UnusableSecret::check(Which::Signing, secret.expose())?;
        self.secrets.push(secret);
        Ok(self)
    }

    /// How far the time of a signature may be from now, before and after; 300
    /// seconds unless told. Counted in whole seconds.
    #[must_use]
    pub fn tolerance(mut self, tolerance: Duration) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// How many bytes a body may have; 1 MiB unless told.
    ///
    /// Give the HTTP server the same limit: here the body is in memory already.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Checks and reads a delivery; nothing of a body is parsed before its
    /// signature is found right.
    ///
    /// The headers are names with values, in any order and case, other ones
    /// among them: `&http::HeaderMap` of axum and actix, `&HashMap<String,
    /// String>` of a lambda, or `[(SIGNATURE_HEADER, value)]`. The body is the
    /// bytes as they came.
    ///
    /// An empty body (or one of white space) is a [`Delivery::Ping`] and needs
    /// no signature.
    ///
    /// # Errors
    /// When the body is larger than the limit, or its signature is missing,
    /// malformed, wrong, or too far from `now`.
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

    /// Checks a body as [`receive`](Self::receive) does and reads nothing of
    /// it, for who keeps it to read later with [`Event::from_body`]; an empty
    /// body needs its signature here.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
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
