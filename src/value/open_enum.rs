//! Open enums: enums that keep values added to the API after this crate was released.

/// Declares an enum of known values that also keeps any other value.
macro_rules! open_enum {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $text:literal),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        $vis enum $name {
            $(
                #[doc = concat!("The value `", $text, "`.")]
                #[doc = ""]
                $(#[$variant_meta])*
                $variant,
            )+
            /// A value that this version of the crate does not know, kept as it was received.
            ///
            /// Create values with `From`, which converts a known text to its variant.
            Unknown(String),
        }

        impl $name {
            /// The texts of all known values.
            $vis const ALL: &'static [&'static str] = &[$($text),+];

            /// Returns the text of the value as the API writes it.
            #[must_use]
            $vis fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Unknown(text) => text,
                }
            }

            /// Returns whether this version of the crate knows the value.
            #[must_use]
            $vis fn is_known(&self) -> bool {
                !matches!(self, Self::Unknown(_))
            }

            fn known(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::known(text).unwrap_or_else(|| Self::Unknown(text.to_owned()))
            }
        }

        impl From<&String> for $name {
            fn from(text: &String) -> Self {
                Self::from(text.as_str())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::known(&text).unwrap_or(Self::Unknown(text))
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = ::std::convert::Infallible;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Ok(Self::from(text))
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::value::scalar::read(deserializer)
            }
        }

        impl $crate::value::scalar::FromScalar for $name {
            const EXPECTED: &'static str = "text";

            fn from_text(text: &str) -> Option<Self> {
                Some(Self::from(text))
            }

            fn from_owned_text(text: String) -> Option<Self> {
                Some(Self::from(text))
            }

            fn from_number(text: &str) -> Option<Self> {
                Some(Self::from(text))
            }

            fn from_boolean(value: bool) -> Option<Self> {
                Some(Self::from(if value { "true" } else { "false" }))
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
                    "description": format!("Known values: {}. Other values are possible.", Self::ALL.join(", ")),
                    "examples": Self::ALL,
                })
            }
        }
    };
}

pub(crate) use open_enum;

#[cfg(test)]
mod tests {
    open_enum! {
        /// The state of a shop's door.
        enum Door {
            Open = "open",
            /// Nobody is in.
            HalfClosed = "half-closed",
        }
    }

    fn from_json(json: &str) -> Door {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn known_values_have_their_variant() {
        assert_eq!(Door::from("open"), Door::Open);
        assert_eq!(Door::from("half-closed".to_owned()), Door::HalfClosed);
        assert_eq!("open".parse(), Ok(Door::Open));
        assert_eq!(from_json(r#""half-closed""#), Door::HalfClosed);
        assert_eq!(
            serde_json::to_string(&Door::HalfClosed).unwrap(),
            r#""half-closed""#
        );
        assert_eq!(Door::ALL, ["open", "half-closed"]);
        assert!(Door::Open.is_known());
    }

    #[test]
    fn an_unknown_value_is_kept() {
        let door = from_json(r#""ajar""#);
        assert_eq!(door, Door::Unknown("ajar".to_owned()));
        assert_eq!((door.as_str(), door.to_string().as_str()), ("ajar", "ajar"));
        assert_eq!(serde_json::to_string(&door).unwrap(), r#""ajar""#);
        assert!(!door.is_known());
        assert_eq!(from_json(r#""Open""#).as_str(), "Open");
    }

    #[test]
    fn a_number_or_boolean_is_kept_as_text() {
        for (json, text) in [("7", "7"), ("1.5", "1.5"), ("true", "true"), (r#""""#, "")] {
            assert_eq!(from_json(json), Door::from(text));
        }
        assert!(serde_json::from_str::<Door>("[]").is_err());
    }

    #[test]
    fn builders_convert_text_without_failing() {
        fn build<T: TryInto<Door, Error: std::fmt::Display>>(value: T) -> Door {
            value.try_into().unwrap_or_else(|e| panic!("{e}"))
        }
        assert_eq!(build("open"), build("open".to_owned()));
        let text = String::from("open");
        assert_eq!(build::<&String>(&text), build(Door::Open));
    }

    #[cfg(feature = "schemars")]
    #[test]
    fn the_schema_leaves_room_for_unknown_values() {
        let schema = schemars::schema_for!(Door).to_value();
        assert_eq!(schema["title"], "Door");
        assert_eq!(schema["type"], "string");
        assert_eq!(
            schema["examples"],
            serde_json::json!(["open", "half-closed"])
        );
        assert_eq!(schema.get("enum"), None);
    }
}
