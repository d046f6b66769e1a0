//! Creating a treatment plan safely.

use crate::types::{
    CreateTreatmentPlanRequest, NewTreatmentPlanState, RecommendationInput, builder,
};

/// A plan's state is asked for, since one without it is active: the vendor
/// sends it to the patient. These two make the choice readable.
impl CreateTreatmentPlanRequest {
    /// Begins a plan that stays a draft: nothing reaches the patient.
    ///
    /// ```
    /// use fullscript::types::{CreateTreatmentPlanRequest, NewTreatmentPlanState};
    ///
    /// let plan: CreateTreatmentPlanRequest = CreateTreatmentPlanRequest::draft(vec![])
    ///     .personal_message(Some("Take with a meal.".to_string()))
    ///     .try_into()?;
    /// assert_eq!(plan.state, NewTreatmentPlanState::Draft);
    /// # Ok::<_, fullscript::types::error::ConversionError>(())
    /// ```
    #[must_use]
    pub fn draft(recommendations: Vec<RecommendationInput>) -> builder::CreateTreatmentPlanRequest {
        Self::builder()
            .state(NewTreatmentPlanState::Draft)
            .recommendations(recommendations)
    }

    /// Begins a plan that is active at once: **the patient is told of it**.
    #[must_use]
    pub fn active(
        recommendations: Vec<RecommendationInput>,
    ) -> builder::CreateTreatmentPlanRequest {
        Self::builder()
            .state(NewTreatmentPlanState::Active)
            .recommendations(recommendations)
    }
}
