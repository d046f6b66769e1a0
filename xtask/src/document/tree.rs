//! JSON values from JSON and YAML.
//!
//! A key that occurs twice in an object is an error of the vendor's: two objects are merged, so that
//! two paths of one name keep all of their operations, and of other values the last one counts.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::{Deserialize, de};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

/// The key whose value is merged into its mapping, in YAML.
const MERGE: &str = "<<";

/// A value of any type, from YAML if `YAML`.
pub(super) struct Tree<const YAML: bool>(pub(super) Value);

impl<'de, const YAML: bool> Deserialize<'de> for Tree<YAML> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue::<YAML>).map(Self)
    }
}

struct AnyValue<const YAML: bool>;

impl<'de, const YAML: bool> Visitor<'de> for AnyValue<YAML> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    // A parser of JSON reads such an integer as a float, too.
    fn visit_i128<E: Error>(self, value: i128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    // JSON has neither infinity nor NaN.
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        let special = || match value {
            value if value.is_nan() => ".nan",
            value if value > 0.0 => ".inf",
            _ => "-.inf",
        };
        let number = Number::from_f64(value).map(Value::Number);
        Ok(number.unwrap_or_else(|| special().into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Tree::<YAML>(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(Key(key)) = entries.next_key()? {
            let Tree::<YAML>(value) = entries.next_value()?;
            add(&mut object, key, value);
        }
        let merged = if YAML { object.remove(MERGE) } else { None };
        match merged {
            None => {}
            Some(Value::Array(list)) => {
                for merged in list {
                    merge::<A::Error>(&mut object, merged)?;
                }
            }
            Some(merged) => merge::<A::Error>(&mut object, merged)?,
        }
        Ok(object.into())
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Value, A::Error> {
        let (_tag, value) = tagged.variant_seed(Tag)?;
        let Tree::<YAML>(value) = value.newtype_variant()?;
        Ok(value)
    }
}

/// Adds a field. Objects of the same name are merged.
fn add(object: &mut Map<String, Value>, key: String, value: Value) {
    match object.entry(key) {
        Entry::Vacant(free) => {
            free.insert(value);
        }
        Entry::Occupied(mut taken) => match (taken.get_mut(), value) {
            (Value::Object(known), Value::Object(fields)) => {
                for (key, value) in fields {
                    add(known, key, value);
                }
            }
            (known, value) => *known = value,
        },
    }
}

/// Adds the fields that an object lacks.
fn merge<E: Error>(object: &mut Map<String, Value>, merged: Value) -> Result<(), E> {
    let Value::Object(merged) = merged else {
        let problem = format!("the value of `{MERGE}` is no mapping");
        return Err(E::custom(problem));
    };
    for (key, value) in merged {
        object.entry(key).or_insert(value);
    }
    Ok(())
}

/// The name of a tag, which is ignored.
struct Tag;

impl<'de> DeserializeSeed<'de> for Tag {
    type Value = de::IgnoredAny;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(de::IgnoredAny)
    }
}

/// A key as text: a status such as `200` is a number in YAML, and a text in JSON.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(AnyValue::<true>)? {
            Value::String(text) => Ok(Self(text)),
            Value::Array(_) | Value::Object(_) => {
                Err(D::Error::custom("a key that is a list or a mapping"))
            }
            scalar => Ok(Self(scalar.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_of_one_name_are_merged() {
        let text = r#"{"/a": {"get": {"x": 1, "y": 1}}, "<<": 1, "/a": {"post": {}, "get": {"x": 2}}, "b": 1, "b": [2]}"#;
        let Tree::<false>(value) = serde_json::from_str(text).unwrap();
        let merged = json!({"get": {"x": 2, "y": 1}, "post": {}});
        assert_eq!(value, json!({"/a": merged, "<<": 1, "b": [2]}));
    }

    #[test]
    fn a_value_is_as_another_parser_reads_it() {
        let text =
            "[null, true, -1, 18446744073709551615, 18446744073709551616, 0.1, 1e300, \"\\u00e9\"]";
        let Tree::<false>(value) = serde_json::from_str(text).unwrap();
        assert_eq!(value, serde_json::from_str::<Value>(text).unwrap());
    }
}
