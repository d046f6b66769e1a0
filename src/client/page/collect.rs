//! The error of collecting a list, with the records received before it.

use std::fmt;
use std::ops::Deref;

use crate::error::Error;

/// The error of [`Items::collect_all`](super::Items::collect_all), with the records that were
/// received before it.
///
/// It dereferences to the [`Error`], and `?` converts it to one. [`Error::page`] is the page to
/// resume from: the records are those of all pages before it. Only after a record that cannot be
/// read ([`Error::is_record_unreadable`]) are there records of that page, too, and the stream
/// continues. `Display` and `Debug` show the error
/// and the number of records, and no record.
///
/// ```no_run
/// # async fn example(client: fullscript::Client) -> Result<(), fullscript::Error> {
/// let patients = match client.list_patients().items().collect_all().await {
///     Ok(patients) => patients,
///     Err(error) => {
///         let Some(page) = error.page().filter(|_| error.is_transient()) else {
///             return Err(error.into());
///         };
///         let mut patients = error.into_records();
///         let rest = client.list_patients().page_number(page).items();
///         patients.extend({ rest }.collect_all().await?);
///         patients
///     }
/// };
/// # Ok(())
/// # }
/// ```
pub struct CollectError<T> {
    records: Vec<T>,
    error: Error,
}

impl<T> CollectError<T> {
    pub(super) fn new(records: Vec<T>, error: Error) -> Self {
        Self { records, error }
    }

    /// Returns the records that were received before the error.
    #[must_use]
    pub fn records(&self) -> &[T] {
        &self.records
    }

    /// Consumes the error and returns the records that were received before it.
    #[must_use]
    pub fn into_records(self) -> Vec<T> {
        self.records
    }

    /// Consumes the error and returns the records and the [`Error`].
    #[must_use]
    pub fn into_parts(self) -> (Vec<T>, Error) {
        (self.records, self.error)
    }
}

impl<T> Deref for CollectError<T> {
    type Target = Error;

    fn deref(&self) -> &Error {
        &self.error
    }
}

impl<T> From<CollectError<T>> for Error {
    fn from(error: CollectError<T>) -> Self {
        error.error
    }
}

impl<T> fmt::Display for CollectError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let received = self.records.len();
        write!(f, "{}; records received before: {received}", self.error)
    }
}

impl<T> fmt::Debug for CollectError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectError")
            .field("error", &self.error)
            .field("records", &self.records.len())
            .finish()
    }
}

impl<T> std::error::Error for CollectError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}
