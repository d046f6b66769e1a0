//! Lenient reading of JSON in which every part may be absent or differ from its documentation.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::types::*;
use crate::value::{Date, Decimal, Timestamp, lenient};

/// A type that can be read from a part of a payload; `None` if it cannot.
pub(super) trait View: Sized {
    fn view(value: &Value) -> Option<Self>;
}

/// Reads the first of these keys that has a readable value.
pub(super) fn field<T: View>(object: &Map<String, Value>, keys: &[&str]) -> Option<T> {
    keys.iter().find_map(|key| T::view(object.get(*key)?))
}

impl View for String {
    fn view(value: &Value) -> Option<Self> {
        lenient::text(value).ok().flatten()
    }
}

impl View for i64 {
    fn view(value: &Value) -> Option<Self> {
        lenient::integer(value).ok().flatten()
    }
}

impl View for bool {
    fn view(value: &Value) -> Option<Self> {
        lenient::boolean(value).ok().flatten()
    }
}

/// Maps the names of webhooks to those of the REST API.
impl View for LabOrderState {
    fn view(value: &Value) -> Option<Self> {
        Some(match String::view(value)?.as_str() {
            "results_received" => Self::PartialResults,
            "all_results_received" => Self::ResultsReady,
            word => word.into(),
        })
    }
}

/// Unreadable items are left out, and a value that is not an array is read as a list of one.
impl<T: View> View for Vec<T> {
    fn view(value: &Value) -> Option<Self> {
        match value {
            Value::Array(items) => Some(items.iter().filter_map(T::view).collect()),
            one => T::view(one).map(|one| vec![one]),
        }
    }
}

/// Implements `View` for types that decode from any scalar.
macro_rules! scalars {
    ($($name:ident),+ $(,)?) => {
        $(impl View for $name {
            fn view(value: &Value) -> Option<Self> {
                Self::deserialize(value).ok()
            }
        })+
    };
}

scalars! {
    BrandId, ClinicId, Date, Decimal, DosageFormat, DosageFrequency, EventId, EventType, Gender,
    IntegrationId, LabOrderId, LabTestId, LineItemType, OrderId, PatientId, PractitionerId,
    ProductId, ProductStatus, ResourceCategory, ResourceId, ResourceType, Timestamp,
    TreatmentPlanId, TreatmentPlanState, VariantId, VariantStatus,
}

/// Declares a typed view of an object: for each field its type and the JSON keys it may have.
macro_rules! view {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* $field:ident: $type:ty = $first:literal $(| $other:literal)*,)+
        }
    )+) => {
        $(
            $(#[$meta])*
            ///
            /// Fields that are absent, null or unreadable are `None`; the event's JSON contains
            /// them as they were received.
            #[derive(Clone, Default, PartialEq)]
            #[non_exhaustive]
            pub struct $name {
                $($(#[$field_meta])* pub $field: Option<$type>,)+
            }

            impl $name {
                pub(super) fn read(object: &::serde_json::Map<String, ::serde_json::Value>) -> Self {
                    Self {
                        $($field: $crate::webhook::view::field(object, &[$first $(, $other)*]),)+
                    }
                }
            }

            impl $crate::webhook::view::View for $name {
                fn view(value: &::serde_json::Value) -> Option<Self> {
                    value.as_object().map(Self::read)
                }
            }

            /// Shows which fields are set but not their values, which may be health data.
            impl ::std::fmt::Debug for $name {
                fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                    let mut shown = f.debug_struct(stringify!($name));
                    $(if self.$field.is_some() {
                        shown.field(stringify!($field), &$crate::value::Hidden);
                    })+
                    shown.finish_non_exhaustive()
                }
            }
        )+
    };
}

pub(super) use view;
