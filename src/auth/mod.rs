//! OAuth 2.0 for practitioners and staff: connections of users, with tokens that refresh
//! automatically.
//!
//! The steps of the flow, in order:
//!
//! 1. [`OAuthApp::authorize`] returns the URL to send the user's browser to, and a state to
//!    remember.
//! 2. [`OAuthApp::callback`] reads the callback of the browser.
//! 3. [`OAuthApp::exchange`] exchanges the code for tokens and saves them.
//! 4. [`OAuthApp::client`] returns a client for that user, which refreshes the tokens.
//! 5. [`OAuthApp::revoke`] disconnects the user.
//!
//! The guides [connect a user](crate::guide::connect) and
//! [refresh and many users](crate::guide::many_users) explain the flow.
//!
//! # Safety of refresh tokens
//!
//! A refresh token becomes invalid when the token set that replaced it is first used (source: the
//! vendor's page on refreshing). Therefore:
//!
//! - A new token set is saved before its access token is first sent.
//! - A token refresh runs on its own task, which continues if the call that started it is dropped.
//! - Only an explicit rejection by the server marks a user as disconnected.

mod app;
mod authorize;
mod breaker;
mod builder;
mod client_secrets;
mod connection;
mod error;
mod event;
mod import;
mod jobs;
mod randomness;
mod record;
mod session;
mod shared;
mod shutdown;
mod store;
mod token;
mod token_endpoint;
mod token_response;
mod user;

pub use app::{OAuthApp, User};
pub use authorize::{AuthorizationCode, AuthorizationRequest, State};
pub use builder::OAuthAppBuilder;
pub use connection::{Connection, ConnectionStatus, Connections};
pub use error::AuthError;
pub use event::{AuthEvent, RefreshTiming, StoreAccess};
pub use import::{
    Import, ImportFailure, ImportOutcome, ImportRefusal, ImportReport, ImportedTokens,
};
pub use jobs::{ForEachUser, JobError, JobFailure, JobReport, RefreshAhead};
#[cfg(feature = "encryption")]
pub(crate) use record::SEALED;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use record::to_millis;
pub use record::{ConnectionRecord, RecordData, RecordError};
pub(crate) use session::Session;
pub use shutdown::Unfinished;
pub use store::{ConnectionFilter, Lease, MemoryStore, StoreError, StoreFuture, Swap, TokenStore};
pub use token::{
    AccessToken, ClientSecret, NeedsReconnect, ReconnectReason, RefreshFailure,
    RefreshFailureCause, RefreshToken, Scope, TokenSet,
};
pub use user::UserKey;
