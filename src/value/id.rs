//! Id types, one for each kind of object, so that ids cannot be confused.

/// Declares the id type of one kind of object.
macro_rules! id_type {
    ($(#[$meta:meta])* $vis:vis struct $name:ident; $kind:literal) => {
        $(#[$meta])*
        ///
        /// `Debug` shows the id only if it looks opaque, like those of the server; `Display` always
        /// shows it. An id from the server is kept unchanged, even if it is empty or a number.
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
                let id = self.as_str();
                let id = if $crate::value::id::is_opaque(id) { id } else { ".." };
                write!(f, concat!(stringify!($name), "({})"), id)
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

/// The largest length of an id that is shown. The server's ids have 36 characters.
const MAX_SHOWN: usize = 64;

/// The largest length of a number that is shown. Longer ones may be dates, telephone numbers or
/// social security numbers.
const MAX_DIGITS: usize = 7;

/// Returns whether a text looks like an id that a server has made up, and not like data of a person,
/// which an application may have passed as an id: a name, an e-mail address, a date.
pub(crate) fn is_opaque(id: &str) -> bool {
    let digits = id.bytes().filter(u8::is_ascii_digit).count();
    let letters = id.bytes().filter(u8::is_ascii_alphabetic).count();
    let marks = id.bytes().filter(|byte| b"-_".contains(byte)).count();
    let is_number = digits == id.len() && digits <= MAX_DIGITS;
    let is_mixed = letters > 0 && letters + digits + marks == id.len();
    digits > 0 && id.len() <= MAX_SHOWN && (is_number || is_mixed)
}

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
    fn debug_shows_ids_that_look_opaque() {
        for id in [
            "abc-1",
            "0c7d1a52-6f0e-4c1b-9a51-5f0a3c2b1d01",
            "VHJlYXRtZW50UGxhbi0x",
            "1234567",
        ] {
            let id = BoatId::new(id);
            assert_eq!(format!("{id:?}"), format!("BoatId({id})"));
        }
        for id in [
            "",
            "ana",
            "Ana Lee 7",
            "ana1@example.com",
            "1970-01-01",
            "19700101",
            "+12025550101",
            "078-05-1120",
            "a/1",
            "a1\n",
            "é1",
            &"a1".repeat(33),
        ] {
            let id = BoatId::new(id);
            assert_eq!(format!("{id:?}"), "BoatId(..)", "{id}");
        }
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
