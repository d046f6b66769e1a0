//! Masking of patient fields.

use std::collections::BTreeSet;

use serde_json::Value;

/// A policy that replaces fields of a patient by null before a result leaves the client.
///
/// It lists the fields that stay; all others become null, also those that the vendor adds later.
/// What stays by default: ids of Fullscript, kinds and states, timestamps, quantities and dosages,
/// sums, pages, and the names of products, labs and templates. Masked are for example names, contact
/// details, birth dates, addresses, your own identifiers (`metadata.id`), links, and texts that
/// somebody wrote.
///
/// A result that is masked is not de-identified: ids and timestamps stay.
#[derive(Clone, Debug)]
pub struct Mask {
    kept: BTreeSet<String>,
}

/// Fields that stay wherever they are.
const KEPT: [&str; 51] = [
    "amount",
    "archived",
    "available_at",
    "clinic_id",
    "completed_at",
    "created_at",
    "current_page",
    "current_state",
    "dosage_amount",
    "dosage_duration",
    "dosage_format",
    "dosage_frequency",
    "duration",
    "event_id",
    "event_type",
    "format",
    "frequency",
    "guardian_patient_id",
    "integration_id",
    "is_dependent",
    "item_total",
    "lab_checkout_status",
    "lab_order_id",
    "lab_test_id",
    "msrp_total",
    "next_page",
    "order_id",
    "ownership_type",
    "patient_id",
    "patient_lab_fields_needed",
    "payment_total",
    "practitioner_id",
    "prev_page",
    "product_id",
    "quantity",
    "quantity_recommended",
    "refill",
    "requires_fasting",
    "source",
    "staff_id",
    "successfully_delivered",
    "time_of_day",
    "total_count",
    "total_pages",
    "treatment_plan_id",
    "treatment_plan_ids",
    "type",
    "units_to_purchase",
    "updated_at",
    "variant_id",
    "variant_ids",
];

/// Objects whose name is that of a product, a lab or a template.
const NAMED_THINGS: [&str; 10] = [
    "lab_recommendations",
    "product",
    "products",
    "protocol",
    "protocols",
    "template",
    "templates",
    "tests",
    "variant",
    "variants",
];

/// Objects that have a `state` which is a condition, not a part of an address.
const WITH_CONDITION: [&str; 6] = [
    "event_payload",
    "order",
    "orders",
    "results",
    "treatment_plan",
    "treatment_plans",
];

impl Mask {
    /// Creates the policy that masks all fields of a patient.
    #[must_use]
    pub fn patient_fields() -> Self {
        Self {
            kept: KEPT.map(String::from).into(),
        }
    }

    /// Keeps one more field, wherever it has this name.
    #[must_use]
    pub fn keep(mut self, field: impl Into<String>) -> Self {
        self.kept.insert(field.into());
        self
    }

    /// Masks a result.
    pub(super) fn apply(&self, value: &mut Value) {
        self.within("", "", value);
    }

    /// Masks a value of the field `name` of an object that is the field `of`.
    fn within(&self, of: &str, name: &str, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (field, value) in fields {
                    self.within(name, field, value);
                }
            }
            Value::Array(values) => {
                let values = values.iter_mut();
                values.for_each(|value| self.within(of, name, value));
            }
            _ if self.keeps(of, name) => {}
            _ => *value = Value::Null,
        }
    }

    fn keeps(&self, of: &str, name: &str) -> bool {
        self.kept.contains(name)
            || match name {
                "id" => of != "metadata",
                "name" => NAMED_THINGS.contains(&of),
                "state" => WITH_CONDITION.contains(&of),
                _ => false,
            }
    }
}
