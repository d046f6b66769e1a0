//! Optional text as plain text.

/// Conversion of optional fields to text, for output.
///
/// Nearly every field of a response is optional, because Fullscript does not document which fields
/// are always present. Where an absent value and an empty one look the same, such as in a table, a
/// CSV file or a template, `or_empty` reads both in one step. It works for text, ids, dates,
/// decimals and open enums.
///
/// ```
/// use fullscript::types::Patient;
/// use fullscript::value::OrEmpty;
///
/// fn row(patient: &Patient) -> [&str; 5] {
///     [
///         patient.id.as_str(),
///         patient.first_name.or_empty(),
///         patient.last_name.or_empty(),
///         patient.date_of_birth.or_empty(),
///         patient.gender.or_empty(),
///     ]
/// }
///
/// let patient = Patient::new("p-1").first_name("Ana").gender("female");
/// assert_eq!(row(&patient), ["p-1", "Ana", "", "", "female"]);
/// ```
pub trait OrEmpty {
    /// Returns the text of the value, or an empty string for a missing value.
    fn or_empty(&self) -> &str;
}

impl<T: AsRef<str>> OrEmpty for Option<T> {
    fn or_empty(&self) -> &str {
        self.as_ref().map_or("", AsRef::as_ref)
    }
}
