//! Token refresh: new tokens from the store or the token endpoint.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use super::{Session, TokensResult, Unsaved, is_expired};
use crate::auth::error::{AuthError, Kind};
use crate::auth::event::AuthEvent;
use crate::auth::store::{Lease, Swap};
use crate::auth::token::TokenSet;
use crate::auth::token_endpoint::{Issued, MAX_ATTEMPTS, Outcome, bounded};
use crate::transport::retry::Backoff;

/// The duration of a lease: 10 s.
///
/// A process that crashed blocks the others for this time at most. A running process renews its
/// lease before it expires.
const LEASE_DURATION: Duration = Duration::from_secs(10);

/// The interval at which a lease is renewed: 3 s.
const LEASE_RENEWAL_INTERVAL: Duration = Duration::from_secs(3);

/// The interval at which the store is polled while another process holds the lease: 50 ms.
const LEASE_POLL_INTERVAL: Duration = Duration::from_millis(50);

impl Session {
    /// Refreshes the tokens, unless another process has already done so.
    ///
    /// The steps: acquire the lease, read the store again, request tokens, save them, publish them.
    pub(super) async fn refresh(self: &Arc<Self>, failed: u64) -> TokensResult {
        let unsaved = self.lock().unsaved.clone();
        if let Some(unsaved) = unsaved {
            return self.save(*unsaved).await;
        }
        if let Some(result) = self.wait_for_lease(failed).await? {
            return result;
        }
        let result = self.while_renewing_lease(self.request_tokens(failed)).await;
        // A lease that cannot be released expires.
        let _expires = self
            .app
            .store
            .release(&self.user, &self.app.lease_owner)
            .await;
        result
    }

    /// Waits for the lease. Returns the tokens if another process refreshes them in the meantime.
    async fn wait_for_lease(&self, failed: u64) -> Result<Option<TokensResult>, AuthError> {
        let mut last_seen = None;
        loop {
            let stored = self.load_existing().await?;
            if self.has_replacement(&stored, failed) {
                return Ok(Some(self.adopt(stored)));
            }
            let Lease::HeldUntil(until) = self.acquire_lease().await? else {
                return Ok(None);
            };
            let now = tokio::time::Instant::now();
            match last_seen {
                Some((before, since)) if before == until => {
                    // The holder's clock is far ahead of ours. The lease is advisory, so it is
                    // ignored after its regular duration.
                    if now.duration_since(since) > LEASE_DURATION {
                        return Ok(None);
                    }
                }
                _ => last_seen = Some((until, now)),
            }
            tokio::time::sleep(LEASE_POLL_INTERVAL).await;
        }
    }

    async fn acquire_lease(&self) -> Result<Lease, AuthError> {
        let now = self.app.now();
        let lease =
            self.app
                .store
                .lease(&self.user, &self.app.lease_owner, now, now + LEASE_DURATION);
        Ok(lease.await?)
    }

    /// Runs `work` while renewing the lease at an interval.
    async fn while_renewing_lease<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            if let Ok(output) = tokio::time::timeout(LEASE_RENEWAL_INTERVAL, work.as_mut()).await {
                return output;
            }
            let mut renewal = pin!(self.acquire_lease());
            let output = poll_fn(|context| match work.as_mut().poll(context) {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                // If the store fails now, the lease may expire. Then two processes may refresh
                // at once, and the compare-and-swap decides.
                Poll::Pending => renewal.as_mut().poll(context).map(|_| None),
            });
            if let Some(output) = output.await {
                return output;
            }
        }
    }

    /// Loads the user's tokens from the store.
    pub(super) async fn load(&self) -> Result<Option<TokenSet>, AuthError> {
        let stored = self.app.store.load(&self.user).await?;
        match stored {
            Some(stored) if stored.issuer != self.app.issuer => {
                Err(AuthError::new(Kind::WrongEnvironment))
            }
            stored => Ok(stored),
        }
    }

    /// Loads the user's tokens, and fails if the store has no tokens of this user.
    async fn load_existing(&self) -> Result<TokenSet, AuthError> {
        let stored = self.load().await?;
        stored.ok_or_else(|| {
            // Another process revoked or forgot the user.
            self.lock().current = None;
            AuthError::new(Kind::NotConnected)
        })
    }

    /// Returns whether the stored tokens replace those that failed, or are marked as disconnected.
    fn has_replacement(&self, stored: &TokenSet, failed: u64) -> bool {
        stored.needs_reconnect
            || (stored.generation != failed && !is_expired(stored, self.app.now()))
    }

    /// Publishes tokens that another process has saved.
    fn adopt(&self, stored: TokenSet) -> TokensResult {
        let needs_reconnect = stored.needs_reconnect;
        let tokens = self.publish(stored);
        if needs_reconnect {
            Err(AuthError::new(Kind::NeedsReconnect))
        } else {
            Ok(tokens)
        }
    }

    /// Requests tokens from the token endpoint, and saves them.
    async fn request_tokens(self: &Arc<Self>, failed: u64) -> TokensResult {
        // Another process may have finished between the last load and the lease.
        let stored = self.load_existing().await?;
        if self.has_replacement(&stored, failed) {
            return self.adopt(stored);
        }
        let Some(refresh_token) = stored.refresh_token.clone() else {
            return self.mark_needs_reconnect(stored).await;
        };
        let mut backoff = Backoff::new(MAX_ATTEMPTS);
        loop {
            let requested_at = self.app.now();
            match self.app.endpoint.refresh(&refresh_token, &self.user).await {
                Outcome::Issued(issued) => {
                    let new = Unsaved {
                        expected: Some(stored.generation),
                        tokens: next_token_set(stored, issued, requested_at)?,
                        new_connection: false,
                    };
                    return self.save(new).await;
                }
                Outcome::Refused => return self.mark_needs_reconnect(stored).await,
                Outcome::Misconfigured(reason) => {
                    return Err(AuthError::new(Kind::Misconfigured(reason)));
                }
                Outcome::Unclear {
                    error, retry_after, ..
                } => {
                    let delay = backoff.next(bounded(retry_after)).ok_or(error)?;
                    tokio::time::sleep(delay).await;
                }
            }
        }
    }

    /// Marks the token set whose refresh token the server rejected.
    ///
    /// The rejection is final, unless the store contains a newer token set by now. The rejected
    /// token set stays in the store, with the mark.
    async fn mark_needs_reconnect(&self, refused: TokenSet) -> TokensResult {
        let generation = refused.generation;
        let marked = TokenSet {
            generation: generation + 1,
            needs_reconnect: true,
            ..refused
        };
        let swap = self
            .app
            .store
            .compare_and_swap(&self.user, Some(generation), marked.clone())
            .await?;
        match swap {
            Swap::Done => {
                self.publish(marked);
                self.app.emit(AuthEvent::NeedsReconnect {
                    user: self.user.clone(),
                });
                Err(AuthError::new(Kind::NeedsReconnect))
            }
            Swap::Lost(Some(present)) if present.issuer == self.app.issuer => self.adopt(present),
            Swap::Lost(Some(_)) => Err(AuthError::new(Kind::WrongEnvironment)),
            Swap::Lost(None) => {
                self.lock().current = None;
                Err(AuthError::new(Kind::NotConnected))
            }
        }
    }
}

/// Creates the next token set. Fields that the response omits are taken from the old one.
fn next_token_set(
    old: TokenSet,
    issued: Issued,
    requested_at: SystemTime,
) -> Result<TokenSet, AuthError> {
    let owner = match issued.owner {
        // Tokens of another user must not be used for this one, whatever the server's reason.
        Some(owner) if owner.id != old.owner.id => {
            return Err(AuthError::new(Kind::Unreadable(
                "tokens of another user".into(),
            )));
        }
        Some(owner) => owner,
        None => old.owner,
    };
    Ok(TokenSet {
        access_token: issued.access_token,
        refresh_token: issued.refresh_token.or(old.refresh_token),
        owner,
        scopes: if issued.scopes.is_empty() {
            old.scopes
        } else {
            issued.scopes
        },
        issuer: old.issuer,
        issued_at: requested_at,
        lifetime: issued.lifetime,
        generation: old.generation + 1,
        needs_reconnect: false,
    })
}
