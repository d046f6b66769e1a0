//! Creates the client of a connected user.

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
        let credentials = Credentials::User(self.session(user));
        Client::with(Context::new(self.connected().clone(), credentials))
    }
}
