//! Filters of listed connections.

use std::time::SystemTime;

use crate::auth::record::{ConnectionRecord, to_millis};
use crate::auth::token::Scope;

/// A filter of connections; all conditions that are set must be met.
///
/// ```
/// use fullscript::auth::{ConnectionFilter, Scope};
///
/// let filter = ConnectionFilter::new().needs_reconnect(true).tenant("clinic-7");
/// let filter = ConnectionFilter::new().lacks([Scope::ORDER_HISTORY]);
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ConnectionFilter {
    /// The app: the name of the environment, a slash, and the client id.
    /// [`OAuthApp::connections`](crate::auth::OAuthApp::connections) sets it.
    pub app: Option<String>,
    /// The application's own reference.
    pub tenant: Option<String>,
    /// Whether the user must reconnect.
    pub needs_reconnect: Option<bool>,
    /// Whether the last token refresh failed.
    pub is_failing: Option<bool>,
    /// Scopes of which the tokens lack at least one.
    pub lacks: Vec<Scope>,
    /// The time since which no use is known.
    pub not_used_since: Option<SystemTime>,
    /// The time since which a use is known.
    pub used_since: Option<SystemTime>,
    /// The time before which the access token expires.
    pub expires_before: Option<SystemTime>,
}

impl ConnectionFilter {
    /// Creates a filter that all connections match.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Selects the connections of one app.
    #[must_use]
    pub fn app(mut self, app: impl Into<String>) -> Self {
        self.app = Some(app.into());
        self
    }

    /// Selects the connections with this reference of the application's own.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Selects the connections whose user must reconnect, or need not.
    #[must_use]
    pub fn needs_reconnect(mut self, needs_reconnect: bool) -> Self {
        self.needs_reconnect = Some(needs_reconnect);
        self
    }

    /// Selects the connections whose last token refresh failed, or did not.
    #[must_use]
    pub fn failing(mut self, is_failing: bool) -> Self {
        self.is_failing = Some(is_failing);
        self
    }

    /// Selects the connections whose tokens lack at least one of these scopes.
    #[must_use]
    pub fn lacks<S: Into<Scope>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.lacks = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Selects the connections without a known use since this time.
    ///
    /// The last use is known to 2 hours, the lifetime of an access token.
    #[must_use]
    pub fn not_used_since(mut self, time: SystemTime) -> Self {
        self.not_used_since = Some(time);
        self
    }

    /// Selects the connections with a known use since this time.
    ///
    /// The last use is known to 2 hours, the lifetime of an access token.
    #[must_use]
    pub fn used_since(mut self, time: SystemTime) -> Self {
        self.used_since = Some(time);
        self
    }

    /// Selects the connections whose access token expires before this time.
    #[must_use]
    pub fn expires_before(mut self, time: SystemTime) -> Self {
        self.expires_before = Some(time);
        self
    }

    /// Returns whether a record meets all conditions.
    #[must_use]
    pub fn matches(&self, record: &ConnectionRecord) -> bool {
        let has = |scope: &Scope| record.scopes.split(' ').any(|it| it == scope.as_str());
        self.app.as_ref().is_none_or(|app| *app == record.app)
            && (self.tenant.is_none() || self.tenant == record.tenant)
            && self
                .needs_reconnect
                .is_none_or(|it| it == record.needs_reconnect)
            && self.is_failing.is_none_or(|it| it == record.is_failing)
            && (self.lacks.is_empty() || !self.lacks.iter().all(has))
            && self
                .not_used_since
                .is_none_or(|time| record.used_at < to_millis(time))
            && self
                .used_since
                .is_none_or(|time| record.used_at >= to_millis(time))
            && self
                .expires_before
                .is_none_or(|time| record.expires_at < to_millis(time))
    }
}
