//! Exact decimal numbers: money, percentages.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use super::refusal::refusal;
use super::scalar::{Scalar, read_exact};

/// A decimal number as it was received, with every digit.
///
/// The server sends amounts as strings, as numbers, and sometimes as strings that are not numbers
/// (`""`, `"N/A"`). [`as_str`](Self::as_str) returns the text of all of them, with every digit: a
/// JSON number `19.90` is `19.90`. [`value`](Self::value) returns the number.
///
/// A string is written back unchanged. A number is written as a number if a 64-bit float has its
/// value (`19.90` as `19.9`), and otherwise as a string with every digit. A number that serde has
/// buffered before, as in a `serde_json::Value`, has the digits of a 64-bit float only.
///
/// Two decimals are equal if their numbers are equal (`"10"`, `10` and `"10.0"`), or if neither is
/// a number and their texts are equal.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Decimal(Scalar);

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_exact(deserializer).map(Self)
    }
}

refusal! {
    /// The error of parsing a text that is not a decimal number.
    pub struct InvalidDecimal for Decimal: "invalid decimal: not a number in plain notation"
}

impl Decimal {
    /// Returns the text as it was received, even if it is not a number.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns the number, or `None` if the text is not one.
    ///
    /// Digits after the 28th are rounded. A number that does not fit in a [`rust_decimal::Decimal`]
    /// is `None`; [`as_str`](Self::as_str) returns all digits.
    #[must_use]
    pub fn value(&self) -> Option<rust_decimal::Decimal> {
        parse(self.as_str())
    }
}

impl AsRef<str> for Decimal {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Decimal {
    type Err = InvalidDecimal;

    /// Parses plain notation: an optional sign, digits and a decimal point; no exponent and no
    /// spaces.
    fn from_str(text: &str) -> Result<Self, InvalidDecimal> {
        let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+');
        if !text.bytes().all(plain) || rust_decimal::Decimal::from_str_exact(text).is_err() {
            return Err(InvalidDecimal);
        }
        Ok(Self(Scalar::Text(text.into())))
    }
}

impl From<rust_decimal::Decimal> for Decimal {
    fn from(value: rust_decimal::Decimal) -> Self {
        Self(Scalar::Text(value.to_string().into()))
    }
}

impl From<i32> for Decimal {
    fn from(value: i32) -> Self {
        Self(Scalar::Text(value.to_string().into()))
    }
}

impl From<u32> for Decimal {
    fn from(value: u32) -> Self {
        Self(Scalar::Text(value.to_string().into()))
    }
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Self {
        Self(Scalar::Text(value.to_string().into()))
    }
}

impl From<u64> for Decimal {
    fn from(value: u64) -> Self {
        Self(Scalar::Text(value.to_string().into()))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
            || self
                .value()
                .is_some_and(|value| Some(value) == other.value())
    }
}

impl Eq for Decimal {}

impl Hash for Decimal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.value() {
            Some(value) => value.hash(state),
            None => self.0.hash(state),
        }
    }
}

#[cfg(feature = "schemars")]
impl schemars::JsonSchema for Decimal {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Decimal".into()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        concat!(module_path!(), "::Decimal").into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "number"], "description": "A decimal number." })
    }
}

/// Parses a number as a server may write it, with an exponent or surrounding spaces.
pub(super) fn parse(text: &str) -> Option<rust_decimal::Decimal> {
    let text = text.trim();
    // `rust_decimal` accepts `1_000`, which no JSON producer means as a number.
    if text.contains('_') {
        return None;
    }
    if text.contains(['e', 'E']) {
        return rust_decimal::Decimal::from_scientific(text).ok();
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;

    fn from_json(json: &str) -> Decimal {
        serde_json::from_str(json).unwrap()
    }

    #[track_caller]
    fn check(json: &str, text: &str, value: Option<&str>) {
        let decimal = from_json(json);
        assert_eq!(decimal.as_str(), text);
        assert_eq!(decimal.value(), value.map(|v| v.parse().unwrap()));
        assert_eq!(serde_json::to_string(&decimal).unwrap(), json);
    }

    #[test]
    fn a_received_value_is_kept_and_interpreted() {
        check(r#""19.99""#, "19.99", Some("19.99"));
        check(r#""""#, "", None);
        check(r#""N/A""#, "N/A", None);
        check(r#""1_000""#, "1_000", None);
        check(r#""1,000.00""#, "1,000.00", None);
        check(r#"" 10 ""#, " 10 ", Some("10"));
        check(r#""1e3""#, "1e3", Some("1000"));
        check("19.99", "19.99", Some("19.99"));
        check("10.0", "10.0", Some("10"));
        check("0.1", "0.1", Some("0.1"));
        check("-5", "-5", Some("-5"));
        check(
            "18446744073709551615",
            "18446744073709551615",
            Some("18446744073709551615"),
        );
        check("true", "true", None);
        assert_eq!(from_json("1e40").value(), None);
    }

    #[test]
    fn every_digit_of_a_number_is_kept() {
        for (json, written) in [
            ("19.90", "19.9"),
            ("19.900", "19.9"),
            ("100.00", "100.0"),
            ("0.1234567890123456789", r#""0.1234567890123456789""#),
            (
                "-0.1000000000000000055511151231257827",
                r#""-0.1000000000000000055511151231257827""#,
            ),
            (
                "123456789012345678901234567890",
                r#""123456789012345678901234567890""#,
            ),
            ("9007199254740993.0", r#""9007199254740993.0""#),
            ("1e3", "1000.0"),
            ("1E+2", "100.0"),
            ("1e999", r#""1e999""#),
            ("1e-999", r#""1e-999""#),
            ("-0", "-0.0"),
            ("0.00", "0.0"),
        ] {
            let decimal = from_json(json);
            assert_eq!(decimal.as_str(), json);
            assert_eq!(serde_json::to_string(&decimal).unwrap(), written, "{json}");
            assert_eq!(from_json(written), decimal, "{json}");
            let spaced = from_json(&format!(" \n{json}\t"));
            assert_eq!(spaced.as_str(), json);
            let option: Option<Decimal> = serde_json::from_str(json).unwrap();
            assert_eq!(option.unwrap().as_str(), json);
            let list: Vec<Decimal> =
                serde_json::from_slice(format!("[{json},{json}]").as_bytes()).unwrap();
            assert_eq!(list[1].as_str(), json);
            let reader: Decimal = serde_json::from_reader(json.as_bytes()).unwrap();
            assert_eq!(reader.as_str(), json);
        }
        for json in [r#""a\u00fc\n""#, r#""\"""#, r#""ü 19,90""#, "true"] {
            let decimal = from_json(json);
            let value: serde_json::Value = serde_json::from_str(json).unwrap();
            let text = value.as_str().unwrap_or("true");
            assert_eq!(decimal.as_str(), text);
            let buffered: Decimal = serde_json::from_value(value).unwrap();
            assert_eq!(buffered, decimal);
        }
        for json in [
            "null",
            "[]",
            "[1]",
            "{}",
            r#"{"a":1}"#,
            "19.",
            "01",
            "+1",
            r#""\ud800""#,
            "NaN",
        ] {
            let error = serde_json::from_str::<Decimal>(json).unwrap_err();
            assert!(!error.to_string().contains("ud800"), "{error}");
        }
    }

    /// Buffers each value, as serde does for flattened fields and untagged enums.
    #[test]
    fn a_buffered_number_has_the_digits_of_a_float() {
        #[derive(Deserialize)]
        struct Flattened {
            #[serde(flatten)]
            fields: std::collections::BTreeMap<String, Decimal>,
        }
        let json = r#"{"a": 19.90, "b": "19.90", "c": 7}"#;
        let flattened: Flattened = serde_json::from_str(json).unwrap();
        let texts: Vec<_> = flattened.fields.values().map(Decimal::as_str).collect();
        assert_eq!(texts, ["19.9", "19.90", "7"]);
    }

    #[test]
    fn equal_numbers_are_equal_in_every_encoding() {
        let hasher = RandomState::new();
        let equal = [r#""10""#, "10", r#""10.0""#, "10.0", r#""1e1""#].map(from_json);
        for decimal in &equal {
            assert_eq!(*decimal, equal[0]);
            assert_eq!(hasher.hash_one(decimal), hasher.hash_one(&equal[0]));
        }
        let (zero, minus_zero) = (from_json("0"), from_json("-0.0"));
        assert_eq!(zero, minus_zero);
        assert_eq!(hasher.hash_one(&zero), hasher.hash_one(&minus_zero));
        assert_eq!(from_json(r#""N/A""#), from_json(r#""N/A""#));
        assert_ne!(from_json(r#""N/A""#), from_json(r#""""#));
        assert_ne!(from_json("10"), from_json(r#""N/A""#));
    }

    #[test]
    fn a_value_of_the_caller_is_written_as_a_string() {
        let written = |decimal: Decimal| serde_json::to_string(&decimal).unwrap();
        assert_eq!(written(Decimal::from(-5_i32)), r#""-5""#);
        assert_eq!(
            written(Decimal::from(u64::MAX)),
            r#""18446744073709551615""#
        );
        assert_eq!(
            written(rust_decimal::Decimal::new(1990, 2).into()),
            r#""19.90""#
        );
        assert_eq!(written("19.90".parse().unwrap()), r#""19.90""#);
        assert_eq!(format!("{:>6}", Decimal::from(5_u32)), "     5");
    }

    #[test]
    fn a_text_that_is_not_a_number_is_rejected() {
        let long = "9".repeat(30);
        for text in [
            "", " ", "N/A", "1e3", " 10", "1_000", "1,5", "-", ".", "NaN", "inf", &long,
        ] {
            assert_eq!(Decimal::try_from(text), Err(InvalidDecimal), "{text}");
        }
    }
}
