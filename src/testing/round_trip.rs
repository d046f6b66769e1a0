//! Decoding an answer and writing it back, by the name of its operation.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::types;

include!(concat!(env!("OUT_DIR"), "/round_trip.rs"));

/// Decodes a body into the type that the operation returns for that status,
/// and writes it back.
///
/// What comes back without a field lost it: write your own recorded answers
/// through this to see whether the types hold all of them.
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
/// When there is no such operation, or the body does not decode.
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
    // Through text as on the wire, where a number has no type yet.
    let text = value.to_string();
    let mut decoder = serde_json::Deserializer::from_str(&text);
    let decoded: T = serde_path_to_error::deserialize(&mut decoder)
        .map_err(|error| RoundTripError::Decode(error.to_string()))?;
    serde_json::to_value(&decoded).map_err(|error| RoundTripError::Encode(error.to_string()))
}

/// Why an answer did not make the way there and back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoundTripError {
    /// No operation has this id; `fullscript::operations::all()` lists them.
    UnknownOperation,
    /// The body does not decode; names the field.
    Decode(String),
    /// The decoded value can't be written.
    Encode(String),
}

impl fmt::Display for RoundTripError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownOperation => f.write_str("no operation has this id"),
            Self::Decode(reason) => write!(f, "the body does not decode at {reason}"),
            Self::Encode(reason) => write!(f, "the decoded value can't be written: {reason}"),
        }
    }
}

impl std::error::Error for RoundTripError {}
