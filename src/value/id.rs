//! Ids, one type for each kind of thing, so that they cannot be mixed up.

use std::fmt;

/// Says which kind of id was refused and why, never the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidId {
    kind: &'static str,
    reason: Reason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Empty,
    Dots,
    ControlCharacter,
}

impl InvalidId {
    /// Refuses text that cannot be an id: it would not survive as one segment
    /// of a request path, or is nothing at all.
    pub(crate) fn check(kind: &'static str, text: &str) -> Result<(), Self> {
        let reason = if text.is_empty() {
            Reason::Empty
        } else if matches!(text, "." | "..") {
            Reason::Dots
        } else if text.contains(char::is_control) {
            Reason::ControlCharacter
        } else {
            return Ok(());
        };
        Err(Self { kind, reason })
    }
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            Reason::Empty => "is empty",
            Reason::Dots => "is only dots, which would change the request path",
            Reason::ControlCharacter => "contains a control character",
        };
        write!(f, "{} id {reason}", self.kind)
    }
}

impl std::error::Error for InvalidId {}

/// Declares the id of one kind of thing.
macro_rules! id_type {
    ($(#[$meta:meta])* $vis:vis struct $name:ident; $kind:literal) => {
        $(#[$meta])*
        ///
        /// Debug does not show the id, Display does. An id from the server is
        /// kept as it came, also if it is empty or a number.
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        $vis struct $name($crate::value::scalar::Scalar);

        impl $name {
            /// Makes an id from text.
            ///
            /// # Errors
            ///
            /// If the text is empty, `.` or `..`, or has control characters.
            $vis fn new(id: impl Into<String>) -> Result<Self, $crate::value::InvalidId> {
                let id = id.into();
                $crate::value::InvalidId::check($kind, &id)?;
                Ok(Self($crate::value::scalar::Scalar::Text(id.into())))
            }

            /// Returns the id as text.
            #[must_use]
            $vis fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::value::InvalidId;

            fn from_str(id: &str) -> Result<Self, Self::Err> {
                Self::new(id)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = $crate::value::InvalidId;

            fn try_from(id: &str) -> Result<Self, Self::Error> {
                Self::new(id)
            }
        }

        impl TryFrom<&String> for $name {
            type Error = $crate::value::InvalidId;

            fn try_from(id: &String) -> Result<Self, Self::Error> {
                Self::new(id)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::value::InvalidId;

            fn try_from(id: String) -> Result<Self, Self::Error> {
                Self::new(id)
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::value::scalar::read(deserializer).map(Self)
            }
        }

        #[cfg(feature = "schemars")]
        impl ::schemars::JsonSchema for $name {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn schema_id() -> ::std::borrow::Cow<'static, str> {
                concat!(module_path!(), "::", stringify!($name)).into()
            }

            fn json_schema(_: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                ::schemars::json_schema!({
                    "type": "string",
                    "description": concat!("The id of one ", $kind, "."),
                })
            }
        }
    };
}

pub(crate) use id_type;

#[cfg(test)]
mod tests {
    id_type! {
        /// Names a boat.
        struct BoatId; "boat"
    }

    fn from_json(json: &str) -> BoatId {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_callers_id_is_checked() {
        for (text, message) in [
            ("", "boat id is empty"),
            (
                ".",
                "boat id is only dots, which would change the request path",
            ),
            (
                "..",
                "boat id is only dots, which would change the request path",
            ),
            ("xyz\n", "boat id contains a control character"),
            ("xyz\u{85}", "boat id contains a control character"),
        ] {
            let refused = [
                BoatId::new(text),
                BoatId::try_from(text),
                BoatId::try_from(text.to_owned()),
                BoatId::try_from(&text.to_owned()),
                text.parse(),
            ];
            for refused in refused {
                assert_eq!(refused.unwrap_err().to_string(), message);
            }
        }
        assert_eq!(BoatId::new("a/b ü").unwrap().as_ref(), "a/b ü");
    }

    #[test]
    fn the_servers_id_is_kept_as_it_came() {
        for json in [r#""abc-1""#, r#""""#, r#""..""#, r#""a\nb""#, "12", "12.5"] {
            assert_eq!(serde_json::to_string(&from_json(json)).unwrap(), json);
        }
    }

    #[test]
    fn ids_with_the_same_text_are_the_same_id() {
        assert_eq!(from_json("12"), BoatId::new("12").unwrap());
        assert!(from_json("12") < from_json(r#""13""#));
    }

    #[test]
    fn debug_does_not_show_the_id() {
        let id = BoatId::new("abc-1").unwrap();
        assert_eq!(format!("{id:?} {id}"), "BoatId(..) abc-1");
    }

    #[test]
    fn an_id_costs_no_more_than_a_string() {
        assert_eq!(size_of::<Option<BoatId>>(), size_of::<String>());
    }

    #[cfg(feature = "schemars")]
    #[test]
    fn the_schema_is_text() {
        let schema = schemars::schema_for!(BoatId).to_value();
        assert_eq!(
            (&schema["title"], &schema["type"]),
            (&"BoatId".into(), &"string".into())
        );
    }
}
