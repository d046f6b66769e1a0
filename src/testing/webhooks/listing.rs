//! The list of deliveries, as the API shows it.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::super::script::FakeRequest;
use super::queue::Webhooks;

/// What is older is not listed.
const LISTED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How many are on a page where none is asked for; the vendor does not tell
/// its own.
const USUAL_PAGE: usize = 25;
/// The largest page of the vendor.
const LARGEST_PAGE: usize = 100;

impl Webhooks {
    /// Answers `list_webhook_deliveries`, where there is a webhook.
    pub(in crate::testing) fn list(&self, asked: &FakeRequest, now: SystemTime) -> Option<Value> {
        let state = self.lock();
        state.webhook.as_ref()?;
        let listed = state.attempts.iter().filter(|attempt| {
            let age = now.duration_since(attempt.attempted_at);
            age.is_ok_and(|age| age <= LISTED)
        });
        let listed = listed.map(|attempt| attempt.json());
        let mut deliveries: Vec<Value> = listed
            .filter(|delivery| is_asked_for(delivery, asked))
            .collect();
        drop(state);
        let sort_by = asked.query("sort_by");
        deliveries.sort_by_cached_key(|delivery| {
            let key = match sort_by.as_deref() {
                Some("event_id") => &delivery["event_payload"]["event"]["id"],
                _ => &delivery["attempted_at"],
            };
            text(key).to_string()
        });
        if asked.query("order_by").as_deref() == Some("DESC") {
            deliveries.reverse();
        }
        Some(page(&deliveries, asked))
    }
}

fn is_asked_for(delivery: &Value, asked: &FakeRequest) -> bool {
    let event = asked.query("event_id");
    let success = asked.query("successfully_delivered");
    let day = text(&delivery["attempted_at"]).get(..10);
    event.is_none_or(|id| delivery["event_payload"]["event"]["id"] == id)
        && success.is_none_or(|is| delivery["successfully_delivered"] == (is == "true"))
        && asked
            .query("attempted_at")
            .is_none_or(|days| is_on(day.unwrap_or_default(), &days))
}

/// Whether a day is one of `2026-01-31`, `<2026-01-31`, `>2026-01-31` or
/// `2026-01-01..2026-01-31`, with both ends; days in this form are in the order
/// of time.
fn is_on(day: &str, days: &str) -> bool {
    if let Some((first, last)) = days.split_once("..") {
        return (first..=last).contains(&day);
    }
    match (days.strip_prefix('<'), days.strip_prefix('>')) {
        (Some(end), _) => day < end,
        (_, Some(start)) => day > start,
        _ => day == days,
    }
}

fn page(deliveries: &[Value], asked: &FakeRequest) -> Value {
    let number = |name: &str| asked.query(name).and_then(|number| number.parse().ok());
    let size = number("page[size]")
        .unwrap_or(USUAL_PAGE)
        .clamp(1, LARGEST_PAGE);
    let current = number("page[number]").unwrap_or(1).max(1);
    let pages = deliveries.len().div_ceil(size);
    let shown = deliveries.chunks(size).nth(current - 1).unwrap_or_default();
    json!({
        "webhook_deliveries": shown,
        "meta": {
            "current_page": current,
            "next_page": (current < pages).then_some(current + 1),
            "prev_page": (current > 1).then(|| current - 1),
            "total_pages": pages,
            "total_count": deliveries.len(),
        },
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
