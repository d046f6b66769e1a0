//! A signed body is accepted and answered, regardless of its content.

use std::time::SystemTime;

use fullscript::webhook::{Event, EventKey, Receiver, SIGNATURE_HEADER, sign};
use fuzz::{BODIES, edited};

#[test]
fn a_signed_body_is_accepted_with_any_content() {
    let receiver = Receiver::new("secret", "token").unwrap();
    let now = SystemTime::UNIX_EPOCH;
    bolero::check!().for_each(|input: &[u8]| {
        let sample = input.last().map_or(0, |last| usize::from(*last)) % BODIES.len();
        for body in [edited(BODIES[sample].as_bytes(), input), input.to_vec()] {
            let header = sign("secret", now, &body);
            let headers = [(SIGNATURE_HEADER, header)];
            let delivery = receiver.receive(headers.clone(), &body, now).unwrap();
            assert_eq!(delivery.reply().status(), 200);
            if let Some(event) = delivery.into_event() {
                let _no_panic = format!("{event:?}");
                let key = EventKey::from(&event).id;
                assert!(!key.is_empty());
                assert_eq!(EventKey::from(&Event::from_body(&body)).id, key);
            }
            let mut changed = body;
            changed.push(b'!');
            assert!(
                receiver
                    .receive(headers, &changed, now)
                    .unwrap_err()
                    .is_wrong()
            );
        }
    });
}
