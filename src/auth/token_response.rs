//! Reads the responses of the token endpoint and the revocation endpoint.

use std::borrow::Cow;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, WWW_AUTHENTICATE};
use serde_json::Value;

use super::error::{AuthError, Kind};
use super::token::{AccessToken, RefreshToken, Scope};
use super::user::UserKey;

/// The minimum lifetime of an access token: 60 s.
///
/// A token that the server issues as already expired is used anyway, because refreshing it would
/// never end.
const MIN_LIFETIME: Duration = Duration::from_secs(60);

/// The maximum lifetime of an access token: 1 year.
const MAX_LIFETIME: Duration = Duration::from_secs(365 * 86_400);

/// The lifetime of the vendor's access tokens, used if a response does not contain it: 2 h.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(7_200);

/// The error codes that decide an outcome (RFC 6749, sections 4.1.2.1 and 5.2; RFC 7009, section
/// 2.2.1).
const CODES: [&str; 9] = [
    "invalid_grant",
    "invalid_client",
    "unauthorized_client",
    "invalid_request",
    "invalid_scope",
    "unsupported_grant_type",
    "unsupported_token_type",
    "temporarily_unavailable",
    "server_error",
];

/// The fields that contain an error code, or an object or a list with one.
const CODE_FIELDS: [&str; 7] = [
    "oauth",
    "error",
    "errors",
    "code",
    "error_code",
    "type",
    "message",
];

const INVALID_CLIENT: &str = "token endpoint: the client id is unknown or the client secret is \
    wrong (invalid_client); compare both with the dashboard of this environment";
const UNAUTHORIZED_CLIENT: &str = "token endpoint: the app may not make this request, or the \
    token belongs to another app (unauthorized_client); compare the client id with the app that \
    the user connected to, and ask the vendor whether the app is enabled";
const INVALID_REQUEST: &str = "token endpoint: the server misses or refuses a parameter \
    (invalid_request); compare the redirect URI and the client id with the dashboard";
const INVALID_SCOPE: &str = "token endpoint: the server refuses the scopes of the app \
    (invalid_scope); check the scopes in the dashboard, then start the connection again";
const UNSUPPORTED: &str = "token endpoint: the server does not support this request \
    (unsupported_grant_type or unsupported_token_type); compare the OAuth URLs with the \
    environment";
const UNAUTHORIZED: &str = "token endpoint: status 401 without an OAuth error code; compare the \
    client id and the client secret with the dashboard of this environment";
const NO_ENDPOINT: &str = "token endpoint: the server refused the request without an OAuth error \
    code; compare the environment, the OAuth URLs and the redirect URI with the dashboard";

/// The tokens that the endpoint issued.
pub(super) struct Issued {
    pub(super) access_token: AccessToken,
    pub(super) refresh_token: Option<RefreshToken>,
    pub(super) lifetime: Duration,
    pub(super) scopes: Vec<Scope>,
    pub(super) owner: Option<ResourceOwner>,
}

/// The user who authorized the app.
pub(super) struct ResourceOwner {
    pub(super) id: String,
    pub(super) kind: Option<String>,
}

impl ResourceOwner {
    pub(super) fn key(&self) -> UserKey {
        UserKey::new(self.kind.as_deref().unwrap_or_default(), &self.id)
    }
}

/// The result of a request to the endpoint.
pub(super) enum Outcome<T = Issued> {
    /// The endpoint did what was requested.
    Done(T),
    /// `invalid_grant`: the code or the refresh token is no longer valid.
    Refused,
    /// The endpoint refuses this app, or the URL is not a token endpoint.
    Misconfigured(&'static str),
    /// It is unknown whether the endpoint acted on the request. A refresh can be retried safely.
    Unclear {
        error: AuthError,
        /// The wait that the server's `Retry-After` or the rate limiter asks for.
        retry_after: Option<Duration>,
        /// Whether the server may have acted on the request.
        acted: bool,
    },
}

impl<T> Outcome<T> {
    /// Returns whether the server rejected the client id or the client secret, before it looked at
    /// the code or the token (`invalid_client`).
    pub(super) fn is_client_rejected(&self) -> bool {
        matches!(self, Self::Misconfigured(reason) if *reason == INVALID_CLIENT)
    }
}

/// A response of the token endpoint or the revocation endpoint.
pub(super) struct TokenResponse {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The body, or `None` if it was too large to be read.
    pub(super) body: Option<Vec<u8>>,
    pub(super) retry_after: Option<Duration>,
}

impl TokenResponse {
    /// Reads the response to a request for tokens.
    pub(super) fn tokens(&self) -> Outcome<Issued> {
        self.outcome(|json| json.and_then(issued))
    }

    /// Reads the response to a revocation, whose body is empty or an object without an error.
    ///
    /// Another body, such as the sign-in page of a network, is no proof of a revocation.
    pub(super) fn revocation(&self) -> Outcome<()> {
        self.outcome(|json| match json {
            Some(json) => {
                let is_error = |field| {
                    !matches!(&json[field], Value::Null) && json[field] != Value::Array(Vec::new())
                };
                (!is_error("error") && !is_error("errors") && error_code(json).is_none())
                    .then_some(())
            }
            None => self.is_empty().then_some(()),
        })
    }

    fn outcome<T>(&self, done: impl FnOnce(Option<&Value>) -> Option<T>) -> Outcome<T> {
        let json = self.json();
        if self.status.is_success()
            && let Some(done) = done(json.as_ref())
        {
            return Outcome::Done(done);
        }
        // 408, 425 and 429 are client errors that say nothing about the token.
        let is_verdict = self.status.is_success()
            || (self.status.is_client_error() && !matches!(self.status.as_u16(), 408 | 425 | 429));
        if !is_verdict {
            return self.unclear(if self.status.is_redirection() {
                Kind::Unreadable(self.describe())
            } else {
                Kind::Unreachable(None)
            });
        }
        let code = json
            .as_ref()
            .and_then(error_code)
            .or_else(|| challenged_code(&self.headers));
        match code {
            Some("invalid_grant") => Outcome::Refused,
            Some("invalid_client") => Outcome::Misconfigured(INVALID_CLIENT),
            Some("unauthorized_client") => Outcome::Misconfigured(UNAUTHORIZED_CLIENT),
            Some("invalid_request") => Outcome::Misconfigured(INVALID_REQUEST),
            Some("invalid_scope") => Outcome::Misconfigured(INVALID_SCOPE),
            Some("unsupported_grant_type" | "unsupported_token_type") => {
                Outcome::Misconfigured(UNSUPPORTED)
            }
            Some(_) => self.unclear(Kind::Unreachable(None)),
            None => self.without_code(json.is_some()),
        }
    }

    /// Judges a response without an OAuth error code.
    ///
    /// The app's settings are to blame only if the API itself answered. A page in HTML or plain
    /// text, and a 403, come from a firewall, a proxy or the network.
    fn without_code<T>(&self, is_json: bool) -> Outcome<T> {
        match self.status {
            StatusCode::UNAUTHORIZED if is_json || self.is_empty() => {
                Outcome::Misconfigured(UNAUTHORIZED)
            }
            StatusCode::FORBIDDEN => self.unclear(Kind::Unreadable(self.describe())),
            status if is_json && status.is_client_error() => Outcome::Misconfigured(NO_ENDPOINT),
            _ => self.unclear(Kind::Unreadable(self.describe())),
        }
    }

    fn unclear<T>(&self, kind: Kind) -> Outcome<T> {
        Outcome::Unclear {
            error: AuthError::new(kind),
            retry_after: self.retry_after,
            // A server that limits requests has not handled this one.
            acted: self.status != StatusCode::TOO_MANY_REQUESTS,
        }
    }

    fn json(&self) -> Option<Value> {
        let body = self.body.as_deref()?;
        serde_json::from_slice(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)).ok()
    }

    fn is_empty(&self) -> bool {
        self.body
            .as_ref()
            .is_some_and(|body| body.trim_ascii().is_empty())
    }

    /// Describes the response for an error message, without any text of the server.
    fn describe(&self) -> Cow<'static, str> {
        let too_large = if self.body.is_none() {
            ", too large"
        } else {
            ""
        };
        let (status, media_type) = (self.status.as_u16(), media_type(&self.headers));
        format!("status {status}, {media_type}{too_large}").into()
    }
}

/// Returns the media type of a response, if it is a common one.
///
/// Other values are not shown, because they can contain any text.
fn media_type(headers: &HeaderMap) -> &'static str {
    const COMMON: [&str; 4] = ["text/html", "application/json", "text/plain", "text/xml"];
    let value = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let Some(value) = value else {
        return "no content type";
    };
    let value = value.split(';').next().unwrap_or_default().trim();
    let common = COMMON
        .into_iter()
        .find(|common| value.eq_ignore_ascii_case(common));
    common.unwrap_or("other content type")
}

/// Returns the first known error code of a body, whichever of the usual fields contains it.
fn error_code(json: &Value) -> Option<&'static str> {
    match json {
        Value::String(text) => known_code(text),
        Value::Array(items) => items.iter().find_map(error_code),
        Value::Object(_) => CODE_FIELDS
            .iter()
            .find_map(|field| error_code(json.get(field)?)),
        _ => None,
    }
}

/// Returns the code that a text consists of, in any spelling: `Invalid Grant`, `invalidGrant`.
fn known_code(text: &str) -> Option<&'static str> {
    let letters = |text: &str| -> String {
        let text = text
            .trim()
            .chars()
            .filter(|c| !matches!(c, '_' | '-' | ' '));
        text.map(|c| c.to_ascii_lowercase()).collect()
    };
    let text = letters(text);
    CODES.into_iter().find(|code| letters(code) == text)
}

/// Returns the error code of a challenge (RFC 6750, section 3), the only one of a response without
/// a body.
fn challenged_code(headers: &HeaderMap) -> Option<&'static str> {
    let challenges = headers.get_all(WWW_AUTHENTICATE).iter();
    challenges
        .filter_map(|challenge| challenge.to_str().ok())
        .find_map(|challenge| known_code(parameter(challenge, "error")?))
}

/// Returns the value of a parameter of a challenge: `name=value` or `name="value"`.
fn parameter<'c>(challenge: &'c str, name: &str) -> Option<&'c str> {
    let mut rest = challenge;
    loop {
        let (before, after) = rest.split_once('=')?;
        let given = before.trim_end().rsplit([' ', ',']).next()?;
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once([' ', ',']).unwrap_or((after, "")),
        };
        if given.eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = next;
    }
}

/// Reads the tokens of a response, wrapped in `oauth` or flat, with numbers as numbers or as text.
fn issued(response: &Value) -> Option<Issued> {
    let response = response
        .get("oauth")
        .filter(|inner| inner.is_object())
        .unwrap_or(response);
    let text = |value: &Value| {
        value
            .as_str()
            .filter(|text| !text.is_empty())
            .map(str::to_string)
    };
    let access_token = text(&response["access_token"])?;
    let seconds = match &response["expires_in"] {
        Value::String(text) => text.trim().parse().ok(),
        // Fractions of a second are dropped.
        number => number
            .as_u64()
            .or_else(|| number.as_f64().map(|seconds| seconds as u64)),
    };
    let owner = &response["resource_owner"];
    let id = match &owner["id"] {
        Value::Number(number) => Some(number.to_string()),
        id => text(id),
    };
    Some(Issued {
        access_token: AccessToken::new(access_token),
        refresh_token: text(&response["refresh_token"]).map(RefreshToken::new),
        lifetime: seconds
            .map_or(DEFAULT_LIFETIME, Duration::from_secs)
            .clamp(MIN_LIFETIME, MAX_LIFETIME),
        scopes: scopes(&response["scope"]),
        owner: id.map(|id| ResourceOwner {
            id,
            kind: text(&owner["type"]),
        }),
    })
}

/// Reads scopes that are separated by spaces (RFC 6749, section 3.3) or commas, or are a list.
fn scopes(value: &Value) -> Vec<Scope> {
    match value {
        Value::String(text) => text
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|scope| !scope.is_empty())
            .map(Scope::new)
            .collect(),
        Value::Array(items) => items.iter().flat_map(scopes).collect(),
        _ => Vec::new(),
    }
}
