//! The events of the clinic, for the Events API and for webhooks.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::State;
use super::list::{is_on_days, page};
use crate::clock::Clock;
use crate::testing::clock::timestamp;
use crate::testing::server::call::{Answer, Call, Refusal};

/// The Events API lists events for 30 days.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl State {
    /// Records an event and queues its delivery.
    ///
    /// Returns the event as the Events API and webhooks show it, without an
    /// envelope: `id`, `type`, `created_at`, `clinic_id` (not for products)
    /// and `data`.
    pub(in crate::testing) fn emit(&mut self, event_type: &str, data: Value) -> Value {
        let mut event = Map::new();
        event.insert("id".into(), self.new_id("event").into());
        event.insert("type".into(), event_type.into());
        event.insert("created_at".into(), self.now().into());
        if !event_type.starts_with("product.") {
            event.insert("clinic_id".into(), self.clinic["id"].clone());
        }
        event.insert("data".into(), data);
        let event = Value::Object(event);
        self.events.push(event.clone());
        let now = self.outside.clock.now();
        self.outside.webhooks.deliver(event.clone(), now);
        event
    }

    /// Lists the events whose types start with a prefix.
    pub(super) fn list_events(&self, call: &Call<'_>, prefix: &str) -> Answer {
        let wanted = call.argument("event_type");
        let mut listed = Vec::new();
        for event in self.recent_events() {
            let type_ = event["type"].as_str().unwrap_or_default();
            let is_wanted = wanted.is_none_or(|wanted| wanted == type_);
            if type_.starts_with(prefix)
                && is_wanted
                && is_on_days(call, "created_at", &event["created_at"])?
            {
                listed.push(event);
            }
        }
        page(call, "events", listed)
    }

    pub(super) fn get_event(&self, call: &Call<'_>) -> Answer {
        let mut events = self.recent_events();
        let event = events.find(|event| event["id"] == call.variable("id"));
        let event = event.ok_or_else(Refusal::not_found)?;
        Ok((200, json!({ "event": event })))
    }

    /// Returns the events of the last 30 days.
    fn recent_events(&self) -> impl Iterator<Item = &Value> {
        let oldest = timestamp(self.outside.clock.now() - KEPT);
        self.events.iter().filter(move |event| {
            // Timestamps of this format sort by time as text.
            event["created_at"].as_str() >= Some(oldest.as_str())
        })
    }
}
