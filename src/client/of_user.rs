//! Creates the client of a connected user.

use std::sync::Arc;

use super::Client;
use crate::auth::OAuthApp;
use crate::call::context::{Context, Credentials};

impl OAuthApp {
    /// Returns a client that makes calls for this user.
    ///
    /// Clients are cheap to create: all clients of an app share connections, and all clients of a
    /// user share tokens. If the user is not connected, the first call returns an error.
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
