//! The same functions with one bug each, which the tests must find.

use std::time::SystemTime;

use fullscript::types::{CreateTreatmentPlanRequest, PatientId, TreatmentPlanId};
use fullscript::webhook::{Claim, EventKey, EventLog, EventLogFuture, Grant, MemoryEventLog};
use fullscript::{Client, Error};

/// Bug: reads only the first page.
pub(crate) async fn addresses(client: &Client) -> Result<Vec<String>, Error> {
    let page = client.list_patients().page_size(100).await?;
    let patients = page.into_inner().patients.into_iter();
    Ok(patients.filter_map(|patient| patient.email).collect())
}

/// Bug: activates the plan, so that the patient is notified before the practitioner reviews it.
pub(crate) async fn propose(client: &Client, patient: PatientId) -> Result<TreatmentPlanId, Error> {
    let plan = CreateTreatmentPlanRequest::active([]);
    let call = client
        .create_treatment_plan()
        .patient_id(patient)
        .body(plan);
    Ok(call.await?.into_inner().treatment_plan.id)
}

/// Bug: remembers an event only while one delivery is processed.
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
