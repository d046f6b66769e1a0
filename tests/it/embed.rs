//! The data that a page needs to embed Fullscript.

use std::time::{Duration, SystemTime};

use fullscript::embed::{
    BiologicalSex, BrowserEvent, BrowserEventData, Embed, EmbedPatient, Entrypoint,
};
use fullscript::testing::FakeFullscript;
use fullscript::types::SessionGrant;
use fullscript::{Clock, Environment, SystemClock};
use serde_json::json;

/// A time before the grant expires.
fn before() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_548_353_203)
}

fn grant() -> SessionGrant {
    let grant = json!({
        "id": "1",
        "secret_token": "</script><script>alert(1)</script>",
        "claimed_at": null,
        "expires_at": "2019-01-24T18:06:44.000Z",
    });
    serde_json::from_value(grant).unwrap()
}

#[tokio::test]
async fn each_call_requests_a_new_grant_and_output_never_shows_it() {
    let fake = FakeFullscript::start().await.unwrap();
    let client = fake.client();
    for _ in 0..2 {
        let grant = client.create_session_grant().send().await.unwrap();
        let secret = grant.secret_token.as_ref().unwrap();
        assert!(!format!("{grant:?} {:?}", grant.clone().into_inner()).contains(secret.expose()));
        Embed::new(Environment::UsSandbox, "key")
            .html(&grant, SystemClock.now())
            .unwrap();
    }
    assert_eq!(fake.count("create_session_grant"), 2);
}

#[test]
fn a_bundled_page_gets_the_options_of_the_package() {
    let patient = EmbedPatient::new()
        .first_name("Ann")
        .date_of_birth("1990-01-31")
        .gender("female")
        .biological_sex(BiologicalSex::PreferNotToSay)
        .discount(12.5);
    let embed = Embed::new(Environment::CaProduction, "key")
        .entrypoint(Entrypoint::Labs)
        .domain("http://127.0.0.1:8080/")
        .patient(patient);
    let options = embed.options(&grant(), before()).unwrap();
    assert_eq!(
        options,
        json!({
            "client": {"publicKey": "key", "env": "ca", "domain": "http://127.0.0.1:8080"},
            "feature": "platform",
            "options": {
                "secretToken": "</script><script>alert(1)</script>",
                "patient": {
                    "firstName": "Ann", "dateOfBirth": "1990-01-31", "gender": "female",
                    "biologicalSex": "prefer not to say", "discount": 12.5,
                },
                "entrypoint": "labs",
            },
            "elementId": "fullscript",
        })
    );
    assert!(!format!("{embed:?}").contains("Ann"));
    let plan = embed.treatment_plan().options(&grant(), before()).unwrap();
    assert_eq!(plan["feature"], "treatmentPlan");
    assert!(plan["options"].get("entrypoint").is_none());
}

#[test]
fn no_argument_escapes_the_html_of_the_page() {
    let embed = Embed::new(Environment::UsSandbox, "</script><b>&\u{2028}")
        .element_id("\"><script>")
        .script_url("https://cdn.example/\"><script>")
        .nonce("\" onload=\"x");
    let html = embed.html(&grant(), before()).unwrap();
    assert_eq!(html.matches("<script").count(), 2, "{html}");
    assert_eq!(html.matches("</script>").count(), 2, "{html}");
    assert!(
        !html.contains("\" onload") && !html.contains('\u{2028}'),
        "{html}"
    );
    assert!(html.contains("nonce=\"&quot; onload=&quot;x\""), "{html}");
}

#[test]
fn a_grant_that_is_used_or_empty_is_refused() {
    let embed = Embed::new(Environment::UsSandbox, "key");
    let mut used = grant();
    used.claimed_at = used.expires_at.clone();
    assert!(
        embed
            .html(&used, before())
            .unwrap_err()
            .to_string()
            .contains("already used")
    );
    let mut empty = grant();
    empty.secret_token = None;
    assert!(
        embed
            .options(&empty, before())
            .unwrap_err()
            .to_string()
            .contains("no secret")
    );
}

#[test]
fn a_grant_is_refused_from_the_moment_of_its_expiry() {
    let embed = Embed::new(Environment::UsSandbox, "key");
    for (after, is_refused) in [(0, false), (1, true), (3_600, true)] {
        let now = before() + Duration::from_secs(after);
        let rendered = embed.html(&grant(), now);
        assert_eq!(rendered.is_err(), is_refused, "{after}");
    }
    // An unknown time of expiry is left to the server.
    let mut unknown = grant();
    unknown.expires_at = None;
    assert!(embed.html(&unknown, SystemClock.now()).is_ok());
}

#[test]
fn a_policy_has_only_the_given_sources() {
    for (script, nonce, expected) in [
        (
            "https://cdn.example/a/b.js?c#d",
            Some("abc"),
            "script-src 'nonce-abc' https://cdn.example; frame-src https://us.fullscript.com; \
             connect-src https://us.fullscript.com",
        ),
        (
            "/assets/fullscript.js",
            None,
            "script-src 'self'; frame-src https://us.fullscript.com; \
             connect-src https://us.fullscript.com",
        ),
        (
            "https://cdn.example;script-src *",
            Some("a'; script-src *"),
            "script-src 'nonce-ascript-src*' https://cdn.examplescript-src*; \
             frame-src https://us.fullscript.com; connect-src https://us.fullscript.com",
        ),
    ] {
        let embed = Embed::new(Environment::UsProduction, "key").script_url(script);
        let embed = match nonce {
            Some(nonce) => embed.nonce(nonce),
            None => embed,
        };
        assert_eq!(embed.content_security_policy(), expected);
    }
    let html = Embed::new(Environment::UsSandbox, "key").html(&grant(), before());
    assert!(
        !html.unwrap().contains("style="),
        "refused by `style-src 'self'`"
    );
}

#[test]
fn the_hash_of_the_script_is_an_attribute_of_its_element_only() {
    let embed = Embed::new(Environment::UsSandbox, "key");
    let plain = embed.html(&grant(), before()).unwrap();
    assert!(!plain.contains("integrity"), "{plain}");
    let html = embed
        .integrity("sha384-\"><b>")
        .html(&grant(), before())
        .unwrap();
    let attribute = " integrity=\"sha384-&quot;&gt;&lt;b&gt;\" crossorigin=\"anonymous\"";
    assert_eq!(html.replace(attribute, ""), plain);
    assert_eq!(html.matches(attribute).count(), 1);
}

#[test]
fn a_browser_event_is_read_from_any_json() {
    let patient =
        json!({"id": 7, "firstNane": "Ana", "dateOfBirth": "1990-01-31", "discount": "5"});
    let event = json!({
        "id": "e1", "type": "patient.selected", "createdAt": "2026-01-01T00:00:00Z",
        "clinicId": "c1", "oauth": {"clientId": "app"}, "data": {"patient": patient},
    });
    let read = BrowserEvent::from_body(event.to_string().as_bytes());
    assert!(read.issues().is_empty(), "{:?}", read.issues());
    assert_eq!(read.client_id.as_deref(), Some("app"));
    let BrowserEventData::PatientSelected(patient) = &read.data else {
        panic!("{read:?}")
    };
    assert_eq!(patient.id.as_ref().unwrap().as_str(), "7");
    assert_eq!(patient.first_name.as_deref(), Some("Ana"));
    assert_eq!(
        format!("{read:?}"),
        "BrowserEvent { data: PatientSelected(..), .. }"
    );

    let plan = json!({
        "id": "p1", "state": "active", "patient": {"id": "7", "firstName": "Ana"},
        "recommendations": [{
            "variantId": "v1", "unitsToPurchase": "2", "refill": true,
            "dosage": {"recommendedAmount": "1", "additionalInfo": "x"},
        }],
        "labRecommendations": [{"id": "l1", "requiresFasting": true, "tests": [{"id": "t1"}]}],
    });
    let event = json!({"type": "treatmentPlan.activated", "data": {"treatmentPlan": plan}});
    let read = BrowserEvent::from_body(event.to_string().as_bytes());
    assert!(read.issues().is_empty(), "{:?}", read.issues());
    let BrowserEventData::TreatmentPlanActivated(plan) = &read.data else {
        panic!("{read:?}")
    };
    let recommendation = &plan.recommendations.as_ref().unwrap()[0];
    assert_eq!(recommendation.units_to_purchase, Some(2));
    assert_eq!(
        recommendation.dosage.as_ref().unwrap().amount.as_deref(),
        Some("1")
    );
    assert_eq!(
        plan.lab_recommendations.as_ref().unwrap()[0].requires_fasting,
        Some(true)
    );

    for (body, issues) in [
        ("", 0),
        ("null", 0),
        ("[]", 0),
        ("Ana", 0),
        (r#"{"type": "patient.selected"}"#, 0),
        (r#"{"type": "patient.selected", "data": null}"#, 0),
        (
            r#"{"type": "patient.selected", "data": {"patient": "Ana"}}"#,
            1,
        ),
        (
            r#"{"type": "patient.selected", "data": {"treatmentPlan": {}}}"#,
            0,
        ),
        (r#"{"type": "order.placed", "data": {"patient": {}}}"#, 0),
        (
            r#"{"type": ["a", "b"], "id": {}, "data": {"patient": {"id": "1"}}}"#,
            2,
        ),
    ] {
        let read = BrowserEvent::from_body(body.as_bytes());
        assert_eq!(read.data, BrowserEventData::Unknown, "{body}");
        assert_eq!(read.issues().len(), issues, "{body}: {:?}", read.issues());
        assert!(
            !format!("{read:?} {:?}", read.issues()).contains("Ana"),
            "{body}"
        );
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(
        BrowserEvent::from_body(deep.as_bytes()).data,
        BrowserEventData::Unknown
    );
}

#[test]
fn a_domain_is_written_as_browsers_write_an_origin() {
    for (domain, origin) in [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/api?x#y", "http://127.0.0.1:8080"),
        ("HTTP://LocalHost:80", "http://localhost"),
        ("https://Web.Example:443/", "https://web.example"),
        ("https://web.example:80", "https://web.example:80"),
        ("http://[::1]:443", "http://[::1]:443"),
        ("", ""),
    ] {
        let embed = Embed::new(Environment::UsSandbox, "key").domain(domain);
        assert_eq!(embed.web_origin(), origin);
        let policy = embed.content_security_policy();
        assert!(
            policy.ends_with(&format!("connect-src {origin}")),
            "{policy}"
        );
    }
}
