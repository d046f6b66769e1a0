//! Calls to API paths without a generated method.

use std::fmt;

use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Client;
use crate::call::context::Context;
use crate::call::prepare::call;
use crate::call::response::{ByteStream, Response};
use crate::error::Error;
use crate::operations::{self, Operation};

impl Client {
    /// Creates a request to a path that has no method in this crate, with the same token, retries
    /// and rate limit as other calls.
    ///
    /// The path must begin with a slash and is sent unchanged, so percent-encode any values in it.
    /// Add query parameters with [`RequestBuilder::query`]. Paths below `/api/dashboard` are refused,
    /// because the vendor reserves them for its own dashboard (documented).
    ///
    /// ```no_run
    /// use fullscript::http::Method;
    ///
    /// # async fn example(client: fullscript::Client) -> Result<(), fullscript::Error> {
    /// let response = client
    ///     .request(Method::GET, "/api/clinic/something_new")
    ///     .query("page[size]", "100")
    ///     .send::<serde_json::Value>()
    ///     .await?;
    /// println!("{}", response["meta"]["total_count"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let operation = operations::at(method.as_str(), path);
        RequestBuilder {
            client: self.clone(),
            operation,
            request: url_of(&self.context, path).map(|url| reqwest::Request::new(method, url)),
        }
    }
}

/// A request to a path; see [`Client::request`].
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder {
    client: Client,
    operation: Option<&'static Operation>,
    request: Result<reqwest::Request, &'static str>,
}

impl RequestBuilder {
    /// Adds a query parameter; name and value are percent-encoded.
    pub fn query(self, name: &str, value: &str) -> Self {
        self.with(|request| {
            request.url_mut().query_pairs_mut().append_pair(name, value);
            Ok(())
        })
    }

    /// Adds a header, replacing an earlier value.
    ///
    /// The client always sets the `Authorization` header itself.
    pub fn header(self, name: HeaderName, value: HeaderValue) -> Self {
        self.with(|request| {
            request.headers_mut().insert(name, value);
            Ok(())
        })
    }

    /// Sets the body to a value serialized as JSON.
    pub fn json(self, body: &impl Serialize) -> Self {
        self.with(|request| {
            let text =
                serde_json::to_vec(body).map_err(|_| "the body cannot be serialized as JSON")?;
            *request.body_mut() = Some(text.into());
            request
                .headers_mut()
                .entry(CONTENT_TYPE)
                .or_insert(HeaderValue::from_static("application/json"));
            Ok(())
        })
    }

    /// Sets the body to raw bytes; set their `Content-Type` with [`header`](Self::header).
    ///
    /// A request whose body is a stream is sent once and never retried, not even after a token
    /// refresh.
    pub fn body(self, body: impl Into<reqwest::Body>) -> Self {
        self.with(|request| {
            *request.body_mut() = Some(body.into());
            Ok(())
        })
    }

    /// Sends the request and decodes the JSON response.
    ///
    /// `serde_json::Value` accepts any JSON. A response without a body is decoded as an empty
    /// object if `T` can be one; otherwise, see [`Error::is_empty_success`].
    ///
    /// # Errors
    /// Returns an [`Error`], like the methods of the client.
    pub async fn send<T: DeserializeOwned>(self) -> Result<Response<T>, Error> {
        let operation = self.operation;
        let (client, request) = self.accepting_json().built()?;
        call(operation, &client.context, request)?.any_json().await
    }

    /// Sends the request and returns the response with its body unread, as a stream of bytes.
    ///
    /// # Errors
    /// Returns the errors of [`send`](Self::send).
    pub async fn send_bytes(self) -> Result<Response<ByteStream>, Error> {
        let operation = self.operation;
        let (client, request) = self.built()?;
        call(operation, &client.context, request)?.bytes().await
    }

    fn accepting_json(self) -> Self {
        self.with(|request| {
            request
                .headers_mut()
                .entry(ACCEPT)
                .or_insert(HeaderValue::from_static("application/json"));
            Ok(())
        })
    }

    /// Errors name the operation from the table, because the path may contain an id.
    fn operation_id(&self) -> &'static str {
        self.operation.map_or("", |operation| operation.id)
    }

    fn built(self) -> Result<(Client, reqwest::Request), Error> {
        let id = self.operation_id();
        match self.request {
            Ok(request) => Ok((self.client, request)),
            Err(reason) => Err(Error::invalid_request(id, reason.into())),
        }
    }

    fn with(
        mut self,
        change: impl FnOnce(&mut reqwest::Request) -> Result<(), &'static str>,
    ) -> Self {
        self.request = self.request.and_then(|mut request| {
            change(&mut request)?;
            Ok(request)
        });
        self
    }
}

/// Shows only the type name, because the path may contain an id.
impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder").finish_non_exhaustive()
    }
}

/// Returns the URL of a path below the base URL.
fn url_of(context: &Context, path: &str) -> Result<reqwest::Url, &'static str> {
    const BAD: &str =
        "the path must begin with a slash, contain no `..` or empty segment, and have no query";
    const INTERNAL: &str = "paths below `/api/dashboard` belong to the vendor's own dashboard and not \
                            to its partner API; use a documented path";
    let plain = path.starts_with('/') && !path.contains(['?', '#', '\\']) && !path.contains("//");
    let url = context.address(path);
    // Dot segments are resolved by the URL parser, so the URL then has fewer segments than the
    // path.
    let parts = |url: &reqwest::Url| url.path().matches('/').count();
    let whole = parts(&url) == context.base_path().matches('/').count() + path.matches('/').count();
    if !(plain && whole) {
        Err(BAD)
    } else if is_internal(url.path()) {
        Err(INTERNAL)
    } else {
        Ok(url)
    }
}

/// Returns whether a path is one of the vendor's dashboard, as a server reads it (source: the
/// vendor's page *For AI: overview*).
fn is_internal(path: &str) -> bool {
    let decoded = url::form_urlencoded::parse(path.as_bytes()).next();
    let mut decoded = decoded.map_or_else(String::new, |(path, _)| path.to_ascii_lowercase());
    decoded.retain(|c| !c.is_ascii_whitespace());
    let mut parts = decoded.split('/');
    parts.any(|part| part == "api") && parts.next() == Some("dashboard")
}
