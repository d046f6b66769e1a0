//! What the fake knows: the clinic, and what has happened to it.

mod events;
mod list;

use std::collections::HashMap;
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use self::events::EventLog;
use super::call::{Answer, Call};
use super::clock::ManualClock;
use super::recorded::example;
use super::seed::Seed;
use crate::auth::Clock;

/// The state of one clinic.
pub(super) struct State {
    /// What the fake takes for now.
    pub(super) clock: ManualClock,
    seed: Seed,
    /// How many ids of each kind were handed out.
    issued: HashMap<&'static str, u64>,
    clinic: Value,
    events: EventLog,
}

impl State {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            clock: ManualClock::default(),
            seed,
            issued: HashMap::new(),
            clinic: example("get_clinic")["clinic"].clone(),
            events: EventLog::default(),
        }
    }

    /// What an operation answers, if it is one that the state tells of.
    pub(super) fn answer(&mut self, call: &Call<'_>) -> Option<Answer> {
        let answer = match call.operation.id {
            "get_event" => self.get_event(call),
            "list_clinic_key_events" => self.list_events(call, "clinic_key."),
            "list_lab_order_events" => self.list_events(call, "lab_order."),
            "list_order_events" => self.list_events(call, "order."),
            "list_patient_events" => self.list_events(call, "patient."),
            "list_product_events" => self.list_events(call, "product."),
            "list_treatment_plan_events" => self.list_events(call, "treatment_plan."),
            _ => return None,
        };
        Some(answer)
    }

    /// The next id of a kind of thing.
    fn new_id(&mut self, kind: &'static str) -> String {
        let issued = self.issued.entry(kind).or_default();
        *issued += 1;
        self.seed.id(kind, *issued)
    }

    /// The time, as the vendor writes it.
    fn now(&self) -> String {
        written(self.clock.now())
    }
}

/// A time, as the vendor writes it.
fn written(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}

impl Default for State {
    fn default() -> Self {
        Self::new(Seed::default())
    }
}
