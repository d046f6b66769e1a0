//! Mock servers for ordinary HTTP exchanges, and clients for any server of a test.

use fullscript::{AccessToken, CallOptions, Client, ClientBuilder, Environment};
use httpmock::Method::GET;
use httpmock::{Mock, MockServer, Then};

/// Builds a client that sends its requests to `url`, with the access token `token`.
pub(crate) fn builder(url: &str) -> ClientBuilder {
    Client::builder(Environment::UsSandbox)
        .base_url(url)
        .access_token(AccessToken::new("token"))
}

/// Returns a client with the default options.
pub(crate) fn client(url: &str) -> Client {
    builder(url).build().unwrap()
}

/// Returns a client that retries nothing.
pub(crate) fn once(url: &str) -> Client {
    client(url).with_options(CallOptions::new().max_attempts(1))
}

/// Mocks the response to a GET of this path with the client's access token.
pub(crate) async fn on_get<'a>(
    server: &'a MockServer,
    path: &str,
    respond: impl FnOnce(Then) -> Then,
) -> Mock<'a> {
    server
        .mock_async(|when, then| {
            when.method(GET)
                .path(path)
                .header("authorization", "Bearer token");
            respond(then);
        })
        .await
}

/// Counts the requests that no earlier mock matches.
pub(crate) async fn any_request(server: &MockServer) -> Mock<'_> {
    server.mock_async(|when, _| drop(when.any_request())).await
}
