//! Secret text.

use std::fmt;
use std::hint::black_box;

use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroize;

use super::scalar::Scalar;

/// A secret text, such as a token.
///
/// `Debug` is redacted and there is no `Display`: the text is available only through
/// [`expose`](Self::expose) and serialization. The copy in this value is overwritten when it is
/// dropped; the buffers of the network and of the JSON parser are not.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub struct Secret(Scalar);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut scalar = Scalar::deserialize(deserializer)?;
        if let Scalar::Number(number) = &mut scalar {
            // Inline text would leave a copy behind whenever the value is moved.
            number.move_to_heap();
        }
        Ok(Self(scalar))
    }
}

impl Secret {
    /// Returns the text, which must be kept out of logs and messages.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(Scalar::Text(text.into()))
    }
}

impl From<String> for Secret {
    fn from(mut text: String) -> Self {
        // Shrinking the string in place could leave a copy behind.
        let secret = Self::from(text.as_str());
        text.zeroize();
        secret
    }
}

/// Compares in constant time for texts of equal length; the length may be revealed.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.expose().as_bytes(), other.expose().as_bytes());
        let differing = ours
            .iter()
            .zip(theirs)
            .fold(0, |all, (a, b)| black_box(all | (a ^ b)));
        ours.len() == theirs.len() && differing == 0
    }
}

impl Eq for Secret {}

impl Drop for Secret {
    fn drop(&mut self) {
        match &mut self.0 {
            Scalar::Text(text) => text.zeroize(),
            Scalar::Number(number) => number.zeroize(),
            Scalar::Boolean(_) => {}
        }
    }
}

#[cfg(feature = "schemars")]
impl schemars::JsonSchema for Secret {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        concat!(module_path!(), "::Secret").into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "password" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let secret = Secret::from("hunter2");
        assert_eq!(format!("{secret:?} {secret:#?}"), "Secret(***) Secret(***)");
    }

    #[test]
    fn secrets_with_the_same_text_are_equal() {
        let secret = Secret::from("hunter2");
        assert_eq!(secret, Secret::from("hunter2".to_owned()));
        for other in ["hunter3", "hunter", "hunter22", "", "Hunter2"] {
            assert_ne!(secret, Secret::from(other));
        }
    }

    #[test]
    fn a_secret_is_written_back_unchanged() {
        for (json, text) in [
            (r#""hunter2""#, "hunter2"),
            ("12345", "12345"),
            (r#""""#, ""),
        ] {
            let secret: Secret = serde_json::from_str(json).unwrap();
            assert_eq!(secret.clone().expose(), text);
            assert_eq!(serde_json::to_string(&secret).unwrap(), json);
        }
    }

    #[test]
    fn a_rejected_secret_is_not_quoted() {
        let refused = serde_json::from_str::<Secret>(r#"{"token":"hunter2"}"#).unwrap_err();
        assert!(!refused.to_string().contains("hunter2"));
    }
}
