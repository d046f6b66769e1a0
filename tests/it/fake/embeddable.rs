//! The web app in the frame of an embedded page, as the vendor's script uses it.

use std::time::Duration;

use fullscript::testing::FakeFullscript;
use serde_json::{Value, json};

#[tokio::test]
async fn a_patient_becomes_a_token_and_a_grant_opens_one_session() {
    let fake = FakeFullscript::start().await.unwrap();
    let http = reqwest::Client::new();
    let tokenize = format!("{}/api/embeddable/tokenize", fake.url());
    let preflight = http
        .request(reqwest::Method::OPTIONS, &tokenize)
        .send()
        .await
        .unwrap();
    assert_eq!(preflight.headers()["access-control-allow-origin"], "*");
    assert_eq!(
        preflight.headers()["access-control-allow-headers"],
        "content-type"
    );
    let patient = json!({"data": {"first_name": "</script><b>Ana"}});
    let sent = http.post(&tokenize).json(&patient).send().await.unwrap();
    let token: Value = sent.json().await.unwrap();
    let token = token["data_token"].as_str().unwrap();
    for bad in [json!({}), json!({"data": "x"}), json!([])] {
        let refused = http.post(&tokenize).json(&bad).send().await.unwrap();
        assert_eq!(refused.status(), 422, "{bad}");
    }

    let client = fake.client();
    let page = async |feature: &str, secret: &str, more: &str| {
        let url = format!(
            "{}/api/embeddable/session/{feature}?secret_token={secret}&data_token={token}\
             &frame_id=%3C/script%3E&target_origin=http://ehr.example{more}",
            fake.url()
        );
        let page = http.get(url).send().await.unwrap();
        (page.status().as_u16(), page.text().await.unwrap())
    };
    for feature in ["embed/entry", "treatment_plans/new"] {
        let grant = client.create_session_grant().await.unwrap();
        let secret = grant.secret_token.as_ref().unwrap().expose();
        let (status, html) = page(feature, secret, "").await;
        assert_eq!(status, 200);
        assert!(html.contains("&lt;/script&gt;&lt;b&gt;Ana"), "{html}");
        assert!(
            !html.contains("<b>Ana") && !html.contains("<script>"),
            "{html}"
        );
        let (status, html) = page(feature, secret, "&event=patient.selected").await;
        assert_eq!(
            (status, html.matches("</script>").count()),
            (200, 1),
            "{html}"
        );
        assert!(
            html.contains("postMessage") && html.contains("firstName"),
            "{html}"
        );
        // Used.
        let (status, html) = page(feature, secret, "").await;
        assert_eq!(status, 401);
        assert!(
            html.contains("INVALID_SECRET_TOKEN") && html.contains("serverError"),
            "{html}"
        );
    }
    let grant = client.create_session_grant().await.unwrap();
    fake.advance(Duration::from_secs(121)).await;
    let secret = grant.secret_token.as_ref().unwrap().expose();
    assert_eq!(page("embed/entry", secret, "").await.0, 401, "expired");
    assert_eq!(
        page("embed/entry", "guess", "&event=patient.selected")
            .await
            .0,
        401
    );
    assert_eq!(page("embed/other", secret, "").await.0, 404);
}

#[tokio::test]
async fn a_plan_that_is_activated_in_the_frame_is_a_plan_of_the_clinic() {
    let fake = FakeFullscript::start().await.unwrap();
    let client = fake.client();
    let plans = fake.treatment_plans().len();
    let grant = client.create_session_grant().await.unwrap();
    let secret = grant.secret_token.as_ref().unwrap().expose();
    let session = format!(
        "{}/api/embeddable/session/embed/entry?secret_token={secret}",
        fake.url()
    );
    reqwest::get(&session).await.unwrap();
    reqwest::get(session + "&event=treatmentPlan.activated")
        .await
        .unwrap();
    assert_eq!(fake.treatment_plans().len(), plans + 1);
    // Changes in the frame emit events, unlike calls of the app.
    let events = client.list_treatment_plan_events().await.unwrap();
    assert_eq!(events.events.len(), 1);
}
