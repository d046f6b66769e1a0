//! What users do in an embedded page.

use serde_json::{Value, json};

use super::State;
use crate::clock::Clock;
use crate::testing::server::embeddable::{self, BrowserEvent, Page, Session};
use crate::testing::server::script::{FakeRequest, Script};

impl State {
    /// Returns the response to a request of an embedded page, if the path is one of its.
    pub(in crate::testing) fn embeddable(&mut self, request: &FakeRequest) -> Option<Script> {
        let now = self.outside.clock.now();
        let opened = embeddable::answer(request, &mut self.session_grants, now)?;
        Some(match opened {
            Page::Ready(script) => script,
            Page::Session(session) => {
                let event = session
                    .event
                    .map(|event| self.browser_event(event, &session));
                session.page(event)
            }
        })
    }

    /// Returns the event that a user of the embedded page caused, as the page reports it.
    fn browser_event(&mut self, event: BrowserEvent, session: &Session) -> Value {
        let known = session.patient["id"]
            .as_str()
            .and_then(|id| self.patients.get(id));
        let first = self.patients.iter().next();
        let mut patient = known.or(first).cloned().unwrap_or_default();
        let data = match event {
            BrowserEvent::PatientSelected => {
                if let (Some(patient), Some(given)) =
                    (patient.as_object_mut(), session.patient.as_object())
                {
                    patient.extend(given.clone());
                }
                json!({"patient": patient})
            }
            BrowserEvent::TreatmentPlanActivated => {
                let plan = json!({"patient": {"id": patient["id"]}, "state": "active"});
                json!({"treatment_plan": self.add_treatment_plan(&plan)})
            }
        };
        embeddable::camel_case(&json!({
            "id": self.new_id("browser event"),
            "type": event.name(),
            "created_at": self.now(),
            "clinic_id": self.clinic["id"],
            "oauth": {"client_id": "fake-client-id"},
            "data": data,
        }))
    }
}
