//! Requests to the token endpoint and the revocation endpoint: exchange, refresh, revoke.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, WWW_AUTHENTICATE};
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::error::{AuthError, Kind};
use super::token::{AccessToken, ClientSecret, Owner, RefreshToken, Scope};
use crate::transport::Calls;
use crate::transport::retry::{Backoff, retry_after, retry_reason};

/// The largest response body that is read: 64 KiB. A valid one has a few hundred bytes.
const MAX_RESPONSE: usize = 64 << 10;

/// The minimum lifetime of an access token: 60 s.
///
/// A token that the server issues as already expired is used anyway, because refreshing it would
/// never end.
const MIN_LIFETIME: Duration = Duration::from_secs(60);

/// The maximum lifetime of an access token: 1 year.
const MAX_LIFETIME: Duration = Duration::from_secs(365 * 86_400);

/// The longest wait of a token request for a rate-limit permit: 30 s.
const MAX_PERMIT_WAIT: Duration = Duration::from_secs(30);

/// The timeout of a token request, whatever HTTP client the application has set: 12 s.
///
/// It is longer than the timeout of the default client, whose error says more.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(12);

/// The lifetime of the vendor's access tokens, used if a response does not contain it: 2 h.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(7_200);

/// The maximum number of attempts of a token request, all with the same token.
pub(super) const MAX_ATTEMPTS: u32 = 4;

/// The longest `Retry-After` of the token endpoint that is honored: 5 s.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(5);

/// The URLs and credentials of one app in one environment.
pub(super) struct Endpoint {
    pub(super) http: reqwest::Client,
    pub(super) token_url: Url,
    pub(super) revoke_url: Url,
    pub(super) client_id: String,
    pub(super) client_secret: ClientSecret,
    pub(super) redirect_uri: Url,
    pub(super) calls: Arc<Calls>,
}

/// The tokens that the endpoint issued.
pub(super) struct Issued {
    pub(super) access_token: AccessToken,
    pub(super) refresh_token: Option<RefreshToken>,
    pub(super) lifetime: Duration,
    pub(super) scopes: Vec<Scope>,
    pub(super) owner: Option<Owner>,
}

/// The result of a request to the endpoint.
pub(super) enum Outcome {
    /// The endpoint issued tokens.
    Issued(Issued),
    /// `invalid_grant`: the code or the refresh token is no longer valid.
    Refused,
    /// The endpoint does not know this app, or the URL is not a token endpoint.
    Misconfigured(&'static str),
    /// It is unknown whether the endpoint acted on the request. A refresh can be retried safely.
    Unclear {
        error: AuthError,
        /// The wait that the server's `Retry-After` or the rate limiter asks for.
        retry_after: Option<Duration>,
        /// Whether the request may have reached the server.
        sent: bool,
    },
}

impl Outcome {
    fn unclear(kind: Kind, retry_after: Option<Duration>) -> Self {
        Self::Unclear {
            error: AuthError::new(kind),
            retry_after,
            sent: true,
        }
    }
}

impl Endpoint {
    /// Exchanges a code for tokens.
    ///
    /// Retries only requests that were never sent, because the server accepts a code only once.
    pub(super) async fn exchange(&self, code: &str, verifier: Option<&str>) -> Outcome {
        let mut body = json!({
            "grant_type": "authorization_code",
            "client_id": self.client_id,
            "client_secret": self.client_secret.expose(),
            "code": code,
            "redirect_uri": self.redirect_uri.as_str(),
        });
        if let Some(verifier) = verifier {
            body["code_verifier"] = json!(verifier);
        }
        let mut backoff = Backoff::new(MAX_ATTEMPTS);
        loop {
            let outcome = self.request(&self.token_url, &body, "").await;
            let Outcome::Unclear {
                retry_after,
                sent: false,
                ..
            } = outcome
            else {
                return outcome;
            };
            let Some(delay) = backoff.next(bounded(retry_after)) else {
                return outcome;
            };
            tokio::time::sleep(delay).await;
        }
    }

    /// Requests new tokens with a refresh token.
    ///
    /// The request can be repeated with the same token until the new access token is used (source:
    /// the vendor's page on refreshing).
    pub(super) async fn refresh(&self, token: &RefreshToken, user: &str) -> Outcome {
        let body = json!({
            "grant_type": "refresh_token",
            "client_id": self.client_id,
            "client_secret": self.client_secret.expose(),
            "refresh_token": token.expose(),
            "redirect_uri": self.redirect_uri.as_str(),
        });
        self.request(&self.token_url, &body, user).await
    }

    /// Revokes a token set by its access token, which may be expired. The request can be repeated.
    pub(super) async fn revoke(&self, token: &AccessToken, user: &str) -> Result<(), AuthError> {
        let body = json!({
            "client_id": self.client_id,
            "client_secret": self.client_secret.expose(),
            "token": token.expose(),
        });
        let mut backoff = Backoff::new(MAX_ATTEMPTS);
        loop {
            let outcome = match self.post(&self.revoke_url, &body, user).await {
                Ok(response) if response.status.is_success() => return Ok(()),
                Ok(response) => classify(response),
                Err(outcome) => outcome,
            };
            let (error, retry_after) = match outcome {
                // The token is already invalid, which is the requested result.
                Outcome::Refused => return Ok(()),
                Outcome::Misconfigured(reason) => {
                    return Err(AuthError::new(Kind::Misconfigured(reason)));
                }
                Outcome::Unclear {
                    error, retry_after, ..
                } => (error, retry_after),
                Outcome::Issued(_) => {
                    let kind = Kind::Unreadable("tokens instead of a revocation".into());
                    (AuthError::new(kind), None)
                }
            };
            let delay = backoff.next(bounded(retry_after)).ok_or(error)?;
            tokio::time::sleep(delay).await;
        }
    }

    async fn request(&self, url: &Url, body: &Value, user: &str) -> Outcome {
        match self.post(url, body, user).await {
            Ok(response) => classify(response),
            Err(outcome) => outcome,
        }
    }

    /// Sends a request, which counts against the rate limit like any other.
    async fn post(&self, url: &Url, body: &Value, _user: &str) -> Result<TokenResponse, Outcome> {
        let until = Instant::now() + MAX_PERMIT_WAIT;
        let permit = self.calls.limiter.acquire_oauth(until).await;
        permit.map_err(|wait| Outcome::Unclear {
            error: AuthError::new(Kind::NoPermit(wait)),
            retry_after: Some(wait),
            sent: false,
        })?;
        match tokio::time::timeout(REQUEST_TIMEOUT, self.send(url, body)).await {
            Ok(response) => response,
            Err(_) => Err(Outcome::unclear(Kind::Silent, None)),
        }
    }

    async fn send(&self, url: &Url, body: &Value) -> Result<TokenResponse, Outcome> {
        let sent = self.http.post(url.clone()).json(body).send().await;
        let mut response = sent.map_err(|error| Outcome::Unclear {
            sent: !error.is_connect(),
            error: AuthError::unreachable(error),
            retry_after: None,
        })?;
        let status = response.status();
        let retry_after = retry_after(response.headers(), self.calls.clock.now());
        if status == StatusCode::TOO_MANY_REQUESTS {
            self.calls.limiter.oauth_throttled(retry_after);
        }
        let challenge = challenged_error(response.headers());
        let media_type = media_type(response.headers());
        let mut text = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if text.len() + chunk.len() > MAX_RESPONSE => {
                    let reason = format!(
                        "status {}, larger than {MAX_RESPONSE} bytes",
                        status.as_u16()
                    );
                    return Err(Outcome::unclear(Kind::Unreadable(reason.into()), None));
                }
                Ok(Some(chunk)) => text.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => {
                    let error = Some(error.without_url());
                    return Err(Outcome::unclear(Kind::Unreachable(error), None));
                }
            }
        }
        Ok(TokenResponse {
            status,
            media_type,
            text,
            challenge,
            retry_after,
        })
    }
}

/// A response of the endpoint.
struct TokenResponse {
    status: StatusCode,
    media_type: &'static str,
    text: Vec<u8>,
    /// The error code in the headers.
    challenge: Option<String>,
    retry_after: Option<Duration>,
}

impl TokenResponse {
    /// Describes the response for an error message, without any text of the server.
    fn describe(&self) -> Cow<'static, str> {
        format!("status {}, {}", self.status.as_u16(), self.media_type).into()
    }
}

const CLIENT_REFUSED: &str = "token endpoint: the server rejected the client id or the client \
                              secret; compare both with the dashboard of this environment";
const NO_ENDPOINT: &str = "token endpoint: the URL is not a token endpoint of this app; compare \
                           the environment, the URL and the redirect URI with the dashboard";

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

/// Returns the `error` of a challenge (RFC 6750, section 3), the only error code of a response
/// without a body.
fn challenged_error(headers: &HeaderMap) -> Option<String> {
    let challenge = headers.get(WWW_AUTHENTICATE)?.to_str().ok()?;
    let (_, after) = challenge.split_once("error=\"")?;
    Some(after.split('"').next()?.to_string())
}

fn classify(response: TokenResponse) -> Outcome {
    let (status, retry_after) = (response.status, response.retry_after);
    let json: Option<Value> = serde_json::from_slice(&response.text).ok();
    if status.is_success() {
        return match json.as_ref().and_then(issued) {
            Some(issued) => Outcome::Issued(issued),
            None => Outcome::unclear(Kind::Unreadable(response.describe()), retry_after),
        };
    }
    let error = json
        .as_ref()
        .and_then(|json| json["error"].as_str())
        .or(response.challenge.as_deref())
        .unwrap_or_default();
    match (status, error) {
        (status, "invalid_grant") if status.is_client_error() => Outcome::Refused,
        (status, _) if retry_reason(status).is_some() => {
            Outcome::unclear(Kind::Unreachable(None), retry_after)
        }
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _)
        | (_, "invalid_client" | "unauthorized_client") => Outcome::Misconfigured(CLIENT_REFUSED),
        (status, _) if status.is_client_error() || status.is_redirection() => {
            Outcome::Misconfigured(NO_ENDPOINT)
        }
        _ => Outcome::unclear(Kind::Unreachable(None), retry_after),
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
        access_token: AccessToken::new(text(&response["access_token"])?),
        refresh_token: text(&response["refresh_token"]).map(RefreshToken::new),
        lifetime: seconds
            .map_or(DEFAULT_LIFETIME, Duration::from_secs)
            .clamp(MIN_LIFETIME, MAX_LIFETIME),
        scopes: text(&response["scope"])
            .map(|scopes| scopes.split_whitespace().map(Scope::new).collect())
            .unwrap_or_default(),
        owner: id.map(|id| Owner {
            id,
            kind: text(&owner["type"]).unwrap_or_default(),
        }),
    })
}

/// Limits a `Retry-After`, because a caller is waiting for the tokens.
pub(super) fn bounded(retry_after: Option<Duration>) -> Option<Duration> {
    retry_after.map(|wait| wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: u16, text: &str) -> &'static str {
        let status = StatusCode::from_u16(status).unwrap();
        let response = TokenResponse {
            status,
            media_type: "application/json",
            text: text.into(),
            challenge: None,
            retry_after: None,
        };
        match classify(response) {
            Outcome::Issued(_) => "issued",
            Outcome::Refused => "refused",
            Outcome::Misconfigured(_) => "misconfigured",
            Outcome::Unclear { .. } => "unclear",
        }
    }

    #[test]
    fn only_invalid_grant_in_a_client_error_is_a_refusal() {
        assert_eq!(outcome(400, r#"{"error":"invalid_grant"}"#), "refused");
        assert_eq!(outcome(401, r#"{"error":"invalid_grant"}"#), "refused");
        for (status, text) in [
            (500, r#"{"error":"invalid_grant"}"#),
            (502, "<html>"),
            (200, "<html>"),
            (200, ""),
            (429, ""),
            (200, r#"{"oauth":{}}"#),
        ] {
            assert_eq!(outcome(status, text), "unclear", "{status} {text}");
        }
        for (status, text) in [
            (400, r#"{"error":"invalid_client"}"#),
            (401, ""),
            (403, ""),
            (404, ""),
            (302, ""),
        ] {
            assert_eq!(outcome(status, text), "misconfigured", "{status} {text}");
        }
    }

    #[test]
    fn a_token_response_is_read_wrapped_or_flat() {
        let inner = json!({"access_token": "a", "refresh_token": "r", "expires_in": "90", "scope": "catalog:read Clinic:read",
            "created_at": 1, "resource_owner": {"id": 5, "type": "Staff"}});
        for response in [json!({"oauth": inner}), inner.clone()] {
            let issued = issued(&response).unwrap();
            assert_eq!(issued.access_token.expose(), "a");
            assert_eq!(issued.refresh_token.unwrap().expose(), "r");
            assert_eq!(issued.lifetime, Duration::from_secs(90));
            assert_eq!(
                issued.scopes,
                [
                    Scope::new(Scope::CATALOG_READ),
                    Scope::new(Scope::CLINIC_READ)
                ]
            );
            assert_eq!(
                issued.owner,
                Some(Owner {
                    id: "5".into(),
                    kind: "Staff".into()
                })
            );
        }
        assert_eq!(
            issued(&json!({"access_token": "a"})).unwrap().lifetime,
            DEFAULT_LIFETIME
        );
    }
}
