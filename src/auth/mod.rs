//! OAuth 2.0 for practitioners and staff: connect once, stay connected.
//!
//! The flow, in order, each step made only by the one before it:
//!
//! 1. [`OAuthApp::authorize`] gives the address to send the user's browser to,
//!    and a state to remember meanwhile.
//! 2. [`OAuthApp::callback`] reads what the browser brings back.
//! 3. [`OAuthApp::exchange`] turns the code into tokens and saves them.
//! 4. [`OAuthApp::client`] makes calls for that user, refreshing by itself.
//! 5. [`OAuthApp::revoke`] ends it.
//!
//! The guides [connect a user](crate::guide::connect) and
//! [refresh and many users](crate::guide::many_users) go through it.
//!
//! A refresh token dies when the pair that replaced it is first used
//! (source: the vendor's page on refreshing). So a new pair is saved before
//! its access token enters any header, a refresh runs on a task of its own
//! that no dropped call can take along, and no failure but the server's own
//! word makes a pair count as dead.

mod app;
mod authorize;
mod builder;
mod error;
mod event;
mod randomness;
mod session;
mod shared;
mod store;
mod token;
mod token_endpoint;

pub use app::{OAuthApp, User};
pub use authorize::{AuthorizationCode, AuthorizationRequest, State};
pub use builder::OAuthAppBuilder;
pub use error::AuthError;
pub use event::AuthEvent;
pub(crate) use session::Session;
pub use store::{Lease, MemoryStore, StoreError, StoreFuture, Swap, TokenStore};
pub use token::{AccessToken, ClientSecret, Owner, RefreshToken, Scope, TokenSet};
