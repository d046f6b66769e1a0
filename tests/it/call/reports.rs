//! Reports of calls: exactly one for each call that was started, also if its future is dropped.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fullscript::testing::Script;
use fullscript::{CallOptions, CallOutcome, CallReport, Client, RateLimit};

use super::{good, post, status};
use crate::support::{Act, Connected, Misbehaving, TWO_HOURS, builder};

type Reports = Arc<Mutex<Vec<CallReport>>>;

async fn reporting(
    acts: impl IntoIterator<Item = Act>,
    limit: RateLimit,
) -> (Misbehaving, Client, Reports) {
    let server = Misbehaving::start(acts).await;
    let reports = Reports::default();
    let received = Arc::clone(&reports);
    let client = builder(&server.url())
        .rate_limit(limit)
        .concurrency(1)
        .on_call_end(move |report| received.lock().unwrap().push(report.clone()))
        .build()
        .unwrap();
    (server, client, reports)
}

/// Runs a call, and drops it after a second.
async fn drop_after_a_second<T>(call: impl Future<Output = T>) {
    let dropped = tokio::time::timeout(Duration::from_secs(1), call).await;
    assert!(dropped.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_is_reported_once_whatever_it_waited_for() {
    let slow = |body: &str| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        Act::Slow(head, body.into(), Duration::from_secs(1))
    };
    let busy = crate::support::answer_with(503, "retry-after: 20\r\n", "");
    for (name, acts, attempts) in [
        ("the response", [Act::Silence, good()], 1),
        ("the body", [slow(super::CLINIC), good()], 1),
        ("a retry", [Act::Answer(busy), good()], 1),
    ] {
        let (_server, client, reports) = reporting(acts, RateLimit::off()).await;
        drop_after_a_second(client.get_clinic().send()).await;
        let report = reports.lock().unwrap().pop().unwrap();
        assert_eq!(report.outcome, CallOutcome::Dropped, "{name}");
        assert_eq!(report.operation_id, "get_clinic");
        assert_eq!((report.status, report.attempts), (None, attempts), "{name}");
        assert_eq!(report.elapsed.as_secs(), 1, "{name}");
        assert!(reports.lock().unwrap().is_empty(), "{name}");
        client.get_clinic().send().await.unwrap();
        let report = reports.lock().unwrap().pop().unwrap();
        assert_eq!(report.outcome, CallOutcome::Ok, "{name}");
        assert!(report.status.is_some(), "{name}");
    }
    // A call that waits for a permit was not sent.
    let limit = RateLimit::new(1, Duration::from_secs(20));
    let (server, client, reports) = reporting([good()], limit).await;
    client.get_clinic().send().await.unwrap();
    drop_after_a_second(client.get_clinic().send()).await;
    let ends: Vec<_> = reports
        .lock()
        .unwrap()
        .iter()
        .map(|report| (report.outcome, report.attempts))
        .collect();
    assert_eq!(ends, [(CallOutcome::Ok, 1), (CallOutcome::Dropped, 0)]);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn calls_dropped_together_and_downloads_are_reported_once_each() {
    let (server, client, reports) = reporting([Act::Silence], RateLimit::off()).await;
    let calls: Vec<_> = (0..20)
        .map(|_| tokio::spawn(client.get_clinic().send()))
        .collect();
    tokio::task::yield_now().await;
    calls.iter().for_each(|call| call.abort());
    for call in calls {
        assert!(call.await.unwrap_err().is_cancelled());
    }
    let started = reports.lock().unwrap().len();
    assert_eq!(started, 20);
    let is_dropped = |report: &CallReport| report.outcome == CallOutcome::Dropped;
    assert!(reports.lock().unwrap().iter().all(is_dropped));
    drop_after_a_second(post(&client)).await;
    let url = format!("{}/1", server.url());
    drop_after_a_second(client.download(&url).send()).await;
    assert_eq!(reports.lock().unwrap().len(), 22);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_ended_is_not_reported_as_dropped() {
    let (_server, client, reports) = reporting([status(500), good()], RateLimit::off()).await;
    let once = client.with_options(CallOptions::new().max_attempts(1));
    once.get_clinic().send().await.unwrap_err();
    client.get_clinic().send().await.unwrap();
    // A call that was never polled did not start.
    drop(client.get_clinic().send());
    let reports = reports.lock().unwrap();
    let statuses: Vec<_> = reports.iter().map(|report| report.status).collect();
    assert_eq!(statuses.len(), 2);
    assert!(statuses.iter().all(Option::is_some));
    let outcomes: Vec<_> = reports.iter().map(|report| report.outcome).collect();
    assert_eq!(outcomes, [CallOutcome::ServerError, CallOutcome::Ok]);
}

#[tokio::test(start_paused = true)]
async fn a_report_has_the_outcome_of_reading_the_response() {
    let json = |body: &str| Act::Answer(crate::support::answer(200, "application/json", body));
    let cut = crate::support::answer(200, "application/json", super::CLINIC);
    for (act, outcome, sent) in [
        (good(), CallOutcome::Ok, Some(200)),
        (json("{}"), CallOutcome::Decode, Some(200)),
        (
            json(r#"{"clinic": {"id": []}}"#),
            CallOutcome::Decode,
            Some(200),
        ),
        (json("<html>"), CallOutcome::Decode, Some(200)),
        (json(""), CallOutcome::EmptySuccess, Some(200)),
        (json("null"), CallOutcome::EmptySuccess, Some(200)),
        (status(404), CallOutcome::Refused, Some(404)),
        (status(422), CallOutcome::Refused, Some(422)),
        (status(500), CallOutcome::ServerError, Some(500)),
        (
            Act::AnswerAndClose(cut[..cut.len() - 9].into()),
            CallOutcome::IncompleteResponse,
            Some(200),
        ),
        (
            Act::AnswerAndClose(String::new()),
            CallOutcome::Connection,
            None,
        ),
        (Act::Silence, CallOutcome::Timeout, None),
        (
            Act::Large(64 << 20),
            CallOutcome::ResponseTooLarge,
            Some(200),
        ),
    ] {
        let (_server, client, reports) = reporting([act], RateLimit::off()).await;
        let options = CallOptions::new()
            .max_attempts(1)
            .timeout(Duration::from_secs(30));
        let result = client.with_options(options).get_clinic().send().await;
        let ends = std::mem::take(&mut *reports.lock().unwrap());
        assert_eq!(ends.len(), 1, "{outcome}");
        assert_eq!(ends[0].outcome, outcome, "{result:?}");
        assert_eq!(
            ends[0].status.map(|status| status.as_u16()),
            sent,
            "{outcome}"
        );
        assert_eq!(result.is_ok(), outcome == CallOutcome::Ok);
        assert_eq!(outcome.to_string(), outcome.as_str());
    }
    // A file that is not the expected one.
    for (body, outcome) in [
        ("%PDF-1.7 %%EOF", CallOutcome::Ok),
        ("<html>", CallOutcome::Decode),
    ] {
        let act = Act::Answer(crate::support::answer(200, "application/pdf", body));
        let (server, client, reports) = reporting([act], RateLimit::off()).await;
        let file = client
            .download(&format!("{}/1", server.url()))
            .pdf()
            .send()
            .await;
        let ends = std::mem::take(&mut *reports.lock().unwrap());
        assert_eq!(ends.len(), 1, "{outcome}");
        assert_eq!(
            (ends[0].outcome, file.is_ok()),
            (outcome, outcome == CallOutcome::Ok)
        );
    }
    let limit = RateLimit::new(1, Duration::from_secs(600));
    let (_server, client, reports) = reporting([good()], limit).await;
    client.get_clinic().send().await.unwrap();
    client.get_clinic().send().await.unwrap_err();
    assert_eq!(reports.lock().unwrap()[1].outcome, CallOutcome::RateLimit);
    assert_eq!(reports.lock().unwrap()[1].attempts, 0);
}

#[tokio::test(start_paused = true)]
async fn a_report_says_what_the_call_waited_for() {
    let limit = RateLimit::new(1, Duration::from_secs(20));
    let (_server, client, reports) = reporting([good()], limit).await;
    for _ in 0..2 {
        client.get_clinic().send().await.unwrap();
    }
    drop_after_a_second(client.get_clinic().send()).await;
    let ends = std::mem::take(&mut *reports.lock().unwrap());
    let waits = |report: &CallReport| report.permit_wait.as_secs();
    assert_eq!(ends.iter().map(waits).collect::<Vec<_>>(), [0, 20, 1]);
    for report in &ends {
        assert_eq!(report.concurrency_wait + report.token_wait, Duration::ZERO);
        assert!(report.permit_wait <= report.elapsed);
        assert_eq!(report.user, None);
    }

    let slow = |body: &str| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        Act::Slow(head, body.into(), Duration::from_millis(100))
    };
    let acts = [slow(super::CLINIC), good()];
    let (_server, client, reports) = reporting(acts, RateLimit::off()).await;
    let (first, second) = tokio::join!(client.get_clinic().send(), client.get_clinic().send());
    first.unwrap();
    second.unwrap();
    let ends = std::mem::take(&mut *reports.lock().unwrap());
    assert_eq!(ends[0].concurrency_wait, Duration::ZERO);
    assert!(ends[1].concurrency_wait >= ends[0].elapsed - Duration::from_millis(50));
    assert_eq!(ends[1].permit_wait, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_report_names_the_user_and_the_wait_for_a_token() {
    let connected = Connected::unlimited().await;
    let reports = Reports::default();
    let received = Arc::clone(&reports);
    let app = connected
        .another()
        .on_call_end(move |report| received.lock().unwrap().push(report.clone()))
        .build()
        .unwrap();
    let client = app.client("practitioner");
    let take = || std::mem::take(&mut *reports.lock().unwrap());
    client.get_clinic().send().await.unwrap();
    client.get_clinic().send().await.unwrap();
    let ends = take();
    assert_eq!(ends[0].user.as_deref(), Some("Practitioner/practitioner"));
    assert_eq!(ends[1].token_wait, Duration::ZERO);
    // A refresh before the call, and one after a 401. The first attempt of each fails.
    for expire in [true, false] {
        if expire {
            connected.clock.advance(TWO_HOURS);
        } else {
            connected.fake.expire_access_tokens();
        }
        let refused = Script::json(503, &serde_json::json!({}));
        connected
            .fake
            .answer_times("create_oauth_token", 2, refused);
        client.get_clinic().send().await.unwrap();
        let report = take().remove(0);
        assert!(report.token_wait > Duration::ZERO && report.token_wait <= report.elapsed);
        assert_eq!(report.permit_wait + report.concurrency_wait, Duration::ZERO);
    }
    // A call that is dropped while it waits for a token.
    connected.clock.advance(TWO_HOURS);
    connected
        .fake
        .fault("create_oauth_token", fullscript::testing::Fault::silence());
    drop_after_a_second(client.get_clinic().send()).await;
    let report = take().remove(0);
    assert_eq!(
        (report.outcome, report.token_wait.as_secs()),
        (CallOutcome::Dropped, 1)
    );
}
