//! What a call answers: the decoded value with status and headers.

use std::fmt;
use std::ops::Deref;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;

use super::body::{LARGEST_ANSWER, read_body};
use super::outcome::{Ending, Outcome, Unreadable};
use crate::error::{Answer, Error, Trace, request_id};

/// A decoded answer with its status and headers.
///
/// Dereferences to the value. `Debug` shows neither value nor headers.
#[derive(Clone)]
pub struct Response<T> {
    value: T,
    status: StatusCode,
    headers: HeaderMap,
    attempts: u32,
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

    /// How often the request was sent until this answer came.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    pub(crate) fn value_mut(&mut self) -> &mut T {
        &mut self.value
    }

    /// The same answer with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Response<U> {
        Response {
            value: change(self.value),
            status: self.status,
            headers: self.headers,
            attempts: self.attempts,
        }
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
pub struct ByteStream {
    operation_id: &'static str,
    trace: Trace,
    response: reqwest::Response,
}

impl ByteStream {
    /// The next part of the body, `None` at its end.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn chunk(&mut self) -> Result<Option<bytes::Bytes>, Error> {
        let chunk = self.response.chunk().await;
        chunk.map_err(|error| self.broken(error))
    }

    fn broken(&self, error: reqwest::Error) -> Error {
        let answer = Answer {
            status: self.response.status(),
            headers: self.response.headers().clone(),
            body: bytes::Bytes::new(),
        };
        Error::broken(self.operation_id, answer, error).traced(self.trace.clone())
    }

    pub(crate) fn trace(&self) -> &Trace {
        &self.trace
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByteStream(..)")
    }
}

pub(crate) async fn read_json<T: DeserializeOwned>(
    operation_id: &'static str,
    ending: Ending,
) -> Result<Response<T>, Error> {
    let Success {
        mut response,
        trace,
        body,
    } = success(operation_id, ending)?;
    let status = response.status();
    // Nobody else looks at this answer any more.
    let headers = std::mem::take(response.headers_mut());
    let answer = |headers, body| Answer {
        status,
        headers,
        body,
    };
    let body = match body {
        Ok(body) => body,
        Err(Unreadable::Broken(error, body)) => {
            let answer = answer(headers, body);
            return Err(Error::broken(operation_id, answer, error).traced(trace));
        }
        Err(Unreadable::Late(body)) => {
            let answer = answer(headers, body);
            return Err(Error::timed_out(operation_id, Some(answer)).traced(trace));
        }
        Err(Unreadable::TooLarge(body)) => {
            let answer = answer(headers, body);
            return Err(Error::too_large(operation_id, answer, LARGEST_ANSWER).traced(trace));
        }
    };
    // Nothing where JSON was declared is an object without fields: answers
    // without a schema take it, models say what they miss.
    let text: &[u8] = if body.is_empty() { b"{}" } else { &body };
    match serde_json::from_slice(text) {
        Ok(value) => Ok(Response {
            value,
            status,
            headers,
            attempts: trace.attempts,
        }),
        Err(error) => {
            let place = place_of_failure::<T>(text);
            let error = Error::decode(operation_id, answer(headers, body), place, &error);
            Err(error.traced(trace))
        }
    }
}

pub(crate) async fn read_nothing(
    operation_id: &'static str,
    mut ending: Ending,
) -> Result<Response<()>, Error> {
    read_refusal(&mut ending).await;
    let success = success(operation_id, ending)?;
    Ok(success.with(|_| ()))
}

pub(crate) async fn read_bytes(
    operation_id: &'static str,
    mut ending: Ending,
) -> Result<Response<ByteStream>, Error> {
    read_refusal(&mut ending).await;
    let success = success(operation_id, ending)?;
    let trace = success.trace.clone();
    Ok(success.with(|response| ByteStream {
        operation_id,
        trace,
        response,
    }))
}

/// Reads what a refusal says, where the answer was left to be read.
async fn read_refusal(ending: &mut Ending) {
    if let Outcome::Answered(response, body @ None) = &mut ending.outcome
        && !response.status().is_success()
    {
        *body = Some(read_body(response, None).await);
    }
}

/// An answer whose status is a success.
struct Success {
    response: reqwest::Response,
    trace: Trace,
    body: Result<bytes::Bytes, Unreadable>,
}

impl Success {
    fn with<T>(self, value: impl FnOnce(reqwest::Response) -> T) -> Response<T> {
        Response {
            status: self.response.status(),
            headers: self.response.headers().clone(),
            attempts: self.trace.attempts,
            value: value(self.response),
        }
    }
}

/// The answer, if its status is a success: any of 200 to 299, since which of
/// them the vendor sends is not always documented.
fn success(operation_id: &'static str, ending: Ending) -> Result<Success, Error> {
    let Ending { trace, outcome } = ending;
    let (response, body) = match outcome {
        Outcome::Answered(response, body) => (response, body.unwrap_or(Ok(bytes::Bytes::new()))),
        Outcome::Failed(failure) => return Err(failure.into_error(operation_id, trace)),
    };
    if response.status().is_success() {
        return Ok(Success {
            response,
            trace,
            body,
        });
    }
    let answer = Answer {
        status: response.status(),
        headers: response.headers().clone(),
        // A refusal stays a refusal though its body breaks off.
        body: body.unwrap_or_else(Unreadable::so_far),
    };
    Err(Error::refused(operation_id, answer).traced(trace))
}

/// Where in the answer decoding failed: `patients[3].id`. Names of fields
/// only, never a value; asked for after the fact, so that it costs nothing
/// where all is well.
fn place_of_failure<T: DeserializeOwned>(text: &[u8]) -> Option<String> {
    let mut decoder = serde_json::Deserializer::from_slice(text);
    let error = serde_path_to_error::deserialize::<_, T>(&mut decoder).err()?;
    Some(error.path().to_string()).filter(|path| path != ".")
}
