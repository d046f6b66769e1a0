//! Retries that depend on more than the kind of failure: the retry budget, `Retry-After`,
//! idempotency keys in use, refused writes and closed idle connections.

use std::time::{Duration, SystemTime};

use fullscript::testing::{FakeFullscript, ManualClock, Script};
use fullscript::types::UpdateStaffMemberRequest;
use fullscript::{CallOptions, Client, RateLimit};
use serde_json::json;
use tokio::time::Instant;

use super::{good, post, status};
use crate::support::{Act, Misbehaving, answer, answer_with, at, builder, client};

/// A sequence of pseudo-random numbers below 100.
fn percentages(mut seed: u64) -> impl Iterator<Item = u64> {
    std::iter::from_fn(move || {
        // xorshift64
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        Some((seed >> 20) % 100)
    })
}

async fn unlimited(acts: impl IntoIterator<Item = Act>) -> (Misbehaving, Client) {
    let server = Misbehaving::start(acts).await;
    let client = builder(&server.url()).rate_limit(RateLimit::off());
    let client = client.build().unwrap();
    (server, client)
}

#[tokio::test(start_paused = true)]
async fn no_get_of_four_thousand_fails_while_a_fifth_of_the_responses_are_503() {
    for (share, together, seed) in [(10, 1, 1), (10, 100, 2), (20, 1, 3), (20, 250, 4)] {
        let acts = percentages(seed).map(|number| match number {
            number if number < share => status(503),
            _ => good(),
        });
        let (server, client) = unlimited(acts.take(8_000)).await;
        let calls = (0..together).map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut failed = 0;
                for _ in 0..4_000 / together {
                    failed += u32::from(client.get_clinic().send().await.is_err());
                }
                failed
            })
        });
        let calls: Vec<_> = calls.collect();
        let mut failed = 0;
        for call in calls {
            failed += call.await.unwrap();
        }
        let done = 4_000 / together * together;
        let requests = server.requests().len() - done;
        println!("{share} % of 503, {together} at once: {failed} failed, {requests} retries");
        assert_eq!(failed, 0, "{share} %, {together} at once, seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn in_an_outage_all_calls_together_make_35_retries() {
    for together in [1, 100] {
        let (server, client) = unlimited([status(503)]).await;
        for _ in 0..300 / together {
            let calls: Vec<_> = (0..together)
                .map(|_| tokio::spawn(client.get_clinic().send()))
                .collect();
            for call in calls {
                assert!(call.await.unwrap().unwrap_err().is_transient());
            }
        }
        assert_eq!(server.requests().len(), 335, "{together} at once");
        // The budget is empty, so that a call fails at once.
        let started = Instant::now();
        client.get_clinic().send().await.unwrap_err();
        assert!(started.elapsed() < Duration::from_millis(50));
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_begins_within_a_job_is_noticed_in_five_seconds() {
    let acts = (0..50).map(|_| good()).chain([status(503)]);
    let (server, client) = unlimited(acts).await;
    for _ in 0..50 {
        client.get_clinic().send().await.unwrap();
    }
    let started = Instant::now();
    let calls: Vec<_> = (0..200)
        .map(|_| tokio::spawn(client.get_clinic().send()))
        .collect();
    for call in calls {
        assert!(call.await.unwrap().unwrap_err().is_transient());
    }
    assert_eq!(server.requests().len(), 50 + 200 + 35);
    assert!(started.elapsed() < Duration::from_secs(10));
    let started = Instant::now();
    client.get_clinic().send().await.unwrap_err();
    assert!(started.elapsed() < Duration::from_millis(50));
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_a_lower_bound_of_the_delay() {
    let date = "date: Sun, 22 Nov 2026 06:00:00 GMT\r\n";
    for (headers, shortest, longest) in [
        ("retry-after: 1.5\r\n", 1_500, 1_600),
        ("retry-after: 3\r\n", 3_000, 3_100),
        ("retry-after: 0.05\r\n", 50, 350),
        ("retry-after: 0\r\n", 0, 350),
        ("retry-after: -7\r\n", 0, 350),
        ("retry-after: later\r\n", 0, 350),
        (
            "retry-after: Sun, 22 Nov 2026 06:00:05 GMT\r\n",
            5_000,
            5_100,
        ),
        ("retry-after: Sun, 22 Nov 2026 05:00:00 GMT\r\n", 0, 350),
    ] {
        for code in [429, 503] {
            // The clock of this machine is months away from that of the server.
            for clock in [at(0), SystemTime::UNIX_EPOCH] {
                let refusal = answer_with(code, &format!("{date}{headers}"), "");
                let server = Misbehaving::start([Act::Answer(refusal), good()]).await;
                let manual = ManualClock::at(clock);
                let limit = RateLimit::off();
                let client = builder(&server.url()).clock(manual).rate_limit(limit);
                let client = client.build().unwrap();
                let started = Instant::now();
                client.get_clinic().send().await.unwrap();
                let range = Duration::from_millis(shortest)..Duration::from_millis(longest);
                let elapsed = started.elapsed();
                assert!(range.contains(&elapsed), "{code} {headers}: {elapsed:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_of_zero_is_no_reason_to_hurry() {
    let zero = Act::Answer(answer_with(503, "retry-after: 0\r\n", ""));
    let (server, client) = unlimited([zero]).await;
    let started = Instant::now();
    let error = client.get_clinic().send().await.unwrap_err();
    assert_eq!(error.retry_after(), None);
    assert_eq!(server.requests().len(), 8);
    // Seven delays whose bounds add up to 9.75 s.
    let range = Duration::from_millis(500)..Duration::from_secs(10);
    assert!(range.contains(&started.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn a_key_in_use_is_retried_until_the_first_request_is_done() {
    let conflict = |body: &str| Act::Answer(answer(409, "application/json", body));
    for body in [
        r#"{"error":"request_in_progress"}"#,
        r#"{"errors":[{"code":"request_in_progress","message":"wait"}]}"#,
        r#"{"error":{"code":"idempotency_key_in_use"}}"#,
    ] {
        // The first attempt times out here while the server goes on with it.
        let acts = [Act::Silence, conflict(body), conflict(body), good()];
        let server = Misbehaving::start(acts).await;
        let options = CallOptions::new().idempotency_key("visit-42");
        let client = builder(&server.url()).options(options).build().unwrap();
        let started = Instant::now();
        post(&client).await.unwrap();
        let requests = server.requests();
        assert_eq!(requests.len(), 4, "{body}");
        let key = |request: &String| request.contains("idempotency-key: visit-42");
        assert!(requests.iter().all(key));
        assert!(started.elapsed() > Duration::from_secs(17), "{body}");
    }
    let busy = conflict(r#"{"error":"request_in_progress"}"#);
    let server = Misbehaving::start([busy]).await;
    let options = CallOptions::new()
        .idempotency_key("visit-42")
        .max_attempts(2);
    let client = builder(&server.url()).options(options).build().unwrap();
    let error = post(&client).await.unwrap_err();
    assert!(
        error.is_transient() && error.may_have_arrived(),
        "{error:?}"
    );
    assert!(error.to_string().contains("still in progress"), "{error}");
    assert_eq!(error.attempts(), 2);
}

#[tokio::test(start_paused = true)]
async fn another_conflict_is_not_retried() {
    for (body, key) in [
        (r#"{"error":"email is taken"}"#, Some("visit-42")),
        (r#"{"error":"the plan is in progress"}"#, Some("visit-42")),
        (r#"{"error":"request_in_progress"}"#, None),
        ("", Some("visit-42")),
    ] {
        let conflict = Act::Answer(answer(409, "application/json", body));
        let server = Misbehaving::start([conflict, good()]).await;
        let options = key.map_or_else(CallOptions::new, |key| {
            CallOptions::new().idempotency_key(key)
        });
        let client = builder(&server.url()).options(options).build().unwrap();
        let error = post(&client).await.unwrap_err();
        assert_eq!(error.status().unwrap(), 409);
        assert_eq!(error.is_transient(), key.is_none(), "{error}");
        assert_eq!(server.requests().len(), 1, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_write_is_retried_only_if_the_option_is_set() {
    for (code, headers, is_refused) in [
        (429, "", true),
        (429, "retry-after: 2\r\n", true),
        (503, "retry-after: 2\r\n", true),
        (503, "", false),
        (503, "retry-after: soon\r\n", false),
        (502, "retry-after: 2\r\n", false),
        (500, "", false),
        (409, "retry-after: 2\r\n", false),
    ] {
        for retries in [true, false] {
            let refusal = Act::Answer(answer_with(code, headers, ""));
            let server = Misbehaving::start([refusal.clone(), refusal, good()]).await;
            let options = CallOptions::new().retry_refused_writes(retries);
            let limit = RateLimit::off();
            let client = builder(&server.url()).options(options).rate_limit(limit);
            let client = client.build().unwrap();
            let posted = post(&client).await;
            let is_retried = retries && is_refused;
            assert_eq!(posted.is_ok(), is_retried, "{code} {headers} {retries}");
            let sent = if is_retried { 3 } else { 1 };
            assert_eq!(server.requests().len(), sent, "{code} {headers} {retries}");
        }
    }
    let refusal = Act::Answer(answer(429, "text/plain", ""));
    let server = Misbehaving::start([refusal, good()]).await;
    let client = client(&server.url());
    let retrying = client.with_options(CallOptions::new().retry_refused_writes(true));
    let change = UpdateStaffMemberRequest::default().first_name("A");
    let call = retrying.update_staff_member().id("2").body(change);
    assert_eq!(call.send().await.unwrap().attempts(), 2, "a PATCH");
}

#[tokio::test]
async fn a_post_that_a_closed_idle_connection_never_carried_is_sent_over_a_new_one() {
    for _ in 0..20 {
        let clinic = answer(200, "application/json", super::CLINIC);
        // The server closes the connection after its first response.
        let server = Misbehaving::start([Act::AnswerAndClose(clinic), good()]).await;
        let client = client(&server.url());
        client.get_clinic().send().await.unwrap();
        post(&client).await.unwrap();
        let requests = server.requests();
        let posts = requests.iter().filter(|sent| sent.starts_with("POST"));
        assert_eq!(posts.count(), 1);
    }
}

#[tokio::test]
async fn an_error_after_retries_counts_them_and_keeps_the_last_response() {
    let fake = FakeFullscript::start().await.unwrap();
    fake.answer("get_clinic", Script::json(404, &json!({"error": "gone"})));
    fake.answer_times("get_clinic", 2, Script::html(520, ""));
    let error = fake.client().get_clinic().send().await.unwrap_err();
    assert!(error.is_not_found() && !error.is_transient(), "{error}");
    assert_eq!(error.attempts(), 3);
    assert_eq!(error.messages(), ["gone"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_shutdown_ends_between_attempts_does_not_say_that_it_was_not_sent() {
    let busy = answer_with(503, "retry-after: 10\r\n", "");
    let (server, client) = unlimited([Act::Answer(busy)]).await;
    let call = tokio::spawn(client.get_clinic().send());
    while server.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    client.shutdown(Duration::from_secs(20)).await.unwrap();
    let error = call.await.unwrap().unwrap_err();
    assert!(error.may_have_arrived() && error.attempts() == 1);
    let text = error.to_string();
    assert!(
        text.contains("not retried: the client was shut down"),
        "{text}"
    );
    let error = client.get_clinic().send().await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("not sent: the client was shut down"),
        "{text}"
    );
}
