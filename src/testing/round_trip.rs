//! Decoding of responses and encoding them again, by the name of their operation.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::types;

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
    if (200..300).contains(&status) {
        return through_answer_type(operation_id, body);
    }
    if crate::operations::find(operation_id).is_none() {
        return Err(RoundTripError::UnknownOperation);
    }
    through::<types::ErrorResponse>(body)
}

fn through<T: DeserializeOwned + Serialize>(value: &Value) -> Result<Value, RoundTripError> {
    // The value is decoded from text, as on the wire, where a number has no type yet.
    let text = value.to_string();
    let mut decoder = serde_json::Deserializer::from_str(&text);
    let decoded: T = serde_path_to_error::deserialize(&mut decoder)
        .map_err(|error| RoundTripError::Decode(error.to_string()))?;
    serde_json::to_value(&decoded).map_err(|error| RoundTripError::Encode(error.to_string()))
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
