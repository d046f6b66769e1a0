//! The token endpoint: code for tokens, tokens for new tokens, and the end.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::error::{AuthError, Kind};
use super::token::{AccessToken, ClientSecret, Owner, RefreshToken, Scope};
use crate::transport::Calls;
use crate::transport::retry::{Backoff, reason_of, retry_after};

/// The largest reply that is read, in bytes: a real one has a few hundred.
const LARGEST_REPLY: usize = 64 << 10;

/// What an access token is taken to live at least. One that the server calls
/// dead when it issues it is tried all the same, or there would be no end to
/// refreshes.
const SHORTEST_LIFETIME: Duration = Duration::from_secs(60);

/// What an access token is taken to live at most: a year.
const LONGEST_LIFETIME: Duration = Duration::from_secs(365 * 86_400);

/// How long a request waits for its turn in the limit of all requests.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What the vendor's access tokens live, if a reply does not say.
const USUAL_LIFETIME: Duration = Duration::from_secs(7_200);

/// How often an unclear refresh is asked again, with the same token.
pub(super) const ATTEMPTS: u32 = 4;

/// The longest `Retry-After` of the token endpoint that is honored.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(5);

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
    /// refresh.
    Unclear {
        error: AuthError,
        /// How long the server asks to wait.
        wait: Option<Duration>,
        /// Whether the request may have reached the server.
        sent: bool,
    },
}

impl Outcome {
    fn unclear(kind: Kind, wait: Option<Duration>) -> Self {
        Self::Unclear {
            error: AuthError::new(kind),
            wait,
            sent: true,
        }
    }
}

impl Endpoint {
    /// Asks for the tokens of a code. Repeated only while nothing has left this
    /// machine: a code is good once.
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
        let mut backoff = Backoff::new(ATTEMPTS);
        loop {
            let outcome = self.ask(&self.token_url, &body, "").await;
            let Outcome::Unclear {
                wait, sent: false, ..
            } = outcome
            else {
                return outcome;
            };
            let Some(delay) = backoff.next(bounded(wait)) else {
                return outcome;
            };
            tokio::time::sleep(delay).await;
        }
    }

    /// Asks for the tokens that follow a refresh token. May be repeated with
    /// the same token until the new access token is used (source: the
    /// vendor's page on refreshing).
    pub(super) async fn refresh(&self, token: &RefreshToken, user: &str) -> Outcome {
        let body = json!({
            "grant_type": "refresh_token",
            "client_id": self.client_id,
            "client_secret": self.client_secret.expose(),
            "refresh_token": token.expose(),
            "redirect_uri": self.redirect_uri.as_str(),
        });
        self.ask(&self.token_url, &body, user).await
    }

    /// Ends a pair by its access token, which may be expired. May be repeated.
    pub(super) async fn revoke(&self, token: &AccessToken, user: &str) -> Result<(), AuthError> {
        let body = json!({
            "client_id": self.client_id,
            "client_secret": self.client_secret.expose(),
            "token": token.expose(),
        });
        let mut backoff = Backoff::new(ATTEMPTS);
        loop {
            let outcome = match self.post(&self.revoke_url, &body, user).await {
                Ok(reply) if reply.status.is_success() => return Ok(()),
                Ok(reply) => classify(reply),
                Err(outcome) => outcome,
            };
            let error = match outcome {
                // It is not good any more, which is what was asked for.
                Outcome::Refused => return Ok(()),
                Outcome::Misconfigured(reason) => {
                    return Err(AuthError::new(Kind::Misconfigured(reason)));
                }
                Outcome::Unclear { error, .. } => error,
                Outcome::Issued(_) => AuthError::new(Kind::Unreadable),
            };
            let delay = backoff.next(None).ok_or(error)?;
            tokio::time::sleep(delay).await;
        }
    }

    async fn ask(&self, url: &Url, body: &Value, user: &str) -> Outcome {
        match self.post(url, body, user).await {
            Ok(reply) => classify(reply),
            Err(outcome) => outcome,
        }
    }

    /// Sends a request, which counts in the limit like any other.
    async fn post(&self, url: &Url, body: &Value, user: &str) -> Result<Reply, Outcome> {
        let until = Instant::now() + LONGEST_WAIT;
        let turn = self.calls.limiter.turn(user, Some(until)).await;
        turn.map_err(|busy| Outcome::Unclear {
            error: AuthError::new(Kind::Busy(busy.wait)),
            wait: Some(busy.wait),
            sent: false,
        })?;
        let sent = self.http.post(url.clone()).json(body).send().await;
        let mut response = sent.map_err(|error| Outcome::Unclear {
            sent: !error.is_connect(),
            error: AuthError::unreachable(error),
            wait: None,
        })?;
        let status = response.status();
        let wait = retry_after(response.headers(), self.calls.clock.now());
        if status == StatusCode::TOO_MANY_REQUESTS {
            self.calls.limiter.throttled(wait);
        }
        let challenge = challenged_error(response.headers());
        let mut text = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if text.len() + chunk.len() > LARGEST_REPLY => {
                    return Err(Outcome::unclear(Kind::Unreadable, None));
                }
                Ok(Some(chunk)) => text.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => {
                    let error = Some(error.without_url());
                    return Err(Outcome::unclear(Kind::Unreachable(error), None));
                }
            }
        }
        Ok(Reply {
            status,
            text,
            challenge,
            wait,
        })
    }
}

/// What the endpoint answered.
struct Reply {
    status: StatusCode,
    text: Vec<u8>,
    /// The error that the headers name.
    challenge: Option<String>,
    wait: Option<Duration>,
}

const CLIENT_REFUSED: &str = "the server does not take the client id and secret, check them against the dashboard of this environment";
const NO_ENDPOINT: &str = "the address is no token endpoint of this app, check environment and redirect URI against the dashboard";

/// The `error` of a challenge (RFC 6750, section 3), which is all that an
/// answer without a body says.
fn challenged_error(headers: &HeaderMap) -> Option<String> {
    let challenge = headers.get(WWW_AUTHENTICATE)?.to_str().ok()?;
    let (_, after) = challenge.split_once("error=\"")?;
    Some(after.split('"').next()?.to_string())
}

fn classify(reply: Reply) -> Outcome {
    let (status, wait) = (reply.status, reply.wait);
    let json: Option<Value> = serde_json::from_slice(&reply.text).ok();
    if status.is_success() {
        return match json.as_ref().and_then(issued) {
            Some(issued) => Outcome::Issued(issued),
            None => Outcome::unclear(Kind::Unreadable, wait),
        };
    }
    let error = json
        .as_ref()
        .and_then(|json| json["error"].as_str())
        .or(reply.challenge.as_deref())
        .unwrap_or_default();
    match (status, error) {
        (status, "invalid_grant") if status.is_client_error() => Outcome::Refused,
        (status, _) if reason_of(status).is_some() => {
            Outcome::unclear(Kind::Unreachable(None), wait)
        }
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _)
        | (_, "invalid_client" | "unauthorized_client") => Outcome::Misconfigured(CLIENT_REFUSED),
        (status, _) if status.is_client_error() || status.is_redirection() => {
            Outcome::Misconfigured(NO_ENDPOINT)
        }
        _ => Outcome::unclear(Kind::Unreachable(None), wait),
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
        lifetime: seconds
            .map_or(USUAL_LIFETIME, Duration::from_secs)
            .clamp(SHORTEST_LIFETIME, LONGEST_LIFETIME),
        scopes: text(&reply["scope"])
            .map(|scopes| scopes.split_whitespace().map(Scope::new).collect())
            .unwrap_or_default(),
        owner: id.map(|id| Owner {
            id,
            kind: text(&owner["type"]).unwrap_or_default(),
        }),
    })
}

/// Bounds what the server asks to wait: a caller waits for the tokens.
pub(super) fn bounded(asked: Option<Duration>) -> Option<Duration> {
    asked.map(|asked| asked.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: u16, text: &str) -> &'static str {
        let status = StatusCode::from_u16(status).unwrap();
        let reply = Reply {
            status,
            text: text.into(),
            challenge: None,
            wait: None,
        };
        match classify(reply) {
            Outcome::Issued(_) => "issued",
            Outcome::Refused => "refused",
            Outcome::Misconfigured(_) => "misconfigured",
            Outcome::Unclear { .. } => "unclear",
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
        let inner = json!({"access_token": "a", "refresh_token": "r", "expires_in": "90", "scope": "catalog:read Clinic:read",
            "created_at": 1, "resource_owner": {"id": 5, "type": "Staff"}});
        for reply in [json!({"oauth": inner}), inner.clone()] {
            let issued = issued(&reply).unwrap();
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
            USUAL_LIFETIME
        );
    }
}
