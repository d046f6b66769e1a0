//! Parse errors of value types, and the conversions that return them.

/// Declares the parse error of a type that implements `FromStr`, and its `TryFrom` conversions.
macro_rules! refusal {
    ($(#[$meta:meta])* pub struct $error:ident for $type:ty: $message:literal) => {
        $(#[$meta])*
        ///
        /// The message never quotes the value, which may be health data.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $error;

        impl ::std::fmt::Display for $error {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str($message)
            }
        }

        impl ::std::error::Error for $error {}

        impl TryFrom<&str> for $type {
            type Error = $error;

            fn try_from(text: &str) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl TryFrom<&String> for $type {
            type Error = $error;

            fn try_from(text: &String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl TryFrom<String> for $type {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }
    };
}

pub(crate) use refusal;
