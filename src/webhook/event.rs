//! Events, with or without an envelope.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::data::EventData;
use super::view::{Trail, field};
use crate::types::{
    self, ClinicId, EventId, EventType, IntegrationId, WebhookDeliveryEventPayload, WebhookEvent,
};
use crate::value::json::{self, Content, Node};
use crate::value::{DecodeIssue, Hidden, Timestamp};

/// An event, as received by webhook, from the Events API or from the list of deliveries.
///
/// Reading an event never fails: unreadable parts are `None` or [`EventData::Unknown`], and
/// [`json`](Self::json) returns the event as it was received. An event serializes as that JSON and
/// deserializes from it unchanged.
///
/// `Debug` shows the event type and ids, and no health data.
#[derive(Clone)]
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
    issues: Vec<DecodeIssue>,
    body: Box<[u8]>,
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
    ///
    /// It reads an event of a response, too: the body of `get_event`, and the
    /// [`RecordJson::body`](crate::RecordJson::body) of a record of a list.
    #[must_use]
    pub fn from_body(body: &[u8]) -> Self {
        let mut trail = Trail::default();
        match json::parse(body) {
            // An event is an object.
            Some(parsed) if matches!(parsed.root.content, Content::Object(_)) => {
                trail.report_flaws(&parsed);
                Self::read(&parsed.root, body, trail)
            }
            _ => Self {
                id: None,
                type_: None,
                created_at: None,
                clinic_id: None,
                integration_id: None,
                data: EventData::Unknown(value_of(body)),
                issues: Vec::new(),
                body: body.into(),
            },
        }
    }

    /// Returns the event as it was received, without its envelope. Contains health data.
    ///
    /// A body that is not JSON is returned as a string. The event is parsed at each call.
    #[must_use]
    pub fn json(&self) -> Value {
        value_of(&self.body)
    }

    /// Returns the bytes of the event as they were received, without its envelope. Contains health
    /// data.
    ///
    /// Numbers have every digit here, while [`json`](Self::json) contains 64-bit floats.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Reads the event of a record of the list of deliveries, or `None` if the record has no event.
    #[cfg(feature = "client")]
    pub(crate) fn from_delivery(record: &[u8]) -> Option<Self> {
        let delivery = json::parse(record)?.root;
        let payload = delivery.field("event_payload")?;
        match &payload.content {
            Content::Null => None,
            // A schema of 2021 declares payloads as JSON strings.
            Content::Text(text) => Some(Self::from_body(text.as_bytes())),
            _ => Some(Self::from_body(record)),
        }
    }

    /// Returns where the event differs from its documentation, without the values that differ.
    ///
    /// A value of another type, or one that is not valid JSON, is `None` or is left out of its list.
    /// [`json`](Self::json) contains the values of another type. The paths begin in the event, without
    /// its envelope: `data.order.completed_at`.
    ///
    /// ```
    /// use fullscript::webhook::Event;
    ///
    /// let event = Event::from_body(br#"{"event": {"id": "1", "type": "order.placed", "data":
    ///     {"order": {"id": "2", "line_items": [{"quantity": "many"}]}}}}"#);
    /// let issue = &event.issues()[0];
    /// assert_eq!(issue.path, "data.order.line_items[0].quantity");
    /// assert_eq!(issue.to_string().split(": ").last(), Some("expected an integer, found text"));
    /// ```
    #[must_use]
    pub fn issues(&self) -> &[DecodeIssue] {
        &self.issues
    }

    /// Reads an event in any envelope: `{"event": ..}`, `{"event_payload": {"event": ..}}`,
    /// `{"event_payload": ..}`, or none.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "the event contains the JSON")]
    pub fn from_json(json: Value) -> Self {
        Self::from_body(json.to_string().as_bytes())
    }

    /// Reads an event that is part of `text`.
    fn read<'n>(mut json: &'n Node<'n>, text: &[u8], mut trail: Trail) -> Self {
        while let Some((name, inner)) = wrapped(json) {
            trail.enter(name);
            json = inner;
        }
        let type_: Option<EventType> = field(json, &["type"], &mut trail);
        Self {
            id: field(json, &["id"], &mut trail),
            created_at: field(json, &["created_at"], &mut trail),
            clinic_id: field(json, &["clinic_id"], &mut trail),
            integration_id: field(json, &["integration_id"], &mut trail),
            data: match &type_ {
                Some(type_) => EventData::read(type_, json.field("data"), &mut trail),
                None => EventData::Unknown(json.into()),
            },
            type_,
            issues: trail.issues,
            body: text.get(json.span.clone()).unwrap_or_default().into(),
        }
    }
}

/// Parses a body. Parts that are not JSON are absent, and a body that is not JSON is a string.
fn value_of(body: &[u8]) -> Value {
    match json::parse(body) {
        Some(parsed) if matches!(parsed.root.content, Content::Object(_)) => (&parsed.root).into(),
        _ => {
            let other = serde_json::from_slice(body);
            other.unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned().into())
        }
    }
}

/// Returns the object inside an envelope, with its name. An object with a `type` of its own is not
/// an envelope.
fn wrapped<'n>(json: &'n Node<'n>) -> Option<(&'static str, &'n Node<'n>)> {
    let has = |name| json.field(name).map(|value| &value.content);
    if matches!(has("type"), Some(Content::Text(_))) {
        return None;
    }
    let names = ["event_payload", "event"].into_iter();
    let mut inner = names.filter_map(|name| Some((name, json.field(name)?)));
    inner.find(|(_, inner)| matches!(inner.content, Content::Object(_)))
}

/// Two events are equal if they contain the same values, in any form of the same JSON.
impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.body == other.body || self.json() == other.json()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Event");
        if let Some(id) = &self.id {
            shown.field("id", id);
        }
        if let Some(id) = &self.clinic_id {
            shown.field("clinic_id", id);
        }
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
        self.json().serialize(serializer)
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
