//! The client of a connected user: where `auth` meets the client.

use std::sync::Arc;

use super::Client;
use crate::auth::OAuthApp;
use crate::call::context::{Context, Credentials};

impl OAuthApp {
    /// A client that makes calls for this user.
    ///
    /// A cheap handle: all clients of an app share connections, and all of a
    /// user their tokens. A user who has not connected is told of by the
    /// first call.
    #[must_use]
    pub fn client(&self, user: &str) -> Client {
        let connected = self.connected();
        Client::with(Context {
            http: connected.http.clone(),
            base: Arc::clone(&connected.base),
            credentials: Credentials::User(self.session(user)),
            calls: Arc::clone(&connected.calls),
            options: connected.options.clone(),
        })
    }
}
