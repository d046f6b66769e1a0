//! The response of a call: the decoded value with status and headers.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;

use super::body::{ends_early, ends_with_connection};
use super::decode::{Decoded, Findings, Undecodable, decode, decode_as};
use super::outcome::{Ending, IncompleteBody, Outcome};
use crate::error::{Error, RawResponse, Trace, request_id};
use crate::transport::StreamSlot;
use crate::value::{DecodeIssue, UnreadableRecord};

/// A decoded response with its status and headers.
///
/// It dereferences to the value. `Debug` shows neither the value nor the headers.
#[derive(Clone)]
pub struct Response<T> {
    value: T,
    status: StatusCode,
    headers: HeaderMap,
    attempts: u32,
    findings: Option<Box<Findings>>,
    body: Bytes,
}

impl<T> Response<T> {
    /// Returns the decoded value.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the vendor's id of the request, from `X-Request-Id`.
    ///
    /// Quote it to the vendor's support. It is cut after 128 characters, and before the first
    /// character other than letters, digits and `-_.:@/+=`.
    pub fn request_id(&self) -> Option<&str> {
        request_id(&self.headers)
    }

    /// Returns the number of times the request was sent until this response arrived.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns where the response differs from its model, without the values that differ.
    ///
    /// A value of another type is absent, so that it does not cost the rest of the response. Log
    /// the issues, or count them, to notice that the server has changed. Set
    /// [`CallOptions::strict_decoding`](crate::CallOptions::strict_decoding) to turn an issue into
    /// an error.
    ///
    /// An unknown value of an open enum, a number that is sent as text, and an unknown field are no
    /// issues: the models represent or ignore them.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use fullscript::testing::{FakeFullscript, Script};
    /// # let fake = FakeFullscript::start().await?;
    /// # let body = serde_json::json!({"patient": {"id": "1", "is_dependent": ["a", "b"]}});
    /// # fake.answer("get_patient", Script::json(200, &body));
    /// # let client = fake.client();
    /// let response = client.get_patient().id("1").send().await?;
    /// for issue in response.issues() {
    ///     // `patient.is_dependent`: expected a boolean, found a list
    ///     eprintln!("{issue}");
    /// }
    /// assert_eq!(response.patient.is_dependent, None);
    /// # assert_eq!(response.issues()[0].to_string(), "`patient.is_dependent`: expected a boolean, found a list");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn issues(&self) -> &[DecodeIssue] {
        self.findings
            .as_ref()
            .map_or(&[], |findings| &findings.issues)
    }

    /// Returns the body that the value was decoded from, as it was sent. It is empty for a response
    /// that is not decoded from JSON.
    ///
    /// It contains fields that the models do not have, and may contain health data: keep it out of
    /// logs. It is kept in memory until the response is dropped or consumed.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Decodes the body into a type of yours, for example to read a field that the models do not
    /// have yet.
    ///
    /// As for the models, a value that does not fit is absent, unless that leaves nothing.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use fullscript::testing::{FakeFullscript, Script};
    /// # let fake = FakeFullscript::start().await?;
    /// # let body = serde_json::json!({"patient": {"id": "1", "pronouns": "she"}});
    /// # fake.answer("get_patient", Script::json(200, &body));
    /// # let client = fake.client();
    /// #[derive(serde::Deserialize)]
    /// struct Patient {
    ///     pronouns: Option<String>,
    /// }
    /// #[derive(serde::Deserialize)]
    /// struct Body {
    ///     patient: Patient,
    /// }
    ///
    /// let response = client.get_patient().id("1").send().await?;
    /// let body: Body = response.decode_as().unwrap();
    /// assert_eq!(body.patient.pronouns.as_deref(), Some("she"));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// Returns the first issue that leaves nothing to decode. Its path shows the names of fields of
    /// the models only.
    pub fn decode_as<U: DeserializeOwned>(&self) -> Result<U, DecodeIssue> {
        decode_as(&self.body)
    }

    /// Returns the records of a list that cannot be read, in order. The value contains the others.
    pub fn unreadable_records(&self) -> &[UnreadableRecord] {
        self.findings
            .as_ref()
            .map_or(&[], |findings| &findings.unreadable)
    }

    /// Removes the body and what was found in it, so that only the value remains.
    #[cfg(feature = "tools")]
    pub(crate) fn without_body(self) -> Self {
        Self {
            findings: None,
            body: Bytes::new(),
            ..self
        }
    }

    pub(crate) fn value_mut(&mut self) -> &mut T {
        &mut self.value
    }

    /// Converts the value, and keeps status and headers.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Response<U> {
        Response {
            value: change(self.value),
            status: self.status,
            headers: self.headers,
            attempts: self.attempts,
            findings: self.findings,
            body: self.body,
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
            .field("issues", &self.issues().len())
            .finish_non_exhaustive()
    }
}

/// A response body that is read as it arrives, for responses that are not JSON.
///
/// It counts as an in-flight request until it ends or is dropped; at most half of the
/// [concurrency limit](crate::ClientBuilder::concurrency) counts so.
pub struct ByteStream {
    operation_id: &'static str,
    trace: Trace,
    response: reqwest::Response,
    /// The slot of the concurrency limit, until the body ends.
    slot: Option<StreamSlot>,
}

impl ByteStream {
    /// Returns the next chunk of the body, or `None` at its end.
    ///
    /// # Errors
    ///
    /// Returns an error if the connection is closed before the body is complete, or if the call's
    /// timeout has passed.
    pub async fn chunk(&mut self) -> Result<Option<bytes::Bytes>, Error> {
        let chunk = self.response.chunk().await;
        if !matches!(chunk, Ok(Some(_))) {
            self.slot = None;
        }
        chunk.map_err(|error| self.incomplete(Some(error)))
    }

    /// Returns the error for a connection that was closed before the body was complete.
    pub(crate) fn incomplete(&self, error: Option<reqwest::Error>) -> Error {
        let response = RawResponse::without_body(self.response.status(), self.response.headers());
        Error::incomplete(self.operation_id, response, error).traced(self.trace.clone())
    }

    /// Returns whether a lost connection looks like the end of the body.
    pub(crate) fn ends_with_connection(&self) -> bool {
        ends_with_connection(&self.response)
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

/// Replaces an empty body by an empty object, if the type can be one.
pub(crate) fn fill_empty<T: DeserializeOwned>(ending: &mut Ending) {
    const EMPTY_OBJECT: &[u8] = b"{}";
    if let Outcome::Response(_, Some(Ok(body))) = &mut ending.outcome
        && body.trim_ascii().is_empty()
        && serde_json::from_slice::<T>(EMPTY_OBJECT).is_ok()
    {
        *body = Bytes::from_static(EMPTY_OBJECT);
    }
}

/// Decodes a response.
///
/// # Errors
///
/// Returns an ending with an incomplete body if decoding shows that the body was cut off. This is
/// not checked before, so that a good body is read only once.
pub(crate) fn read_json<T: DeserializeOwned>(
    operation_id: &'static str,
    ending: Ending,
) -> Result<Result<Response<T>, Error>, Box<Ending>> {
    let strict = ending.strict;
    let Success {
        mut response,
        trace,
        body,
    } = match success(operation_id, ending) {
        Ok(success) => success,
        Err(error) => return Ok(Err(error)),
    };
    let status = response.status();
    // The headers are not read from the response any more.
    let headers = std::mem::take(response.headers_mut());
    let raw = |headers, body| RawResponse {
        status,
        headers,
        body,
    };
    let error = match body {
        Ok(body) | Err(IncompleteBody::Closed(None, body)) if body.trim_ascii().is_empty() => {
            Error::empty_success(operation_id, raw(headers, body))
        }
        Ok(body) => match decode(&body, strict) {
            Ok(Decoded { value, findings }) => {
                return Ok(Ok(Response {
                    value,
                    status,
                    headers,
                    attempts: trace.attempts,
                    findings,
                    body,
                }));
            }
            Err(_) if body.trim_ascii() == b"null" => {
                Error::empty_success(operation_id, raw(headers, body))
            }
            Err(_) if ends_early(&headers, &body) => {
                *response.headers_mut() = headers;
                let body = Some(Err(IncompleteBody::Closed(None, body)));
                return Err(Box::new(Ending {
                    trace,
                    outcome: Outcome::Response(response, body),
                    strict,
                }));
            }
            Err(Undecodable { error, cause }) => {
                Error::decode(operation_id, raw(headers, body), cause, &error)
            }
        },
        Err(IncompleteBody::Closed(error, body)) => {
            Error::incomplete(operation_id, raw(headers, body), error)
        }
        Err(IncompleteBody::TimedOut(body)) => {
            Error::timed_out(operation_id, Some(raw(headers, body)))
        }
        Err(IncompleteBody::TooLarge { read, limit }) => {
            Error::too_large(operation_id, raw(headers, read), limit)
        }
    };
    Ok(Err(error.traced(trace)))
}

pub(crate) async fn read_nothing(
    operation_id: &'static str,
    ending: Ending,
) -> Result<Response<()>, Error> {
    let success = success(operation_id, ending)?;
    Ok(success.with(|_| ()))
}

pub(crate) async fn read_bytes(
    operation_id: &'static str,
    ending: Ending,
    slot: Option<StreamSlot>,
) -> Result<Response<ByteStream>, Error> {
    let success = success(operation_id, ending)?;
    let trace = success.trace.clone();
    Ok(success.with(|response| ByteStream {
        operation_id,
        trace,
        response,
        slot,
    }))
}

/// A response with a success status.
struct Success {
    response: reqwest::Response,
    trace: Trace,
    body: Result<bytes::Bytes, IncompleteBody>,
}

impl Success {
    fn with<T>(self, value: impl FnOnce(reqwest::Response) -> T) -> Response<T> {
        Response {
            status: self.response.status(),
            headers: self.response.headers().clone(),
            attempts: self.trace.attempts,
            findings: None,
            body: Bytes::new(),
            value: value(self.response),
        }
    }
}

/// Returns the response, if its status is a success.
///
/// Any status from 200 to 299 is a success, because the vendor does not always document which of
/// them an operation returns.
fn success(operation_id: &'static str, ending: Ending) -> Result<Success, Error> {
    let Ending { trace, outcome, .. } = ending;
    let (mut response, body) = match outcome {
        Outcome::Response(response, body) => (response, body.unwrap_or(Ok(bytes::Bytes::new()))),
        Outcome::Failed(failure) => return Err(failure.into_error(operation_id, trace)),
    };
    if response.status().is_success() {
        return Ok(Success {
            response,
            trace,
            body,
        });
    }
    let response = RawResponse {
        status: response.status(),
        headers: std::mem::take(response.headers_mut()),
        // The status decides, even if the body is incomplete.
        body: body.unwrap_or_else(IncompleteBody::into_bytes),
    };
    Err(Error::refused(operation_id, response).traced(trace))
}
