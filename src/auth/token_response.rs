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

/// The meaning of an error code.
#[derive(Clone, Copy)]
enum Verdict {
    Refused,
    Misconfigured(&'static str),
    Transient,
}

/// The error codes that decide an outcome: those of RFC 6749, sections 4.1.2.1 and 5.2, and RFC
/// 7009, section 2.2.1, each followed by what other servers return instead.
///
/// `invalid_token` is not among them, because it is also what a gateway returns for any request
/// without an access token.
const CODES: [(&[&str], Verdict); 8] = [
    (
        &[
            "invalid_grant",
            "invalid_refresh_token",
            "bad_refresh_token",
            "expired_refresh_token",
            "refresh_token_expired",
            "refresh_token_invalidated",
            "refresh_token_reused",
            "refresh_token_revoked",
            "expired_token",
            "token_expired",
            "token_revoked",
            "bad_verification_code",
            "interaction_required",
            "login_required",
            "consent_required",
        ],
        Verdict::Refused,
    ),
    (
        &[
            "invalid_client",
            "invalid_client_credentials",
            "incorrect_client_credentials",
            "invalid_client_id",
            "invalid_client_secret",
            "bad_client_secret",
        ],
        Verdict::Misconfigured(INVALID_CLIENT),
    ),
    (
        &["unauthorized_client"],
        Verdict::Misconfigured(UNAUTHORIZED_CLIENT),
    ),
    (
        &["invalid_redirect_uri", "redirect_uri_mismatch"],
        Verdict::Misconfigured(REDIRECT_URI),
    ),
    (
        &["invalid_request"],
        Verdict::Misconfigured(INVALID_REQUEST),
    ),
    (&["invalid_scope"], Verdict::Misconfigured(INVALID_SCOPE)),
    (
        &["unsupported_grant_type", "unsupported_token_type"],
        Verdict::Misconfigured(UNSUPPORTED),
    ),
    (
        &[
            "temporarily_unavailable",
            "server_error",
            "internal_error",
            "internal_failure",
            "internal_server_error",
            "service_unavailable",
            "rate_limit_exceeded",
            "slow_down",
            "too_many_requests",
        ],
        Verdict::Transient,
    ),
];

/// The fields that contain an error code, or an object or a list with one, in any spelling.
const CODE_FIELDS: [&str; 12] = [
    "oauth",
    "error",
    "errors",
    "code",
    "error_code",
    "extensions",
    "type",
    "message",
    "title",
    "detail",
    "body",
    "data",
];

/// The fields that describe an error in words.
const DESCRIPTION_FIELDS: [&str; 4] = ["error_description", "description", "message", "hint"];

/// The largest body that is read as an error code in plain text: 1 KiB.
const MAX_TEXT: usize = 1 << 10;

const INVALID_CLIENT: &str = "token endpoint: the client id is unknown or the client secret is \
    wrong (invalid_client); compare both with the dashboard of this environment";
const UNAUTHORIZED_CLIENT: &str = "token endpoint: the app may not make this request, or the \
    token belongs to another app (unauthorized_client); compare the client id with the app that \
    the user connected to, and ask the vendor whether the app is enabled";
const INVALID_REQUEST: &str = "token endpoint: the server misses or refuses a parameter \
    (invalid_request); compare the redirect URI and the client id with the dashboard";
const REDIRECT_URI: &str = "token endpoint: the server refuses the redirect URI; register exactly \
    the redirect URI of the app in the dashboard of this environment";
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
                (!is_error("error") && !is_error("errors") && verdict(json).is_none()).then_some(())
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
        let verdict = match &json {
            Some(json) => verdict(json),
            None => self.body.as_deref().and_then(verdict_in_text),
        };
        match verdict.or_else(|| challenged(&self.headers)) {
            Some(Verdict::Refused) => Outcome::Refused,
            Some(Verdict::Misconfigured(reason)) => Outcome::Misconfigured(reason),
            Some(Verdict::Transient) => self.unclear(Kind::Unreachable(None)),
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

/// Returns what the first known error code of a body says, whichever of the usual fields contains
/// it.
fn verdict(json: &Value) -> Option<Verdict> {
    match json {
        // A gateway may wrap the body of the server as text.
        Value::String(text) if text.starts_with(['{', '[']) => {
            verdict(&serde_json::from_str(text).ok()?)
        }
        Value::String(text) => of_code(text),
        Value::Array(items) => items.iter().find_map(verdict),
        Value::Object(_) => match fields(json, &CODE_FIELDS).find_map(verdict) {
            Some(Verdict::Misconfigured(INVALID_REQUEST)) if names_a_dead_token(json) => {
                Some(Verdict::Refused)
            }
            found => found,
        },
        _ => None,
    }
}

/// Returns the values of an object in the order of `names`, whose spelling does not matter.
fn fields<'v>(json: &'v Value, names: &'v [&str]) -> impl Iterator<Item = &'v Value> {
    let object = json.as_object();
    names.iter().flat_map(move |name| {
        let of_name = move |field: &str| letters(field).eq(letters(name));
        let fields = object.into_iter().flatten();
        fields.filter_map(move |(field, value)| of_name(field).then_some(value))
    })
}

/// Returns whether the description of an `invalid_request` says that the refresh token or the code
/// is not valid, for which several servers return this code.
fn names_a_dead_token(json: &Value) -> bool {
    const DEAD: [&str; 5] = ["invalid", "notvalid", "expired", "revoked", "notfound"];
    const ABSENT: [&str; 2] = ["missing", "required"];
    const TOKEN: [&str; 2] = ["refreshtoken", "authorizationcode"];
    let mut texts = fields(json, &DESCRIPTION_FIELDS).filter_map(Value::as_str);
    texts.any(|text| {
        let text: String = letters(text).collect();
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        has(&TOKEN) && has(&DEAD) && !has(&ABSENT)
    })
}

/// Returns what a body says that is only an error code, or a form with one.
fn verdict_in_text(body: &[u8]) -> Option<Verdict> {
    if body.len() > MAX_TEXT {
        return None;
    }
    let text = std::str::from_utf8(body).ok()?.trim();
    let mut form = url::form_urlencoded::parse(text.as_bytes());
    let code = form.find(|(name, _)| name == "error");
    of_code(code.as_ref().map_or(text, |(_, code)| code))
}

/// Returns what a text says that is an error code, in any spelling and with or without a
/// description: `invalidGrant`, `Invalid grant: revoked`.
fn of_code(text: &str) -> Option<Verdict> {
    let code = text.split([':', ';', '(']).next().unwrap_or_default();
    let is_code = |known: &&str| letters(known).eq(letters(code));
    let mut meanings = CODES.iter();
    let known = meanings.find(|(codes, _)| codes.iter().any(is_code));
    known.map(|(_, verdict)| *verdict)
}

/// Returns the characters of a name without spaces and separators, in lower case.
fn letters(text: &str) -> impl Iterator<Item = char> {
    let text = text.trim().chars();
    let letters = text.filter(|c| !matches!(c, '_' | '-' | ' ' | '"' | '\'' | '`'));
    letters.map(|c| c.to_ascii_lowercase())
}

/// Returns what the error code of a challenge says (RFC 6750, section 3), the only one of a
/// response without a body.
fn challenged(headers: &HeaderMap) -> Option<Verdict> {
    let challenges = headers.get_all(WWW_AUTHENTICATE).iter();
    challenges
        .filter_map(|challenge| challenge.to_str().ok())
        .find_map(|challenge| of_code(parameter(challenge, "error")?))
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
        number => number.as_f64(),
    };
    let owner = &response["resource_owner"];
    let id = match &owner["id"] {
        Value::Number(number) => Some(number.to_string()),
        id => text(id),
    };
    Some(Issued {
        access_token: AccessToken::new(access_token),
        refresh_token: text(&response["refresh_token"]).map(RefreshToken::new),
        // Fractions of a second are dropped.
        lifetime: seconds
            .map_or(DEFAULT_LIFETIME, |seconds: f64| {
                Duration::from_secs(seconds as u64)
            })
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
