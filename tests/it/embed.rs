//! The data that a page needs to embed Fullscript.

use fullscript::Environment;
use fullscript::embed::{Embed, EmbedPatient, Entrypoint};
use fullscript::testing::FakeFullscript;
use fullscript::types::SessionGrant;
use serde_json::json;

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
            .html(&grant)
            .unwrap();
    }
    assert_eq!(fake.count("create_session_grant"), 2);
}

#[test]
fn a_bundled_page_gets_the_options_of_the_package() {
    let patient = EmbedPatient::new()
        .first_name("Ann")
        .date_of_birth("1990-01-31");
    let embed = Embed::new(Environment::CaProduction, "key")
        .entrypoint(Entrypoint::Labs)
        .patient(patient);
    let options = embed.options(&grant()).unwrap();
    assert_eq!(
        options,
        json!({
            "client": {"publicKey": "key", "env": "ca"},
            "feature": "platform",
            "options": {
                "secretToken": "</script><script>alert(1)</script>",
                "patient": {"firstName": "Ann", "dateOfBirth": "1990-01-31"},
                "entrypoint": "labs",
            },
            "elementId": "fullscript",
        })
    );
    assert!(!format!("{embed:?}").contains("Ann"));
    let plan = embed.treatment_plan().options(&grant()).unwrap();
    assert_eq!(plan["feature"], "treatmentPlan");
    assert!(plan["options"].get("entrypoint").is_none());
}

#[test]
fn no_argument_escapes_the_html_of_the_page() {
    let embed = Embed::new(Environment::UsSandbox, "</script><b>&\u{2028}")
        .element_id("\"><script>")
        .script_url("https://cdn.example/\"><script>")
        .nonce("\" onload=\"x");
    let html = embed.html(&grant()).unwrap();
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
            .html(&used)
            .unwrap_err()
            .to_string()
            .contains("already used")
    );
    let mut empty = grant();
    empty.secret_token = None;
    assert!(
        embed
            .options(&empty)
            .unwrap_err()
            .to_string()
            .contains("no secret")
    );
}
