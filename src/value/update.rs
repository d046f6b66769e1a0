//! A field of a PATCH body: left unchanged, cleared, or set.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A field of a partial update: unchanged, cleared or set.
///
/// The setters of update requests create these values: `.email("a@b.example")` sets a field,
/// `.clear_email()` sends an explicit `null` for it, and other fields are left out of the request.
///
/// ```
/// use fullscript::types::UpdatePatientRequest;
///
/// let update = UpdatePatientRequest::new().first_name("Ana").clear_mobile_number();
/// let body = serde_json::to_string(&update)?;
/// assert_eq!(body, r#"{"first_name":"Ana","mobile_number":null}"#);
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Update<T> {
    /// The field is left out of the request and keeps its value.
    #[default]
    Unchanged,
    /// The field is sent as `null`, which clears it.
    Clear,
    /// The field is set to this value.
    Set(T),
}

impl<T> Update<T> {
    /// Returns the new value, if there is one.
    #[must_use]
    pub fn as_set(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Unchanged | Self::Clear => None,
        }
    }

    /// Returns whether the field is left out of the request.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        matches!(self, Self::Unchanged)
    }
}

/// Does not show the value, which may be health data.
impl<T> fmt::Debug for Update<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unchanged => "Unchanged",
            Self::Clear => "Clear",
            Self::Set(_) => "Set(..)",
        })
    }
}

impl<T: Serialize> Serialize for Update<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_set().serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Update<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Option::deserialize(deserializer)?;
        Ok(value.map_or(Self::Clear, Self::Set))
    }
}

#[cfg(feature = "schemars")]
impl<T: schemars::JsonSchema> schemars::JsonSchema for Update<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        Option::<T>::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Option::<T>::json_schema(generator)
    }
}
