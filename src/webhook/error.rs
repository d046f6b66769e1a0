//! Why a delivery or a secret is refused.

use std::fmt;

/// A delivery that is not accepted.
///
/// Neither `Display` nor `Debug` shows a secret, a signature or the body.
/// Answer it with [`status`](Self::status): the vendor tries again then.
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

    /// Whether there is no signature header at all.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.kind == Kind::Missing
    }

    /// Whether the signature header can't be read: no time or several, or no
    /// signature of a kind that is understood.
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        matches!(
            self.kind,
            Kind::NoTimestamp | Kind::ManyTimestamps | Kind::NoSignature
        )
    }

    /// Whether no signature fits the body with any of the secrets.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        self.kind == Kind::Wrong
    }

    /// Whether the signature is right and older than the tolerance.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.kind == Kind::Stale
    }

    /// Whether the signature is right and of a time that is yet to come, by
    /// more than the tolerance.
    #[must_use]
    pub fn is_future(&self) -> bool {
        self.kind == Kind::Future
    }

    /// Whether the body is larger than the limit; nothing else was looked at.
    #[must_use]
    pub fn is_oversized(&self) -> bool {
        self.kind == Kind::Oversized
    }

    /// The status to answer: 400 for a malformed header, 413 for an oversized
    /// body, 401 for all else.
    ///
    /// Never 410, which disables the address at the vendor's.
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
                "the delivery has no Fullscript-Signature header, look whether a proxy removes it"
            }
            Kind::NoTimestamp => {
                "the Fullscript-Signature header has no time of decimal digits, look whether a proxy changes it"
            }
            Kind::ManyTimestamps => {
                "the Fullscript-Signature header has too many times, look whether a proxy repeats it"
            }
            Kind::NoSignature => {
                "the Fullscript-Signature header has no v1 signature of 64 hex digits, look whether a newer version of this crate reads others"
            }
            Kind::Wrong => {
                "the signature does not fit, compare the signature secret key with the dashboard's and make sure that the body is passed on as it came"
            }
            Kind::Stale => {
                "the signature is right but older than the tolerance, compare this machine's clock"
            }
            Kind::Future => {
                "the signature is right but of a later time than the tolerance allows, compare this machine's clock"
            }
            Kind::Oversized => "the body is larger than the limit, raise it with `body_limit`",
        })
    }
}

impl std::error::Error for WebhookError {}

/// A secret that can't be the one of the dashboard; it is not shown.
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
    /// Refuses what would accept the signatures of everybody, and what was not
    /// copied alone, such as the line break at the end of a file.
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
            Fault::Blank => "is empty",
            Fault::ControlCharacter => "has a line break or another control character",
        };
        write!(f, "the {which} {fault}, copy it from the dashboard")
    }
}

impl std::error::Error for UnusableSecret {}
