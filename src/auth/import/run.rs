//! The run of an import: bounded concurrency, and one store task for each user.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use futures_core::Stream;
use tokio::task::{JoinError, JoinSet};

use super::{Import, ImportOutcome, ImportRefusal, ImportReport, ImportedTokens};
use crate::auth::app::OAuthApp;
use crate::auth::error::AuthError;
use crate::auth::jobs::{MAX_CONCURRENCY, Patience};
use crate::auth::token::{AccessToken, Scope, TokenSet, fingerprint};
use crate::auth::user::UserKey;

/// The lifetime of an access token (source: the vendor's page on access tokens).
const MAX_LIFETIME: Duration = Duration::from_secs(7_200);

/// The largest length of a user's key and of a tenant: 1,000 bytes. A database cannot index longer
/// texts.
const MAX_TEXT: usize = 1_000;

impl Import {
    /// Imports the tokens of one user.
    ///
    /// # Errors
    ///
    /// Returns an error if the store fails ([`AuthError::is_store`]) or the app was shut down.
    pub async fn one(self, tokens: ImportedTokens) -> Result<ImportOutcome, AuthError> {
        let user = tokens.user.clone();
        let patience = Patience::of(&self.app);
        let outcome = import(self.app, tokens, self.is_dry_run, self.proves, &patience).await?;
        if let Some(mut listener) = self.listener {
            listener(&user, &outcome);
        }
        Ok(outcome)
    }

    /// Imports the tokens of many users.
    ///
    /// Holds the tokens of the users in memory that are imported at the moment, and no others.
    /// Dropping the future stops the import; what was saved stays saved.
    pub async fn all(self, tokens: impl IntoIterator<Item = ImportedTokens>) -> ImportReport {
        self.stream(Ready(tokens.into_iter())).await
    }

    /// Imports a stream of the tokens of many users, like [`all`](Self::all).
    pub async fn stream(mut self, tokens: impl Stream<Item = ImportedTokens>) -> ImportReport {
        let mut tokens = pin!(tokens);
        let mut report = ImportReport::default();
        let mut tasks = JoinSet::new();
        let patience = Arc::new(Patience::of(&self.app));
        let concurrency = self.concurrency.clamp(1, MAX_CONCURRENCY);
        let mut is_read = false;
        loop {
            // A stream may wait for an outcome before it returns further tokens.
            let next = poll_fn(|context| {
                if !is_read && tasks.len() < concurrency {
                    match tokens.as_mut().poll_next(context) {
                        Poll::Ready(Some(tokens)) => return Poll::Ready(Next::Tokens(tokens)),
                        Poll::Ready(None) => is_read = true,
                        Poll::Pending if tasks.is_empty() => return Poll::Pending,
                        Poll::Pending => {}
                    }
                }
                tasks.poll_join_next(context).map(Next::Ended)
            });
            let ended = match next.await {
                Next::Ended(ended) => ended,
                Next::Tokens(tokens) => {
                    report.read += 1;
                    let (app, patience) = (self.app.clone(), Arc::clone(&patience));
                    let (is_dry_run, proves) = (self.is_dry_run, self.proves);
                    tasks.spawn(async move {
                        let user = tokens.user.clone();
                        let imported = import(app, tokens, is_dry_run, proves, &patience).await;
                        imported.map(|outcome| (user, outcome))
                    });
                    continue;
                }
            };
            match ended {
                None => return report,
                Some(Ok(Ok((user, outcome)))) => {
                    if let Some(listener) = &mut self.listener {
                        listener(&user, &outcome);
                    }
                    report.add(user, outcome);
                }
                // The other users would fail too, so that their tokens are not read.
                Some(Ok(Err(error))) => {
                    report.stopped = Some(error);
                    is_read = true;
                }
                Some(Err(panicked)) => match panicked.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // The runtime is shutting down.
                    Err(_cancelled) => is_read = true,
                },
            }
        }
    }
}

/// The result of importing one user.
type Imported = Result<(UserKey, ImportOutcome), AuthError>;

/// What an import does next.
#[allow(
    clippy::large_enum_variant,
    reason = "a value is created and matched once"
)]
enum Next {
    /// Imports these tokens.
    Tokens(ImportedTokens),
    /// Reports a user whose import has ended; `None` after the last one.
    Ended(Option<Result<Imported, JoinError>>),
}

/// The items of an iterator as a stream.
struct Ready<I>(I);

// The iterator is never pinned.
impl<I> Unpin for Ready<I> {}

impl<I: Iterator> Stream for Ready<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.0.next())
    }
}

async fn import(
    app: OAuthApp,
    tokens: ImportedTokens,
    is_dry_run: bool,
    proves: bool,
    patience: &Patience,
) -> Result<ImportOutcome, AuthError> {
    let shared = &app.inner.shared;
    shared.ensure_open()?;
    if !tokens.is_valid() {
        return Ok(ImportOutcome::Refused(ImportRefusal::Invalid));
    }
    let mut new = tokens.into_token_set(shared.store.issuer(), shared.now());
    new.connection = app.inner.randomness.text().to_string();
    let session = app.session(&new.user);
    if is_dry_run {
        session.try_import(&new).await
    } else {
        session.import(new, proves, patience).await
    }
}

impl ImportedTokens {
    fn is_valid(&self) -> bool {
        let is_text = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_graphic());
        // Found under no id that the vendor returns, or refused by a database.
        let is_odd = |it: char| it.is_whitespace() || it.is_control();
        let access_token = self.access_token.as_ref();
        let (user, tenant) = (
            self.user.as_str(),
            self.tenant.as_deref().unwrap_or_default(),
        );
        !self.user.id().is_empty()
            && user.len() <= MAX_TEXT
            && !user.contains(is_odd)
            && tenant.len() <= MAX_TEXT
            && !tenant.contains('\0')
            && self.each_scope().all(is_text)
            && is_text(self.refresh_token.expose())
            && access_token.is_none_or(|(token, _)| token.is_sendable())
    }

    /// Returns the scopes; a token response and many tables have one text with spaces.
    fn each_scope(&self) -> impl Iterator<Item = &str> {
        let scopes = self.scopes.iter();
        scopes.flat_map(|scope| scope.as_str().split_whitespace())
    }

    /// Converts to a token set that is to be refreshed if its access token is unknown.
    fn into_token_set(self, issuer: &str, now: SystemTime) -> TokenSet {
        let mut scopes = Vec::new();
        for scope in self.each_scope().map(Scope::new) {
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        let (access_token, expires_at) = self
            .access_token
            .unwrap_or_else(|| (AccessToken::new(""), now));
        let lifetime = expires_at.duration_since(now).unwrap_or_default();
        let mut new = TokenSet::new(
            self.user,
            access_token,
            issuer,
            now.min(expires_at),
            lifetime.min(MAX_LIFETIME),
        )
        .scopes(scopes);
        new.used_at = now;
        let fingerprint = fingerprint(&self.refresh_token);
        new.connection = fingerprint.to_string();
        new.imported = Some(fingerprint);
        new.refresh_token = Some(self.refresh_token);
        new.tenant = self.tenant;
        new
    }
}
