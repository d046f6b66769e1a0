//! Requests to the token endpoint and the revocation endpoint: exchange, refresh, revoke.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{StatusCode, Url};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::authorize::RedirectUri;
use super::client_secrets::ClientSecrets;
use super::error::{AuthError, Kind};
use super::token::{ClientSecret, RefreshToken};
use super::token_response::TokenResponse;
pub(super) use super::token_response::{Issued, Outcome, ResourceOwner};
use crate::transport::retry::{Backoff, retry_after};
use crate::transport::{Calls, HttpPools};

/// The largest response body that is read: 64 KiB. A valid one has a few hundred bytes.
const MAX_RESPONSE: usize = 64 << 10;

/// The timeout of one request, including the response, whatever HTTP client sends it: 10 s.
///
/// Several attempts must fit into the time that a caller waits.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest wait of a token request for a rate-limit permit: 30 s.
const MAX_PERMIT_WAIT: Duration = Duration::from_secs(30);

/// The maximum number of attempts of a token request, all with the same token.
pub(super) const MAX_ATTEMPTS: u32 = 4;

/// The longest `Retry-After` of the token endpoint that is honored: 5 s.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(5);

/// The URLs and credentials of one app in one environment.
pub(super) struct Endpoint {
    pub(super) tokens: Target,
    pub(super) revocation: Target,
    pub(super) client_id: String,
    pub(super) secrets: ClientSecrets,
    pub(super) redirect_uri: RedirectUri,
    pub(super) calls: Arc<Calls>,
}

/// A URL, and the HTTP client for it.
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) http: Arc<HttpPools>,
}

/// Receives the number of requests that were permitted, 0 or 1, and the wait for the permit.
type Note<'n> = &'n (dyn Fn(u32, Duration) + Sync);

impl Endpoint {
    /// Exchanges a code for tokens.
    ///
    /// Retries only requests that the server did not act on, because it accepts a code only once:
    /// those that were never sent, and those that it refused with a 429.
    pub(super) async fn exchange(&self, code: &str, verifier: Option<&str>) -> Outcome {
        let mut body = json!({
            "grant_type": "authorization_code",
            "client_id": self.client_id,
            "code": code,
            "redirect_uri": self.redirect_uri.as_str(),
        });
        if let Some(verifier) = verifier {
            body["code_verifier"] = json!(verifier);
        }
        let mut backoff = Backoff::new(MAX_ATTEMPTS);
        loop {
            let outcome = self.attempt(&self.tokens, &mut body, TokenResponse::tokens, &|_, _| {});
            let (error, retry_after, acted) = match outcome.await {
                Outcome::Unclear {
                    error,
                    retry_after,
                    acted,
                } => (error, retry_after, acted),
                decided => return decided,
            };
            let delay = if acted {
                None
            } else {
                backoff.next(bounded(retry_after))
            };
            let Some(delay) = delay else {
                return Outcome::Unclear {
                    error: AuthError::of_a_code(error, acted, retry_after),
                    retry_after,
                    acted,
                };
            };
            tokio::time::sleep(delay).await;
        }
    }

    /// Requests new tokens with a refresh token.
    ///
    /// The request can be repeated with the same token until the new access token is used (source:
    /// the vendor's page on refreshing).
    pub(super) async fn refresh(&self, token: &RefreshToken, note: Note<'_>) -> Outcome {
        let mut body = json!({
            "grant_type": "refresh_token",
            "client_id": self.client_id,
            "refresh_token": token.expose(),
            "redirect_uri": self.redirect_uri.as_str(),
        });
        self.attempt(&self.tokens, &mut body, TokenResponse::tokens, note)
            .await
    }

    /// Revokes a token set by its access token, which may be expired, or by its refresh token. The
    /// request can be repeated.
    pub(super) async fn revoke(&self, token: &str) -> Result<(), AuthError> {
        let mut body = json!({
            "client_id": self.client_id,
            "token": token,
        });
        let mut backoff = Backoff::new(MAX_ATTEMPTS);
        loop {
            let read = TokenResponse::revocation;
            let outcome = self.attempt(&self.revocation, &mut body, read, &|_, _| {});
            let (error, retry_after) = match outcome.await {
                // After a refusal, the token is already invalid, which is the requested result.
                Outcome::Done(()) | Outcome::Refused => return Ok(()),
                Outcome::Misconfigured(reason) => {
                    return Err(AuthError::new(Kind::Misconfigured(reason)));
                }
                Outcome::Unclear {
                    error, retry_after, ..
                } => (error, retry_after),
            };
            let delay = backoff.next(bounded(retry_after)).ok_or(error)?;
            tokio::time::sleep(delay).await;
        }
    }

    /// Makes one attempt, and a second one with the other client secret if the server rejects the
    /// first secret.
    async fn attempt<T>(
        &self,
        target: &Target,
        body: &mut Value,
        read: impl Fn(&TokenResponse) -> Outcome<T>,
        note: Note<'_>,
    ) -> Outcome<T> {
        let secret = self.secrets.get().current.clone();
        let outcome = self.attempt_with(&secret, target, body, &read, note).await;
        if !outcome.is_client_rejected() {
            return outcome;
        }
        let Some(other) = self.secrets.instead_of(&secret) else {
            return outcome;
        };
        let outcome = self.attempt_with(&other, target, body, &read, note).await;
        if matches!(outcome, Outcome::Done(_) | Outcome::Refused) {
            self.secrets.prefer(&other);
        }
        outcome
    }

    /// Waits for a permit, sends the request and reads the response.
    ///
    /// Every request to the endpoint begins and ends here. It counts against the rate limit like
    /// any other.
    async fn attempt_with<T>(
        &self,
        secret: &ClientSecret,
        target: &Target,
        body: &mut Value,
        read: impl Fn(&TokenResponse) -> Outcome<T>,
        note: Note<'_>,
    ) -> Outcome<T> {
        body["client_secret"] = json!(secret.expose());
        let started = Instant::now();
        let permit = self.calls.limiter.acquire_oauth(started + MAX_PERMIT_WAIT);
        let permit = permit.await;
        note(u32::from(permit.is_ok()), started.elapsed());
        if let Err(wait) = permit {
            return Outcome::Unclear {
                error: AuthError::new(Kind::NoPermit(wait)),
                retry_after: Some(wait),
                acted: false,
            };
        }
        match self.send(target, body).await {
            Ok(response) => read(&response),
            Err(error) => Outcome::Unclear {
                // An HTTP client of the caller may have followed a redirect. Then the first
                // request was sent, although connecting to the second URL failed.
                acted: !error.is_connect() || error.url().is_some_and(|at| *at != target.url),
                error: AuthError::unreachable(error),
                retry_after: None,
            },
        }
    }

    async fn send(&self, target: &Target, body: &Value) -> reqwest::Result<TokenResponse> {
        let pool = target.http.current();
        let request = pool.http().post(target.url.clone()).json(body);
        let response = async {
            let mut response = request.timeout(ATTEMPT_TIMEOUT).send().await?;
            let mut text = Some(Vec::new());
            while let Some(read) = &mut text
                && let Some(chunk) = response.chunk().await?
            {
                if read.len() + chunk.len() > MAX_RESPONSE {
                    text = None;
                } else {
                    read.extend_from_slice(&chunk);
                }
            }
            Ok((response, text))
        };
        let (response, body) = match response.await {
            Ok(read) => read,
            Err(error) => {
                if reqwest::Error::is_timeout(&error) {
                    pool.timed_out();
                } else {
                    pool.failed();
                }
                return Err(error);
            }
        };
        pool.responded();
        let retry_after = retry_after(response.headers(), self.calls.clock.now());
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            self.calls.limiter.oauth_throttled(retry_after);
        }
        Ok(TokenResponse {
            status: response.status(),
            headers: response.headers().clone(),
            body,
            retry_after,
        })
    }
}

/// Limits a `Retry-After`, because a caller is waiting for the tokens.
pub(super) fn bounded(retry_after: Option<Duration>) -> Option<Duration> {
    retry_after.map(|wait| wait.min(MAX_RETRY_AFTER))
}
