//! The shape of a response in the document: its fields, and the values of its enums.

/// The shape of a JSON value.
pub(crate) enum Shape {
    /// A value that can have any form.
    Any,
    /// A text of an open enum, with the known values.
    Texts(&'static [&'static str]),
    List(&'static Shape),
    /// An object with these fields, sorted by name.
    Object(&'static [(&'static str, &'static Shape)]),
}
