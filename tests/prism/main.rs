//! Every request of the client, validated by an independent implementation: Stoplight Prism.
//!
//! Runs if `FULLSCRIPT_PRISM` names the `node_modules` that `npm ci` creates from `package.json`
//! next to this file; `.ci/run` does this.
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't go on says so by panicking"
)]

mod calls;
mod document;
mod judge;

use std::collections::BTreeSet;

use fullscript::http::Method;
use fullscript::operations;

use crate::document::{parts, sent_parts, wrong_requests};
use crate::judge::Judge;

#[tokio::test]
async fn prism_accepts_every_request() {
    let Some(judge) = Judge::start() else { return };
    let sent = calls::send_all(&judge.client()).await;
    let judgements = judge.judgements();

    let judged = judgements.iter().map(|judged| judged.operation.as_deref());
    let expected: Vec<_> = sent.iter().copied().map(Some).collect();
    assert_eq!(judged.collect::<Vec<_>>(), expected);
    let complaints: Vec<String> = judgements
        .iter()
        .flat_map(|judged| {
            judged
                .complaints
                .iter()
                .map(move |told| format!("{judged}: {told}"))
        })
        .collect();
    assert_eq!(complaints, [""; 0], "{}", complaints.join("\n"));

    let called: BTreeSet<&str> = sent.into_iter().collect();
    let known: BTreeSet<&str> = operations::all().iter().map(|known| known.id).collect();
    assert_eq!(called, known);
    let given: BTreeSet<String> = judgements.iter().flat_map(sent_parts).collect();
    let never_sent: Vec<_> = parts().difference(&given).cloned().collect();
    assert_eq!(never_sent, [""; 0], "parameters and fields without a call");
}

#[tokio::test]
async fn prism_detects_each_invalid_request() {
    let Some(judge) = Judge::start() else { return };
    let client = judge.client();
    let wrong = wrong_requests();
    assert!(wrong.len() > 100, "{}", wrong.len());
    for wrong in &wrong {
        let method = Method::from_bytes(wrong.operation.method.as_bytes()).unwrap();
        let mut request = client.request(method, &wrong.path);
        if let Some(parameter) = &wrong.parameter {
            request = request.query(parameter, "of no such kind");
        }
        if let Some(body) = &wrong.body {
            request = request.json(body);
        }
        request.send_bytes().await.unwrap();
    }
    let judgements = judge.judgements();
    assert_eq!(judgements.len(), wrong.len());
    for (judged, wrong) in judgements.iter().zip(&wrong) {
        assert_eq!(judged.operation.as_deref(), Some(wrong.operation.id));
        assert!(!judged.complaints.is_empty(), "{judged}: {wrong:?}");
    }
}

#[tokio::test]
async fn prism_detects_an_invalid_request_of_a_typed_call() {
    let Some(judge) = Judge::start() else { return };
    let client = judge.client();
    client
        .list_patients()
        .patient_type("of no such kind")
        .send()
        .await
        .unwrap();
    client.list_patients().send().await.unwrap();
    let nowhere = client
        .request(Method::GET, "/api/nowhere")
        .send_bytes()
        .await;
    assert!(nowhere.unwrap_err().is_not_found());
    let judgements = judge.judgements();
    let found: Vec<usize> = judgements
        .iter()
        .map(|judged| judged.complaints.len())
        .collect();
    assert_eq!(found, [1, 0, 1]);
}
