//! Lenient reading of JSON in which every part may be absent or differ from its documentation.

use std::fmt::{Arguments, Debug, Write as _};

use serde::Deserialize;

use crate::types::*;
use crate::value::json::{Content, Node, Parsed};
use crate::value::{Date, Decimal, DecodeIssue, DecodeIssueKind, Hidden, Timestamp, lenient};

/// A type that can be read from a part of a payload; `None` if it cannot.
pub(crate) trait View: Sized {
    /// What the value must be, in the words of [`DecodeIssueKind`].
    const EXPECTED: &'static str = "text";

    fn view(value: &Node<'_>, trail: &mut Trail) -> Option<Self>;

    /// Returns what `Debug` shows of the value; by default nothing, because it may be health data.
    fn shown(&self) -> &dyn Debug {
        &Hidden
    }
}

/// The path of the value that is being read, and the issues that were found.
#[derive(Default)]
pub(crate) struct Trail {
    path: String,
    pub(crate) issues: Vec<DecodeIssue>,
}

impl Trail {
    /// Makes the paths of the issues so far relative to the value under this name.
    pub(super) fn enter(&mut self, name: &str) {
        for issue in &mut self.issues {
            let inner = issue.path.strip_prefix(name);
            if let Some(inner) = inner.and_then(|path| path.strip_prefix('.')) {
                issue.path = inner.into();
            }
        }
    }

    /// Reads below a step of the path.
    pub(crate) fn below<R>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> R) -> R {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.step(format_args!("{dot}{name}"), read)
    }

    fn step<R>(&mut self, step: Arguments<'_>, read: impl FnOnce(&mut Self) -> R) -> R {
        let length = self.path.len();
        // Writing to a String does not fail.
        let _written = self.path.write_fmt(step);
        let value = read(self);
        self.path.truncate(length);
        value
    }

    pub(super) fn report(&mut self, kind: DecodeIssueKind) {
        let path = self.path.clone();
        self.issues.push(DecodeIssue { path, kind });
    }

    /// Reports the flaws of a text that is the value at this path.
    pub(crate) fn report_flaws(&mut self, parsed: &Parsed<'_>) {
        for (path, flaw) in &parsed.flaws {
            let path = parsed.root.path_text(path, is_field);
            let kind = DecodeIssueKind::from(*flaw);
            match path.strip_prefix('[') {
                Some(_) => self.step(format_args!("{path}"), |trail| trail.report(kind)),
                None => self.below(&path, |trail| trail.report(kind)),
            }
        }
    }

    /// Returns an object, also if it is the only element of a list, and reports any other value.
    pub(super) fn object<'n>(&mut self, value: &'n Node<'n>) -> Option<&'n Node<'n>> {
        const EXPECTED: &str = "an object";
        let is_object = |node: &&Node<'_>| matches!(node.content, Content::Object(_));
        if let Some(object) = Some(value).filter(is_object) {
            return Some(object);
        }
        let found = value.kind();
        let inner = value.only_element().filter(is_object);
        self.report(match inner {
            Some(_) => DecodeIssueKind::Converted {
                expected: EXPECTED,
                found,
            },
            None => DecodeIssueKind::Unexpected {
                expected: EXPECTED,
                found,
            },
        });
        inner
    }

    /// Reads a value, also if it is the only element of a list, and reports it if it is not
    /// readable.
    fn read<T: View>(&mut self, value: &Node<'_>) -> Option<T> {
        if let Some(read) = T::view(value, self) {
            return Some(read);
        }
        let (expected, found) = (T::EXPECTED, value.kind());
        let inner = value.only_element().and_then(|inner| T::view(inner, self));
        self.report(match inner {
            Some(_) => DecodeIssueKind::Converted { expected, found },
            None => DecodeIssueKind::Unexpected { expected, found },
        });
        inner
    }
}

/// Reads the first of these keys that has a readable value.
pub(crate) fn field<T: View>(object: &Node<'_>, keys: &[&str], trail: &mut Trail) -> Option<T> {
    keys.iter().find_map(|key| {
        let value = object.field(key)?;
        let is_null = matches!(value.content, Content::Null);
        (!is_null).then(|| trail.below(key, |trail| trail.read(value)))?
    })
}

impl View for String {
    fn view(value: &Node<'_>, _: &mut Trail) -> Option<Self> {
        lenient::text(value).ok().flatten()
    }
}

impl View for i64 {
    const EXPECTED: &'static str = "an integer";

    fn view(value: &Node<'_>, _: &mut Trail) -> Option<Self> {
        lenient::integer(value).ok().flatten()
    }
}

impl View for bool {
    const EXPECTED: &'static str = "a boolean";

    fn view(value: &Node<'_>, _: &mut Trail) -> Option<Self> {
        lenient::boolean(value).ok().flatten()
    }
}

/// Maps the names of webhooks to those of the REST API.
impl View for LabOrderState {
    fn view(value: &Node<'_>, trail: &mut Trail) -> Option<Self> {
        Some(match String::view(value, trail)?.as_str() {
            "results_received" => Self::PartialResults,
            "all_results_received" => Self::ResultsReady,
            word => word.into(),
        })
    }
}

/// Unreadable items are left out, and a value that is not an array is read as a list of one.
impl<T: View> View for Vec<T> {
    const EXPECTED: &'static str = "a list";

    fn view(value: &Node<'_>, trail: &mut Trail) -> Option<Self> {
        let converted = DecodeIssueKind::Converted {
            expected: Self::EXPECTED,
            found: value.kind(),
        };
        let elements: Vec<&Node<'_>> = match &value.content {
            Content::List(list) => list.elements.iter().collect(),
            Content::Object(fields) if value.has_indexes_as_keys() => {
                trail.report(converted);
                fields.iter().map(|(_, element)| element).collect()
            }
            _ => {
                let one = trail.step(format_args!("[0]"), |trail| T::view(value, trail))?;
                trail.report(converted);
                return Some(vec![one]);
            }
        };
        let present = elements.into_iter().enumerate();
        let present = present.filter(|(_, element)| element.is_present());
        let read = present.filter_map(|(index, element)| {
            trail.step(format_args!("[{index}]"), |trail| trail.read(element))
        });
        Some(read.collect())
    }
}

/// Implements `View` for types that decode from any scalar, and that `Debug` shows or hides.
macro_rules! scalars {
    ($debug:ident: $($name:ident),+ $(,)?) => {
        $(impl View for $name {
            fn view(value: &Node<'_>, _: &mut Trail) -> Option<Self> {
                Self::deserialize(value).ok()
            }

            fn shown(&self) -> &dyn Debug {
                scalars!(@$debug self)
            }
        })+
    };
    (@shown $value:ident) => { $value };
    (@hidden $value:ident) => { &Hidden };
}

scalars! {
    shown: BrandId, ClinicId, EventId, IntegrationId, LabOrderId, LabTestId, OrderId, PatientId,
    PractitionerId, ProductId, ResourceId, TreatmentPlanId, VariantId,
}

scalars! {
    hidden: Date, Decimal, DosageFormat, DosageFrequency, EventType, Gender, LineItemType,
    ProductStatus, ResourceCategory, ResourceType, Timestamp, TreatmentPlanState,
    VariantAvailability, VariantStatus,
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
                pub(super) fn read(
                    object: &$crate::value::json::Node<'_>,
                    trail: &mut $crate::webhook::view::Trail,
                ) -> Self {
                    Self {
                        $($field: $crate::webhook::view::field(
                            object,
                            &[$first $(, $other)*],
                            trail,
                        ),)+
                    }
                }
            }

            impl $crate::webhook::view::View for $name {
                const EXPECTED: &'static str = "an object";

                fn view(
                    value: &$crate::value::json::Node<'_>,
                    trail: &mut $crate::webhook::view::Trail,
                ) -> Option<Self> {
                    let is_object =
                        matches!(value.content, $crate::value::json::Content::Object(_));
                    is_object.then(|| Self::read(value, trail))
                }
            }

            /// Shows ids, and which other fields are set, but not their values, which may be health
            /// data.
            impl ::std::fmt::Debug for $name {
                fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                    let mut shown = f.debug_struct(stringify!($name));
                    $(if let Some(value) = &self.$field {
                        let value = $crate::webhook::view::View::shown(value);
                        shown.field(stringify!($field), value);
                    })+
                    shown.finish_non_exhaustive()
                }
            }
        )+
    };
}

pub(super) use view;
