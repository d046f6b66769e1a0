//! Events, with or without an envelope.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::data::EventData;
use super::view::field;
use crate::types::{
    self, ClinicId, EventId, EventType, IntegrationId, WebhookDeliveryEventPayload, WebhookEvent,
    is_field,
};
use crate::value::json::{self, Content};
use crate::value::{DecodeIssue, Hidden, Timestamp};

/// An event, as received by webhook, from the Events API or from the list of deliveries.
///
/// Reading an event never fails: unreadable parts are `None` or [`EventData::Unknown`], and
/// [`json`](Self::json) contains the event as it was received. An event serializes as that JSON and
/// deserializes from it unchanged.
///
/// `Debug` shows the event type and no health data.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// Id of the event; the same in each delivery of the event.
    pub id: Option<EventId>,
    /// Event type, including types that this version does not know.
    pub type_: Option<EventType>,
    /// Time of the event.
    pub created_at: Option<Timestamp>,
    /// Clinic of the event; absent for events about products.
    pub clinic_id: Option<ClinicId>,
    /// Integration that the delivery is for. Each integration of a clinic receives its own
    /// delivery.
    pub integration_id: Option<IntegrationId>,
    /// Payload of the event.
    pub data: EventData,
    /// The event as it was received, without its envelope. Contains health data. A body that is not
    /// JSON is a string here.
    pub json: Value,
    issues: Vec<DecodeIssue>,
}

impl Event {
    /// Reads the body of a delivery whose signature was verified.
    ///
    /// An object that is JSON except for some values is read without them, and `id` and `type_` are
    /// known nevertheless. Such values are strings with invalid UTF-8 or a lone surrogate, numbers
    /// such as `1e999`, and nesting deeper than 127 levels; [`issues`](Self::issues) names them.
    ///
    /// Any other body becomes [`EventData::Unknown`] with the text; bytes that are not UTF-8 are
    /// replaced in it.
    #[must_use]
    pub fn from_body(body: &[u8]) -> Self {
        if let Ok(json) = serde_json::from_slice(body) {
            return Self::from_json(json);
        }
        let parsed = json::parse(body);
        // An event is an object.
        let is_object = |parsed: &json::Parsed| matches!(parsed.root.content, Content::Object(_));
        let Some(json::Parsed { root, flaws }) = parsed.filter(is_object) else {
            return Self::from_json(String::from_utf8_lossy(body).into_owned().into());
        };
        let issues = flaws.into_iter().map(|(path, flaw)| DecodeIssue {
            path: root.path_text(&path, is_field),
            kind: flaw.into(),
        });
        let issues = issues.collect();
        Self {
            issues,
            ..Self::from_json(root.into())
        }
    }

    /// Returns where the body of a delivery is not valid JSON. The values are absent in
    /// [`json`](Self::json), except for texts with control characters that are not escaped, which
    /// are kept.
    #[must_use]
    pub fn issues(&self) -> &[DecodeIssue] {
        &self.issues
    }

    /// Reads an event in any envelope: `{"event": ..}`, `{"event_payload": {"event": ..}}`,
    /// `{"event_payload": ..}`, or none.
    #[must_use]
    pub fn from_json(json: Value) -> Self {
        let json = unwrap(json);
        let nothing = Map::new();
        let object = json.as_object().unwrap_or(&nothing);
        let type_: Option<EventType> = field(object, &["type"]);
        Self {
            id: field(object, &["id"]),
            created_at: field(object, &["created_at"]),
            clinic_id: field(object, &["clinic_id"]),
            integration_id: field(object, &["integration_id"]),
            data: match &type_ {
                Some(type_) => EventData::read(type_, object.get("data")),
                None => EventData::Unknown(json.clone()),
            },
            type_,
            json,
            issues: Vec::new(),
        }
    }
}

/// Removes the envelopes. An object with a `type` of its own is not an envelope.
fn unwrap(mut json: Value) -> Value {
    while let Some(inner) = wrapped(&mut json) {
        json = inner;
    }
    json
}

fn wrapped(json: &mut Value) -> Option<Value> {
    let object = json.as_object_mut()?;
    if object.get("type").is_some_and(Value::is_string) {
        return None;
    }
    let is_inner = |name: &&str| object.get(*name).is_some_and(Value::is_object);
    let name = ["event_payload", "event"].into_iter().find(is_inner)?;
    object.remove(name)
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Event");
        // An unknown event type is text from the sender and may contain anything.
        match &self.type_ {
            Some(known) if known.is_known() => shown.field("type_", &known.as_str()),
            Some(_) => shown.field("type_", &Hidden),
            None => &mut shown,
        };
        shown.field("data", &self.data).finish_non_exhaustive()
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from_json)
    }
}

/// Converts the models of the Events API and of the list of deliveries.
macro_rules! from_models {
    ($($model:ty),+) => {
        $(impl From<&$model> for Event {
            fn from(model: &$model) -> Self {
                Self::from_json(serde_json::to_value(model).unwrap_or_default())
            }
        })+
    };
}

from_models!(types::Event, WebhookEvent, WebhookDeliveryEventPayload);
