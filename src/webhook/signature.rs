//! Reads and verifies the signature header.

use std::time::{Duration, SystemTime};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use sha2::digest::Output;
use subtle::{Choice, ConstantTimeEq};

use super::error::{Kind, WebhookError};
use crate::text::{hex, read_hex};
use crate::value::Secret;

/// Name of the signature header; case-insensitive.
pub const SIGNATURE_HEADER: &str = "Fullscript-Signature";

/// The maximum number of different timestamps in the headers of one delivery, because each one
/// costs a pass over the body. One is documented; a repeated header has two.
const MAX_TIMESTAMPS: usize = 4;

type Signature = Output<Sha256>;

/// Signs a body like Fullscript does and returns the value of the signature header, for tests.
///
/// `time` is rounded down to whole seconds; a time before 1970 counts as 1970.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
///
/// let time = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
/// let header = fullscript::webhook::sign("fs-test-webhook-secret", time, br#"{"event":{}}"#);
/// assert!(header.starts_with("t=1700000000,v1=84e9ec5a"));
/// ```
#[must_use]
pub fn sign(secret: &str, time: SystemTime, body: &[u8]) -> String {
    let time = since_1970(time).as_secs().to_string();
    let signature = signature(secret, time.as_bytes(), body);
    format!("t={time},v1={}", hex(&signature))
}

/// The combined content of the signature headers of one delivery.
pub(super) struct Claim<'h> {
    timestamps: Vec<Timestamp<'h>>,
    signatures: Vec<Signature>,
}

struct Timestamp<'h> {
    /// The timestamp as it was sent, which is what was signed.
    text: &'h [u8],
    since_1970: Duration,
}

impl<'h> Claim<'h> {
    /// Reads the values of the headers. Unknown parts are ignored if there is at least one
    /// timestamp and one signature.
    pub(super) fn read(headers: &[&'h [u8]]) -> Result<Self, WebhookError> {
        if headers.is_empty() {
            return Err(WebhookError::new(Kind::Missing));
        }
        let mut claim = Self {
            timestamps: Vec::new(),
            signatures: Vec::new(),
        };
        let parts = headers
            .iter()
            .flat_map(|header| header.split(|byte| *byte == b','));
        for part in parts {
            let mut pair = part.splitn(2, |byte| *byte == b'=');
            let (Some(key), Some(value)) = (pair.next(), pair.next()) else {
                continue;
            };
            let value = value.trim_ascii();
            match key.trim_ascii() {
                b"t" => claim.add_timestamp(value),
                b"v1" => {
                    let mut signature = Signature::default();
                    let read = read_hex(value, &mut signature);
                    claim.signatures.extend(read.map(|()| signature));
                }
                _ => {}
            }
        }
        let kind = match claim.timestamps.len() {
            0 => Kind::NoTimestamp,
            1..=MAX_TIMESTAMPS if claim.signatures.is_empty() => Kind::NoSignature,
            1..=MAX_TIMESTAMPS => return Ok(claim),
            _ => Kind::ManyTimestamps,
        };
        Err(WebhookError::new(kind))
    }

    fn add_timestamp(&mut self, text: &'h [u8]) {
        let is_known = |known: &Timestamp<'_>| known.text == text;
        if let Some(since_1970) = seconds(text)
            && !self.timestamps.iter().any(is_known)
        {
            self.timestamps.push(Timestamp { text, since_1970 });
        }
    }

    /// Returns an error unless a signature matches the body with one of the timestamps and secrets,
    /// and that timestamp is within the tolerance.
    ///
    /// The signature is checked first: a delivery reported as stale or future was signed by
    /// Fullscript, so the error indicates a wrong clock and not a forgery.
    pub(super) fn verify(
        &self,
        secrets: &[Secret],
        body: &[u8],
        now: SystemTime,
        tolerance: Duration,
    ) -> Result<(), WebhookError> {
        let now = Duration::from_secs(since_1970(now).as_secs());
        let mut refusal = Kind::Wrong;
        for timestamp in &self.timestamps {
            if !self.fits(timestamp, secrets, body) {
                continue;
            }
            if now.abs_diff(timestamp.since_1970) <= tolerance {
                return Ok(());
            }
            refusal = if timestamp.since_1970 < now {
                Kind::Stale
            } else {
                Kind::Future
            };
        }
        Err(WebhookError::new(refusal))
    }

    /// Compares every secret with every signature. The duration reveals only how many there are.
    fn fits(&self, timestamp: &Timestamp<'_>, secrets: &[Secret], body: &[u8]) -> bool {
        let mut fits = Choice::from(0);
        for secret in secrets {
            let expected = signature(secret.expose(), timestamp.text, body);
            for signature in &self.signatures {
                fits |= expected.ct_eq(signature);
            }
        }
        fits.into()
    }
}

fn signature(secret: &str, time: &[u8], body: &[u8]) -> Signature {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC accepts keys of any length");
    mac.update(time);
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes()
}

/// Parses decimal digits only; a sign, a space or a fraction is invalid.
fn seconds(text: &[u8]) -> Option<Duration> {
    let is_digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let text = str::from_utf8(text).ok().filter(|_| is_digits)?;
    text.parse().ok().map(Duration::from_secs)
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}
