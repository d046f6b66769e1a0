//! The vendor's own script in the page of `Embed`, with the fake as the vendor's web app.
//!
//! `FULLSCRIPT_SDK` names the `node_modules` that contain the script; `.ci/run` installs it and sets
//! the variable. Without it the tests print that they were skipped, and pass; in CI they fail.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CONTENT_SECURITY_POLICY, HeaderName};
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fantoccini::Locator;
use fullscript::embed::{BiologicalSex, BrowserEvent, BrowserEventData, Embed, EmbedPatient};
use fullscript::testing::FakeFullscript;
use fullscript::types::TreatmentPlanState;
use fullscript::{Clock, Environment, SystemClock};
use serde_json::{Value, json};
use sha2::{Digest, Sha384};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::site::{Site, browse, has_browser};

/// Far longer than a page takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

const NONCE: &str = "bm9uY2U";

#[tokio::test]
async fn the_patient_arrives_and_the_events_come_back() {
    let Some(mut host) = Host::start().await else {
        return;
    };
    let embed = host.embed().integrity(host.integrity());
    host.open(&embed, &policy(&embed), None).await;
    browse(host.url.clone(), async |site| {
        site.go("/").await;
        enter_frame(site).await;
        let patient: Value = site.text("#patient").await.parse().unwrap();
        assert_eq!(
            patient,
            json!({
                "id": "7", "first_name": "Ana", "last_name": "Lee & Söhne",
                "email": "ana@example.com", "mobile_number": "+15550100",
                "date_of_birth": "1990-01-31", "gender": "female",
                "biological_sex": "prefer not to say", "discount": 12.5,
            })
        );
        assert_eq!(host.fake.count("create_session_grant"), 1);

        site.click("#select").await;
        let event = BrowserEvent::from_body(&host.posted().await);
        assert_eq!(event.name.as_deref(), Some("patient.selected"));
        assert!(event.issues().is_empty(), "{:?}", event.issues());
        assert!(event.id.is_some() && event.created_at.is_some() && event.clinic_id.is_some());
        assert_eq!(event.client_id.as_deref(), Some("fake-client-id"));
        let BrowserEventData::PatientSelected(patient) = event.data else {
            panic!("{event:?}");
        };
        assert_eq!(patient.id.unwrap().as_str(), "7");
        assert_eq!(patient.last_name.unwrap(), "Lee & Söhne");

        site.click("#activate").await;
        let event = BrowserEvent::from_body(&host.posted().await);
        assert!(event.issues().is_empty(), "{:?}", event.issues());
        let BrowserEventData::TreatmentPlanActivated(plan) = event.data else {
            panic!("{event:?}");
        };
        assert_eq!(plan.state, Some(TreatmentPlanState::Active));
        let id = plan.id.unwrap();
        let read = host
            .fake
            .client()
            .get_treatment_plan()
            .id(id)
            .await
            .unwrap();
        assert_eq!(read.treatment_plan.state, Some(TreatmentPlanState::Active));
    })
    .await;
}

#[tokio::test]
async fn without_a_directive_the_page_fails_and_the_browser_says_why() {
    let Some(mut host) = Host::start().await else {
        return;
    };
    let embed = host.embed();
    let whole = policy(&embed);
    browse(host.url.clone(), async |site| {
        for directive in ["script-src", "frame-src", "connect-src", "nonce"] {
            let cut: Vec<&str> = whole
                .split("; ")
                .filter(|given| !given.starts_with(directive))
                .collect();
            let cut = cut
                .join("; ")
                .replace(&format!("'{directive}-{NONCE}' "), "");
            assert_ne!(cut, whole, "{directive}");
            host.open(&embed, &cut, None).await;
            site.go("/").await;
            let violated = host.violation().await;
            let expected = if directive == "nonce" {
                "script-src"
            } else {
                directive
            };
            assert!(violated.starts_with(expected), "{directive}: {violated}");
            let opened = || host.requests("/api/embeddable/session/");
            match directive {
                // The frame opens without the patient, and nobody reports it.
                "connect-src" => {
                    enter_frame(site).await;
                    assert_eq!(site.text("#patient").await, "none");
                    assert!(opened()[0].contains("data_token=null"), "{:?}", opened());
                }
                _ => assert!(opened().is_empty(), "{directive}: {:?}", opened()),
            }
            assert!(host.requests("/api/embeddable/tokenize").len() <= 2);
        }
    })
    .await;
}

#[tokio::test]
async fn the_frame_may_copy_only_under_the_permissions_policy() {
    let Some(mut host) = Host::start().await else {
        return;
    };
    let embed = host.embed();
    browse(host.url.clone(), async |site| {
        for (permissions, may_copy) in [
            (None, true),
            (Some(embed.permissions_policy()), true),
            (Some("clipboard-write=(self)".into()), false),
        ] {
            host.open(&embed, &policy(&embed), permissions.clone())
                .await;
            site.go("/").await;
            enter_frame(site).await;
            let script = "return document.featurePolicy.allowsFeature('clipboard-write')";
            let allowed = site.browser.execute(script, Vec::new()).await.unwrap();
            assert_eq!(allowed, may_copy, "{permissions:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_used_grant_and_a_changed_script_are_refused() {
    let Some(mut host) = Host::start().await else {
        return;
    };
    browse(host.url.clone(), async |site| {
        let embed = host.embed();
        host.open(&embed, &policy(&embed), None).await;
        for is_used in [false, true] {
            // The same page, as from a cache.
            site.go("/").await;
            enter_frame(site).await;
            assert_eq!(site.has("#refused").await, is_used);
        }
        let error = String::from_utf8(host.posted().await.to_vec()).unwrap();
        assert!(error.contains("INVALID_SECRET_TOKEN"), "{error}");

        let embed = embed.integrity(format!("sha384-{}", STANDARD.encode([0; 48])));
        host.open(&embed, &policy(&embed), None).await;
        site.go("/").await;
        let error = String::from_utf8(host.posted().await.to_vec()).unwrap();
        assert!(error.contains("Fullscript is not defined"), "{error}");
        assert!(!site.has("iframe").await);
    })
    .await;
}

/// Returns the policy of a page that allows nothing but what `Embed` needs and posts to its own
/// backend.
fn policy(embed: &Embed) -> String {
    let own = embed.content_security_policy();
    let own = own.replace("connect-src ", "connect-src 'self' ");
    format!("default-src 'none'; img-src data:; {own}; report-uri /violations")
}

async fn enter_frame(site: &Site) {
    site.wait_for("iframe").await;
    let frame = site.browser.find(Locator::Css("iframe")).await.unwrap();
    frame.enter_frame().await.unwrap();
    // The frame is empty until its page is there.
    site.wait_for("h1").await;
}

/// A page of an application with a backend, and the fake as the vendor's web app.
struct Host {
    fake: FakeFullscript,
    url: String,
    script: &'static [u8],
    page: Arc<Mutex<Page>>,
    posted: UnboundedReceiver<Bytes>,
    violations: UnboundedReceiver<Bytes>,
    /// The number of requests that the fake received before the page was opened.
    earlier: usize,
}

/// The page as it is served.
#[derive(Default)]
struct Page {
    html: String,
    policy: String,
    permissions: Option<String>,
}

type Shared = (Arc<Mutex<Page>>, UnboundedSender<Bytes>);

impl Host {
    /// Starts the page and the fake, if a browser and the vendor's script are installed.
    async fn start() -> Option<Self> {
        let Some(modules) = std::env::var_os("FULLSCRIPT_SDK") else {
            assert!(
                std::env::var_os("CI").is_none(),
                "CI must set FULLSCRIPT_SDK"
            );
            println!("skipped: FULLSCRIPT_SDK is not set; `.ci/run` installs the SDK and sets it");
            return None;
        };
        if !has_browser() {
            return None;
        }
        let file = "@fullscript/fullscript-js/dist/fullscript-js.umd.min.js";
        let script = std::fs::read(std::path::Path::new(&modules).join(file)).unwrap();
        let script: &'static [u8] = script.leak();
        let page: Arc<Mutex<Page>> = Arc::default();
        let (events, posted) = unbounded_channel();
        let (reports, violations) = unbounded_channel();
        let shared: Shared = (Arc::clone(&page), events);
        let router = Router::new()
            .route("/", get(show))
            .route(
                "/events",
                post(async |State((_, events)): State<Shared>, body: Bytes| {
                    events.send(body).unwrap();
                }),
            )
            .route(
                "/violations",
                post(async move |body: Bytes| {
                    reports.send(body).unwrap();
                }),
            )
            .route(
                "/sdk.js",
                get(async move || ([("content-type", "text/javascript")], script)),
            )
            .with_state(shared);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, router).await });
        Some(Self {
            fake: FakeFullscript::start().await.unwrap(),
            url,
            script,
            page,
            posted,
            violations,
            earlier: 0,
        })
    }

    fn embed(&self) -> Embed {
        let patient = EmbedPatient::new()
            .id("7")
            .first_name("Ana")
            .last_name("Lee & Söhne")
            .email("ana@example.com")
            .mobile_number("+15550100")
            .date_of_birth("1990-01-31")
            .gender("female")
            .biological_sex(BiologicalSex::PreferNotToSay)
            .discount(12.5);
        Embed::new(Environment::UsSandbox, "public-key")
            .domain(self.fake.url())
            .script_url("/sdk.js")
            .nonce(NONCE)
            .patient(patient)
    }

    /// Returns the hash of the script, as the guide computes it.
    fn integrity(&self) -> String {
        format!("sha384-{}", STANDARD.encode(Sha384::digest(self.script)))
    }

    /// Sets the page, with a new grant.
    async fn open(&mut self, embed: &Embed, policy: &str, permissions: Option<String>) {
        let grant = self.fake.client().create_session_grant().await.unwrap();
        let embedded = embed.html(&grant, SystemClock.now()).unwrap();
        *self.page.lock().unwrap() = Page {
            html: format!(
                "<!DOCTYPE html>\n<html lang=\"en\"><head><link rel=\"icon\" href=\"data:,\">\
                 <meta charset=\"utf-8\"><title>EHR</title></head><body>\n\
                 <script nonce=\"{NONCE}\">\n\
                 function send(text) {{ fetch(\"/events\", {{ method: \"POST\", body: text }}); }}\n\
                 addEventListener(\"error\", (error) => {{ if (error.message) send(error.message); }});\n\
                 </script>\n{embedded}\
                 <script nonce=\"{NONCE}\">\n\
                 for (const name of [\"patient.selected\", \"treatmentPlan.activated\"]) {{\n\
                 fullscriptFeature.on(name, (event) => send(JSON.stringify(event)));\n\
                 }}\n</script>\n</body></html>\n"
            ),
            policy: policy.into(),
            permissions,
        };
        while self.violations.try_recv().is_ok() {}
        while self.posted.try_recv().is_ok() {}
        self.earlier = self.fake.requests().len();
    }

    /// Returns what the page posted to its backend next.
    async fn posted(&mut self) -> Bytes {
        let posted = timeout(PATIENCE, self.posted.recv()).await;
        posted.expect("the page posts something").unwrap()
    }

    /// Returns the directive that the page violated.
    async fn violation(&mut self) -> String {
        loop {
            let report = timeout(PATIENCE, self.violations.recv()).await;
            let report = report.expect("the browser reports a violation").unwrap();
            let report: Value = serde_json::from_slice(&report).unwrap();
            let report = &report["csp-report"];
            // A report of an earlier page may arrive late.
            if report["original-policy"] == self.page.lock().unwrap().policy {
                return report["effective-directive"].as_str().unwrap().to_string();
            }
        }
    }

    /// Returns the targets of the page's requests to the fake below a path.
    fn requests(&self, path: &str) -> Vec<String> {
        let requests = self.fake.requests().into_iter().skip(self.earlier);
        let targets = requests.map(|request| request.target);
        targets.filter(|target| target.starts_with(path)).collect()
    }
}

async fn show(State((page, _)): State<Shared>) -> impl IntoResponse {
    let page = page.lock().unwrap();
    let mut headers = vec![(CONTENT_SECURITY_POLICY, page.policy.clone())];
    if let Some(permissions) = &page.permissions {
        headers.push((
            HeaderName::from_static("permissions-policy"),
            permissions.clone(),
        ));
    }
    let headers: axum::http::HeaderMap = headers
        .into_iter()
        .map(|(name, value)| (name, value.parse().unwrap()))
        .collect();
    (headers, Html(page.html.clone()))
}
