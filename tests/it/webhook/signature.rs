//! The signature header: independently computed signatures, and malformed ones.

use fullscript::webhook::{SIGNATURE_HEADER, sign};
use proptest::prelude::*;

use super::{HEADER, NOW, SECRET, at, receiver, refuse};

/// Computed with two other tools; the vendor publishes no example.
const VECTORS: [(u64, &str, &str); 4] = [
    (
        1_700_000_000,
        r#"{"event":{}}"#,
        "84e9ec5a9325cd4dff905c643cc1378581839dc988614c5e01a55ba94a07156a",
    ),
    (
        1_591_826_856,
        r#"{"event":{"type":"patient.updated","data":{"patient":{"first_name":"Zoë"}}}}"#,
        "0fe9cee49641553e44d1b3f13bbbfd1462ea1ad5db294cfd259c7b5b81da5688",
    ),
    (
        1_591_826_856,
        r#"{"event":{"id":"x5xxxxx8-92x7-4xxx-9x0x-345x404x94x1","type":"patient.created","created_at":"2018-10-16T04:00:00.000Z","clinic_id":"xx7x357x-9x36-xxxx-x553-7x3xx398xxx","data":{"patient":{"id":"x1x0196x-5615-4874-xxe4-48x459180x09"}}}}"#,
        "e9f4951d167ba93f41e29587c772cdb727ff46afc75d72ae13a3fd5e78f9081c",
    ),
    (
        1_591_826_856,
        "",
        "739eb7468018947adcfa5b4dc15678ea70d1e656e751efb6bdf3f5b79fb68092",
    ),
];

#[test]
fn signatures_are_those_of_other_tools() {
    for (time, body, signature) in VECTORS {
        let header = format!("t={time},v1={signature}");
        assert_eq!(sign(SECRET, at(time), body.as_bytes()), header);
        let checked = receiver().verify([(HEADER, header)], body.as_bytes(), at(time));
        assert_eq!(checked, Ok(()));
    }
}

#[test]
fn the_header_of_the_vendors_page_can_be_read() {
    let header = "t=1591826856,v1=0c262932b0ac6b4952e2fe24fdf419313984a66f6f442e0b8ec4cb87f2a107ad";
    assert!(refuse(header, b"{}").is_wrong());
}

#[test]
fn order_spaces_unknown_keys_and_further_signatures_do_not_matter() {
    let signed = sign(SECRET, at(NOW), b"{}");
    let (time, signature) = signed.split_once(',').unwrap();
    let other = "v1=".to_string() + &"0".repeat(64);
    for header in [
        format!("{signature},{time}"),
        format!(" {time} , {signature} "),
        format!("{time},{other},{signature}"),
        format!("{time},{signature},{other}"),
        format!("v0=aa,{time},v2=bb,{signature},,nonsense,=,k="),
        format!("{time},v1=short,v1=,{signature}"),
        format!("{time},t=,t=-1,{signature}"),
        format!("{time},{signature},{time}"),
        format!("{time},v1={}", signature[3..].to_uppercase()),
    ] {
        let checked = receiver().verify([(SIGNATURE_HEADER, &header)], b"{}", at(NOW));
        assert_eq!(checked, Ok(()), "{header}");
    }
}

#[test]
fn the_time_is_signed_as_it_was_sent() {
    let signed = sign(SECRET, at(NOW), b"{}");
    let signature = signed.split_once(",v1=").unwrap().1;
    assert!(refuse(&format!("t=0{NOW},v1={signature}"), b"{}").is_wrong());
}

#[test]
fn a_header_without_content_is_malformed() {
    let signed = sign(SECRET, at(NOW), b"{}");
    let (_, signature) = signed.split_once(',').unwrap();
    for (header, what) in [
        ("".to_string(), "no time"),
        ("nonsense".to_string(), "no time"),
        (signature.to_string(), "no time"),
        (format!("T={NOW},{signature}"), "no time"),
        (format!("t=+{NOW},{signature}"), "no time"),
        (format!("t={NOW}.0,{signature}"), "no time"),
        (format!("t=0x10,{signature}"), "no time"),
        (format!("t=18446744073709551616,{signature}"), "no time"),
        (format!("t=\u{661}\u{662},{signature}"), "no time"),
        (format!("t={NOW}"), "no v1 signature"),
        (format!("t={NOW},v2=00"), "no v1 signature"),
        (format!("t={NOW},v1={}", "0".repeat(63)), "no v1 signature"),
        (format!("t={NOW},v1={}", "0".repeat(65)), "no v1 signature"),
        (format!("t={NOW},v1={}", "g".repeat(64)), "no v1 signature"),
        (format!("t=1,t=2,t=3,t=4,t=5,{signature}"), "too many times"),
    ] {
        let error = refuse(&header, b"{}");
        assert!(error.is_malformed(), "{header}: {error:?}");
        assert!(error.to_string().contains(what), "{header}: {error}");
        assert_eq!(error.status(), 400);
    }
}

#[test]
fn times_at_the_end_of_time_are_refused_without_a_panic() {
    let header = format!("t={},v1={}", u64::MAX, "0".repeat(64));
    assert!(refuse(&header, b"{}").is_wrong());
    let before_1970 = at(0) - std::time::Duration::from_secs(10);
    assert!(sign(SECRET, before_1970, b"").starts_with("t=0,"));
    let header = [(HEADER, sign(SECRET, at(NOW), b"{}"))];
    let checked = receiver().verify(header, b"{}", before_1970);
    assert!(checked.unwrap_err().is_future());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_other_body_time_or_secret_fits(
        body in prop::collection::vec(any::<u8>(), 1..200),
        place in any::<prop::sample::Index>(),
        bit in 0..8_u8,
        time in 1..u64::from(u32::MAX),
    ) {
        let header = sign(SECRET, at(time), &body);
        let verify = |header: &str, body: &[u8]| {
            receiver().verify([(HEADER, header)], body, at(time))
        };
        prop_assert_eq!(verify(&header, &body), Ok(()));
        let mut changed = body.clone();
        changed[place.index(body.len())] ^= 1 << bit;
        prop_assert!(verify(&header, &changed).unwrap_err().is_wrong());
        let later = header.replacen(&format!("t={time}"), &format!("t={}", time - 1), 1);
        prop_assert!(verify(&later, &body).unwrap_err().is_wrong());
        prop_assert!(verify(&sign("another", at(time), &body), &body).unwrap_err().is_wrong());
    }
}
