//! The token endpoint: code for tokens, tokens for new tokens, and the end.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::error::{AuthError, Kind};
use super::token::{AccessToken, ClientSecret, Owner, RefreshToken, Scope};
use crate::calls::Calls;
use crate::retry_after::retry_after;

/// The largest reply that is read, in bytes: a real one has a few hundred.
const LARGEST_REPLY: usize = 64 << 10;

/// How long a request waits for its turn in the limit of all requests.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What the vendor's access tokens live, if a reply does not say.
const USUAL_LIFETIME: Duration = Duration::from_secs(7_200);

/// The addresses and credentials of one app at one environment.
pub(super) struct Endpoint {
    pub(super) http: reqwest::Client,
    pub(super) token_url: Url,
    pub(super) revoke_url: Url,
    pub(super) client_id: String,
    pub(super) client_secret: ClientSecret,
    pub(super) redirect_uri: Url,
    pub(super) calls: Arc<Calls>,
}

/// What the endpoint issued.
pub(super) struct Issued {
    pub(super) access_token: AccessToken,
    pub(super) refresh_token: Option<RefreshToken>,
    pub(super) lifetime: Duration,
    pub(super) scopes: Vec<Scope>,
    pub(super) owner: Option<Owner>,
}

/// How a request to the endpoint ended.
pub(super) enum Outcome {
    /// New tokens.
    Issued(Issued),
    /// `invalid_grant`: the code or the refresh token is not good any more.
    Refused,
    /// The endpoint does not know this app, or this address is no endpoint.
    Misconfigured(&'static str),
    /// Nobody knows whether the endpoint acted; asking again is safe for a
    /// refresh. Comes with how long the server asks to wait.
    Unclear(AuthError, Option<Duration>),
}

impl Endpoint {
    /// Asks for the tokens of a code. Never repeated: a code is good once.
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
        self.ask(&body).await
    }

    /// Asks for the tokens that follow a refresh token. May be repeated with
    /// the same token until the new access token is used (source: the
    /// vendor's page on refreshing).
    pub(super) async fn refresh(&self, token: &RefreshToken) -> Outcome {
        let body = json!({
            "grant_type": "refresh_token",
            "client_id": self.client_id,
            "client_secret": self.client_secret.expose(),
            "refresh_token": token.expose(),
            "redirect_uri": self.redirect_uri.as_str(),
        });
        self.ask(&body).await
    }

    /// Ends a pair by its access token, which may be expired.
    pub(super) async fn revoke(&self, token: &AccessToken) -> Result<(), AuthError> {
        let body = json!({
            "client_id": self.client_id,
            "client_secret": self.client_secret.expose(),
            "token": token.expose(),
        });
        let reply = self
            .http
            .post(self.revoke_url.clone())
            .json(&body)
            .send()
            .await;
        let status = reply.map_err(AuthError::unreachable)?.status();
        match status {
            status if status.is_success() => Ok(()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(misconfigured(CLIENT_REFUSED)),
            status if status.is_client_error() => Err(misconfigured(NO_ENDPOINT)),
            _ => Err(AuthError::new(Kind::Unreachable(None))),
        }
    }

    async fn ask(&self, body: &Value) -> Outcome {
        // These requests count too.
        let until = Instant::now() + LONGEST_WAIT;
        if let Err(busy) = self.calls.limiter.turn("", Some(until)).await {
            let error = AuthError::new(Kind::Unreachable(None));
            return Outcome::Unclear(error, Some(busy.wait));
        }
        let sent = self
            .http
            .post(self.token_url.clone())
            .json(body)
            .send()
            .await;
        let mut response = match sent {
            Ok(response) => response,
            Err(error) => return Outcome::Unclear(AuthError::unreachable(error), None),
        };
        let status = response.status();
        let wait = retry_after(response.headers(), self.calls.clock.now());
        let challenge = challenged_error(response.headers());
        let mut text = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if text.len() + chunk.len() > LARGEST_REPLY => {
                    return Outcome::Unclear(AuthError::new(Kind::Unreadable), None);
                }
                Ok(Some(chunk)) => text.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => return Outcome::Unclear(AuthError::unreachable(error), None),
            }
        }
        classify(status, &text, challenge.as_deref(), wait)
    }
}

const CLIENT_REFUSED: &str = "the server does not take the client id and secret, check them against the dashboard of this environment";
const NO_ENDPOINT: &str = "the address is no token endpoint of this app, check environment and redirect URI against the dashboard";

fn misconfigured(reason: &'static str) -> AuthError {
    AuthError::new(Kind::Misconfigured(reason))
}

/// The `error` of a challenge (RFC 6750, section 3), which is all that an
/// answer without a body says.
fn challenged_error(headers: &HeaderMap) -> Option<String> {
    let challenge = headers.get(WWW_AUTHENTICATE)?.to_str().ok()?;
    let (_, after) = challenge.split_once("error=\"")?;
    Some(after.split('"').next()?.to_string())
}

fn classify(
    status: StatusCode,
    text: &[u8],
    challenge: Option<&str>,
    wait: Option<Duration>,
) -> Outcome {
    let reply: Option<Value> = serde_json::from_slice(text).ok();
    if status.is_success() {
        return match reply.as_ref().and_then(issued) {
            Some(issued) => Outcome::Issued(issued),
            None => Outcome::Unclear(AuthError::new(Kind::Unreadable), wait),
        };
    }
    let error = reply
        .as_ref()
        .and_then(|reply| reply["error"].as_str())
        .or(challenge)
        .unwrap_or_default();
    match (status, error) {
        (status, "invalid_grant") if status.is_client_error() => Outcome::Refused,
        (
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS,
            _,
        ) => Outcome::Unclear(AuthError::new(Kind::Unreachable(None)), wait),
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _)
        | (_, "invalid_client" | "unauthorized_client") => Outcome::Misconfigured(CLIENT_REFUSED),
        (status, _) if status.is_client_error() || status.is_redirection() => {
            Outcome::Misconfigured(NO_ENDPOINT)
        }
        _ => Outcome::Unclear(AuthError::new(Kind::Unreachable(None)), wait),
    }
}

/// Reads a reply, wrapped in `oauth` or flat, numbers as numbers or as text.
fn issued(reply: &Value) -> Option<Issued> {
    let reply = reply
        .get("oauth")
        .filter(|inner| inner.is_object())
        .unwrap_or(reply);
    let text = |value: &Value| {
        value
            .as_str()
            .filter(|text| !text.is_empty())
            .map(str::to_string)
    };
    let seconds = match &reply["expires_in"] {
        Value::String(text) => text.trim().parse().ok(),
        // A fraction of a second is none to rely on.
        number => number
            .as_u64()
            .or_else(|| number.as_f64().map(|seconds| seconds as u64)),
    };
    let owner = &reply["resource_owner"];
    let id = match &owner["id"] {
        Value::Number(number) => Some(number.to_string()),
        id => text(id),
    };
    Some(Issued {
        access_token: AccessToken::new(text(&reply["access_token"])?),
        refresh_token: text(&reply["refresh_token"]).map(RefreshToken::new),
        lifetime: seconds.map_or(USUAL_LIFETIME, Duration::from_secs),
        scopes: text(&reply["scope"])
            .map(|scopes| scopes.split_whitespace().map(Scope::new).collect())
            .unwrap_or_default(),
        owner: id.map(|id| Owner {
            id,
            kind: text(&owner["type"]).unwrap_or_default(),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: u16, text: &str) -> &'static str {
        let status = StatusCode::from_u16(status).unwrap();
        match classify(status, text.as_bytes(), None, None) {
            Outcome::Issued(_) => "issued",
            Outcome::Refused => "refused",
            Outcome::Misconfigured(_) => "misconfigured",
            Outcome::Unclear(..) => "unclear",
        }
    }

    #[test]
    fn only_the_servers_own_word_counts_as_a_refusal() {
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
    fn a_reply_is_read_wrapped_or_flat() {
        let inner = json!({"access_token": "a", "refresh_token": "r", "expires_in": "60", "scope": "catalog:read Clinic:read",
            "created_at": 1, "resource_owner": {"id": 5, "type": "Staff"}});
        for reply in [json!({"oauth": inner}), inner.clone()] {
            let issued = issued(&reply).unwrap();
            assert_eq!(issued.access_token.expose(), "a");
            assert_eq!(issued.refresh_token.unwrap().expose(), "r");
            assert_eq!(issued.lifetime, Duration::from_secs(60));
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
            USUAL_LIFETIME
        );
    }
}
