//! The same with a bug each, which the tests have to find.

use std::time::SystemTime;

use fullscript::types::{CreateTreatmentPlanRequest, PatientId, TreatmentPlanId};
use fullscript::webhook::{Claim, EventKey, EventLog, EventLogFuture, Grant, MemoryEventLog};
use fullscript::{Client, Error};

/// Takes the first page for all.
pub(crate) async fn addresses(client: &Client) -> Result<Vec<String>, Error> {
    let page = client.list_patients().page_size(100).send().await?;
    let patients = page.into_inner().patients.into_iter();
    Ok(patients.filter_map(|patient| patient.email).collect())
}

/// Sends the plan to the patient before anybody has looked at it.
pub(crate) async fn propose(client: &Client, patient: PatientId) -> Result<TreatmentPlanId, Error> {
    let plan = CreateTreatmentPlanRequest::active(vec![]);
    let call = client
        .create_treatment_plan()
        .patient_id(patient)
        .body(plan);
    Ok(call.send().await?.into_inner().treatment_plan.id)
}

/// Remembers events for the length of one request.
pub(crate) struct Forgetful;

impl EventLog for Forgetful {
    fn is_processed<'a>(&'a self, _: &'a EventKey) -> EventLogFuture<'a, bool> {
        Box::pin(async { Ok(false) })
    }

    fn claim<'a>(
        &'a self,
        key: &'a EventKey,
        now: SystemTime,
        deadline: SystemTime,
    ) -> EventLogFuture<'a, Claim> {
        Box::pin(async move { MemoryEventLog::new().claim(key, now, deadline).await })
    }

    fn acknowledge<'a>(&'a self, _: &'a Grant, _: SystemTime) -> EventLogFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn release<'a>(&'a self, _: &'a Grant) -> EventLogFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}
