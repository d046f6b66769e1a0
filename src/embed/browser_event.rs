//! Events that the embedded page reports in the browser.

use std::borrow::Cow;
use std::fmt;

use crate::types::ClinicId;
use crate::value::json::{self, Content, Node};
use crate::value::{DecodeIssue, Hidden, Timestamp};
use crate::webhook::view::{Trail, View, field};
use crate::webhook::{PatientData, TreatmentPlanData};

/// An event that the vendor's script reported to the page, and that the page posted to your
/// backend.
///
/// It comes from the browser, so anyone who can open the page can forge it. Use only the id of the
/// patient or the treatment plan, and read the object with the tokens of the user who is signed in.
/// [Webhooks](crate::webhook) report the activation of a plan with a signature.
///
/// Reading an event never fails: unreadable parts are `None`, or [`BrowserEventData::Unknown`].
/// `Debug` shows no health data.
///
/// ```
/// use fullscript::embed::{BrowserEvent, BrowserEventData};
///
/// let posted = br#"{"type": "patient.selected", "data": {"patient": {"id": "7", "firstName": "Ana"}}}"#;
/// let event = BrowserEvent::from_body(posted);
/// let BrowserEventData::PatientSelected(patient) = &event.data else { panic!() };
/// assert_eq!(patient.id.as_ref().unwrap().as_str(), "7");
/// assert_eq!(patient.first_name.as_deref(), Some("Ana"));
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct BrowserEvent {
    /// Id of the event.
    pub id: Option<String>,
    /// Name of the event: `patient.selected`, `treatmentPlan.activated`.
    pub name: Option<String>,
    /// Time of the event.
    pub created_at: Option<Timestamp>,
    /// Clinic of the user.
    pub clinic_id: Option<ClinicId>,
    /// Client id of the app that created the session grant.
    pub client_id: Option<String>,
    /// Payload of the event.
    pub data: BrowserEventData,
    issues: Vec<DecodeIssue>,
}

/// The payload of a [`BrowserEvent`].
///
/// `Debug` shows only the kind of the event.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum BrowserEventData {
    /// The user selected a patient.
    PatientSelected(PatientData),
    /// The user activated a treatment plan.
    TreatmentPlanActivated(TreatmentPlanData),
    /// The event has another name, or no payload.
    Unknown,
}

impl BrowserEvent {
    /// Reads the JSON that the page posted: the argument of the callback of
    /// `fullscriptFeature.on(..)`.
    ///
    /// The names of the vendor's script (`firstName`, `recommendedAmount`) become those of webhooks
    /// (`first_name`, `amount`).
    #[must_use]
    pub fn from_body(body: &[u8]) -> Self {
        let mut trail = Trail::default();
        let mut event = Self {
            id: None,
            name: None,
            created_at: None,
            clinic_id: None,
            client_id: None,
            data: BrowserEventData::Unknown,
            issues: Vec::new(),
        };
        if let Some(mut parsed) = json::parse(body) {
            rename(&mut parsed.root);
            trail.report_flaws(&parsed);
            event.read(&parsed.root, &mut trail);
        }
        event.issues = trail.issues;
        event
    }

    fn read(&mut self, json: &Node<'_>, trail: &mut Trail) {
        self.id = field(json, &["id"], trail);
        self.name = field(json, &["type"], trail);
        self.created_at = field(json, &["created_at"], trail);
        self.clinic_id = field(json, &["clinic_id"], trail);
        if let Some(oauth) = json.field("oauth") {
            self.client_id = trail.below("oauth", |trail| field(oauth, &["client_id"], trail));
        }
        let Some(data) = json.field("data") else {
            return;
        };
        let read = trail.below("data", |trail| match self.name.as_deref() {
            Some("patient.selected") => {
                inner(data, "patient", trail).map(BrowserEventData::PatientSelected)
            }
            Some("treatmentPlan.activated") => {
                inner(data, "treatment_plan", trail).map(BrowserEventData::TreatmentPlanActivated)
            }
            _ => None,
        });
        self.data = read.unwrap_or(BrowserEventData::Unknown);
    }

    /// Returns where the event differs from its documentation, without the values that differ.
    ///
    /// The paths have the names of webhooks: `data.patient.date_of_birth`.
    #[must_use]
    pub fn issues(&self) -> &[DecodeIssue] {
        &self.issues
    }
}

/// Reads the object under a name.
fn inner<T: View>(data: &Node<'_>, name: &str, trail: &mut Trail) -> Option<T> {
    field(data, &[name], trail)
}

/// Renames the keys of all objects to those of webhooks.
fn rename(node: &mut Node<'_>) {
    match &mut node.content {
        Content::Object(fields) => {
            for (name, value) in fields {
                // The vendor's types declare this name, perhaps by mistake.
                if name == "firstNane" {
                    *name = Cow::Borrowed("first_name");
                } else if name.contains(|c: char| c.is_ascii_uppercase()) {
                    *name = Cow::Owned(snake_case(name));
                }
                rename(value);
            }
        }
        Content::List(list) => list.elements.iter_mut().for_each(rename),
        _ => {}
    }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

impl fmt::Debug for BrowserEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrowserEvent")
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for BrowserEventData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PatientSelected(_) => f.debug_tuple("PatientSelected").field(&Hidden).finish(),
            Self::TreatmentPlanActivated(_) => f
                .debug_tuple("TreatmentPlanActivated")
                .field(&Hidden)
                .finish(),
            Self::Unknown => f.write_str("Unknown"),
        }
    }
}
