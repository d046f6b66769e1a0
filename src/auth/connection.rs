//! The connections of an app's users, as the store knows them.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use futures_core::Stream;

use super::app::OAuthApp;
use super::error::AuthError;
use super::record::ConnectionRecord;
use super::store::{ConnectionFilter, StoreError};
use super::token::{NeedsReconnect, RefreshFailure, Scope, TokenSet};
use super::user::UserKey;

/// The default number of records that [`Connections`] loads at once.
const PAGE_SIZE: usize = 500;

/// The connection of a user, as the store knows it; contains no token.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connection {
    /// The user.
    pub user: UserKey,
    /// Whether calls can be made for the user.
    pub status: ConnectionStatus,
    /// The scopes that the tokens were issued with.
    pub scopes: Vec<Scope>,
    /// The time at which the access token expires.
    ///
    /// A refresh replaces it when the next call is made.
    pub expires_at: SystemTime,
    /// The time of the last token refresh, or of the connection.
    pub refreshed_at: SystemTime,
    /// The last refresh that a call caused: the time of the last use, to 2 hours.
    pub used_at: SystemTime,
    /// The failure of the last token refresh, if it failed.
    pub failure: Option<RefreshFailure>,
    /// The application's own reference.
    pub tenant: Option<String>,
}

/// Whether calls can be made for a user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionStatus {
    /// The user is connected.
    Connected,
    /// The user must reconnect.
    NeedsReconnect(NeedsReconnect),
}

impl Connection {
    fn new(tokens: TokenSet) -> Self {
        Self {
            expires_at: tokens.expires_at(),
            user: tokens.user,
            status: tokens.needs_reconnect.map_or(
                ConnectionStatus::Connected,
                ConnectionStatus::NeedsReconnect,
            ),
            scopes: tokens.scopes,
            refreshed_at: tokens.issued_at,
            used_at: tokens.used_at,
            failure: tokens.failure,
            tenant: tokens.tenant,
        }
    }

    /// Returns those of the scopes that the tokens lack.
    ///
    /// A user gets a scope that was added in the dashboard by reconnecting.
    /// [`operations::scopes_for`](crate::operations::scopes_for) returns the scopes that your calls
    /// need.
    #[must_use]
    pub fn lacks<S: Into<Scope>>(&self, scopes: impl IntoIterator<Item = S>) -> Vec<Scope> {
        let scopes = scopes.into_iter().map(Into::into);
        scopes.filter(|it| !self.scopes.contains(it)).collect()
    }
}

impl OAuthApp {
    /// Returns the connection of a user, or `None` if the user is not connected.
    ///
    /// Reads the store and makes no request.
    ///
    /// # Errors
    ///
    /// Returns an error if the store fails or the record is damaged ([`AuthError::is_store`]).
    pub async fn connection(
        &self,
        user: impl Into<UserKey>,
    ) -> Result<Option<Connection>, AuthError> {
        let tokens = self.inner.shared.store.load(&user.into()).await?;
        Ok(tokens.map(Connection::new))
    }

    /// Returns a stream of the app's connections that match a filter, in the order of their keys.
    ///
    /// Makes no request to the vendor, and holds one page of records in memory.
    ///
    /// ```no_run
    /// # async fn example(app: fullscript::auth::OAuthApp) -> Result<(), fullscript::auth::AuthError> {
    /// use fullscript::auth::ConnectionFilter;
    ///
    /// let mut lost = app.connections(ConnectionFilter::new().needs_reconnect(true));
    /// while let Some(connection) = lost.next().await {
    ///     println!("ask {} to reconnect", connection?.user);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn connections(&self, filter: ConnectionFilter) -> Connections {
        Connections {
            filter: filter.app(self.inner.shared.store.issuer()),
            app: self.clone(),
            page_size: PAGE_SIZE,
            after: None,
            page: VecDeque::new(),
            is_last_page: false,
            loading: None,
        }
    }
}

type Loading = Pin<Box<dyn Future<Output = Result<Vec<ConnectionRecord>, StoreError>> + Send>>;

/// A stream of connections; returned by [`OAuthApp::connections`].
#[must_use = "a stream does nothing unless it is polled"]
pub struct Connections {
    app: OAuthApp,
    filter: ConnectionFilter,
    page_size: usize,
    after: Option<String>,
    page: VecDeque<ConnectionRecord>,
    is_last_page: bool,
    loading: Option<sync_wrapper::SyncWrapper<Loading>>,
}

impl Connections {
    /// Sets the number of records that are loaded at once. Default: 500.
    pub fn page_size(mut self, page_size: usize) -> Self {
        self.page_size = page_size.max(1);
        self
    }

    /// Starts after the user with this key, to resume.
    pub fn after(mut self, user: impl Into<UserKey>) -> Self {
        self.after = Some(self.app.inner.shared.store.key(&user.into()));
        self
    }

    /// Returns the next connection, or `None` at the end.
    ///
    /// # Errors
    ///
    /// Returns an error if the store fails; the next call tries to load the same page.
    /// A damaged record is an error of its own, and the next call returns the record after it.
    pub async fn next(&mut self) -> Option<Result<Connection, AuthError>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    fn load(&self) -> Loading {
        let (app, filter) = (self.app.clone(), self.filter.clone());
        let (after, limit) = (self.after.clone(), self.page_size);
        Box::pin(async move {
            let store = &app.inner.shared.store;
            store.list(&filter, after.as_deref(), limit).await
        })
    }
}

impl Stream for Connections {
    type Item = Result<Connection, AuthError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(record) = self.page.pop_front() {
                let tokens = TokenSet::from_record(&record).map_err(StoreError::from);
                self.after = Some(record.key);
                return Poll::Ready(Some(tokens.map(Connection::new).map_err(AuthError::from)));
            }
            if self.is_last_page {
                return Poll::Ready(None);
            }
            if self.loading.is_none() {
                self.loading = Some(sync_wrapper::SyncWrapper::new(self.load()));
            }
            let Some(loading) = &mut self.loading else {
                return Poll::Ready(None);
            };
            let page = ready!(loading.get_mut().as_mut().poll(context));
            self.loading = None;
            match page {
                Ok(page) => {
                    self.is_last_page = page.len() < self.page_size;
                    self.page = page.into();
                }
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            }
        }
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}
