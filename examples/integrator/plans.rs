//! The treatment plans that the integration proposes.

use fullscript::types::{CreateTreatmentPlanRequest, PatientId, TreatmentPlanId};
use fullscript::{Client, Error};

/// Creates a draft that a practitioner completes and activates in Fullscript.
pub(crate) async fn propose(client: &Client, patient: PatientId) -> Result<TreatmentPlanId, Error> {
    let plan = CreateTreatmentPlanRequest::draft([]);
    let call = client
        .create_treatment_plan()
        .patient_id(patient)
        .body(plan);
    Ok(call.await?.into_inner().treatment_plan.id)
}
