//! What people do in the vendor's own web app.

use serde_json::Value;

use crate::testing::lock::lock;
use crate::testing::shared::Shared;

/// What practitioners and patients do without your app: made by
/// [`FakeFullscript::web_app`](crate::testing::FakeFullscript::web_app).
///
/// Events tell of these changes, as they tell of nothing that an app does by
/// calls of its own (documented by the vendor). What is not given is filled
/// in; each returns the record as the API shows it.
#[derive(Clone, Copy, Debug)]
pub struct WebApp<'f>(pub(in crate::testing) &'f Shared);

impl WebApp<'_> {
    /// A patient comes to the clinic: `patient.created`.
    pub fn add_patient(&self, patient: &Value) -> Value {
        lock(&self.0.state).add_patient(patient)
    }

    /// These fields of a patient change: `patient.updated`.
    ///
    /// # Panics
    /// When no patient has this id.
    pub fn change_patient(&self, id: &str, fields: &Value) -> Value {
        let changed = lock(&self.0.state).change_patient(id, fields);
        changed.unwrap_or_else(|| panic!("no patient of the fake has the id {id}"))
    }

    /// A practitioner writes a plan: `treatment_plan.created`, unless its
    /// `state` is `draft`. For the first patient, unless `patient` is given.
    pub fn add_treatment_plan(&self, plan: &Value) -> Value {
        lock(&self.0.state).add_treatment_plan(plan)
    }

    /// A practitioner activates a draft: `treatment_plan.created`.
    ///
    /// # Panics
    /// When no draft has this id.
    pub fn activate_treatment_plan(&self, id: &str) -> Value {
        let activated = lock(&self.0.state).activate_without_app(id);
        activated.unwrap_or_else(|| panic!("no draft of the fake has the id {id}"))
    }

    /// A practitioner cancels an active plan: `treatment_plan.updated`.
    ///
    /// # Panics
    /// When no active plan has this id.
    pub fn cancel_treatment_plan(&self, id: &str) -> Value {
        let cancelled = lock(&self.0.state).cancel_without_app(id);
        cancelled.unwrap_or_else(|| panic!("no active plan of the fake has the id {id}"))
    }

    /// A patient orders, what the first of `treatment_plan_ids` recommends
    /// unless `line_items` are given: `order.placed`.
    pub fn add_order(&self, order: &Value) -> Value {
        lock(&self.0.state).add_order(order)
    }

    /// A lab order is made, or changed where there is one with the `id` that
    /// is given: `lab_order.updated` if its `state` tells of results.
    pub fn add_lab_order(&self, order: &Value) -> Value {
        lock(&self.0.state).add_lab_order(order)
    }

    /// A product comes to the catalog, with variants to recommend:
    /// `product.created`.
    pub fn add_product(&self, product: &Value) -> Value {
        lock(&self.0.state).add_product(product)
    }
}
