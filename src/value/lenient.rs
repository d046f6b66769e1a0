//! Lenient decoders for `#[serde(deserialize_with)]` on fields of native types.
//!
//! Errors never quote the value.

use rust_decimal::prelude::ToPrimitive;
use serde::Deserializer;

use super::decimal;
use super::flag;
use super::scalar::{FromScalar, read};

/// Decodes text; a number or boolean becomes its text, null becomes `None`.
#[inline]
pub(crate) fn text<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    read(d).map(|Text(text)| text)
}

/// Decodes text; a number or boolean becomes its text, null is an error.
#[inline]
pub(crate) fn required_text<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    read(d).map(|RequiredText(text)| text)
}

/// Decodes an integer, also from a string or `10.0`; null becomes `None`, and a blank string is an
/// error.
#[inline]
pub(crate) fn integer<'de, D: Deserializer<'de>>(d: D) -> Result<Option<i64>, D::Error> {
    read(d).map(|Integer(value)| value)
}

/// Decodes a boolean, also from the words of a [`Flag`](super::Flag) or `0` and `1`; null becomes
/// `None`, and a blank string is an error.
#[inline]
pub(crate) fn boolean<'de, D: Deserializer<'de>>(d: D) -> Result<Option<bool>, D::Error> {
    read(d).map(|Boolean(value)| value)
}

struct Text(Option<String>);

struct RequiredText(String);

struct Integer(Option<i64>);

struct Boolean(Option<bool>);

/// The largest integer of which no other integer has the same 64-bit float: 2^53 - 1.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;

impl FromScalar for Text {
    const EXPECTED: &'static str = "text";

    #[inline]
    fn from_text(text: &str) -> Option<Self> {
        Self::from_owned_text(text.to_owned())
    }

    #[inline]
    fn from_owned_text(text: String) -> Option<Self> {
        Some(Self(Some(text)))
    }

    #[inline]
    fn from_number(text: &str) -> Option<Self> {
        Self::from_text(text)
    }

    #[inline]
    fn from_boolean(value: bool) -> Option<Self> {
        Self::from_owned_text(value.to_string())
    }

    #[inline]
    fn from_null() -> Option<Self> {
        Some(Self(None))
    }
}

impl FromScalar for RequiredText {
    const EXPECTED: &'static str = "text";

    #[inline]
    fn from_text(text: &str) -> Option<Self> {
        Some(Self(text.to_owned()))
    }

    #[inline]
    fn from_owned_text(text: String) -> Option<Self> {
        Some(Self(text))
    }

    #[inline]
    fn from_number(text: &str) -> Option<Self> {
        Self::from_text(text)
    }

    #[inline]
    fn from_boolean(value: bool) -> Option<Self> {
        Some(Self(value.to_string()))
    }
}

impl FromScalar for Integer {
    const EXPECTED: &'static str = "an integer that fits in 64 bits";

    #[inline]
    fn from_text(text: &str) -> Option<Self> {
        Self::from_number(text.trim())
    }

    #[inline]
    fn from_number(text: &str) -> Option<Self> {
        if let Ok(value) = text.parse() {
            return Self::from_integer(value);
        }
        let number = decimal::parse(text)?;
        let whole = number.is_integer().then(|| number.to_i64())??;
        Self::from_integer(whole)
    }

    #[inline]
    fn from_integer(value: i64) -> Option<Self> {
        Some(Self(Some(value)))
    }

    fn from_float(value: f64) -> Option<Self> {
        // A larger float may stand for several integers.
        let is_exact = value.fract() == 0.0 && value.abs() <= MAX_EXACT;
        is_exact.then_some(Self(Some(value as i64)))
    }

    #[inline]
    fn from_boolean(_: bool) -> Option<Self> {
        None
    }

    #[inline]
    fn from_null() -> Option<Self> {
        Some(Self(None))
    }
}

impl FromScalar for Boolean {
    const EXPECTED: &'static str = "a boolean";

    #[inline]
    fn from_text(text: &str) -> Option<Self> {
        Some(Self(Some(flag::parse(text)?)))
    }

    #[inline]
    fn from_number(text: &str) -> Option<Self> {
        Self::from_text(text)
    }

    #[inline]
    fn from_boolean(value: bool) -> Option<Self> {
        Some(Self(Some(value)))
    }

    #[inline]
    fn from_null() -> Option<Self> {
        Some(Self(None))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use serde_json::{Deserializer, Error, Value};

    use super::*;

    /// Runs a decoder on JSON text and on a parsed value; the results must agree.
    macro_rules! read_with {
        ($read:ident, $json:expr) => {{
            let json: &str = $json;
            let direct = $read(&mut Deserializer::from_str(json));
            let value = $read(serde_json::from_str::<Value>(json).unwrap());
            assert_eq!(direct.as_ref().ok(), value.as_ref().ok(), "{json}");
            direct
        }};
    }

    #[track_caller]
    fn refused<T: Debug>(result: Result<T, Error>, secret: &str) {
        let message = result.unwrap_err().to_string();
        assert!(!message.contains(secret), "{message}");
    }

    #[test]
    fn text_accepts_every_scalar() {
        for (json, expected) in [
            (r#""a""#, Some("a")),
            (r#""""#, Some("")),
            (r#""\u00fc\n""#, Some("ü\n")),
            ("10", Some("10")),
            ("19.99", Some("19.99")),
            ("true", Some("true")),
            ("null", None),
        ] {
            assert_eq!(read_with!(text, json).unwrap().as_deref(), expected);
            assert_eq!(read_with!(required_text, json).ok().as_deref(), expected);
        }
        refused(read_with!(text, r#"["xyz"]"#), "xyz");
        refused(read_with!(text, r#"{"xyz":1}"#), "xyz");
    }

    #[test]
    fn integer_accepts_integers_in_any_encoding() {
        for json in [
            "10",
            "10.0",
            "1e1",
            r#""10""#,
            r#"" 10 ""#,
            r#""10.0""#,
            r#""+10""#,
        ] {
            assert_eq!(read_with!(integer, json).unwrap(), Some(10), "{json}");
        }
        assert_eq!(read_with!(integer, "null").unwrap(), None);
        for json in [r#""""#, r#""  ""#] {
            assert!(read_with!(integer, json).is_err(), "{json}");
        }
        for json in ["9007199254740993.0", "-1e18"] {
            // The digits may be lost already.
            assert!(read_with!(integer, json).is_err(), "{json}");
        }
        for edge in [i64::MAX, i64::MIN] {
            assert_eq!(read_with!(integer, &edge.to_string()).unwrap(), Some(edge));
        }
        for json in [
            "10.77",
            "18446744073709551677",
            "1e77",
            r#""x77""#,
            "true",
            "[77]",
        ] {
            refused(read_with!(integer, json), "77");
        }
    }

    #[test]
    fn boolean_accepts_the_usual_encodings() {
        for json in [
            "true",
            "1",
            "1.0",
            r#""true""#,
            r#""TRUE""#,
            r#""1""#,
            r#""1.0""#,
            r#""yes""#,
            r#""t""#,
            r#"" On ""#,
        ] {
            assert_eq!(read_with!(boolean, json).unwrap(), Some(true), "{json}");
        }
        for json in [
            "false",
            "0",
            r#""false""#,
            r#""False""#,
            r#""0""#,
            r#""No""#,
            r#""f""#,
            r#""off""#,
        ] {
            assert_eq!(read_with!(boolean, json).unwrap(), Some(false), "{json}");
        }
        assert_eq!(read_with!(boolean, "null").unwrap(), None);
        for json in [r#""""#, r#""  ""#] {
            assert!(read_with!(boolean, json).is_err(), "{json}");
        }
        for json in ["77", "0.77", r#""x77""#, "[77]"] {
            refused(read_with!(boolean, json), "77");
        }
    }
}
