//! The list of deliveries as the API shows it.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::queue::Webhooks;
use crate::testing::server::call::{Answer, Call, Refusal};
use crate::testing::state::list::{is_on_days, page};

/// Older deliveries are not listed.
const LISTED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Webhooks {
    /// Handles `list_webhook_deliveries`, if a webhook is subscribed. Deliveries of other clinics are
    /// not listed; the vendor does not document whose deliveries it lists.
    pub(in crate::testing) fn list(
        &self,
        call: &Call<'_>,
        clinic: &str,
        now: SystemTime,
    ) -> Option<Answer> {
        let state = self.lock();
        state.webhook.as_ref()?;
        let listed = state.attempts.iter().filter(|attempt| {
            let age = now.duration_since(attempt.attempted_at);
            let of_clinic = attempt.event.clinic_id.as_ref();
            age.is_ok_and(|age| age <= LISTED) && of_clinic.is_none_or(|id| id.as_str() == clinic)
        });
        let listed: Vec<Value> = listed.map(|attempt| attempt.json()).collect();
        drop(state);
        let mut wanted = Vec::new();
        for delivery in &listed {
            match is_wanted(call, delivery) {
                Ok(true) => wanted.push(delivery),
                Ok(false) => {}
                Err(refusal) => return Some(Err(refusal)),
            }
        }
        Some(page(call, "webhook_deliveries", wanted))
    }
}

fn is_wanted(call: &Call<'_>, delivery: &Value) -> Result<bool, Refusal> {
    let event = call.argument("event_id");
    let success = call.argument("successfully_delivered");
    Ok(
        event.is_none_or(|id| delivery["event_payload"]["event"]["id"] == id)
            && success.is_none_or(|is| delivery["successfully_delivered"] == (is == "true"))
            && is_on_days(call, "attempted_at", &delivery["attempted_at"])?,
    )
}
