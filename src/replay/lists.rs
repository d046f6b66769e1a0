//! The lists of a replay and how they are read.

use std::fmt;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Days, NaiveDate};

use crate::client::Client;
use crate::client::page::Items;
use crate::error::Error;
use crate::types::{self, SortOrder};
use crate::webhook::{DEFAULT_AGE, Event};

/// The age up to which Fullscript lists events, and for which an event log remembers them.
pub(super) const LISTED_FOR: Duration = DEFAULT_AGE;

/// The maximum delay between an event and its listing, or difference between Fullscript's clock and
/// ours, at which the next replay still finds the event.
const MAX_LISTING_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A Fullscript list that contains events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventList {
    /// Events about patients: `list_patient_events`.
    Patients,
    /// Events about treatment plans: `list_treatment_plan_events`.
    TreatmentPlans,
    /// Events about orders: `list_order_events`.
    Orders,
    /// Events about products: `list_product_events`.
    Products,
    /// Events about lab orders, in the US: `list_lab_order_events`.
    LabOrders,
    /// Events about clinic keys, for apps created before 2021: `list_clinic_key_events`.
    ClinicKeys,
    /// Deliveries to the app's webhook, of every event type and with payloads:
    /// `list_webhook_deliveries`.
    Deliveries,
}

impl EventList {
    /// All lists, in the order in which they are read.
    pub const ALL: [Self; 7] = [
        Self::Patients,
        Self::TreatmentPlans,
        Self::Orders,
        Self::Products,
        Self::LabOrders,
        Self::ClinicKeys,
        Self::Deliveries,
    ];

    pub(super) fn index(self) -> usize {
        self as usize
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Patients => "patients",
            Self::TreatmentPlans => "treatment_plans",
            Self::Orders => "orders",
            Self::Products => "products",
            Self::LabOrders => "lab_orders",
            Self::ClinicKeys => "clinic_keys",
            Self::Deliveries => "deliveries",
        }
    }
}

impl fmt::Display for EventList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A list that is being read, newest record first.
///
/// In this order, a record that is added while the list is read shifts others so that they appear
/// on two pages, where the stream drops the duplicates. In the opposite order, a record that leaves
/// the list, as the oldest do, would make others appear on no page.
pub(super) enum Reading {
    Events(Items<types::Event>),
    Deliveries(Items<types::WebhookDelivery>),
}

impl Reading {
    pub(super) fn of(list: EventList, client: &Client, days: &str) -> Self {
        macro_rules! events {
            ($operation:ident, $sort:ident) => {
                Self::Events(
                    client
                        .$operation()
                        .created_at(days)
                        .sort_by(types::$sort::CreatedAt)
                        .order_by(SortOrder::Desc)
                        .items(),
                )
            };
        }
        match list {
            EventList::Patients => events!(list_patient_events, EventSort),
            EventList::TreatmentPlans => events!(list_treatment_plan_events, EventSort),
            EventList::Orders => events!(list_order_events, EventSort),
            EventList::Products => events!(list_product_events, EventSort),
            EventList::LabOrders => events!(list_lab_order_events, LabOrderEventSort),
            EventList::ClinicKeys => events!(list_clinic_key_events, EventSort),
            EventList::Deliveries => {
                let deliveries = client.list_webhook_deliveries().attempted_at(days);
                let deliveries = deliveries.sort_by(types::WebhookDeliverySort::AttemptedAt);
                Self::Deliveries(deliveries.order_by(SortOrder::Desc).items())
            }
        }
    }

    /// Returns the event of the next record, or `None` in place of the event for a delivery without
    /// one.
    ///
    /// It is read from the record as it was sent, also if the record's model cannot be.
    pub(super) async fn next(&mut self) -> Option<Result<Option<Listed>, Error>> {
        match self {
            Self::Events(items) => {
                let next = items.next().await?;
                let read = |body: &[u8]| Some(Event::from_body(body));
                Some(listed(items, next, "id", read))
            }
            Self::Deliveries(items) => {
                let next = items.next().await?;
                Some(listed(items, next, "event_payload", Event::from_delivery))
            }
        }
    }

    /// Returns whether records were missed for another reason than newer records at the front:
    /// records with equal times may change their order between two pages, or the end of the list is
    /// uncertain.
    pub(super) fn has_holes(&self) -> bool {
        let Self::Events(items) = self else {
            // Records missing from deliveries are in the lists of events.
            return false;
        };
        let changes = items.changes();
        let growth = changes.total_after.zip(changes.total_before);
        let growth = growth.map_or(0, |(after, before)| after.saturating_sub(before));
        changes.uncertain_end || changes.missing > u64::try_from(growth).unwrap_or(0)
    }
}

/// An event of a list.
pub(super) enum Listed {
    Event(Event),
    /// An event without an id, with the error of its record.
    Unreadable(Event, Error),
}

/// Reads the event of a record that was returned or cannot be read. `field` is the field of the
/// record that has the id of the event.
fn listed<T>(
    items: &Items<T>,
    next: Result<T, Error>,
    field: &str,
    read: fn(&[u8]) -> Option<Event>,
) -> Result<Option<Listed>, Error> {
    let has_id = |event: &Event| event.id.as_ref().is_some_and(|id| !id.as_str().is_empty());
    let unreadable = match next {
        Ok(_) => None,
        Err(error) if error.is_record_unreadable() => Some(error),
        Err(error) => return Err(error),
    };
    let event = match &unreadable {
        // Even without an event, the record must be reported.
        Some(error) => error
            .body()
            .map(|body| read(body).unwrap_or_else(|| Event::from_body(body))),
        None => items.record_json().and_then(|json| read(json.body())),
    };
    let Some(event) = event else {
        return Ok(None);
    };
    if has_id(&event) {
        return Ok(Some(Listed::Event(event)));
    }
    let error = unreadable.or_else(|| items.without(field));
    Ok(error.map(|error| Listed::Unreadable(event, error)))
}

/// Returns the range of days to request so that no event since `since` is missed. The filter counts
/// whole days in an undocumented time zone.
///
/// A cursor from the future was saved with a wrong clock and is ignored.
pub(super) fn days(since: Option<SystemTime>, now: SystemTime) -> Option<String> {
    let oldest = now.checked_sub(LISTED_FOR);
    let trusted = since.filter(|since| {
        since
            .duration_since(now)
            .map_or(true, |ahead| ahead < MAX_LISTING_DELAY)
    });
    let from = trusted
        .and_then(|since| since.checked_sub(MAX_LISTING_DELAY))
        .max(oldest)?;
    let first = day(from)?.checked_sub_days(Days::new(1))?;
    // The end may be exclusive, and somewhere tomorrow has already begun.
    let last = day(now)?.checked_add_days(Days::new(2))?;
    Some(format!("{first}..{last}"))
}

fn day(time: SystemTime) -> Option<NaiveDate> {
    let seconds = i64::try_from(to_seconds(time)).ok()?;
    Some(DateTime::from_timestamp(seconds, 0)?.date_naive())
}

/// Converts to seconds since 1970; earlier times count as 1970.
pub(super) fn to_seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
