//! Shows the values of models in the assertions of tests.

use std::fmt;

use serde::Serialize;

/// Shows values that `Debug` does not show, for the assertions of tests.
///
/// `Debug` of models, events and their parts shows ids and no other values, so that health data
/// reaches no log. `expose` returns a view of any value, or of a list of values, whose `Debug` shows
/// everything as JSON. A failed `assert_eq!` on two views therefore shows the difference:
///
/// ```should_panic
/// use fullscript::testing::Expose;
/// use fullscript::types::TreatmentPlan;
///
/// let plan = TreatmentPlan::new("plan-1").personal_message("Take with a meal.");
/// let expected = TreatmentPlan::new("plan-1").personal_message("Take before a meal.");
/// assert_eq!(plan.expose(), expected.expose());
/// ```
///
/// Keep the output of such tests out of production logs: it contains all values, secrets included.
pub trait Expose: Serialize {
    /// Returns a view whose `Debug` shows all values.
    fn expose(&self) -> Exposed<'_, Self> {
        Exposed(self)
    }
}

impl<T: Serialize + ?Sized> Expose for T {}

/// A view of a value whose `Debug` shows everything; returned by [`Expose::expose`].
pub struct Exposed<'v, T: ?Sized>(&'v T);

impl<T: PartialEq + ?Sized> PartialEq for Exposed<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T: Serialize + ?Sized> fmt::Debug for Exposed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string_pretty(self.0).map_err(|_| fmt::Error)?;
        f.write_str(&json)
    }
}
