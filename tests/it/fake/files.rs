//! Files that the fake serves, and the results of lab orders.

use fullscript::testing::FakeFullscript;
use fullscript::types::{LabOrder, LabOrderId, LabOrderState};
use fullscript::{Client, ErrorKind};
use serde_json::{Value, json};

async fn order(client: &Client, order: &Value) -> LabOrder {
    let id = LabOrderId::new(order["id"].as_str().unwrap());
    let response = client.get_lab_order().id(id).await.unwrap();
    response.into_inner().order
}

#[tokio::test]
async fn lab_results_have_a_pdf_that_a_client_downloads() {
    let fake = FakeFullscript::start().await.unwrap();
    let (client, web_app) = (fake.client(), fake.web_app());
    let lab = web_app.add_lab_order(&json!({"state": "purchased"}));
    assert_eq!(order(&client, &lab).await.results, Some(vec![]));
    for state in [
        "partial_results",
        "results_ready",
        "results_amended",
        "interpretation_ready",
        "interpretation_shared",
    ] {
        let lab = web_app.add_lab_order(&json!({"id": lab["id"], "state": state}));
        let got = order(&client, &lab).await;
        assert_eq!(got.state, Some(LabOrderState::from(state)));
        let results = got.results.unwrap();
        assert_eq!(results.len(), 1, "{state}");
        let url = results[0].pdf_url.as_deref().unwrap();
        let file = client
            .download(url)
            .pdf()
            .send()
            .await
            .unwrap()
            .into_inner();
        assert!(file.bytes.ends_with(b"%%EOF\n"));
    }
    // The test's own results and files; the recorded order has a file too.
    let url = fake.file("labs/own report.pdf", b"%PDF-1.7 own".to_vec());
    let own = json!({"state": "results_ready", "results": [
        {"id": "r-1", "pdf_url": url}, {"id": "r-2"}, "unreadable",
    ]});
    let got = order(&client, &web_app.add_lab_order(&own)).await;
    let urls: Vec<_> = got
        .results
        .unwrap()
        .into_iter()
        .filter_map(|one| one.pdf_url)
        .collect();
    assert_eq!(urls.len(), 2);
    let file = client.download(&urls[0]).pdf().send().await.unwrap();
    assert_eq!(file.into_inner().bytes, b"%PDF-1.7 own");
    let orders = client
        .list_lab_orders()
        .items()
        .collect_all()
        .await
        .unwrap();
    let recorded = client.get_lab_order().id(&orders[0].id).await.unwrap();
    let recorded = recorded.into_inner().order.results.unwrap();
    let url = recorded[0].pdf_url.as_deref().unwrap();
    client.download(url).pdf().send().await.unwrap();
}

#[tokio::test]
async fn a_file_is_served_until_it_is_removed_and_then_its_address_has_expired() {
    let fake = FakeFullscript::start().await.unwrap();
    let client = fake.client();
    for (path, media_type) in [
        ("/files/a.pdf", "application/pdf"),
        ("files/deep/b", "application/octet-stream"),
        ("/files/é &c.txt", "application/octet-stream"),
    ] {
        let url = fake.file(path, path.as_bytes().to_vec());
        for url in [url.clone(), format!("{url}?Signature=abc&Expires=1")] {
            let file = client.download(&url).send().await.unwrap().into_inner();
            assert_eq!(file.bytes, path.as_bytes(), "{path}");
            assert_eq!(file.content_type.as_deref(), Some(media_type));
        }
        fake.remove_file(if path.starts_with('/') { path } else { &url });
        let error = client.download(&url).send().await.unwrap_err();
        assert!(error.is_not_found() && error.kind() == ErrorKind::NotFound);
        assert!(!error.is_transient());
        let text = error.to_string();
        let advice = "the address may have expired: request the object that contains it again";
        assert!(text.contains("404") && text.ends_with(advice), "{text}");
    }
    // The same path again is another file.
    let url = fake.file("/files/a.pdf", "second");
    let file = client.download(&url).send().await.unwrap().into_inner();
    assert_eq!(file.bytes, b"second");
}

#[tokio::test]
#[should_panic(expected = "the path belongs to an operation")]
async fn a_file_cannot_replace_an_operation() {
    let fake = FakeFullscript::start().await.unwrap();
    let _url = fake.file("/api/clinic", "no");
}
