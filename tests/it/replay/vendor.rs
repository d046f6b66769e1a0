//! A fake vendor that lists events and deliveries.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use fullscript::RateLimit;
use fullscript::replay::Events;
use fullscript::testing::{FakeFullscript, FakeRequest, ManualClock, Script};
use fullscript::value::{Date, Timestamp};
use fullscript::webhook::{Event, EventLog};
use serde_json::{Value, json};

/// 2026-02-02T02:40:00Z.
pub(crate) const NOW: u64 = 1_770_000_000;
pub(crate) const HOUR: u64 = 60 * 60;
pub(crate) const DAY: u64 = 24 * HOUR;

/// The lists and the prefixes of their event types.
pub(crate) const LISTS: [(&str, &str); 6] = [
    ("list_patient_events", "patient."),
    ("list_treatment_plan_events", "treatment_plan."),
    ("list_order_events", "order."),
    ("list_product_events", "product."),
    ("list_lab_order_events", "lab_order."),
    ("list_clinic_key_events", "clinic_key."),
];

pub(crate) fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

pub(crate) fn event(id: &str, type_: &str, happened: u64) -> Value {
    let epoch: Timestamp = "1970-01-01T00:00:00Z".parse().unwrap();
    let created_at = epoch.instant().unwrap() + Duration::from_secs(happened);
    json!({
        "id": id,
        "type": type_,
        "created_at": created_at.to_rfc3339(),
        "clinic_id": "clinic",
        "data": {"patient": {"id": format!("patient of {id}"), "first_name": "Example"}},
    })
}

pub(crate) struct Vendor {
    pub(crate) fake: FakeFullscript,
    pub(crate) clock: ManualClock,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    events: Mutex<Vec<Value>>,
    deliveries: Mutex<Vec<Value>>,
    /// The time zone of the dates, in hours east of Greenwich.
    zone: AtomicI64,
    /// Whether two records at the end of the first page change places after it was read.
    swaps: AtomicBool,
}

impl Vendor {
    pub(crate) async fn start() -> Self {
        let fake = FakeFullscript::start().await.unwrap();
        let shared = Arc::new(Shared::default());
        for (operation, prefix) in LISTS {
            let shared = Arc::clone(&shared);
            fake.answer_with(operation, move |request| shared.list(prefix, request));
        }
        let own = Arc::clone(&shared);
        fake.answer_with("get_event", move |request| own.event(request));
        let own = Arc::clone(&shared);
        fake.answer_with("list_webhook_deliveries", move |request| own.sent(request));
        Self {
            fake,
            clock: ManualClock::at(time(NOW)),
            shared,
        }
    }

    pub(crate) fn events(&self, event_log: impl EventLog) -> Events {
        let client = self.fake.client_builder().rate_limit(RateLimit::off());
        let client = client.build().unwrap();
        client.events(event_log).clock(self.clock.clone())
    }

    pub(crate) fn happens(&self, event: Value) {
        self.shared.events.lock().unwrap().push(event);
    }

    /// The number of deliveries to the webhook.
    pub(crate) fn was_sent(&self, mut event: Value, times: u64) {
        event["integration_id"] = "integration".into();
        let mut deliveries = self.shared.deliveries.lock().unwrap();
        for attempt in 1..=times {
            let id = format!("delivery {}", deliveries.len());
            deliveries.push(json!({
                "id": id,
                "attempt_number": attempt,
                "attempted_at": event["created_at"],
                "successfully_delivered": false,
                "event_payload": {"event": event},
            }));
        }
    }

    pub(crate) fn zone(&self, hours: i64) {
        self.shared.zone.store(hours, Ordering::Relaxed);
    }

    pub(crate) fn swap_once(&self) {
        self.shared.swaps.store(true, Ordering::Relaxed);
    }
}

fn happened(record: &Value) -> i64 {
    let at = Event::from_json(record.clone()).created_at;
    // An event without a time counts as new.
    at.and_then(|at| at.instant())
        .map_or(i64::try_from(NOW).unwrap(), |at| at.timestamp())
}

impl Shared {
    fn list(&self, prefix: &str, request: &FakeRequest) -> Script {
        let all = self.events.lock().unwrap();
        let mut listed: Vec<Value> = all
            .iter()
            .filter(|event| event["type"].as_str().unwrap().starts_with(prefix))
            .filter(|event| self.is_asked_for(event, "created_at", request))
            .cloned()
            .collect();
        for event in &mut listed {
            event.as_object_mut().unwrap().remove("data");
        }
        let is_second = request.query("page[number]").as_deref() == Some("2");
        listed.sort_by_key(|event| std::cmp::Reverse(happened(event)));
        if is_second && self.swaps.swap(false, Ordering::Relaxed) {
            listed.swap(99, 100);
        }
        page("events", &listed, request)
    }

    fn event(&self, request: &FakeRequest) -> Script {
        let (_, id) = request.target.rsplit_once('/').unwrap();
        let all = self.events.lock().unwrap();
        match all.iter().find(|event| event["id"] == id) {
            Some(event) => Script::json(200, &json!({ "event": event })),
            None => Script::json(404, &json!({"status": 404, "error": "Not Found"})),
        }
    }

    fn sent(&self, request: &FakeRequest) -> Script {
        let id = request.query("event_id");
        let all = self.deliveries.lock().unwrap();
        let event = |delivery: &Value| delivery["event_payload"]["event"].clone();
        let mut listed: Vec<Value> = all
            .iter()
            .filter(|delivery| match &id {
                Some(id) => event(delivery)["id"] == **id,
                None => self.is_asked_for(&event(delivery), "attempted_at", request),
            })
            .cloned()
            .collect();
        listed.sort_by_key(|delivery| std::cmp::Reverse(happened(&event(delivery))));
        page("webhook_deliveries", &listed, request)
    }

    /// Filters by the dates of this time zone. The last date includes only its start.
    fn is_asked_for(&self, event: &Value, filter: &str, request: &FakeRequest) -> bool {
        let days = request.query(filter).unwrap();
        let (from, to) = days.split_once("..").unwrap();
        let start = |day: &str| {
            let epoch = "1970-01-01".parse::<Date>().unwrap().date().unwrap();
            let day = day.parse::<Date>().unwrap().date().unwrap();
            let zone = self.zone.load(Ordering::Relaxed);
            (day - epoch).num_seconds() - zone * 3_600
        };
        (start(from)..start(to)).contains(&happened(event))
    }
}

fn page(name: &str, all: &[Value], request: &FakeRequest) -> Script {
    assert_eq!(request.query("order_by").as_deref(), Some("DESC"));
    let number = |name: &str, otherwise| {
        let given = request.query(name).and_then(|given| given.parse().ok());
        given.unwrap_or(otherwise)
    };
    let (number, size): (usize, usize) = (number("page[number]", 1), number("page[size]", 25));
    let pages = all.len().div_ceil(size);
    let records: Vec<_> = all.iter().skip((number - 1) * size).take(size).collect();
    let meta = json!({"current_page": number, "total_pages": pages, "total_count": all.len(),
        "next_page": (number < pages).then_some(number + 1)});
    Script::json(200, &json!({ name: records, "meta": meta }))
}
