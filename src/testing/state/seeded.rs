//! The initial data: the recorded examples, and patients generated from the seed.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::State;
use super::records::id_of;
use crate::testing::clock::timestamp;

/// Plant names and words for imaginary things, which are nobody's name.
const FIRST_NAMES: [&str; 16] = [
    "Alder", "Basil", "Clover", "Dill", "Elm", "Fern", "Ginger", "Hawthorn", "Iris", "Juniper",
    "Kale", "Lichen", "Mallow", "Nettle", "Oregano", "Parsley",
];
const LAST_NAMES: [&str; 8] = [
    "Example",
    "Fictional",
    "Imaginary",
    "Invented",
    "Makebelieve",
    "Placeholder",
    "Sample",
    "Specimen",
];

/// Product names that do not exist.
const PRODUCTS: [&str; 8] = [
    "Example Capsules",
    "Fictional Drops",
    "Imaginary Powder",
    "Invented Gel",
    "Makebelieve Tablets",
    "Placeholder Lozenges",
    "Sample Tincture",
    "Specimen Chews",
];

/// One of this many generated patients is a dependent, has a plan, or has an order.
const DEPENDENT: u64 = 10;
const PLAN: u64 = 4;
const ORDER: u64 = 8;

/// The end of the period in which the initial records were created: the first second of 2026. It
/// does not depend on the clock, so that a seed generates the same clinic on any day.
const BEGINNING: Duration = Duration::from_secs(1_767_225_600);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl State {
    /// Adds fields that the recorded responses omit and other responses show.
    pub(super) fn complete_recorded(&mut self) {
        let orders: Vec<Value> = self.orders.iter().cloned().collect();
        for mut order in orders {
            let lines = order["line_items"].as_array().into_iter().flatten();
            let variants: Vec<&Value> = lines.map(|line| &line["variant_id"]).collect();
            let variants = json!(variants);
            order["variant_ids"] = variants;
            self.orders.insert(order);
        }
    }

    /// Adds the files of recorded lab results, once the address of the server is known.
    pub(in crate::testing) fn add_recorded_files(&mut self) {
        let lab_orders: Vec<Value> = self.lab_orders.iter().cloned().collect();
        for mut order in lab_orders {
            self.add_result_files(&mut order);
            self.lab_orders.insert(order);
        }
    }

    /// Generates products up to the given number.
    pub(in crate::testing) fn generate_products(&mut self, products: usize) {
        while self.products.len() < products {
            let n = self.products.len() as u64;
            let pick = self.seed.number("product", n);
            let kind = PRODUCTS[usize::try_from(pick % 8).unwrap_or_default()];
            let product = self.new_product(&format!("{kind} {n}"), 500 + pick % 9_500);
            self.products.insert(product);
        }
    }

    /// Generates patients up to the given number; some have a guardian, a plan and an order.
    pub(in crate::testing) fn generate_patients(&mut self, patients: usize) {
        let practitioner = self.practitioners.iter().next().map(id_of);
        let practitioner = practitioner.unwrap_or_default().to_string();
        let variant = self.products.iter().next();
        let variant = variant.map_or(Value::Null, |one| one["variants"][0]["id"].clone());
        let mut guardian = self.patients.iter().next().map(id_of).map(str::to_string);
        while self.patients.len() < patients {
            let n = self.patients.len() as u64;
            let mut patient = self.generated_patient(n);
            if n.is_multiple_of(DEPENDENT) && guardian.is_some() {
                patient["is_dependent"] = true.into();
                patient["guardian_patient_id"] = guardian.clone().into();
            } else {
                guardian = Some(id_of(&patient).into());
            }
            let id = id_of(&patient).to_string();
            self.patients.insert(patient);
            if n.is_multiple_of(PLAN) {
                let plan = self.generated_plan(n, &id, &practitioner, &variant);
                let plan_id = plan["id"].clone();
                let written_at = plan["created_at"].clone();
                self.plans.insert(plan);
                if n.is_multiple_of(ORDER) {
                    let of_plan = json!({"treatment_plan_ids": [plan_id]});
                    let mut order = super::records::fill(self.new_order(&of_plan), &of_plan);
                    order["completed_at"] = written_at;
                    self.orders.insert(order);
                }
            }
        }
    }

    fn generated_patient(&mut self, n: u64) -> Value {
        let pick = self.seed.number("patient", n);
        let of = |names: &[&'static str], number: u64| {
            let place = number % names.len() as u64;
            names[usize::try_from(place).unwrap_or_default()]
        };
        // An odd step visits each of the 128 names once before any is repeated.
        let (start, step) = (
            self.seed.number("names", 0),
            self.seed.number("names", 1) | 1,
        );
        let name = start.wrapping_add(n.wrapping_mul(step)) % 128;
        let (first, last) = (of(&FIRST_NAMES, name), of(&LAST_NAMES, name / 16));
        let email = format!("{first}.{last}.{n}@example.com").to_lowercase();
        let mut patient = self.new_patient();
        patient["first_name"] = first.into();
        patient["last_name"] = last.into();
        patient["email"] = email.into();
        patient["date_of_birth"] = format!(
            "{}-{:02}-{:02}",
            1940 + (pick >> 8) % 80,
            1 + (pick >> 16) % 12,
            1 + (pick >> 24) % 28
        )
        .into();
        patient["gender"] = of(&["female", "male", "x"], pick >> 32).into();
        // These numbers are reserved for fiction.
        patient["mobile_number"] = format!("+120255501{:02}", (pick >> 40) % 100).into();
        patient
    }

    fn generated_plan(
        &mut self,
        n: u64,
        patient: &str,
        practitioner: &str,
        variant: &Value,
    ) -> Value {
        let pick = self.seed.number("plan", n);
        let age = DAY * u32::try_from(1 + pick % 300).unwrap_or(1);
        let time = timestamp(SystemTime::UNIX_EPOCH + BEGINNING - age);
        let mut plan = self.new_plan(patient, practitioner);
        self.make_active(&mut plan);
        plan["recommendations"] = json!([{
            "variant_id": variant,
            "units_to_purchase": 1 + (pick >> 16) % 3,
            "refill": pick.is_multiple_of(2),
        }]);
        plan["source"] = "api".into();
        plan["available_at"] = time[..10].into();
        plan["created_at"] = time.as_str().into();
        plan["updated_at"] = time.into();
        plan
    }
}
