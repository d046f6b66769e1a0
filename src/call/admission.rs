//! Waiting for what an attempt needs: an access token and a permit.

use std::sync::Arc;

use tokio::time::timeout_at;

use super::Call;
use super::context::Credentials;
use super::outcome::Failure;
use crate::auth::{AccessToken, Session, TokenSet};
use crate::transport::{Entry, NoPermit, Permit};

const CONCURRENCY_LIMIT: Failure = Failure::WaitTimedOut("the concurrency limit");
const ACCESS_TOKEN: Failure =
    Failure::WaitTimedOut("an access token (token store or token refresh)");
const TOKEN_REFRESH: Failure = Failure::WaitTimedOut("a token refresh");

/// The access token of an attempt.
pub(super) enum Bearer<'c> {
    None,
    Fixed(&'c AccessToken),
    User(Arc<TokenSet>),
}

impl<'c> Call<'c> {
    /// Waits for an access token and a permit.
    pub(super) async fn admit(&mut self) -> Result<(Bearer<'c>, Permit<'c>), Failure> {
        // The token comes first, so that a call that waits for a token holds no permit.
        let mut bearer = self.bearer().await?;
        let entry = self.calls.limiter.enter(self.user(), self.deadline);
        let place = match entry.map_err(|reason| self.no_permit(reason))? {
            Entry::Permit(permit) => return Ok((bearer, permit)),
            Entry::Place(place) => place,
        };
        loop {
            let granted = place.granted(self.deadline, &mut self.waits).await;
            granted.map_err(|reason| self.no_permit(reason))?;
            if let Credentials::User(session) = self.credentials {
                // The token may have expired during the wait. Then the permit goes to another call
                // before it counts.
                self.start_token_wait();
                let tokens = Box::pin(session.cached_or_checked()).await;
                self.end_token_wait();
                if let Some(tokens) = tokens {
                    bearer = Bearer::User(tokens);
                } else {
                    place.leave();
                    bearer = self.bearer().await?;
                    continue;
                }
            }
            if let Some(permit) = place.redeem() {
                return Ok((bearer, permit));
            }
        }
    }

    fn no_permit(&mut self, reason: NoPermit) -> Failure {
        match reason {
            NoPermit::RateLimit(wait) => {
                self.trace.retry_after = Some(wait);
                Failure::NoPermit
            }
            NoPermit::Concurrency => CONCURRENCY_LIMIT,
            NoPermit::Closed => Failure::Invalid("the client was shut down"),
        }
    }

    /// Returns the id of the user whose token the call uses, empty for the app's own calls.
    pub(super) fn user(&self) -> &'c str {
        match self.credentials {
            Credentials::User(session) => session.user().as_str(),
            _ => "",
        }
    }

    async fn bearer(&mut self) -> Result<Bearer<'c>, Failure> {
        if let Some(bearer) = self.cached_bearer() {
            return Ok(bearer);
        }
        let Credentials::User(session) = self.credentials else {
            return Err(Failure::Invalid(
                "no access token; set one with `ClientBuilder::access_token`",
            ));
        };
        self.start_token_wait();
        let tokens = Box::pin(timeout_at(self.deadline, session.tokens())).await;
        self.end_token_wait();
        let tokens = tokens.map_err(|_| ACCESS_TOKEN)?;
        tokens.map(Bearer::User).map_err(Failure::Auth)
    }

    /// Returns the access token, if it is available without waiting.
    fn cached_bearer(&self) -> Option<Bearer<'c>> {
        match self.credentials {
            Credentials::NotNeeded => Some(Bearer::None),
            Credentials::Missing => None,
            Credentials::Fixed(token) => Some(Bearer::Fixed(token)),
            Credentials::User(session) => session.cached().ok().map(Bearer::User),
        }
    }

    /// Replaces the tokens that an operation refused, and returns whether this process requested
    /// the new ones after that.
    ///
    /// Another process may have refreshed the tokens, or the vendor may have revoked them.
    pub(super) async fn renew(
        &self,
        session: &Arc<Session>,
        refused: u64,
    ) -> Result<bool, Failure> {
        let requested_at = self.calls.clock.now();
        let renewal = timeout_at(self.deadline, session.renew(refused));
        let renewed = Box::pin(renewal).await.map_err(|_| TOKEN_REFRESH)?;
        let renewed = renewed.map_err(Failure::Auth)?;
        let is_new = session.has_issued(renewed.generation) && renewed.issued_at >= requested_at;
        if is_new {
            session.note_issued_after_401(renewed.generation);
        }
        Ok(is_new)
    }
}
