//! Dynamic links, session grants, and the search by the caller's own ids.

use serde_json::{Value, json};

use super::State;
use super::list::page;
use super::records::{Records, change, id_of};
use crate::clock::Clock;
use crate::testing::server::call::{Answer, Call, Refusal};

impl State {
    /// Creates a draft for the patient with the given e-mail address; creates the patient if
    /// needed.
    pub(super) fn create_treatment_plan_link(&mut self, call: &Call<'_>) -> Answer {
        let practitioner = call.field("treatment_plan")["practitioner_id"].as_str();
        let practitioner = practitioner.unwrap_or_default().to_string();
        if self.practitioners.get(&practitioner).is_none() {
            return Err(Refusal::unprocessable(&["Practitioner must exist".into()]));
        }
        let patient = self.patient_of_link(call.field("patient"))?;
        let plan = self.new_plan(&patient, &practitioner);
        let answer = self.link(&plan);
        self.plans.insert(plan);
        Ok((200, answer))
    }

    /// Returns the link of a draft or an active plan.
    pub(super) fn get_treatment_plan_link(&self, call: &Call<'_>) -> Answer {
        let plan = self.plans.find(call.variable("id"))?;
        if plan["state"] == "cancelled" {
            Err(Refusal::not_found())
        } else {
            Ok((200, self.link(plan)))
        }
    }

    pub(super) fn create_session_grant(&mut self, call: &Call<'_>) -> Answer {
        let id = self.new_id("session grant");
        let user = call.field("user_id").as_str().unwrap_or(&call.caller);
        let user_type = call.field("user_type").as_str();
        let is_staff = self.staff.get(user).is_some();
        let user = json!({
            "id": user,
            "type": user_type.unwrap_or(if is_staff { "Staff" } else { "Practitioner" }),
        });
        let now = self.outside.clock.now();
        Ok((200, self.session_grants.create(&id, &user, now)))
    }

    pub(super) fn find_objects_by_metadata(&self, call: &Call<'_>) -> Answer {
        let kinds: [(&str, &Records); 4] = [
            ("patient", &self.patients),
            ("practitioner", &self.practitioners),
            ("staff", &self.staff),
            ("treatment_plan", &self.plans),
        ];
        let mut found = Vec::new();
        for (kind, records) in kinds {
            if call.argument("type").is_some_and(|asked| asked != kind) {
                continue;
            }
            let with_id = records.iter().filter(|record| {
                let id = &record["metadata"]["id"];
                match call.argument("id") {
                    Some(asked) => id == asked,
                    None => id.is_string(),
                }
            });
            found.extend(with_id.map(
                |record| json!({"id": record["metadata"]["id"], "type": kind, "data": record}),
            ));
        }
        page(call, "metadata", found.iter().collect())
    }

    /// Returns the id of the patient that a link is for.
    fn patient_of_link(&mut self, given: &Value) -> Result<String, Refusal> {
        let email = given["email"].as_str();
        let known = self.patients.iter().find(|patient| match email {
            Some(email) => patient["email"] == email,
            // Without details, the patient is chosen later in the vendor's web app.
            None => given.is_null(),
        });
        if let Some(known) = known {
            return Ok(id_of(known).into());
        }
        let reasons = super::blank(given, &["first_name", "last_name", "email"]);
        Refusal::if_any(&reasons)?;
        let mut patient = self.new_patient();
        change(&mut patient, given);
        let id = id_of(&patient).to_string();
        self.patients.insert(patient);
        Ok(id)
    }

    fn link(&self, plan: &Value) -> Value {
        let id = id_of(plan);
        let patient = plan["patient"]["id"].as_str();
        let mut patient = patient.and_then(|id| self.patients.get(id)).cloned();
        if let Some(patient) = patient.as_mut().and_then(Value::as_object_mut) {
            // Links show a number and a string for these fields, and leave out the removed ones.
            for field in ["guardian_patient_id", "is_dependent", "metadata"] {
                patient.remove(field);
            }
            let texts = patient["text_message_notification"] == true;
            patient.insert("text_message_notification".into(), i32::from(texts).into());
            if patient["mobile_number"].is_null() {
                patient.insert("mobile_number".into(), "".into());
            }
        }
        json!({"dynamic_links": {
            "patient": patient,
            "treatment_plan": {
                "id": id,
                "state": plan["state"],
                "available_at": plan["available_at"],
            },
            "redirect_url": format!("https://us-snd.fullscript.io/o/treatment_plans/{id}/edit"),
        }})
    }
}
