//! Booleans in every encoding that the server uses.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::decimal;
use super::refusal::refusal;
use super::scalar::Scalar;

/// A boolean as it was received: `true`, `1`, `"true"`, `"yes"`.
///
/// Every scalar decodes and serializes unchanged; [`value`](Self::value) returns its meaning. Two
/// flags are equal if their meanings are equal, or if neither has a meaning and their texts are
/// equal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Flag(Scalar);

refusal! {
    /// The error of parsing a text that is neither `true` nor `false`.
    pub struct InvalidFlag for Flag: "invalid flag: neither true nor false"
}

impl Flag {
    /// Returns the text as it was received, even if it has no meaning as a boolean.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns the meaning of the flag, or `None` if it has none.
    ///
    /// Accepted, ignoring case, are `true`, `t`, `yes`, `y`, `on` and `1`, and `false`, `f`, `no`,
    /// `n`, `off` and `0`.
    #[must_use]
    pub fn value(&self) -> Option<bool> {
        match &self.0 {
            Scalar::Boolean(value) => Some(*value),
            Scalar::Text(_) | Scalar::Number(_) => parse(self.0.as_str()),
        }
    }

    /// Returns whether the flag is true; a flag without a meaning is not.
    #[must_use]
    pub fn is_true(&self) -> bool {
        self.value() == Some(true)
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Flag {
    type Err = InvalidFlag;

    /// Parses `true` and `false` and nothing else.
    fn from_str(text: &str) -> Result<Self, InvalidFlag> {
        match text {
            "true" => Ok(true.into()),
            "false" => Ok(false.into()),
            _ => Err(InvalidFlag),
        }
    }
}

impl From<bool> for Flag {
    fn from(value: bool) -> Self {
        Self(Scalar::Text(if value { "true" } else { "false" }.into()))
    }
}

impl PartialEq for Flag {
    fn eq(&self, other: &Self) -> bool {
        match (self.value(), other.value()) {
            (None, None) => self.0 == other.0,
            (ours, theirs) => ours == theirs,
        }
    }
}

impl Eq for Flag {}

impl PartialEq<bool> for Flag {
    fn eq(&self, other: &bool) -> bool {
        self.value() == Some(*other)
    }
}

impl Hash for Flag {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.value() {
            Some(value) => value.hash(state),
            None => self.0.hash(state),
        }
    }
}

#[cfg(feature = "schemars")]
impl schemars::JsonSchema for Flag {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Flag".into()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        concat!(module_path!(), "::Flag").into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["boolean", "integer", "string"],
            "description": "True or false.",
            "examples": ["true", "false"],
        })
    }
}

/// Returns the meaning of a text; see [`Flag::value`].
pub(super) fn parse(text: &str) -> Option<bool> {
    let text = text.trim();
    let is_any = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_any(&["true", "t", "yes", "y", "on", "1"]) {
        return Some(true);
    }
    if is_any(&["false", "f", "no", "n", "off", "0"]) {
        return Some(false);
    }
    let number = decimal::parse(text)?;
    if number == rust_decimal::Decimal::ONE {
        return Some(true);
    }
    number.is_zero().then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_json(json: &str) -> Flag {
        serde_json::from_str(json).unwrap()
    }

    #[track_caller]
    fn check(value: Option<bool>, all: &[&str]) {
        for json in all {
            let flag = from_json(json);
            assert_eq!(flag.value(), value, "{json}");
            assert_eq!(serde_json::to_string(&flag).unwrap(), *json);
        }
    }

    #[test]
    fn every_encoding_is_interpreted_and_kept() {
        check(
            Some(true),
            &[
                "true",
                "1",
                "1.0",
                r#""true""#,
                r#""TRUE""#,
                r#"" yes ""#,
                r#""1""#,
            ],
        );
        check(
            Some(false),
            &[
                "false",
                "0",
                "0.0",
                r#""false""#,
                r#""No""#,
                r#""0""#,
                r#""off""#,
            ],
        );
        check(None, &["2", "-1", "0.5", r#""""#, r#""maybe""#, r#""2""#]);
    }

    #[test]
    fn flags_with_the_same_meaning_are_equal() {
        assert_eq!(from_json("1"), from_json(r#""true""#));
        assert_eq!(from_json(r#""yes""#), true);
        assert_ne!(from_json(r#""maybe""#), false);
        assert_ne!(from_json(r#""maybe""#), from_json("false"));
        assert_eq!(from_json(r#""maybe""#), from_json(r#""maybe""#));
        assert!(!from_json(r#""maybe""#).is_true());
        assert!(from_json("1").is_true());
    }

    #[test]
    fn a_value_of_the_caller_is_written_as_a_string() {
        assert_eq!(
            serde_json::to_string(&Flag::from(true)).unwrap(),
            r#""true""#
        );
        assert_eq!(Flag::from(false).to_string(), "false");
        assert!(Flag::try_from("true").unwrap().is_true());
    }

    #[test]
    fn a_text_that_is_neither_is_rejected() {
        for text in ["", "1", "yes", "True", " true"] {
            assert_eq!(Flag::try_from(text), Err(InvalidFlag));
        }
    }
}
