//! Deliveries that a receiver accepts or rejects, and its responses.

mod adapters;
pub(crate) mod deliveries;
mod event_log;
mod events;
mod routes;
mod signature;

use std::time::{Duration, SystemTime};

use fullscript::webhook::{Delivery, Receiver, WebhookError, sign};

pub(crate) const SECRET: &str = "fs-test-webhook-secret";
const CHALLENGE: &str = "planted \"challenge\" token";
pub(crate) const HEADER: &str = "Fullscript-Signature";

/// The given number of seconds after 1970.
pub(crate) fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

const NOW: u64 = 1_700_000_000;

pub(crate) fn receiver() -> Receiver {
    Receiver::new(SECRET, CHALLENGE).unwrap()
}

/// Delivers a body with a current signature.
pub(crate) fn deliver(body: &[u8]) -> Delivery {
    let header = sign(SECRET, at(NOW), body);
    receiver()
        .receive([(HEADER, header)], body, at(NOW))
        .unwrap()
}

fn refuse(header: &str, body: &[u8]) -> WebhookError {
    receiver()
        .receive([(HEADER, header)], body, at(NOW))
        .unwrap_err()
}

#[test]
fn every_delivery_gets_the_challenge() {
    for body in [&b""[..], b" \r\n", b"{\"event\":{}}", b"\xff", b"[]"] {
        let delivery = deliver(body);
        let reply = delivery.reply();
        assert_eq!(reply.status(), 200);
        assert_eq!(reply.content_type(), "application/json");
        assert_eq!(
            reply.body(),
            r#"{"challenge":"planted \"challenge\" token"}"#
        );
        let is_ping = body.trim_ascii().is_empty();
        assert_eq!(delivery.event().is_none(), is_ping);
        assert_eq!(delivery.into_event().is_none(), is_ping);
    }
}

#[test]
fn an_empty_body_needs_no_signature_and_none_is_verified() {
    let none: [(&str, &str); 0] = [];
    assert!(receiver().receive(none, b"", at(NOW)).is_ok());
    for header in ["", "t=1,v1=00", &sign(SECRET, at(1), b"")] {
        let delivery = receiver()
            .receive([(HEADER, header)], b"", at(NOW))
            .unwrap();
        assert!(matches!(delivery, Delivery::Ping { .. }));
    }
}

#[test]
fn headers_of_every_framework_are_accepted() {
    let body = b"{}";
    let signed = sign(SECRET, at(NOW), body);
    let mut map = fullscript::http::HeaderMap::new();
    map.insert("host", "example.com".parse().unwrap());
    map.insert("fullscript-signature", signed.parse().unwrap());
    assert!(receiver().receive(&map, body, at(NOW)).is_ok());
    let map = std::collections::HashMap::from([("FULLSCRIPT-SIGNATURE".to_string(), signed)]);
    assert!(receiver().receive(&map, body, at(NOW)).is_ok());
}

#[test]
fn one_of_several_headers_suffices() {
    let body = b"{}";
    let good = sign(SECRET, at(NOW), body);
    let bad = sign("another", at(NOW - 1), body);
    for headers in [[&good, &bad], [&bad, &good], [&good, &good]] {
        let headers = headers.map(|value| (HEADER, value));
        assert!(receiver().receive(headers, body, at(NOW)).is_ok());
        let joined = headers.map(|(_, value)| value.as_str()).join(", ");
        let joined = [(HEADER, joined)];
        assert!(receiver().receive(joined, body, at(NOW)).is_ok());
    }
}

#[test]
fn old_and_new_secret_are_accepted_while_one_replaces_the_other() {
    let receiver = receiver().additional_secret("new").unwrap();
    for (secret, accepted) in [(SECRET, true), ("new", true), ("other", false)] {
        let header = sign(secret, at(NOW), b"{}");
        let received = receiver.receive([(HEADER, header)], b"{}", at(NOW));
        assert_eq!(received.is_ok(), accepted, "{secret}");
    }
}

#[test]
fn a_signature_counts_for_five_minutes_before_and_after_and_no_longer() {
    let header = [(HEADER, sign(SECRET, at(NOW), b"{}"))];
    let receive = |receiver: &Receiver, now| receiver.receive(header.clone(), b"{}", at(now));
    for now in [NOW - 300, NOW, NOW + 300] {
        assert!(receive(&receiver(), now).is_ok());
    }
    let almost = at(NOW + 300) + Duration::from_millis(999);
    assert!(receiver().receive(header.clone(), b"{}", almost).is_ok());
    let stale = receive(&receiver(), NOW + 301).unwrap_err();
    assert!(stale.is_stale() && !stale.is_future(), "{stale:?}");
    let future = receive(&receiver(), NOW - 301).unwrap_err();
    assert!(future.is_future() && !future.is_stale(), "{future:?}");
    assert_eq!((stale.status(), future.status()), (401, 401));
    let patient = receiver().tolerance(Duration::from_secs(20_000));
    assert!(receive(&patient, NOW + 20_000).is_ok());
    let strict = receiver().tolerance(Duration::ZERO);
    assert!(receive(&strict, NOW).is_ok());
    assert!(receive(&strict, NOW + 1).unwrap_err().is_stale());
}

#[test]
fn what_is_called_stale_was_signed_with_the_secret() {
    let error = refuse(&sign("another", at(1), b"{}"), b"{}");
    assert!(error.is_wrong() && !error.is_stale(), "{error:?}");
}

#[test]
fn each_rejection_is_distinguished() {
    let body = br#"{"event":{}}"#;
    let signed = sign(SECRET, at(NOW), body);
    let none: [(&str, &str); 0] = [];
    let missing = receiver().receive(none, body, at(NOW)).unwrap_err();
    assert!(missing.is_missing(), "{missing:?}");
    assert_eq!(missing.status(), 401);

    let wrong = refuse(&signed, br#"{"event":{ }}"#);
    assert!(wrong.is_wrong(), "{wrong:?}");
    assert_eq!(wrong.status(), 401);

    let limited = receiver().body_limit(body.len() - 1);
    let oversized = limited.receive([(HEADER, &signed)], body, at(NOW));
    let oversized = oversized.unwrap_err();
    assert!(oversized.is_oversized(), "{oversized:?}");
    assert_eq!(oversized.status(), 413);
    let blank = limited.receive([(HEADER, &signed)], &[b' '; 100], at(NOW));
    assert!(blank.unwrap_err().is_oversized());
    let exact = receiver().body_limit(body.len());
    assert!(exact.receive([(HEADER, &signed)], body, at(NOW)).is_ok());
}

#[test]
fn an_empty_secret_is_rejected() {
    for (signing, challenge, message) in [
        ("", "token", "signature secret key: empty"),
        (" ", "token", "signature secret key: empty"),
        (
            "key\n",
            "token",
            "signature secret key: contains a line break",
        ),
        ("key", "", "challenge token: empty"),
        ("key", "token\r\n", "challenge token: contains a line break"),
    ] {
        let error = Receiver::new(signing, challenge).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
    assert!(receiver().additional_secret("").is_err());
}

#[test]
fn nothing_shown_holds_a_secret_or_health_data() {
    let body = br#"{"event":{"id":"planted-id","type":"planted-type","data":{"patient":{"email":"planted@example.com"}}}}"#;
    let delivery = deliver(body);
    let known = String::from_utf8(body.to_vec()).unwrap();
    let known = deliver(known.replace("planted-type", "patient.created").as_bytes());
    let error = refuse("t=1,v1=00", b"planted");
    let refused = Receiver::new("planted\n", "planted").unwrap_err();
    let receiver = Receiver::new("planted", "planted").unwrap();
    let reply = delivery.reply();
    for shown in [
        format!("{delivery:?} {delivery:#?} {known:?} {known:#?} {reply:?}"),
        format!("{error:?} {error} {refused:?} {refused} {receiver:?} {receiver:#?}"),
    ] {
        assert!(!shown.contains("planted"), "{shown}");
    }
    assert!(format!("{known:?}").contains("patient.created"));
}

#[test]
fn a_receiver_is_shared_between_threads() {
    fn check<T: Send + Sync + 'static>(_: T) {}
    check(receiver());
    check(deliver(b"{}"));
}
