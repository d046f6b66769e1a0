//! Reading JSON whose every part may be absent or other than documented.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::types::*;
use crate::value::{Date, Decimal, Timestamp, lenient};

/// What can be made of a part of a payload; `None` if that can't be told.
pub(super) trait View: Sized {
    fn view(value: &Value) -> Option<Self>;
}

/// Reads the first of these keys that says something.
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

/// The words of the REST API, also for those of webhooks.
impl View for LabOrderState {
    fn view(value: &Value) -> Option<Self> {
        Some(match String::view(value)?.as_str() {
            "results_received" => Self::PartialResults,
            "all_results_received" => Self::ResultsReady,
            word => word.into(),
        })
    }
}

/// One that can't be read is left out; what is no list is a list of one.
impl<T: View> View for Vec<T> {
    fn view(value: &Value) -> Option<Self> {
        match value {
            Value::Array(items) => Some(items.iter().filter_map(T::view).collect()),
            one => T::view(one).map(|one| vec![one]),
        }
    }
}

/// Types that decode from every scalar already.
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

/// Declares what of an object is shown: for each field its type, and the names
/// that it may have in JSON.
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
            /// What is absent, null or of a shape that can't be read is `None`;
            /// the JSON of the event has it as it came.
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

            /// Shows which fields are there, not what they hold: it may be
            /// health data.
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
