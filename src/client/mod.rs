//! The client, its builder, and paginated lists as streams.

mod download;
mod generated;
mod of_user;
pub(crate) mod page;
mod request;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::auth::{AccessToken, Unfinished};
use crate::call::context::{Context, Credentials};
use crate::environment::Environment;
use crate::transport::{BuildError, CallOptions, Connection, connection_setters};

pub use self::download::{Download, DownloadedFile};
pub use self::generated::builder;
pub use self::page::{CollectError, Items, ListChanges, Page, PageMeta, Pages, RecordJson};
pub use self::request::RequestBuilder;

/// A handle that makes typed calls to the Fullscript API: one method for each operation.
///
/// Created by [`Client::builder`] with a fixed access token, or by
/// [`OAuthApp::client`](crate::auth::OAuthApp::client) for a connected user, whose tokens are
/// refreshed automatically. Cloning is cheap, and clones share connections, tokens and limits.
///
/// Each method returns a request builder that owns what it needs. Set its arguments, then send
/// it with `.await`, or with `send()` where a future is wanted:
///
/// ```no_run
/// # async fn example(client: fullscript::Client) -> Result<(), fullscript::Error> {
/// let page = client.list_patients().page_size(100).await?;
/// for patient in &page.patients {
///     println!("{}", patient.id);
/// }
/// # Ok(())
/// # }
/// ```
///
/// A whole list is read with `items()` or `pages()` ([pagination](crate::guide::lists)).
/// Timeouts, retries and rate limits are described in the
/// [guide to calls](crate::guide::calls). The documentation of each method names the scopes that
/// it needs and the confidence in them, whether it requires commercial approval, whether it is
/// paged, and the source of these facts; [`operations`](crate::operations) has them as a table.
///
/// # Operations by topic
///
#[doc = include_str!(concat!(env!("OUT_DIR"), "/index.md"))]
#[derive(Clone)]
pub struct Client {
    pub(crate) context: Arc<Context>,
}

impl Client {
    /// Creates a builder for a client of an environment.
    ///
    /// ```
    /// use fullscript::{AccessToken, Client, Environment};
    ///
    /// let client = Client::builder(Environment::UsSandbox)
    ///     .access_token(AccessToken::new("from the token endpoint"))
    ///     .build()?;
    /// # Ok::<_, fullscript::BuildError>(())
    /// ```
    #[must_use]
    pub fn builder(environment: Environment) -> ClientBuilder {
        ClientBuilder {
            connection: Connection::to(environment),
            token: None,
        }
    }

    /// Returns a client with `options` applied on top of this one's.
    ///
    /// Unset options are inherited; connections, tokens and limits are shared.
    #[must_use]
    pub fn with_options(&self, options: CallOptions) -> Self {
        let mut context = Context::clone(&self.context);
        context.options = context.options.overridden_by(options);
        Self::with(context)
    }

    /// Stops new calls and waits until those in flight have ended.
    ///
    /// It applies to all clients that share limits with this one: its clones, and for the client of
    /// a connected user all clients of the app, for which
    /// [`OAuthApp::shutdown`](crate::auth::OAuthApp::shutdown) is the better choice. A call that is
    /// made later, or that waits for a permit, fails and is not sent. A response body that is
    /// streamed to the caller is not waited for.
    ///
    /// # Errors
    ///
    /// Returns the number of calls that were in flight after `deadline`.
    pub async fn shutdown(&self, deadline: Duration) -> Result<(), Unfinished> {
        let limiter = &self.context.calls.limiter;
        limiter.close();
        let _counted_below = timeout(deadline, limiter.drained()).await;
        Unfinished::of_calls(limiter.in_flight()).into_result()
    }

    pub(crate) fn with(context: Context) -> Self {
        Self {
            context: Arc::new(context),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base_url", &self.context.base.as_str())
            .finish_non_exhaustive()
    }
}

/// A builder for a [`Client`]; see [`Client::builder`].
pub struct ClientBuilder {
    connection: Connection,
    token: Option<AccessToken>,
}

/// Shows only the type name: the base URL is not validated yet and may contain a password, and a
/// custom HTTP client shows its headers.
impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").finish_non_exhaustive()
    }
}

impl ClientBuilder {
    /// Sets the access token that is sent with every call.
    #[must_use]
    pub fn access_token(mut self, token: AccessToken) -> Self {
        self.token = Some(token);
        self
    }

    connection_setters!();

    /// Builds the client.
    ///
    /// # Errors
    /// Returns a [`BuildError`] if the base URL is invalid or ends with `/api`, if it is neither
    /// `https` nor a loopback address nor on a host that
    /// [`allow_http_host`](Self::allow_http_host) names, or if TLS cannot be initialized.
    pub fn build(self) -> Result<Client, BuildError> {
        let credentials = self.token.map_or(Credentials::Missing, Credentials::Fixed);
        let connected = self.connection.open(None)?;
        Ok(Client::with(Context::new(connected, credentials)))
    }
}
