//! Decoding of responses and encoding them again, by the name of their operation.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::call::decode::{Decoded, Undecodable};
use crate::types;
use crate::value::{DecodeIssue, UnreadableRecord};

include!(concat!(env!("OUT_DIR"), "/round_trip.rs"));

/// Decodes a body into the response type of an operation and encodes it again.
///
/// A field that is missing in the result was lost in decoding. Use this with your own recorded
/// responses to check that the types represent them completely.
///
/// ```
/// use serde_json::json;
///
/// let answer = json!({"patient": {"id": "1", "gender": "a new value"}});
/// let back = fullscript::testing::round_trip("get_patient", 200, &answer)?;
/// assert_eq!(back, answer);
/// # Ok::<_, fullscript::testing::RoundTripError>(())
/// ```
///
/// # Errors
/// Returns an error if no operation has this id, or if the body does not decode.
pub fn round_trip(operation_id: &str, status: u16, body: &Value) -> Result<Value, RoundTripError> {
    // The value is decoded from text, as on the wire, where a number has no type yet.
    let text = body.to_string();
    let decoded = if (200..300).contains(&status) {
        through_answer_type(operation_id, text.as_bytes(), true)
    } else if crate::operations::find(operation_id).is_some() {
        through::<types::ErrorResponse>(text.as_bytes(), true)
    } else {
        Err(RoundTripError::UnknownOperation)
    };
    decoded.map(|decoded| decoded.value)
}

/// Decodes a body into the response type of an operation, as a call does that received it with
/// status 200.
///
/// Use this to find out what a changed response costs.
///
/// ```
/// let answer = br#"{"patient": {"id": "1", "discount": {}, "first_name": "Ana"}}"#;
/// let decoded = fullscript::testing::decode("get_patient", answer)?;
/// assert_eq!(decoded.value, serde_json::json!({"patient": {"id": "1", "first_name": "Ana"}}));
/// assert_eq!(decoded.issues[0].path, "patient.discount");
/// # Ok::<_, fullscript::testing::RoundTripError>(())
/// ```
///
/// # Errors
/// Returns an error if no operation has this id, or if nothing of the body can be decoded.
pub fn decode(operation_id: &str, body: &[u8]) -> Result<DecodedResponse, RoundTripError> {
    through_answer_type(operation_id, body, false)
}

/// A response body that was decoded by [`decode`].
///
/// `Debug` shows the issues and not the value.
#[derive(Clone)]
#[non_exhaustive]
pub struct DecodedResponse {
    /// The decoded value, encoded again.
    pub value: Value,
    /// Where the body differs from the response type, as of [`Response::issues`](crate::Response::issues).
    pub issues: Vec<DecodeIssue>,
    /// The records of a list that cannot be read.
    pub unreadable_records: Vec<UnreadableRecord>,
}

impl fmt::Debug for DecodedResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecodedResponse")
            .field("issues", &self.issues)
            .field("unreadable_records", &self.unreadable_records)
            .finish_non_exhaustive()
    }
}

fn through<T: DeserializeOwned + Serialize>(
    text: &[u8],
    strict: bool,
) -> Result<DecodedResponse, RoundTripError> {
    let decoded: Decoded<T> =
        crate::call::decode::decode(text, strict).map_err(|Undecodable { error, cause }| {
            let reason = cause.map_or_else(|| error.to_string(), |cause| cause.to_string());
            RoundTripError::Decode(reason)
        })?;
    let findings = decoded.findings.map(|findings| *findings);
    let findings = findings.unwrap_or_default();
    let value = serde_json::to_value(&decoded.value);
    Ok(DecodedResponse {
        value: value.map_err(|error| RoundTripError::Encode(error.to_string()))?,
        issues: findings.issues,
        unreadable_records: findings.unreadable,
    })
}

/// Reasons why a response could not be decoded and encoded again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoundTripError {
    /// No operation has this id. `fullscript::operations::all()` lists them.
    UnknownOperation,
    /// The body does not decode. Contains the path of the field.
    Decode(String),
    /// The decoded value cannot be encoded.
    Encode(String),
}

impl fmt::Display for RoundTripError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownOperation => {
                f.write_str("round trip: unknown operation id; see `fullscript::operations::all`")
            }
            Self::Decode(reason) => write!(f, "round trip: decode error at {reason}"),
            Self::Encode(reason) => write!(f, "round trip: encode error: {reason}"),
        }
    }
}

impl std::error::Error for RoundTripError {}
