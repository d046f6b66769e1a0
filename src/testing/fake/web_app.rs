//! Changes that people make in the vendor's own web app.

use std::fmt;
use std::sync::Mutex;

use serde_json::Value;

use crate::lock::lock;
use crate::testing::state::State;

/// Changes that practitioners and patients make without your app, created by
/// [`FakeFullscript::web_app`](crate::testing::FakeFullscript::web_app).
///
/// Each change emits an event. Calls that an app makes itself emit none (documented by the vendor).
/// Fields that are not given get generated values. Each method returns the record as the API shows
/// it.
#[derive(Clone, Copy)]
pub struct WebApp<'f>(pub(in crate::testing) &'f Mutex<State>);

impl WebApp<'_> {
    /// Adds a patient to the clinic and emits `patient.created`.
    pub fn add_patient(&self, patient: &Value) -> Value {
        lock(self.0).add_patient(patient)
    }

    /// Changes fields of a patient and emits `patient.updated`.
    ///
    /// # Panics
    /// Panics if no patient has this id.
    pub fn change_patient(&self, id: &str, fields: &Value) -> Value {
        let changed = lock(self.0).change_patient(id, fields);
        changed.unwrap_or_else(|| panic!("the fake has no patient with the id {id}"))
    }

    /// Adds a treatment plan of a practitioner and emits `treatment_plan.created`, unless its
    /// `state` is `draft`.
    ///
    /// The plan is for the first patient, unless `patient` is given.
    pub fn add_treatment_plan(&self, plan: &Value) -> Value {
        lock(self.0).add_treatment_plan(plan)
    }

    /// Activates a draft and emits `treatment_plan.created`.
    ///
    /// # Panics
    /// Panics if no draft has this id.
    pub fn activate_treatment_plan(&self, id: &str) -> Value {
        let activated = lock(self.0).activate_without_app(id);
        activated.unwrap_or_else(|| panic!("the fake has no draft with the id {id}"))
    }

    /// Cancels an active treatment plan and emits `treatment_plan.updated`.
    ///
    /// # Panics
    /// Panics if no active plan has this id.
    pub fn cancel_treatment_plan(&self, id: &str) -> Value {
        let cancelled = lock(self.0).cancel_without_app(id);
        cancelled.unwrap_or_else(|| panic!("the fake has no active plan with the id {id}"))
    }

    /// Adds an order of a patient and emits `order.placed`.
    ///
    /// Unless `line_items` are given, the order contains the recommendations of the first of its
    /// `treatment_plan_ids`.
    pub fn add_order(&self, order: &Value) -> Value {
        lock(self.0).add_order(order)
    }

    /// Adds a lab order, or changes the one with the given `id`, and emits `lab_order.updated` if
    /// its `state` is one of the results.
    ///
    /// An order in a state with results has one result, unless `results` are given. A result without
    /// a `pdf_url` gets the URL of a PDF that the fake serves, which
    /// [`Client::download`](crate::Client::download) accepts.
    pub fn add_lab_order(&self, order: &Value) -> Value {
        lock(self.0).add_lab_order(order)
    }

    /// Adds a product with variants to the catalog and emits `product.created`.
    pub fn add_product(&self, product: &Value) -> Value {
        lock(self.0).add_product(product)
    }
}

impl fmt::Debug for WebApp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebApp").finish_non_exhaustive()
    }
}
