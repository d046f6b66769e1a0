//! Calls to what has no binding.

use std::fmt;

use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Client;
use crate::call::context::Context;
use crate::call::prepare::call;
use crate::call::response::{ByteStream, Response, read_bytes, read_json};
use crate::error::Error;
use crate::operations::{self, Operation};

impl Client {
    /// Starts a call to a path of the API that has no method here, with the
    /// same token, retries and limit as any other.
    ///
    /// The path begins with a slash and is sent as it is, so encode what you
    /// put into it; a query is given by [`RequestBuilder::query`].
    ///
    /// ```no_run
    /// use fullscript::http::Method;
    ///
    /// # async fn example(client: fullscript::Client) -> Result<(), fullscript::Error> {
    /// let answer = client
    ///     .request(Method::GET, "/api/clinic/something_new")
    ///     .query("page[size]", "100")
    ///     .send::<serde_json::Value>()
    ///     .await?;
    /// println!("{}", answer["meta"]["total_count"]);
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

/// A call to a path; see [`Client::request`].
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder {
    client: Client,
    operation: Option<&'static Operation>,
    request: Result<reqwest::Request, &'static str>,
}

impl RequestBuilder {
    /// Adds a parameter to the query; encoded here.
    pub fn query(self, name: &str, value: &str) -> Self {
        self.with(|request| {
            request.url_mut().query_pairs_mut().append_pair(name, value);
            Ok(())
        })
    }

    /// Adds a header. The token's is set by the client, whatever is given.
    pub fn header(self, name: HeaderName, value: HeaderValue) -> Self {
        self.with(|request| {
            request.headers_mut().insert(name, value);
            Ok(())
        })
    }

    /// Sends this as JSON.
    pub fn json(self, body: &impl Serialize) -> Self {
        self.with(|request| {
            let text = serde_json::to_vec(body).map_err(|_| "the body can't be written as JSON")?;
            *request.body_mut() = Some(text.into());
            request
                .headers_mut()
                .entry(CONTENT_TYPE)
                .or_insert(HeaderValue::from_static("application/json"));
            Ok(())
        })
    }

    /// Sends these bytes; say what they are by [`header`](Self::header).
    ///
    /// A body that is a stream is sent once: such a call is never tried again,
    /// not even with a new token.
    pub fn body(self, body: impl Into<reqwest::Body>) -> Self {
        self.with(|request| {
            *request.body_mut() = Some(body.into());
            Ok(())
        })
    }

    /// Makes the call and decodes the answer's JSON.
    ///
    /// `serde_json::Value` takes any; an answer without a body is an object
    /// without fields.
    ///
    /// # Errors
    /// [`Error`] whatever went wrong, as from the client's own methods.
    pub async fn send<T: DeserializeOwned>(self) -> Result<Response<T>, Error> {
        let id = self.operation_id();
        let operation = self.operation;
        let (client, request) = self.accepting_json().built()?;
        let mut call = call(operation, &client.context, request)?;
        read_json(id, call.make().await).await
    }

    /// Makes the call and leaves the answer's body to be read as it arrives.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_bytes(self) -> Result<Response<ByteStream>, Error> {
        let id = self.operation_id();
        let operation = self.operation;
        let (client, request) = self.built()?;
        let mut call = call(operation, &client.context, request)?;
        read_bytes(id, call.make_streaming().await).await
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

    /// The path may hold an id, so only that of the table is shown.
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

/// Shows nothing: the path may hold an id.
impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder").finish_non_exhaustive()
    }
}

/// The address of a path below the base URL, and of nothing else.
fn url_of(context: &Context, path: &str) -> Result<reqwest::Url, &'static str> {
    const BAD: &str = "the path must begin with a slash, stay below it, and have no query";
    let plain = path.starts_with('/') && !path.contains(['?', '#', '\\']) && !path.contains("//");
    let url = context.address(path);
    // Dots lead elsewhere: then the address has lost parts of the path.
    let parts = |url: &reqwest::Url| url.path().matches('/').count();
    let whole = parts(&url) == context.base_path().matches('/').count() + path.matches('/').count();
    if plain && whole { Ok(url) } else { Err(BAD) }
}
