//! Decodes a tree, with errors that know their path and contain no value.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, MapDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::{Content, Node, Step};
use crate::value::scalar::RAW_KEY;

/// The reason why a tree cannot be decoded.
#[cfg_attr(
    not(feature = "client"),
    allow(dead_code, reason = "used to repair responses")
)]
pub(crate) struct Misfit {
    /// The path of the value, innermost step first.
    path: Vec<Step>,
    pub(crate) reason: Reason,
}

#[cfg_attr(
    not(feature = "client"),
    allow(dead_code, reason = "used to repair responses")
)]
pub(crate) enum Reason {
    /// The object lacks this field, which is required.
    Missing(&'static str),
    /// The value is not what the decoder expects, in the decoder's words.
    Unexpected(String),
    /// Another reason, of a type of the caller.
    Other,
}

impl Misfit {
    fn new(reason: Reason) -> Self {
        let path = Vec::new();
        Self { path, reason }
    }

    fn below(mut self, step: Step) -> Self {
        self.path.push(step);
        self
    }

    #[cfg(feature = "client")]
    pub(crate) fn path(&self) -> Vec<Step> {
        self.path.iter().rev().copied().collect()
    }
}

impl fmt::Debug for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Misfit")
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value does not fit")
    }
}

impl std::error::Error for Misfit {}

impl Error for Misfit {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::new(Reason::Other)
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Reason::Unexpected(expected.to_string()))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Reason::Unexpected(expected.to_string()))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Reason::Missing(field))
    }
}

impl<'de> Deserializer<'de> for &'de Node<'_> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.content {
            Content::Absent | Content::Malformed => {
                Err(Misfit::invalid_type(Unexpected::Other("nothing"), &visitor))
            }
            Content::Null => visitor.visit_unit(),
            Content::Boolean(value) => visitor.visit_bool(*value),
            Content::Number(text) => number(text, visitor),
            Content::Text(text) => visitor.visit_borrowed_str(text),
            Content::List(list) => visitor.visit_seq(Elements {
                next: list.first,
                rest: list.elements.iter(),
            }),
            Content::Object(fields) => visitor.visit_map(Fields {
                rest: fields.iter().enumerate(),
                value: None,
            }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.content {
            Content::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match &self.content {
            // The same form as serde_json's, with every digit.
            Content::Number(text) if name == RAW_KEY => {
                let raw = std::iter::once((RAW_KEY, &**text));
                visitor.visit_map(MapDeserializer::new(raw))
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    /// A derived struct would also accept a list, and read its elements as fields by position.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.content {
            Content::List(_) => Err(Misfit::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match &self.content {
            Content::Text(name) => visitor.visit_enum(Variant { name, value: None }),
            Content::Object(fields) => match fields.as_slice() {
                [(name, value)] => visitor.visit_enum(Variant {
                    name,
                    value: Some(value),
                }),
                _ => Err(Misfit::invalid_value(Unexpected::Map, &visitor)),
            },
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier
    }
}

impl<'de> IntoDeserializer<'de, Misfit> for &'de Node<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Passes a number to the decoder in the form in which serde_json would.
fn number<'de, V: Visitor<'de>>(text: &str, visitor: V) -> Result<V::Value, Misfit> {
    if text != "-0" {
        if let Ok(value) = text.parse() {
            return visitor.visit_u64(value);
        }
        if let Ok(value) = text.parse() {
            return visitor.visit_i64(value);
        }
    }
    match text.parse() {
        Ok(value) => visitor.visit_f64(value),
        Err(_) => Err(Misfit::new(Reason::Other)),
    }
}

struct Elements<'de> {
    /// The index of the first of the rest.
    next: usize,
    rest: std::slice::Iter<'de, Node<'de>>,
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Misfit> {
        for element in self.rest.by_ref() {
            let index = self.next;
            self.next += 1;
            if !matches!(element.content, Content::Absent) {
                let value = seed.deserialize(element);
                return value
                    .map(Some)
                    .map_err(|misfit| misfit.below(Step::Element(index)));
            }
        }
        Ok(None)
    }
}

struct Fields<'de> {
    rest: std::iter::Enumerate<std::slice::Iter<'de, (Cow<'de, str>, Node<'de>)>>,
    value: Option<(usize, &'de Node<'de>)>,
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Misfit> {
        for (at, (name, value)) in self.rest.by_ref() {
            if value.is_present() {
                self.value = Some((at, value));
                let name = BorrowedStrDeserializer::new(name);
                return seed.deserialize(name).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        match self.value.take() {
            Some((at, value)) => seed
                .deserialize(value)
                .map_err(|misfit| misfit.below(Step::Field(at))),
            None => Err(Misfit::new(Reason::Other)),
        }
    }
}

/// A variant of an enum: its name, or an object with the name as its only key.
struct Variant<'de> {
    name: &'de str,
    value: Option<&'de Node<'de>>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Misfit;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Misfit> {
        let name = BorrowedStrDeserializer::<Misfit>::new(self.name);
        seed.deserialize(name).map(|variant| (variant, self))
    }
}

impl<'de> Variant<'de> {
    fn inner(self) -> Result<&'de Node<'de>, Misfit> {
        self.value.ok_or_else(|| Misfit::new(Reason::Other))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Misfit;

    fn unit_variant(self) -> Result<(), Misfit> {
        match self.value {
            None => Ok(()),
            Some(_) => Err(Misfit::new(Reason::Other)),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Misfit> {
        seed.deserialize(self.inner()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Misfit> {
        self.inner()?.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.inner()?.deserialize_any(visitor)
    }
}
