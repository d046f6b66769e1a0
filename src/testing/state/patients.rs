//! Patients, their dependents and their addresses.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::list::page;
use super::records::{change, fill, id_of, wrapped};
use super::{State, blank};
use crate::testing::server::call::{Answer, Call, Refusal};
use crate::testing::server::recorded::example;

impl State {
    pub(super) fn list_patients(&self, call: &Call<'_>) -> Answer {
        let of_type = self.patients_of_type(call.argument("patient_type"));
        page(call, "patients", of_type)
    }

    /// Searches by parts of names and e-mail addresses. Dependents are excluded unless requested.
    pub(super) fn search_patients(&self, call: &Call<'_>) -> Answer {
        let query = call.argument("query").unwrap_or_default().to_lowercase();
        let is_found = |patient: &&Value| {
            let text = ["first_name", "last_name", "email"]
                .map(|field| patient[field].as_str().unwrap_or_default().to_lowercase())
                .join(" ");
            query.split_whitespace().all(|word| text.contains(word))
        };
        let asked = call.argument("patient_type");
        let found = self.patients_of_type(asked).into_iter().filter(is_found);
        let is_dependent = |patient: &&Value| patient["is_dependent"] == true;
        let found = found.filter(|patient| asked.is_some() || !is_dependent(patient));
        page(call, "patients", found.collect())
    }

    pub(super) fn create_patient(&mut self, call: &Call<'_>) -> Answer {
        let body = call.body.unwrap_or(&Value::Null);
        self.check_patient("", body, &["first_name", "last_name", "email"])?;
        let mut patient = self.new_patient();
        change(&mut patient, body);
        patient["total_discount"] = patient["discount"].clone();
        let answer = wrapped("patient", &patient);
        self.patients.insert(patient);
        Ok((201, answer))
    }

    pub(super) fn get_patient(&self, call: &Call<'_>) -> Answer {
        let patient = self.patients.find(call.variable("id"))?;
        Ok((200, wrapped("patient", patient)))
    }

    pub(super) fn update_patient(&mut self, call: &Call<'_>) -> Answer {
        let (id, body) = (call.variable("id"), call.body.unwrap_or(&Value::Null));
        self.patients.find(id)?;
        self.check_patient(id, body, &[])?;
        let patient = self.patients.find_mut(id)?;
        change(patient, body);
        patient["total_discount"] = patient["discount"].clone();
        Ok((200, wrapped("patient", patient)))
    }

    /// The vendor's response is not known; this one lists patients.
    pub(super) fn list_patient_dependents(&self, call: &Call<'_>) -> Answer {
        let guardian = id_of(self.patients.find(call.variable("patient_id"))?);
        let all = self.patients.iter();
        let own = all.filter(|patient| patient["guardian_patient_id"] == guardian);
        page(call, "patients", own.collect())
    }

    pub(super) fn list_patient_addresses(&self, call: &Call<'_>) -> Answer {
        let patient = self.patients.find(call.variable("patient_id"))?;
        let recorded = example("get_patient")["patient"]["id"] == patient["id"];
        let addresses = example(call.operation.id)["addresses"].as_array();
        let addresses = addresses.into_iter().flatten().filter(|_| recorded);
        page(call, "addresses", addresses.collect())
    }

    /// Adds a patient without the app and emits the event.
    pub(in crate::testing) fn add_patient(&mut self, given: &Value) -> Value {
        let patient = fill(self.new_patient(), given);
        self.patients.insert(patient.clone());
        self.emit("patient.created", event_data(&patient));
        patient
    }

    /// Changes a patient without the app and emits the event; `None` if no patient has this id.
    pub(in crate::testing) fn change_patient(&mut self, id: &str, given: &Value) -> Option<Value> {
        let patient = self.patients.find_mut(id).ok()?;
        *patient = fill(patient.take(), given);
        let patient = patient.clone();
        self.emit("patient.updated", event_data(&patient));
        Some(patient)
    }

    pub(in crate::testing) fn patients(&self) -> Vec<Value> {
        self.patients.iter().cloned().collect()
    }

    /// Creates a patient without data.
    pub(super) fn new_patient(&mut self) -> Value {
        json!({
            "id": self.new_id("patient"),
            "first_name": "Example",
            "last_name": "Patient",
            "email": format!("patient.{}@example.com", self.patients.len() + 1),
            "date_of_birth": null,
            "gender": null,
            "discount": 0,
            "total_discount": 0,
            "mobile_number": null,
            "text_message_notification": false,
            "is_dependent": false,
            "guardian_patient_id": null,
            "archived": false,
            "metadata": {"id": null},
        })
    }

    fn patients_of_type(&self, patient_type: Option<&str>) -> Vec<&Value> {
        let all = self.patients.iter();
        match patient_type {
            Some("dependent") => all
                .filter(|patient| patient["is_dependent"] == true)
                .collect(),
            Some("guardian") => {
                let guardians = self.patients.iter();
                let guardians =
                    guardians.filter_map(|patient| patient["guardian_patient_id"].as_str());
                let guardians: HashSet<&str> = guardians.collect();
                all.filter(|patient| guardians.contains(id_of(patient)))
                    .collect()
            }
            _ => all.collect(),
        }
    }

    fn check_patient(&self, id: &str, body: &Value, needed: &[&str]) -> Result<(), Refusal> {
        let mut reasons = blank(body, needed);
        if let Some(email) = body["email"].as_str() {
            if !email.contains('@') {
                reasons.push("Email is invalid".into());
            } else if self.patients.has_another(id, "email", email) {
                reasons.push("Email has already been taken".into());
            }
        }
        Refusal::if_any(&reasons)
    }
}

/// Returns a patient as events show it.
fn event_data(patient: &Value) -> Value {
    let mut shown = patient.clone();
    if let Some(shown) = shown.as_object_mut() {
        for field in [
            "archived",
            "guardian_patient_id",
            "is_dependent",
            "metadata",
        ] {
            shown.remove(field);
        }
    }
    json!({ "patient": shown })
}
