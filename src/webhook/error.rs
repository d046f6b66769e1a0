//! Errors of webhook deliveries and secrets.

use std::fmt;

/// The reason why a webhook delivery was rejected.
///
/// Neither `Display` nor `Debug` shows a secret, a signature or the body. Respond with
/// [`status`](Self::status), so that Fullscript retries the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebhookError {
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Missing,
    NoTimestamp,
    ManyTimestamps,
    NoSignature,
    Wrong,
    Stale,
    Future,
    Oversized,
}

impl WebhookError {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind }
    }

    /// Returns whether the signature header is missing.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.kind == Kind::Missing
    }

    /// Returns whether the signature header is malformed: no timestamp, too many timestamps, or no
    /// supported signature.
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        matches!(
            self.kind,
            Kind::NoTimestamp | Kind::ManyTimestamps | Kind::NoSignature
        )
    }

    /// Returns whether no signature matches the body with any of the signing secrets.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        self.kind == Kind::Wrong
    }

    /// Returns whether the signature is valid but older than the tolerance.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.kind == Kind::Stale
    }

    /// Returns whether the signature is valid but its timestamp is in the future by more than the
    /// tolerance.
    #[must_use]
    pub fn is_future(&self) -> bool {
        self.kind == Kind::Future
    }

    /// Returns whether the body is larger than the limit; nothing else was checked.
    #[must_use]
    pub fn is_oversized(&self) -> bool {
        self.kind == Kind::Oversized
    }

    /// Returns the HTTP status to respond with: 400 for a malformed header, 413 for an oversized
    /// body, 401 otherwise.
    ///
    /// Never 410, because Fullscript disables the endpoint after a 410.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self.kind {
            Kind::NoTimestamp | Kind::ManyTimestamps | Kind::NoSignature => 400,
            Kind::Oversized => 413,
            Kind::Missing | Kind::Wrong | Kind::Stale | Kind::Future => 401,
        }
    }
}

impl fmt::Display for WebhookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Missing => {
                "webhook signature: no Fullscript-Signature header; check that no proxy removes it"
            }
            Kind::NoTimestamp => {
                "webhook signature: no timestamp of decimal digits in the Fullscript-Signature header; check that no proxy changes it"
            }
            Kind::ManyTimestamps => {
                "webhook signature: too many timestamps in the Fullscript-Signature header; check that no proxy repeats it"
            }
            Kind::NoSignature => {
                "webhook signature: no v1 signature of 64 hex digits in the Fullscript-Signature header; check for a newer version of this crate"
            }
            Kind::Wrong => {
                "webhook signature: no match; compare the signing secret with the dashboard's and pass the body unchanged"
            }
            Kind::Stale => {
                "webhook signature: valid but older than the tolerance; check this machine's clock"
            }
            Kind::Future => {
                "webhook signature: valid but its timestamp is in the future; check this machine's clock"
            }
            Kind::Oversized => "webhook delivery: body larger than the limit; raise it with `body_limit`",
        })
    }
}

impl std::error::Error for WebhookError {}

/// A signing secret or challenge token that is empty or contains a control character.
///
/// The value is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnusableSecret {
    pub(super) which: Which,
    pub(super) fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Signing,
    Challenge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Blank,
    ControlCharacter,
}

impl UnusableSecret {
    /// Rejects an empty secret, with which anyone could sign, and one with control characters, such
    /// as the line break at the end of a file.
    pub(super) fn check(which: Which, secret: &str) -> Result<(), Self> {
        let fault = if secret.trim().is_empty() {
            Fault::Blank
        } else if secret.contains(char::is_control) {
            Fault::ControlCharacter
        } else {
            return Ok(());
        };
        Err(Self { which, fault })
    }
}

impl fmt::Display for UnusableSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let which = match self.which {
            Which::Signing => "signature secret key",
            Which::Challenge => "secret challenge token",
        };
        let fault = match self.fault {
            Fault::Blank => "empty",
            Fault::ControlCharacter => "contains a line break or another control character",
        };
        write!(f, "{which}: {fault}; copy it from the dashboard")
    }
}

impl std::error::Error for UnusableSecret {}
