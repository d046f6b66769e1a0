//! Creates the client of a connected user.

use super::Client;
use crate::auth::{OAuthApp, UserKey};
use crate::call::context::{Context, Credentials};

impl OAuthApp {
    /// Returns a client that makes calls for this user.
    ///
    /// `user` is the [`User::key`](crate::auth::User::key) or its text; the id of a practitioner
    /// alone suffices.
    /// Clients are cheap to create: all clients of an app share connections, and all clients of a
    /// user share tokens. If the user is not connected, the first call returns an error.
    #[must_use]
    pub fn client(&self, user: impl Into<UserKey>) -> Client {
        let credentials = Credentials::User(self.session(&user.into()));
        Client::with(Context::new(self.connected().clone(), credentials))
    }
}
