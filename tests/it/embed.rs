//! The data that a page needs to embed Fullscript.

use std::time::{Duration, SystemTime};

use fullscript::embed::{BiologicalSex, Embed, EmbedPatient, Entrypoint};
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
