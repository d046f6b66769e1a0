//! A JSON scalar as it was received, and the visitor that reads scalars.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroize;

/// The key under which serde_json passes a number as a map if any crate in the build enables its
/// `arbitrary_precision` feature.
const NUMBER_KEY: &str = "$serde_json::private::Number";

/// The name under which serde_json passes the text of a value, as it does for its `RawValue`.
///
/// A deserializer that does not know the name passes the value itself.
pub(super) const RAW_KEY: &str = "$serde_json::private::RawValue";

/// A JSON string, number or boolean with its text; compared by text only.
#[derive(Clone)]
pub(crate) enum Scalar {
    Text(Box<str>),
    Number(Number),
    Boolean(bool),
}

/// The text of a number, stored inline unless it is long.
#[derive(Clone)]
pub(crate) enum Number {
    Short { length: u8, text: [u8; MAX_INLINE] },
    Long(Box<str>),
}

/// Maximum inline length in bytes. It fits in the space of the other variants, and fits every
/// 64-bit integer and nearly every amount.
const MAX_INLINE: usize = 21;

/// A type that can be read from a JSON scalar; `None` rejects the scalar.
pub(crate) trait FromScalar: Sized {
    /// Description of the expected value, for error messages.
    const EXPECTED: &'static str;

    fn from_text(text: &str) -> Option<Self>;

    fn from_owned_text(text: String) -> Option<Self> {
        Self::from_text(&text)
    }

    fn from_number(text: &str) -> Option<Self>;

    #[inline]
    fn from_integer(value: i64) -> Option<Self> {
        Self::from_number(itoa::Buffer::new().format(value))
    }

    /// Reads a number whose text is not known, so that a large one may have lost digits.
    fn from_float(value: f64) -> Option<Self> {
        Self::from_number(&float_text(value))
    }

    fn from_boolean(value: bool) -> Option<Self>;

    fn from_null() -> Option<Self> {
        None
    }
}

/// Reads a scalar; errors do not quote it.
pub(crate) fn read<'de, T: FromScalar, D: Deserializer<'de>>(d: D) -> Result<T, D::Error> {
    d.deserialize_any(ScalarVisitor(PhantomData))
}

/// Reads a scalar and keeps every digit of a number, if serde_json reads it from text.
pub(crate) fn read_exact<'de, D: Deserializer<'de>>(d: D) -> Result<Scalar, D::Error> {
    d.deserialize_newtype_struct(RAW_KEY, ScalarVisitor(PhantomData))
}

impl Scalar {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.as_str(),
            Self::Boolean(true) => "true",
            Self::Boolean(false) => "false",
        }
    }
}

impl Number {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Short { length, text } => {
                let text = text.get(..usize::from(*length)).unwrap_or_default();
                str::from_utf8(text).unwrap_or_default()
            }
            Self::Long(text) => text,
        }
    }

    /// Moves the text to the heap and overwrites the inline copy.
    pub(crate) fn move_to_heap(&mut self) {
        let moved = Self::Long(self.as_str().into());
        self.zeroize();
        *self = moved;
    }
}

impl Zeroize for Number {
    fn zeroize(&mut self) {
        match self {
            Self::Short { text, .. } => text.zeroize(),
            Self::Long(text) => text.zeroize(),
        }
    }
}

impl From<&str> for Number {
    fn from(text: &str) -> Self {
        let mut short = [0; MAX_INLINE];
        match short.get_mut(..text.len()) {
            Some(inline) => {
                inline.copy_from_slice(text.as_bytes());
                Self::Short {
                    length: text.len() as u8,
                    text: short,
                }
            }
            None => Self::Long(text.into()),
        }
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Scalar {}

impl Hash for Scalar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scalar {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serialize_number(number.as_str(), serializer),
            Self::Boolean(value) => serializer.serialize_bool(*value),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer)
    }
}

impl FromScalar for Scalar {
    const EXPECTED: &'static str = "text, a number or a boolean";

    #[inline]
    fn from_text(text: &str) -> Option<Self> {
        Some(Self::Text(text.into()))
    }

    #[inline]
    fn from_owned_text(text: String) -> Option<Self> {
        Some(Self::Text(text.into()))
    }

    #[inline]
    fn from_number(text: &str) -> Option<Self> {
        Some(Self::Number(text.into()))
    }

    #[inline]
    fn from_boolean(value: bool) -> Option<Self> {
        Some(Self::Boolean(value))
    }
}

fn serialize_number<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    // `-0` is the only integer of JSON that would not be written back unchanged as an integer.
    if text != "-0"
        && let Ok(value) = text.parse::<i64>()
    {
        return serializer.serialize_i64(value);
    }
    if let Ok(value) = text.parse::<u64>() {
        return serializer.serialize_u64(value);
    }
    // With `arbitrary_precision` only serde_json's own type writes every digit. Without it, parsing
    // the text again with serde_json may change the last digit.
    let exact = text.parse::<serde_json::Number>().ok();
    match exact.filter(|number| number.to_string() == text) {
        Some(number) => number.serialize(serializer),
        // A string keeps the digits that no float has, in any format.
        None => match text.parse() {
            Ok(float) if digits(text) == digits(&float_text(float)) => {
                serializer.serialize_f64(float)
            }
            _ => serializer.serialize_str(text),
        },
    }
}

/// Returns the digits of a number without the zeros at both ends, the point and the exponent.
fn digits(number: &str) -> String {
    let (mantissa, _) = number.split_once(['e', 'E']).unwrap_or((number, ""));
    let digits = mantissa.replace(['.', '-'], "");
    digits.trim_matches('0').into()
}

/// Returns the shortest text that parses to the same float, such as `10.0`.
fn float_text(value: f64) -> String {
    format!("{value:?}")
}

struct ScalarVisitor<T>(PhantomData<T>);

impl<T: FromScalar> ScalarVisitor<T> {
    fn accept<E: Error>(self, value: Option<T>) -> Result<T, E> {
        value.ok_or_else(|| E::invalid_value(Unexpected::Other("another value"), &self))
    }
}

impl<'de, T: FromScalar> Visitor<'de> for ScalarVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        self.accept(T::from_text(text))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<T, E> {
        self.accept(T::from_owned_text(text))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<T, E> {
        self.accept(T::from_boolean(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        self.accept(T::from_integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => self.accept(T::from_number(&value.to_string())),
        }
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<T, E> {
        self.accept(T::from_number(&value.to_string()))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<T, E> {
        self.accept(T::from_number(&value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<T, E> {
        self.accept(T::from_float(value))
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        T::from_null().ok_or_else(|| E::invalid_type(Unexpected::Unit, &self))
    }

    fn visit_none<E: Error>(self) -> Result<T, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<T, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<T, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        match map.next_key()? {
            Some(Key::Number) => self.accept(T::from_number(&map.next_value::<String>()?)),
            Some(Key::Raw) => map.next_value_seed(Raw(self)),
            Some(Key::Other) | None => Err(A::Error::invalid_type(Unexpected::Map, &self)),
        }
    }
}

/// The key of a map that serde_json passes instead of a scalar.
enum Key {
    Number,
    Raw,
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;

        impl Visitor<'_> for KeyVisitor {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E: Error>(self, key: &str) -> Result<Key, E> {
                Ok(match key {
                    NUMBER_KEY => Key::Number,
                    RAW_KEY => Key::Raw,
                    _ => Key::Other,
                })
            }
        }

        deserializer.deserialize_str(KeyVisitor)
    }
}

/// Reads a scalar from its JSON text.
struct Raw<T>(ScalarVisitor<T>);

impl<'de, T: FromScalar> DeserializeSeed<'de> for Raw<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<T: FromScalar> Visitor<'_> for Raw<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, json: &str) -> Result<T, E> {
        match json.as_bytes() {
            [b'-' | b'0'..=b'9', ..] => self.0.accept(T::from_number(json)),
            [b'"', text @ .., b'"'] if !text.contains(&b'\\') => self
                .0
                .visit_str(json.get(1..json.len() - 1).unwrap_or_default()),
            _ => {
                let mut decoder = serde_json::Deserializer::from_str(json);
                // The decoder's own message may quote the value.
                let decoded = decoder.deserialize_any(self.0);
                decoded.map_err(|_| E::custom(format_args!("invalid value: not {}", T::EXPECTED)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scalar_is_written_back_unchanged() {
        for json in [
            r#""""#,
            r#""a \"b\" ü""#,
            r#""10.00""#,
            "0",
            "-7",
            "18446744073709551615",
            "19.99",
            "10.0",
            "-0.0",
            "12.5",
            "1e-7",
            "true",
            "false",
        ] {
            let scalar: Scalar = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&scalar).unwrap(), json);
            let value: serde_json::Value = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_value(&scalar).unwrap(), value);
            let scalar: Scalar = serde_json::from_value(value).unwrap();
            assert_eq!(serde_json::to_string(&scalar).unwrap(), json);
        }
    }

    #[test]
    fn a_scalar_is_no_larger_than_a_string() {
        assert_eq!(size_of::<Scalar>(), size_of::<String>());
        for text in ["-9223372036854775808", "18446744073709551615", "1", ""] {
            assert!(matches!(Number::from(text), Number::Short { .. }), "{text}");
        }
        let long = "1234567890.123456789012";
        for text in [&long[..MAX_INLINE], &long[..MAX_INLINE + 1], long] {
            assert_eq!(Number::from(text).as_str(), text);
        }
    }

    #[test]
    fn numbers_beyond_every_native_type_still_decode() {
        for json in ["1e40", "123456789012345678901234567890", "-1.5E+300"] {
            let scalar: Scalar = serde_json::from_str(json).unwrap();
            let again: serde_json::Value = serde_json::to_value(&scalar).unwrap();
            assert!(again.is_number());
        }
    }

    #[test]
    fn only_values_that_are_not_scalars_are_rejected() {
        for json in ["[1]", r#"{"amount":"1"}"#, "{}", "null"] {
            assert!(serde_json::from_str::<Scalar>(json).is_err(), "{json}");
        }
        assert!(
            serde_json::from_str::<Option<Scalar>>("null")
                .unwrap()
                .is_none()
        );
    }
}
