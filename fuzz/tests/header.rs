//! The signature header: no input causes a panic, and only the correct signature is accepted.

use std::time::{Duration, SystemTime};

use fullscript::webhook::{Receiver, SIGNATURE_HEADER, sign};
use fuzz::edited;

const BODY: &[u8] = br#"{"event":{}}"#;

#[test]
fn a_header_is_read_or_refused() {
    let receiver = Receiver::new("secret", "token").unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let signed = sign("secret", now, BODY);
    let signature = signed.split_once(",v1=").unwrap().1;
    bolero::check!().for_each(|input: &[u8]| {
        for header in [edited(signed.as_bytes(), input), input.to_vec()] {
            let verify = |value: &[u8]| receiver.verify([(SIGNATURE_HEADER, value)], BODY, now);
            let verified = verify(&header);
            let holds_signature = header
                .windows(signature.len())
                .any(|window| window.eq_ignore_ascii_case(signature.as_bytes()));
            if let Err(error) = verified {
                assert!(matches!(error.status(), 400 | 401));
            } else {
                assert!(holds_signature);
            }
            // An additional signature does not invalidate a correct one, in any order.
            let good = (SIGNATURE_HEADER, signed.as_bytes());
            let odd = (SIGNATURE_HEADER, header.as_slice());
            let many = header.windows(2).filter(|pair| pair == b"t=").count() > 3;
            for headers in [[good, odd], [odd, good]] {
                assert!(many || receiver.verify(headers, BODY, now).is_ok());
            }
        }
    });
}
