//! What a call answers: the decoded value with status and headers.

use std::fmt;
use std::ops::Deref;

use progenitor_client::Error as Unread;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;

use crate::error::Error;

/// The largest answer that is read into memory: 64 MiB.
///
/// A full page of the largest records is a few hundred KiB; what is larger
/// than this is not an answer of this API.
const LARGEST_ANSWER: usize = 64 << 20;

/// A decoded answer with its status and headers.
///
/// Dereferences to the value. `Debug` shows neither value nor headers.
#[derive(Clone)]
pub struct Response<T> {
    value: T,
    status: StatusCode,
    headers: HeaderMap,
}

impl<T> Response<T> {
    /// The value alone.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The vendor's name for this call, from `X-Request-Id`; quote it to
    /// their support.
    pub fn request_id(&self) -> Option<&str> {
        request_id(&self.headers)
    }
}

impl<T> Deref for Response<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> fmt::Debug for Response<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("request_id", &self.request_id())
            .finish_non_exhaustive()
    }
}

/// The body of an answer that is not JSON, to be read as it arrives.
pub struct Bytes(reqwest::Response);

impl Bytes {
    /// The next part of the body, `None` at its end.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn chunk(&mut self) -> Result<Option<bytes::Bytes>, Error> {
        self.0
            .chunk()
            .await
            .map_err(|error| Error::transport("", error))
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bytes(..)")
    }
}

pub(crate) fn request_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-request-id")?.to_str().ok()
}

pub(crate) async fn read_json<T: DeserializeOwned>(
    operation_id: &'static str,
    sent: Result<reqwest::Response, Unread<()>>,
) -> Result<Response<T>, Error> {
    let response = success(operation_id, sent).await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = match read_body(response).await {
        Ok(body) => body,
        Err(error) => return Err(error.into_error(operation_id, status, headers)),
    };
    // Nothing where JSON was declared is an object without fields: answers
    // without a schema take it, models say what they miss.
    let text: &[u8] = if body.is_empty() { b"{}" } else { &body };
    match serde_json::from_slice(text) {
        Ok(value) => Ok(Response {
            value,
            status,
            headers,
        }),
        Err(error) => {
            let place = place_of_failure::<T>(text);
            Err(Error::decode(
                operation_id,
                status,
                headers,
                body,
                place,
                &error,
            ))
        }
    }
}

pub(crate) async fn read_nothing(
    operation_id: &'static str,
    sent: Result<reqwest::Response, Unread<()>>,
) -> Result<Response<()>, Error> {
    let response = success(operation_id, sent).await?;
    let (status, headers) = (response.status(), response.headers().clone());
    Ok(Response {
        value: (),
        status,
        headers,
    })
}

#[allow(
    dead_code,
    reason = "a document need not have an operation that answers bytes"
)]
pub(crate) async fn read_bytes(
    operation_id: &'static str,
    sent: Result<reqwest::Response, Unread<()>>,
) -> Result<Response<Bytes>, Error> {
    let response = success(operation_id, sent).await?;
    let (status, headers) = (response.status(), response.headers().clone());
    Ok(Response {
        value: Bytes(response),
        status,
        headers,
    })
}

/// The answer, if its status is a success: any of 200 to 299, since which of
/// them the vendor sends is not always documented.
async fn success(
    operation_id: &'static str,
    sent: Result<reqwest::Response, Unread<()>>,
) -> Result<reqwest::Response, Error> {
    let response = sent.map_err(|error| Error::unsent(operation_id, error))?;
    if let Some(error) = crate::hooks::take_failure(&response, operation_id) {
        return Err(error);
    }
    if response.status().is_success() {
        return Ok(response);
    }
    let (status, headers) = (response.status(), response.headers().clone());
    // A refusal stays a refusal though its body breaks off.
    let body = read_body(response)
        .await
        .unwrap_or_else(|unread| unread.so_far());
    Err(Error::refused(operation_id, status, headers, body))
}

/// A body that did not arrive whole.
enum Unreadable {
    Broken(reqwest::Error, Vec<u8>),
    TooLarge(Vec<u8>),
}

impl Unreadable {
    fn so_far(self) -> Vec<u8> {
        match self {
            Self::Broken(_, body) | Self::TooLarge(body) => body,
        }
    }

    fn into_error(
        self,
        operation_id: &'static str,
        status: StatusCode,
        headers: HeaderMap,
    ) -> Error {
        match self {
            Self::Broken(error, body) => Error::broken(operation_id, status, headers, body, error),
            Self::TooLarge(body) => {
                Error::too_large(operation_id, status, headers, body, LARGEST_ANSWER)
            }
        }
    }
}

async fn read_body(mut response: reqwest::Response) -> Result<Vec<u8>, Unreadable> {
    let expected = response
        .content_length()
        .and_then(|length| usize::try_from(length).ok());
    let mut body = Vec::with_capacity(expected.unwrap_or_default().min(LARGEST_ANSWER));
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(body),
            Ok(Some(chunk)) if body.len() + chunk.len() > LARGEST_ANSWER => {
                return Err(Unreadable::TooLarge(body));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(error) => return Err(Unreadable::Broken(error, body)),
        }
    }
}

/// Where in the answer decoding failed: `patients[3].id`. Names of fields
/// only, never a value; asked for after the fact, so that it costs nothing
/// where all is well.
fn place_of_failure<T: DeserializeOwned>(text: &[u8]) -> Option<String> {
    let mut decoder = serde_json::Deserializer::from_slice(text);
    let error = serde_path_to_error::deserialize::<_, T>(&mut decoder).err()?;
    Some(error.path().to_string()).filter(|path| path != ".")
}
