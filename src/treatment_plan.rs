//! Constructors of treatment plans with an explicit state.

use crate::types::{CreateTreatmentPlanRequest, NewTreatmentPlanState, RecommendationInput};

/// Fullscript activates a plan that is created without a state and notifies the patient, so the
/// state is a required argument. These two constructors make the choice explicit.
impl CreateTreatmentPlanRequest {
    /// Creates a plan as a draft; the patient is not notified.
    ///
    /// ```
    /// use fullscript::types::{CreateTreatmentPlanRequest, NewTreatmentPlanState};
    /// use fullscript::types::RecommendationInput;
    ///
    /// let twice_a_day = RecommendationInput::new("variant-id", 2).take_with("a meal");
    /// let plan = CreateTreatmentPlanRequest::draft([twice_a_day])
    ///     .personal_message("See you in four weeks.");
    /// assert_eq!(plan.state, NewTreatmentPlanState::Draft);
    /// ```
    #[must_use]
    pub fn draft(recommendations: impl IntoIterator<Item = RecommendationInput>) -> Self {
        Self::new(recommendations, NewTreatmentPlanState::Draft)
    }

    /// Creates a plan that is active immediately: **the patient is notified**.
    #[must_use]
    pub fn active(recommendations: impl IntoIterator<Item = RecommendationInput>) -> Self {
        Self::new(recommendations, NewTreatmentPlanState::Active)
    }
}
