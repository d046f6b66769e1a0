//! Treatment plans: creation, activation, cancellation.

use serde_json::{Value, json};

use super::State;
use super::list::page;
use super::records::{change, fill, id_of, in_kind_of, wrapped};
use crate::auth::Scope;
use crate::testing::server::call::{Answer, Call, Refusal};
use crate::testing::server::permission::missing_scope;

/// The reasons why a plan cannot be activated or cancelled.
const NOT_A_DRAFT: &str = "Treatment plan is not a draft";
const NOT_ACTIVE: &str = "Treatment plan is not active";

impl State {
    pub(super) fn list_patient_treatment_plans(&self, call: &Call<'_>) -> Answer {
        let patient = id_of(self.patients.find(call.variable("patient_id"))?);
        let all = self.plans.iter();
        let own = all.filter(|plan| plan["patient"]["id"] == patient && may_read(call, plan));
        page(call, "treatment_plans", own.collect())
    }

    pub(super) fn get_treatment_plan(&self, call: &Call<'_>) -> Answer {
        let plan = self.plans.find(call.variable("id"))?;
        if !may_read(call, plan) {
            return Err(missing_scope([Scope::TREATMENT_PLAN_HISTORY]));
        }
        Ok((200, wrapped("treatment_plan", plan)))
    }

    /// Creates a plan, or returns the one that was created with the same idempotency key.
    ///
    /// The vendor does not document a key that is used with another body; the fake rejects it.
    pub(super) fn create_treatment_plan(&mut self, call: &Call<'_>) -> Answer {
        let Some(key) = call.header("idempotency-key") else {
            return self.create_new_plan(call);
        };
        let key = format!("{} {key}", call.caller);
        let body = json!([call.variable("patient_id"), call.body]);
        match self.created_by_key.get(&key) {
            Some((own, answer)) if *own == body => Ok((201, answer.clone())),
            Some(_) => {
                let message =
                    "Idempotency-Key was already used with another body or patient: use a new key";
                Err(Refusal::unprocessable(&[message.into()]))
            }
            None => {
                let (status, answer) = self.create_new_plan(call)?;
                self.created_by_key.insert(key, (body, answer.clone()));
                Ok((status, answer))
            }
        }
    }

    fn create_new_plan(&mut self, call: &Call<'_>) -> Answer {
        let patient = id_of(self.patients.find(call.variable("patient_id"))?).to_string();
        let given = call.field("practitioner_id").as_str();
        let practitioner = given.unwrap_or(&call.caller).to_string();
        let mut reasons = self.unknown_variants(call.field("recommendations"));
        if self.practitioners.get(&practitioner).is_none() {
            reasons.push("Practitioner must exist: give `practitioner_id`".into());
        }
        Refusal::if_any(&reasons)?;
        let mut plan = self.new_plan(&patient, &practitioner);
        plan["source"] = "api".into();
        self.edit(&mut plan, call);
        // Without a state, or with null, the plan is active.
        if call.field("state") != "draft" {
            self.make_active(&mut plan);
        }
        let answer = wrapped("treatment_plan", &plan);
        self.plans.insert(plan);
        Ok((201, answer))
    }

    pub(super) fn update_treatment_plan(&mut self, call: &Call<'_>) -> Answer {
        let mut plan = self.plans.find(call.variable("id"))?.clone();
        Refusal::if_any(&self.unknown_variants(call.field("recommendations")))?;
        self.edit(&mut plan, call);
        plan["updated_at"] = self.now().into();
        let answer = wrapped("treatment_plan", &plan);
        self.plans.insert(plan);
        Ok((200, answer))
    }

    pub(super) fn activate_treatment_plan(&mut self, call: &Call<'_>) -> Answer {
        let plan = self.activate(call.variable("id"))?;
        Ok((200, wrapped("treatment_plan", &plan)))
    }

    pub(super) fn cancel_treatment_plan(&mut self, call: &Call<'_>) -> Answer {
        let plan = self.cancel(call.variable("id"))?;
        Ok((200, wrapped("treatment_plan", &plan)))
    }

    pub(super) fn create_in_office_checkout(&self, call: &Call<'_>) -> Answer {
        let plan = self.plans.find(call.variable("id"))?;
        if plan["state"] != "active" {
            return Err(Refusal::unprocessable(&[NOT_ACTIVE.into()]));
        }
        let patient = plan["patient"]["id"].as_str().unwrap_or_default();
        let url = format!("https://us-snd.fullscript.io/o/patients/{patient}/checkout");
        Ok((201, json!({"in_office_checkout": {"url": url}})))
    }

    /// Adds a plan of a practitioner without the app. It is active unless a state is given.
    pub(in crate::testing) fn add_treatment_plan(&mut self, given: &Value) -> Value {
        let first = |records: &super::records::Records| {
            records.iter().next().map(id_of).map(str::to_string)
        };
        let patient = first(&self.patients).unwrap_or_default();
        let practitioner = first(&self.practitioners).unwrap_or_default();
        let mut plan = fill(self.new_plan(&patient, &practitioner), given);
        if given["state"].is_null() || plan["state"] == "active" {
            self.make_active(&mut plan);
            self.emit("treatment_plan.created", event_data(&plan));
        }
        self.plans.insert(plan.clone());
        plan
    }

    /// Activates a draft without the app.
    pub(in crate::testing) fn activate_without_app(&mut self, id: &str) -> Option<Value> {
        let plan = self.activate(id).ok()?;
        self.emit("treatment_plan.created", event_data(&plan));
        Some(plan)
    }

    /// Cancels an active plan without the app.
    pub(in crate::testing) fn cancel_without_app(&mut self, id: &str) -> Option<Value> {
        let plan = self.cancel(id).ok()?;
        self.emit("treatment_plan.updated", event_data(&plan));
        Some(plan)
    }

    pub(in crate::testing) fn treatment_plans(&self) -> Vec<Value> {
        self.plans.iter().cloned().collect()
    }

    /// Creates an empty draft, without adding it to the plans.
    pub(super) fn new_plan(&mut self, patient: &str, practitioner: &str) -> Value {
        let now = self.now();
        json!({
            "id": self.new_id("treatment plan"),
            "state": "draft",
            "patient": {"id": patient},
            "practitioner": {"id": practitioner},
            "recommendations": [],
            "lab_recommendations": [],
            "resources": [],
            "personal_message": null,
            "metadata": {"id": null},
            "created_at": now,
            "updated_at": now,
        })
    }

    pub(super) fn make_active(&mut self, plan: &mut Value) {
        let now = self.now();
        *self.issued.entry("invitation").or_default() += 1;
        let number = self.seed.number("invitation", self.issued["invitation"]);
        plan["state"] = "active".into();
        plan["available_at"] = now[..10].into();
        plan["invitation_url"] = format!(
            "https://us-snd.fullscript.io/welcome/examplewellness/{:010}",
            number % 10_000_000_000
        )
        .into();
        plan["updated_at"] = now.into();
    }

    fn activate(&mut self, id: &str) -> Result<Value, Refusal> {
        let mut plan = self.plans.find(id)?.clone();
        if plan["state"] != "draft" {
            return Err(Refusal::unprocessable(&[NOT_A_DRAFT.into()]));
        }
        self.make_active(&mut plan);
        self.plans.insert(plan.clone());
        Ok(plan)
    }

    fn cancel(&mut self, id: &str) -> Result<Value, Refusal> {
        let now = self.now();
        let plan = self.plans.find_mut(id)?;
        if plan["state"] != "active" {
            return Err(Refusal::unprocessable(&[NOT_ACTIVE.into()]));
        }
        plan["state"] = "cancelled".into();
        plan["updated_at"] = now.into();
        Ok(plan.clone())
    }

    /// Sets the fields that the body contains.
    fn edit(&self, plan: &mut Value, call: &Call<'_>) {
        for field in ["personal_message", "metadata"] {
            if !call.field(field).is_null() {
                plan[field] = call.field(field).clone();
            }
        }
        if let Some(given) = call.field("recommendations").as_array() {
            plan["recommendations"] = given.iter().map(recommendation).collect();
        }
        if let Some(ids) = call.field("resource_ids").as_array() {
            let known = ids.iter().filter_map(|id| self.resource(id.as_str()?));
            plan["resources"] = known.cloned().collect();
        }
        if let Some(labs) = call.field("labs").as_array() {
            plan["lab_recommendations"] = labs.iter().map(lab_recommendation).collect();
        }
    }

    /// Returns a resource of any practitioner.
    fn resource(&self, id: &str) -> Option<&Value> {
        self.resources.values().find_map(|own| own.get(id))
    }

    /// Returns the reason to reject recommendations of unknown variants.
    fn unknown_variants(&self, recommendations: &Value) -> Vec<String> {
        let given = recommendations.as_array().into_iter().flatten();
        let given = given.filter_map(|one| one["variant_id"].as_str());
        given
            .filter(|id| self.variant(id).is_none())
            .map(|_| {
                "Recommendations variant must exist: recommend by the id of a product's variant, \
                 not of the product"
                    .to_string()
            })
            .take(1)
            .collect()
    }
}

/// Returns whether the token can read a plan: the patients scope covers only plans created through
/// the API.
fn may_read(call: &Call<'_>, plan: &Value) -> bool {
    plan["source"] == "api" || call.has_scope(Scope::TREATMENT_PLAN_HISTORY)
}

/// Returns a recommendation as responses show it.
fn recommendation(given: &Value) -> Value {
    let mut shown = json!({
        "variant_id": null,
        "units_to_purchase": 1,
        "refill": false,
    });
    change(&mut shown, given);
    if let Some(take_with) = given["take_with"].as_str() {
        shown["take_with"] = take_with.into();
    }
    if let Some(dosage) = given["dosage"].as_object() {
        let mut dosage = dosage.clone();
        // Requests contain a string, responses a list.
        if let Some(time) = dosage.get("time_of_day").and_then(Value::as_str) {
            let times = json!([time]);
            dosage.insert("time_of_day".into(), times);
        }
        shown["dosage"] = dosage.into();
    }
    // Units are integers, also if the request has them as text.
    shown["units_to_purchase"] = in_kind_of(&json!(1), &shown["units_to_purchase"]);
    shown
}

fn lab_recommendation(given: &Value) -> Value {
    json!({
        "id": given["lab_test_id"],
        "name": "Example Lab Test",
        "requires_fasting": false,
        "instructions": "As the laboratory says.",
        "tests": [{"id": given["lab_test_id"], "name": "Example Lab Test"}],
    })
}

/// Returns a plan as events show it, where the active flag is a string.
fn event_data(plan: &Value) -> Value {
    json!({"treatment_plan": {
        "id": plan["id"],
        "active": if plan["state"] == "active" { "true" } else { "false" },
        "available_at": plan["available_at"],
        "patient": plan["patient"],
        "practitioner": plan["practitioner"],
        "recommendations": plan["recommendations"],
        "resources": plan["resources"],
        "lab_recommendations": plan["lab_recommendations"],
    }})
}
