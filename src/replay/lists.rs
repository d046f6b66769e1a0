//! What is read in a replay, and how.

use std::fmt;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Days, NaiveDate};

use crate::client::Client;
use crate::client::page::Items;
use crate::types::{self, SortOrder};
use crate::webhook::DEFAULT_AGE;

/// The vendor lists what is no older, and a record of events remembers it as
/// long.
pub(super) const LISTED: Duration = DEFAULT_AGE;

/// How much later than it happened an event may be listed, or how far the
/// vendor's clock may be from ours, without being missed by the next replay.
const LATE: Duration = Duration::from_secs(24 * 60 * 60);

/// A list of the vendor's that tells of events.
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
    /// Events about clinic keys, of apps from before 2021:
    /// `list_clinic_key_events`.
    ClinicKeys,
    /// What was sent to the app's webhook, of whatever kind, with its data:
    /// `list_webhook_deliveries`.
    Deliveries,
}

impl EventList {
    /// All of them, in the order in which they are read.
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

/// One list, under way; the newest record is first.
///
/// In this order a record that comes while the list is read makes others
/// stand on two pages, where the stream drops them. In the other one a record
/// that leaves the list, as the oldest do, makes others stand on none.
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

    /// Whether records stood on no page, for another reason than that newer
    /// ones came in front: those of one time may change their places between
    /// two pages.
    pub(super) fn has_holes(&self) -> bool {
        let Self::Events(items) = self else {
            // What is missing there, the lists of events have.
            return false;
        };
        let changes = items.changes();
        let growth = changes.total_after.zip(changes.total_before);
        let growth = growth.map_or(0, |(after, before)| after.saturating_sub(before));
        changes.missing > u64::try_from(growth).unwrap_or(0)
    }
}

/// The days to ask for, so that nothing since then is missing: a filter counts
/// whole days of a time zone that nobody tells.
///
/// A cursor from the future was saved under a wrong clock, and counts for
/// nothing.
pub(super) fn days(since: Option<SystemTime>, now: SystemTime) -> Option<String> {
    let oldest = now.checked_sub(LISTED);
    let trusted =
        since.filter(|since| since.duration_since(now).map_or(true, |ahead| ahead < LATE));
    let from = trusted
        .and_then(|since| since.checked_sub(LATE))
        .max(oldest)?;
    let first = day(from)?.checked_sub_days(Days::new(1))?;
    // The end may or may not be part of the range, and tomorrow has begun
    // somewhere.
    let last = day(now)?.checked_add_days(Days::new(2))?;
    Some(format!("{first}..{last}"))
}

fn day(time: SystemTime) -> Option<NaiveDate> {
    let seconds = i64::try_from(to_seconds(time)).ok()?;
    Some(DateTime::from_timestamp(seconds, 0)?.date_naive())
}

/// Nothing before 1970 is asked for.
pub(super) fn to_seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
