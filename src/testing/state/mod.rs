//! The state of the fake: a clinic and its records.

mod catalog;
mod embedded;
mod events;
mod links;
pub(super) mod list;
mod orders;
mod patients;
mod people;
mod plans;
mod recorded;
mod records;
mod seeded;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use self::recorded::{get_recorded, list_recorded};
use self::records::Records;
use crate::clock::Clock;
use crate::testing::clock::{ManualClock, timestamp};
use crate::testing::files::Files;
use crate::testing::seed::Seed;
use crate::testing::server::call::{Answer, Call};
use crate::testing::server::recorded::example;
use crate::testing::server::session_grant::SessionGrants;
use crate::testing::webhooks::Webhooks;

/// The state of one clinic.
pub(super) struct State {
    outside: Outside,
    seed: Seed,
    /// The number of ids that were issued of each kind.
    issued: HashMap<&'static str, u64>,
    clinic: Value,
    patients: Records,
    practitioners: Records,
    staff: Records,
    plans: Records,
    orders: Records,
    lab_orders: Records,
    products: Records,
    /// The request body and the response of plans that were created with an idempotency key, by
    /// caller and key.
    created_by_key: HashMap<String, (Value, Value)>,
    /// The resources of each practitioner.
    resources: HashMap<String, Records>,
    session_grants: SessionGrants,
    /// The events, oldest first.
    events: Vec<Value>,
}

/// What all clinics of a fake share.
#[derive(Clone)]
pub(super) struct Outside {
    /// The clock of the fake.
    pub(super) clock: ManualClock,
    pub(super) files: Arc<Files>,
    pub(super) webhooks: Arc<Webhooks>,
}

/// The people who work at the clinic.
#[derive(Clone, Copy, PartialEq)]
enum People {
    Practitioners,
    Staff,
}

impl People {
    /// Returns the keys of a list and of a single record in responses.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Practitioners => ("practitioners", "practitioner"),
            Self::Staff => ("staff", "staff"),
        }
    }
}

impl State {
    /// Creates a clinic with the recorded data of the document.
    pub(super) fn new(seed: Seed, outside: Outside) -> Self {
        let all = |operation: &str, name: &str| {
            let recorded = example(operation)[name].as_array();
            recorded.into_iter().flatten().cloned().collect()
        };
        let one = |operation: &str, name: &str| {
            let recorded = example(operation)[name].clone();
            std::iter::once(recorded).collect::<Records>()
        };
        let mut state = Self {
            outside,
            seed,
            issued: HashMap::new(),
            clinic: example("get_clinic")["clinic"].clone(),
            patients: one("get_patient", "patient"),
            practitioners: all("list_practitioners", "practitioners"),
            staff: all("list_staff", "staff"),
            plans: one("get_treatment_plan", "treatment_plan"),
            orders: one("get_order", "order"),
            lab_orders: one("get_lab_order", "order"),
            products: one("get_product", "product"),
            created_by_key: HashMap::new(),
            resources: HashMap::new(),
            session_grants: SessionGrants::default(),
            events: Vec::new(),
        };
        state.complete_recorded();
        state
    }

    /// Creates another clinic with the same catalog, one practitioner and no other records.
    pub(super) fn another(&self, number: usize) -> Self {
        let mut state = Self {
            patients: Records::default(),
            practitioners: Records::default(),
            staff: Records::default(),
            plans: Records::default(),
            orders: Records::default(),
            lab_orders: Records::default(),
            products: self.products.clone(),
            ..Self::new(self.seed.of_clinic(number), self.outside.clone())
        };
        state.clinic["id"] = state.new_id("clinic").into();
        state.clinic["name"] = format!("Example Clinic {number}").into();
        let practitioner = state.new_person(People::Practitioners);
        state.practitioners.insert(practitioner);
        state
    }

    /// Returns the response of an operation, if the state implements it.
    pub(super) fn answer(&mut self, call: &Call<'_>) -> Option<Answer> {
        let answer = match call.operation.id {
            "activate_treatment_plan" => self.activate_treatment_plan(call),
            "cancel_treatment_plan" => self.cancel_treatment_plan(call),
            "create_in_office_checkout" => self.create_in_office_checkout(call),
            "create_patient" => self.create_patient(call),
            "create_practitioner" => self.create_person(People::Practitioners, call),
            "create_practitioner_resource" => self.create_resource(call),
            "create_session_grant" => self.create_session_grant(call),
            "create_staff_member" => self.create_person(People::Staff, call),
            "create_treatment_plan" => self.create_treatment_plan(call),
            "create_treatment_plan_link" => self.create_treatment_plan_link(call),
            "delete_practitioner_resource" => self.delete_resource(call),
            "find_objects_by_metadata" => self.find_objects_by_metadata(call),
            "get_allergen" => get_recorded(call, "allergen"),
            "get_brand" => get_recorded(call, "brand"),
            "get_category" => get_recorded(call, "category"),
            "get_clinic" => Ok((200, self.clinic_now())),
            "get_event" => self.get_event(call),
            "get_ingredient" => get_recorded(call, "ingredient"),
            "get_lab_order" => self.get_lab_order(call),
            "get_order" => self.get_order(call),
            "get_patient" => self.get_patient(call),
            "get_practitioner" => self.get_person(People::Practitioners, call),
            "get_practitioner_resource" => self.get_resource(call),
            "get_product" => self.get_product(call),
            "get_protocol" => get_recorded(call, "protocol"),
            "get_staff_member" => self.get_person(People::Staff, call),
            "get_supplement_type" => get_recorded(call, "supplement_type"),
            "get_template" => get_recorded(call, "template"),
            "get_third_party_certification" => get_recorded(call, "third_party_certification"),
            "get_treatment_plan" => self.get_treatment_plan(call),
            "get_treatment_plan_link" => self.get_treatment_plan_link(call),
            "get_variant" => self.get_variant(call),
            "list_allergens" => list_recorded(call, "allergens"),
            "list_brands" => list_recorded(call, "brands"),
            "list_categories" => list_recorded(call, "categories"),
            "list_category_products" => self.list_category_products(call),
            "list_clinic_key_events" => self.list_events(call, "clinic_key."),
            "list_ingredients" => list_recorded(call, "ingredients"),
            "list_lab_order_events" => self.list_events(call, "lab_order."),
            "list_lab_orders" => self.list_lab_orders(call),
            "list_order_events" => self.list_events(call, "order."),
            "list_orders" => self.list_orders(call),
            "list_patient_addresses" => self.list_patient_addresses(call),
            "list_patient_dependents" => self.list_patient_dependents(call),
            "list_patient_events" => self.list_events(call, "patient."),
            "list_patient_orders" => self.list_patient_orders(call),
            "list_patient_treatment_plans" => self.list_patient_treatment_plans(call),
            "list_patients" => self.list_patients(call),
            "list_practitioner_protocols" => {
                self.list_of_practitioner(call, "protocols", "protocol")
            }
            "list_practitioner_resources" => self.list_resources(call),
            "list_practitioner_templates" => {
                self.list_of_practitioner(call, "templates", "template")
            }
            "list_practitioner_types" => list_recorded(call, "practitioner_types"),
            "list_practitioners" => self.list_people(People::Practitioners, call),
            "list_product_events" => self.list_events(call, "product."),
            "list_products" => self.list_products(call),
            "list_similar_products" => self.list_similar_products(call),
            "list_staff" => self.list_people(People::Staff, call),
            "list_supplement_types" => list_recorded(call, "supplement_types"),
            "list_third_party_certifications" => list_recorded(call, "third_party_certifications"),
            "list_treatment_plan_events" => self.list_events(call, "treatment_plan."),
            "search_patients" => self.search_patients(call),
            "search_products" => self.search_products(call),
            "update_patient" => self.update_patient(call),
            "update_practitioner" => self.update_person(People::Practitioners, call),
            "update_practitioner_resource" => self.update_resource(call),
            "update_staff_member" => self.update_person(People::Staff, call),
            "update_treatment_plan" => self.update_treatment_plan(call),
            _ => return None,
        };
        Some(answer)
    }

    /// Returns the id of the clinic.
    pub(super) fn id(&self) -> &str {
        records::id_of(&self.clinic)
    }

    /// Claims a session grant; returns whether it was valid.
    pub(super) fn claim_session_grant(&mut self, secret: &str) -> bool {
        self.session_grants.claim(secret, self.outside.clock.now())
    }

    fn clinic_now(&self) -> Value {
        let mut clinic = self.clinic.clone();
        clinic["patient_count"] = self.patients.len().into();
        clinic["practitioner_count"] = self.practitioners.len().into();
        records::wrapped("clinic", &clinic)
    }

    /// Returns the next id of a kind.
    fn new_id(&mut self, kind: &'static str) -> String {
        let issued = self.issued.entry(kind).or_default();
        *issued += 1;
        self.seed.id(kind, *issued)
    }

    /// Returns the time in the vendor's format.
    fn now(&self) -> String {
        timestamp(self.outside.clock.now())
    }
}

/// Returns the validation messages for required fields that are blank, in the vendor's words.
fn blank(body: &Value, needed: &[&str]) -> Vec<String> {
    let missing = needed.iter().filter(|field| {
        let given = body[**field].as_str();
        given.is_none_or(|given| given.trim().is_empty())
    });
    missing
        .map(|field| {
            let name = field.replace('_', " ");
            let (first, rest) = name.split_at(1);
            format!("{}{rest} can't be blank", first.to_uppercase())
        })
        .collect()
}
