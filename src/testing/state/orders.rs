//! Supplement orders and lab orders.

use serde_json::{Value, json};

use super::State;
use super::list::{is_on_days, page};
use super::records::{fill, id_of, wrapped};
use crate::testing::files::PDF;
use crate::testing::server::call::{Answer, Call};
use crate::testing::server::recorded::example;

/// The states of a lab order with results (source: the vendor's guide to labs).
const WITH_RESULTS: [&str; 5] = [
    "partial_results",
    "results_ready",
    "results_amended",
    "interpretation_ready",
    "interpretation_shared",
];

impl State {
    pub(super) fn list_orders(&self, call: &Call<'_>) -> Answer {
        let is = |field: &Value, name: &str| call.argument(name).is_none_or(|asked| field == asked);
        let mut listed = Vec::new();
        for order in self.orders.iter() {
            let plans = order["treatment_plan_ids"].as_array();
            let of_plan = |id: &str| plans.is_some_and(|plans| plans.iter().any(|own| own == id));
            let has_labs = || {
                let lines = order["line_items"].as_array().into_iter().flatten();
                lines.into_iter().any(|line| line["type"] == "labs")
            };
            let is_wanted = is(&order["patient_id"], "patient_id")
                && is(&order["order_number"], "order_number")
                && call.argument("treatment_plan_id").is_none_or(of_plan)
                && (call.argument("type") != Some("labs") || has_labs());
            if is_wanted && is_on_days(call, "completed_at", &order["completed_at"])? {
                listed.push(order);
            }
        }
        page(call, "orders", listed)
    }

    pub(super) fn list_patient_orders(&self, call: &Call<'_>) -> Answer {
        let patient = id_of(self.patients.find(call.variable("patient_id"))?);
        let all = self.orders.iter();
        let own = all.filter(|order| order["patient_id"] == patient);
        page(call, "orders", own.collect())
    }

    pub(super) fn get_order(&self, call: &Call<'_>) -> Answer {
        let order = self.orders.find(call.variable("id"))?;
        Ok((200, wrapped("order", order)))
    }

    pub(super) fn list_lab_orders(&self, call: &Call<'_>) -> Answer {
        let patient = call.argument("patient_id");
        let all = self.lab_orders.iter();
        let own = all.filter(|order| patient.is_none_or(|id| order["patient_id"] == id));
        page(call, "orders", own.collect())
    }

    pub(super) fn get_lab_order(&self, call: &Call<'_>) -> Answer {
        let order = self.lab_orders.find(call.variable("id"))?;
        Ok((200, wrapped("order", order)))
    }

    /// Adds an order of a patient and emits the event. By default it contains the recommendations
    /// of its first plan.
    pub(in crate::testing) fn add_order(&mut self, given: &Value) -> Value {
        let order = fill(self.new_order(given), given);
        self.orders.insert(order.clone());
        let plan = self.plan_of(&order);
        let practitioners = plan.map(|plan| json!([plan["practitioner"]["id"]]));
        let event_data = json!({
            "id": order["id"],
            "order_number": order["order_number"],
            "completed_at": order["completed_at"],
            "treatment_plan_ids": order["treatment_plan_ids"],
            "patient_id": order["patient_id"],
            "practitioner_ids": practitioners.unwrap_or_else(|| json!([])),
            "line_items": order["line_items"],
        });
        self.emit("order.placed", event_data);
        order
    }

    /// Adds or changes a lab order. Only states with results emit an event.
    pub(in crate::testing) fn add_lab_order(&mut self, given: &Value) -> Value {
        let id = self.new_id("lab order");
        let recorded = example("get_lab_order")["order"].clone();
        let old = given["id"].as_str().and_then(|id| self.lab_orders.get(id));
        let new = json!({
            "id": id,
            "patient_id": recorded["patient_id"],
            "treatment_plan_id": recorded["treatment_plan_id"],
            "state": "purchased",
            "tests": recorded["tests"],
            "results": [],
        });
        let mut order = fill(old.cloned().unwrap_or(new), given);
        let state = order["state"].as_str().unwrap_or_default();
        let has_results = WITH_RESULTS.contains(&state);
        if has_results && order["results"] == json!([]) && given["results"].is_null() {
            let id = self.new_id("lab result");
            order["results"] = json!([{"id": id, "name": "Example Lab Result"}]);
        }
        self.add_result_files(&mut order);
        self.lab_orders.insert(order.clone());
        let status = match order["state"].as_str() {
            Some("partial_results") => "results_received",
            Some("results_ready") => "all_results_received",
            Some("results_amended") => "results_amended",
            _ => return order,
        };
        let patient = order["patient_id"].as_str();
        let patient = patient.and_then(|id| self.patients.get(id));
        let patient = patient.unwrap_or(&Value::Null);
        let practitioner =
            self.plan_of(&json!({"treatment_plan_ids": [order["treatment_plan_id"]]}));
        let event_data = json!({"lab_order": {
            "id": order["id"],
            "practitioner_id": practitioner.map_or(&Value::Null, |plan| &plan["practitioner"]["id"]),
            "patient_id": order["patient_id"],
            "first_name": patient["first_name"],
            "last_name": patient["last_name"],
            "email": patient["email"],
            "status": status,
        }});
        self.emit("lab_order.updated", event_data);
        order
    }

    /// Adds a PDF for each result without an address.
    pub(super) fn add_result_files(&self, order: &mut Value) {
        for result in order["results"].as_array_mut().into_iter().flatten() {
            if result.is_object() && result["pdf_url"].is_null() {
                let path = format!("/files/lab-results/{}.pdf", id_of(result));
                result["pdf_url"] = self.outside.files.add(&path, PDF).into();
            }
        }
    }

    pub(in crate::testing) fn orders(&self) -> Vec<Value> {
        self.orders.iter().cloned().collect()
    }

    pub(super) fn new_order(&mut self, given: &Value) -> Value {
        let plan = self.plan_of(given).cloned().unwrap_or_default();
        let recommended = plan["recommendations"].as_array().into_iter().flatten();
        let recommended = recommended.map(|one| {
            json!({
                "variant_id": one["variant_id"],
                "quantity": one["units_to_purchase"],
                "type": "supplement",
            })
        });
        let lines = match given["line_items"].as_array() {
            Some(given) => given.clone(),
            None => recommended.collect(),
        };
        let total = self.price_of(&lines);
        let variants: Vec<&Value> = lines.iter().map(|line| &line["variant_id"]).collect();
        let patient = match &plan["patient"]["id"] {
            Value::Null => self
                .patients
                .iter()
                .next()
                .map_or(Value::Null, |one| one["id"].clone()),
            id => id.clone(),
        };
        let variants = json!(variants);
        json!({
            "id": self.new_id("order"),
            "order_number": format!("R{:09}", self.orders.len()),
            "completed_at": self.now().replace('Z', "+00:00"),
            "patient_id": patient,
            "treatment_plan_ids": [],
            "variant_ids": variants,
            "line_items": lines,
            "item_total": total,
            "msrp_total": total,
            "payment_total": total,
        })
    }

    /// Returns the first treatment plan of an order.
    fn plan_of(&self, order: &Value) -> Option<&Value> {
        let id = order["treatment_plan_ids"][0].as_str()?;
        self.plans.get(id)
    }

    /// Returns the price of all lines as decimal text.
    fn price_of(&self, lines: &[Value]) -> String {
        let cents = |line: &Value| -> Option<i64> {
            let variant = self.variant(line["variant_id"].as_str()?)?;
            let price = variant["msrp"]
                .as_str()?
                .replace('.', "")
                .parse::<i64>()
                .ok()?;
            Some(price * line["quantity"].as_i64().unwrap_or(1))
        };
        let cents: i64 = lines.iter().filter_map(cents).sum();
        format!("{}.{:02}", cents / 100, cents % 100)
    }
}
