//! HTTP calls to a webhook endpoint.

use serde_json::Value;

use super::attempt::DeliveryFailure;
use super::subscription::Webhook;
use crate::webhook::{SIGNATURE_HEADER, sign};

/// The endpoint's response.
#[derive(Default)]
pub(in crate::testing) struct Answer {
    pub(in crate::testing) status: Option<u16>,
    pub(in crate::testing) headers: String,
    pub(in crate::testing) body: String,
    pub(in crate::testing) address: String,
}

impl Webhook {
    /// Sends an empty body, to check that the endpoint returns the challenge.
    pub(in crate::testing) async fn ping(
        &self,
        http: &reqwest::Client,
    ) -> (Answer, Result<(), DeliveryFailure>) {
        self.call(http, None, String::new()).await
    }

    /// Delivers an event with a new signature.
    pub(in crate::testing) async fn deliver(
        &self,
        http: &reqwest::Client,
        event: &Value,
        with_wrong_signature: bool,
    ) -> (Answer, Result<(), DeliveryFailure>) {
        if self.pings {
            let (answer, pinged) = self.ping(http).await;
            if pinged.is_err() {
                return (answer, pinged);
            }
        }
        let body = self.body(event);
        let secret = if with_wrong_signature {
            "the secret of somebody else"
        } else {
            self.signing_secret.expose()
        };
        let signature = sign(secret, self.clock.now(), body.as_bytes());
        self.call(http, Some(signature), body).await
    }

    async fn call(
        &self,
        http: &reqwest::Client,
        signature: Option<String>,
        body: String,
    ) -> (Answer, Result<(), DeliveryFailure>) {
        let mut answer = Answer::default();
        let called = async {
            let mut request = http
                .post(&self.url)
                .header("content-type", "application/json")
                .body(body);
            if let Some(signature) = signature {
                request = request.header(SIGNATURE_HEADER, signature);
            }
            let response = request.send().await?;
            answer.status = Some(response.status().as_u16());
            answer.address = response
                .remote_addr()
                .map(|address| address.ip().to_string())
                .unwrap_or_default();
            for (name, value) in response.headers() {
                let value = String::from_utf8_lossy(value.as_bytes());
                answer.headers += &format!("{name}: {value}\n");
            }
            answer.body = response.text().await?;
            Ok::<_, reqwest::Error>(())
        };
        let called = tokio::time::timeout(self.timeout, called).await;
        let result = match called {
            Err(_) => Err(DeliveryFailure::TimedOut),
            Ok(Err(error)) if error.is_builder() => Err(DeliveryFailure::InvalidUrl),
            Ok(Err(_)) => Err(DeliveryFailure::Unreachable),
            Ok(Ok(())) => self.judge(&answer),
        };
        (answer, result)
    }

    /// Checks the response of the endpoint (source: the vendor's page on setting up a webhook).
    fn judge(&self, answer: &Answer) -> Result<(), DeliveryFailure> {
        if let Some(status) = answer.status
            && !matches!(status, 200 | 201)
        {
            return Err(DeliveryFailure::Status(status));
        }
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        if body["challenge"].as_str() == Some(self.challenge_token.expose()) {
            Ok(())
        } else {
            Err(DeliveryFailure::Challenge)
        }
    }
}
