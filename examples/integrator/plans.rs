//! Plans that the integration proposes.

use fullscript::types::{CreateTreatmentPlanRequest, PatientId, TreatmentPlanId};
use fullscript::{Client, Error};

/// Makes a plan that a practitioner completes and activates in Fullscript.
pub(crate) async fn propose(client: &Client, patient: PatientId) -> Result<TreatmentPlanId, Error> {
    let plan = CreateTreatmentPlanRequest::draft(vec![]);
    let call = client
        .create_treatment_plan()
        .patient_id(patient)
        .body(plan);
    Ok(call.send().await?.into_inner().treatment_plan.id)
}
