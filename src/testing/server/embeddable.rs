//! The web app in the frame of an embedded page, as far as the vendor's script depends on it.
//!
//! The vendor's script sends the patient to `tokenize`, opens the frame with the token, and passes
//! the messages of the frame on to the page (source: version 3.2.0 of the script).

use std::time::SystemTime;

use serde_json::{Map, Value, json};

use crate::testing::server::consent::page;
use crate::testing::server::script::{FakeRequest, Script};
use crate::testing::server::session_grant::SessionGrants;
use crate::text::{html, in_script};

const TOKENIZE_PATH: &str = "/api/embeddable/tokenize";

const SESSION_PATH: &str = "/api/embeddable/session/";

/// The pages that the script opens.
const FEATURES: [&str; 2] = ["embed/entry", "treatment_plans/new"];

/// The response to a request of an embedded page.
pub(in crate::testing) enum Page {
    Ready(Script),
    Session(Session),
}

/// An open session in a frame.
pub(in crate::testing) struct Session {
    secret: String,
    frame_id: String,
    /// The origin of the page around the frame.
    target_origin: String,
    /// The patient that the page sent, null for none.
    pub(in crate::testing) patient: Value,
    /// The event that the user causes.
    pub(in crate::testing) event: Option<BrowserEvent>,
}

/// The events that the frame reports.
#[derive(Clone, Copy)]
pub(in crate::testing) enum BrowserEvent {
    PatientSelected,
    TreatmentPlanActivated,
}

impl BrowserEvent {
    pub(in crate::testing) fn name(self) -> &'static str {
        match self {
            Self::PatientSelected => "patient.selected",
            Self::TreatmentPlanActivated => "treatmentPlan.activated",
        }
    }
}

/// Returns the response to a request, or `None` for another path.
pub(in crate::testing) fn answer(
    request: &FakeRequest,
    grants: &mut SessionGrants,
    now: SystemTime,
) -> Option<Page> {
    let path = request.target.split('?').next().unwrap_or_default();
    if path == TOKENIZE_PATH {
        return tokenize(request, grants).map(Page::Ready);
    }
    let feature = path.strip_prefix(SESSION_PATH)?;
    if request.method != "GET" || !FEATURES.contains(&feature) {
        return None;
    }
    let value = |name: &str| request.query(name).unwrap_or_default();
    let (frame_id, target_origin) = (value("frame_id"), value("target_origin"));
    let event = match value("event").as_str() {
        "patient.selected" => Some(BrowserEvent::PatientSelected),
        "treatmentPlan.activated" => Some(BrowserEvent::TreatmentPlanActivated),
        _ => None,
    };
    let secret = value("secret_token");
    if event.is_none() && !grants.open(&secret, &value("data_token"), now) {
        return Some(Page::Ready(refused(&target_origin)));
    }
    Some(match grants.session(&secret) {
        Some(patient) => Page::Session(Session {
            patient: patient.clone(),
            secret,
            frame_id,
            target_origin,
            event,
        }),
        None => Page::Ready(refused(&target_origin)),
    })
}

/// Exchanges a patient for a token, for a page of another origin.
fn tokenize(request: &FakeRequest, grants: &mut SessionGrants) -> Option<Script> {
    let script = match (request.method.as_str(), &request.body) {
        ("OPTIONS", _) => Script::html(204, "")
            .header("access-control-allow-methods", "POST")
            .header("access-control-allow-headers", "content-type"),
        ("POST", Some(body)) if body["data"].is_object() => {
            let token = grants.tokenize(body["data"].clone());
            Script::json(200, &json!({"data_token": token}))
        }
        // The vendor's message is not known.
        ("POST", _) => Script::json(422, &json!({"error": ["Data can't be blank"]})),
        _ => return None,
    };
    Some(script.header("access-control-allow-origin", "*"))
}

/// Returns the page for a secret that cannot be claimed. The script throws the payload of the
/// message as an error of the page.
fn refused(target_origin: &str) -> Script {
    const CODE: &str = "INVALID_SECRET_TOKEN";
    let message = json!({"type": "serverError", "payload": [CODE]});
    let sent = post(&message, target_origin);
    Script::html(401, page(&format!("<p id=\"refused\">{CODE}</p>\n{sent}")))
}

impl Session {
    /// Returns the page in the frame, which reports an event.
    pub(in crate::testing) fn page(&self, event: Option<Value>) -> Script {
        let patient = match &self.patient {
            Value::Null => "none".into(),
            patient => patient.to_string(),
        };
        let hidden = [
            ("secret_token", &self.secret),
            ("frame_id", &self.frame_id),
            ("target_origin", &self.target_origin),
        ];
        let hidden = hidden.map(|(name, value)| {
            let value = html(value);
            format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">\n")
        });
        let sent = event.map(|event| {
            let type_ = event["type"].as_str().unwrap_or_default();
            let message = json!({"type": format!("{}.{type_}", self.frame_id), "payload": event});
            post(&message, &self.target_origin)
        });
        Script::html(
            200,
            page(&format!(
                "<p>Patient: <span id=\"patient\">{}</span></p>\n\
                 <form method=\"get\">\n{}\
                 <button name=\"event\" value=\"patient.selected\" id=\"select\">Select the \
                 patient</button>\n\
                 <button name=\"event\" value=\"treatmentPlan.activated\" id=\"activate\">Activate \
                 a plan</button>\n</form>\n{}",
                html(&patient),
                hidden.concat(),
                sent.unwrap_or_default(),
            )),
        )
    }
}

/// Returns the script that sends a message to the page around the frame.
fn post(message: &Value, target_origin: &str) -> String {
    let arguments = in_script(&json!([message, target_origin]));
    format!("<script>parent.postMessage(...{arguments});</script>")
}

/// Returns JSON with the names of the vendor's script: `first_name` becomes `firstName`.
pub(in crate::testing) fn camel_case(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| {
                let mut parts = name.split('_');
                let first = parts.next().unwrap_or_default().to_string();
                let name = parts.fold(first, |name, part| {
                    let mut rest = part.chars();
                    let initial = rest.next().map(|c| c.to_ascii_uppercase());
                    name + &initial.into_iter().chain(rest).collect::<String>()
                });
                (name, camel_case(value))
            });
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(camel_case).collect(),
        other => other.clone(),
    }
}
