//! Id types, one for each kind of object, so that ids cannot be confused.

/// Declares the id type of one kind of object.
macro_rules! id_type {
    ($(#[$meta:meta])* $vis:vis struct $name:ident; $kind:literal) => {
        $(#[$meta])*
        ///
        /// `Debug` does not show the id; `Display` does. An id from the server is kept unchanged,
        /// even if it is empty or a number.
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        $vis struct $name($crate::value::scalar::Scalar);

        impl $name {
            /// Creates an id from text.
            ///
            /// A request fails before it is sent if an id in its path is empty or would change the
            /// path.
            #[must_use]
            $vis fn new(id: impl Into<String>) -> Self {
                Self($crate::value::scalar::Scalar::Text(id.into().into()))
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
            type Err = ::std::convert::Infallible;

            fn from_str(id: &str) -> Result<Self, Self::Err> {
                Ok(Self::new(id))
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self::new(id)
            }
        }

        impl From<&String> for $name {
            fn from(id: &String) -> Self {
                Self::new(id)
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self::new(id)
            }
        }

        impl From<&$name> for $name {
            fn from(id: &$name) -> Self {
                id.clone()
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
                    "description": concat!("Identifier of one ", $kind, "."),
                })
            }
        }
    };
}

pub(crate) use id_type;

#[cfg(test)]
mod tests {
    id_type! {
        /// Identifier of a boat.
        struct BoatId; "boat"
    }

    fn from_json(json: &str) -> BoatId {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn an_id_can_be_created_from_any_text() {
        let text = "a/b ü";
        let made = [
            BoatId::new(text),
            BoatId::from(text),
            BoatId::from(text.to_owned()),
            BoatId::from(&text.to_owned()),
            BoatId::from(&BoatId::new(text)),
            text.parse().unwrap(),
        ];
        assert!(made.iter().all(|id| id.as_ref() == text));
    }

    #[test]
    fn an_id_from_the_server_is_kept_unchanged() {
        for json in [r#""abc-1""#, r#""""#, r#""..""#, r#""a\nb""#, "12", "12.5"] {
            assert_eq!(serde_json::to_string(&from_json(json)).unwrap(), json);
        }
    }

    #[test]
    fn ids_with_the_same_text_are_the_same_id() {
        assert_eq!(from_json("12"), BoatId::new("12"));
        assert!(from_json("12") < from_json(r#""13""#));
    }

    #[test]
    fn debug_does_not_show_the_id() {
        let id = BoatId::new("abc-1");
        assert_eq!(format!("{id:?} {id}"), "BoatId(..) abc-1");
    }

    #[test]
    fn an_id_is_no_larger_than_a_string() {
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
