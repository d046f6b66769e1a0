//! Tokens of another system: imported one by one or as a stream.

mod report;
mod run;

use std::fmt;
use std::time::SystemTime;

use super::app::OAuthApp;
use super::token::{AccessToken, RefreshToken, Scope};
use super::user::UserKey;

pub use report::{ImportFailure, ImportOutcome, ImportRefusal, ImportReport};

/// The default number of users that are imported concurrently: 8.
const CONCURRENCY: usize = 8;

/// The tokens of a user that another system has obtained, to be imported with
/// [`OAuthApp::import`].
#[derive(Clone)]
#[non_exhaustive]
pub struct ImportedTokens {
    /// The owner of the tokens.
    pub user: UserKey,
    /// The latest refresh token.
    pub refresh_token: RefreshToken,
    /// The latest access token, with the time at which it expires.
    pub access_token: Option<(AccessToken, SystemTime)>,
    /// The scopes that the tokens were issued with, if known.
    pub scopes: Vec<Scope>,
    /// The application's own reference, for example the id of a clinic or tenant.
    pub tenant: Option<String>,
}

impl ImportedTokens {
    /// Creates tokens without an access token: the first call of the user refreshes them.
    #[must_use]
    pub fn new(user: impl Into<UserKey>, refresh_token: RefreshToken) -> Self {
        Self {
            user: user.into(),
            refresh_token,
            access_token: None,
            scopes: Vec::new(),
            tenant: None,
        }
    }

    /// Sets the access token and the time at which it expires.
    ///
    /// An access token is valid for 2 hours, so a time that is later counts as 2 hours from now.
    #[must_use]
    pub fn access_token(mut self, access_token: AccessToken, expires_at: SystemTime) -> Self {
        self.access_token = Some((access_token, expires_at));
        self
    }

    /// Sets the scopes that the tokens were issued with, each as a text of its own or separated by
    /// spaces. The first refresh corrects them.
    ///
    /// Until then, [`Connection::lacks`](super::Connection::lacks) and
    /// [`ConnectionFilter::lacks`](super::ConnectionFilter::lacks) know no others.
    #[must_use]
    pub fn scopes<S: Into<Scope>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the application's own reference.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }
}

/// Shows no token.
impl fmt::Debug for ImportedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportedTokens")
            .field("user", &self.user)
            .field("has_access_token", &self.access_token.is_some())
            .finish_non_exhaustive()
    }
}

impl OAuthApp {
    /// Imports tokens that another system has obtained for this app: the same client id in the same
    /// environment.
    ///
    /// An import can be repeated: tokens that were imported before are unchanged, also if they were
    /// refreshed since, and a token set that may be newer is never overwritten.
    /// The other system must not refresh the tokens of a user any more after they were imported.
    /// The guide [move from your own token table](crate::guide::import) shows the steps.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use fullscript::auth::{ImportOutcome, ImportedTokens, RefreshToken};
    /// # let fake = fullscript::testing::FakeFullscript::start().await?;
    /// # let app = fake.app_builder().build()?;
    ///
    /// let tokens = ImportedTokens::new("7f3d0c1e", RefreshToken::new("from-your-table"));
    /// assert_eq!(app.import().one(tokens.clone()).await?, ImportOutcome::Taken);
    /// assert_eq!(app.import().one(tokens).await?, ImportOutcome::Unchanged);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn import(&self) -> Import {
        Import {
            app: self.clone(),
            is_dry_run: false,
            proves: false,
            concurrency: CONCURRENCY,
            listener: None,
        }
    }
}

/// An import of tokens of another system; returned by [`OAuthApp::import`].
#[must_use = "an import does nothing until it is given tokens"]
pub struct Import {
    app: OAuthApp,
    is_dry_run: bool,
    proves: bool,
    concurrency: usize,
    listener: Option<Listener>,
}

type Listener = Box<dyn FnMut(&UserKey, &ImportOutcome) + Send>;

impl Import {
    /// Reads the store and reports what an import would do, without a change. Default: `false`.
    ///
    /// Makes no request, so it proves nothing.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.is_dry_run = dry_run;
        self
    }

    /// Proves each token set by one refresh, which replaces both tokens. Default: `false`.
    ///
    /// Finds refresh tokens that the server rejects, and tokens of another user than stated.
    /// From then on, the tokens in the other system are outdated: they become invalid with the
    /// first call of the user.
    /// The refreshes are paced like those of [`OAuthApp::refresh_ahead`], so 10,000 users take 50
    /// minutes. After 16 failures in a row, the rest is taken without a proof.
    pub fn prove(mut self, prove: bool) -> Self {
        self.proves = prove;
        self
    }

    /// Sets the number of users that are imported concurrently, 1 to 256. Default: 8.
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Sets a function that receives the outcome of each user, for a list that is longer than that
    /// of the [report](ImportReport::failures).
    pub fn on_outcome(
        mut self,
        listener: impl FnMut(&UserKey, &ImportOutcome) + Send + 'static,
    ) -> Self {
        self.listener = Some(Box::new(listener));
        self
    }
}

impl fmt::Debug for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Import")
            .field("dry_run", &self.is_dry_run)
            .field("prove", &self.proves)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}
