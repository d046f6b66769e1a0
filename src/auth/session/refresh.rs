//! Where new tokens come from: the store, or the token endpoint.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use super::{Refreshed, Session, Unsaved, is_expired};
use crate::auth::error::{AuthError, Kind};
use crate::auth::event::AuthEvent;
use crate::auth::store::{Lease, Swap};
use crate::auth::token::TokenSet;
use crate::auth::token_endpoint::{ATTEMPTS, Issued, Outcome, bounded};
use crate::transport::retry::Backoff;

/// How long a process that has died keeps the others from refreshing. One
/// that lives renews its lease in time.
const LEASE: Duration = Duration::from_secs(10);

/// How often a lease is renewed.
const LEASE_RENEWAL: Duration = Duration::from_secs(3);

/// How often the store is asked whether the holder of the lease is done.
const LEASE_POLL: Duration = Duration::from_millis(50);

impl Session {
    /// lease -> read the store again -> ask -> save -> publish.
    pub(super) async fn refresh(self: &Arc<Self>, failed: u64) -> Refreshed {
        let unsaved = self.lock().unsaved.clone();
        if let Some(unsaved) = unsaved {
            return self.save(*unsaved).await;
        }
        if let Some(ended) = self.lease(failed).await? {
            return ended;
        }
        let ended = self.keeping_the_lease(self.ask(failed)).await;
        // A lease that can't be given back ends by itself.
        let _ends_by_itself = self
            .app
            .store
            .release(&self.user, &self.app.lease_owner)
            .await;
        ended
    }

    /// Waits to be the one who refreshes, unless somebody else has done it
    /// meanwhile.
    async fn lease(&self, failed: u64) -> Result<Option<Refreshed>, AuthError> {
        let mut seen = None;
        loop {
            let stored = self.stored().await?;
            if self.is_news(&stored, failed) {
                return Ok(Some(self.adopt(stored)));
            }
            let Lease::HeldUntil(until) = self.ask_for_the_lease().await? else {
                return Ok(None);
            };
            let now = tokio::time::Instant::now();
            match seen {
                Some((before, since)) if before == until => {
                    // The clock of whoever took it is far ahead of ours. A
                    // lease is a courtesy; it has had its time.
                    if now.duration_since(since) > LEASE {
                        return Ok(None);
                    }
                }
                _ => seen = Some((until, now)),
            }
            tokio::time::sleep(LEASE_POLL).await;
        }
    }

    async fn ask_for_the_lease(&self) -> Result<Lease, AuthError> {
        let now = self.app.clock.now();
        let lease = self
            .app
            .store
            .lease(&self.user, &self.app.lease_owner, now, now + LEASE);
        Ok(lease.await?)
    }

    async fn keeping_the_lease<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            if let Ok(ended) = tokio::time::timeout(LEASE_RENEWAL, work.as_mut()).await {
                return ended;
            }
            let mut renewal = pin!(self.ask_for_the_lease());
            let ended = poll_fn(|context| match work.as_mut().poll(context) {
                Poll::Ready(ended) => Poll::Ready(Some(ended)),
                // Lost, if the store fails now: then two may refresh at once,
                // and the swap decides.
                Poll::Pending => renewal.as_mut().poll(context).map(|_| None),
            });
            if let Some(ended) = ended.await {
                return ended;
            }
        }
    }

    /// The user's tokens as the store has them.
    pub(super) async fn load(&self) -> Result<Option<TokenSet>, AuthError> {
        let stored = self.app.store.load(&self.user).await?;
        match stored {
            Some(stored) if stored.issuer != self.app.issuer => {
                Err(AuthError::new(Kind::WrongEnvironment))
            }
            stored => Ok(stored),
        }
    }

    async fn stored(&self) -> Result<TokenSet, AuthError> {
        let stored = self.load().await?;
        stored.ok_or_else(|| {
            // Revoked or forgotten elsewhere.
            self.lock().current = None;
            AuthError::new(Kind::NotConnected)
        })
    }

    /// Whether the store tells something else than the tokens that failed.
    fn is_news(&self, stored: &TokenSet, failed: u64) -> bool {
        stored.needs_reconnect
            || (stored.generation != failed && !is_expired(stored, self.app.clock.now()))
    }

    /// What somebody else has saved becomes ours.
    fn adopt(&self, stored: TokenSet) -> Refreshed {
        let ended = stored.needs_reconnect;
        let tokens = self.publish(stored);
        if ended {
            Err(AuthError::new(Kind::NeedsReconnect))
        } else {
            Ok(tokens)
        }
    }

    async fn ask(self: &Arc<Self>, failed: u64) -> Refreshed {
        // Between our look and our lease somebody may have been done.
        let stored = self.stored().await?;
        if self.is_news(&stored, failed) {
            return self.adopt(stored);
        }
        let Some(refresh_token) = stored.refresh_token.clone() else {
            return self.end(stored).await;
        };
        let mut backoff = Backoff::new(ATTEMPTS);
        loop {
            let asked_at = self.app.clock.now();
            match self.app.endpoint.refresh(&refresh_token, &self.user).await {
                Outcome::Issued(issued) => {
                    let new = Unsaved {
                        expected: Some(stored.generation),
                        tokens: follow(stored, issued, asked_at)?,
                        connected: false,
                    };
                    return self.save(new).await;
                }
                Outcome::Refused => return self.end(stored).await,
                Outcome::Misconfigured(reason) => {
                    return Err(AuthError::new(Kind::Misconfigured(reason)));
                }
                Outcome::Unclear { error, wait, .. } => {
                    let delay = backoff.next(bounded(wait)).ok_or(error)?;
                    tokio::time::sleep(delay).await;
                }
            }
        }
    }

    /// The server has refused the refresh token: final, unless the store has
    /// another one by now. The pair is kept, marked.
    async fn end(&self, refused: TokenSet) -> Refreshed {
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
                self.app.tell(AuthEvent::NeedsReconnect {
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

/// The set that follows another; what the reply leaves out stays.
fn follow(old: TokenSet, issued: Issued, asked_at: SystemTime) -> Result<TokenSet, AuthError> {
    let owner = match issued.owner {
        // Somebody else's tokens: whatever happened there, they are not ours
        // to use for this user.
        Some(owner) if owner.id != old.owner.id => return Err(AuthError::new(Kind::Unreadable)),
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
        issued_at: asked_at,
        lifetime: issued.lifetime,
        generation: old.generation + 1,
        needs_reconnect: false,
    })
}
