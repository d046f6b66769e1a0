//! Shared input of the targets: payloads similar to the documented ones.
//!
//! Random bytes are not valid JSON or headers, so a target treats its input as edits of a sample. A
//! guided engine learns the edits as it learns bytes.

/// Events as printed on the vendor's pages, in each envelope.
pub const BODIES: &[&str] = &[
    r#"{"event":{"id":"x5xxxxx8-92x7-4xxx-9x0x-345x404x94x1","type":"patient.updated","created_at":"2018-10-16T04:00:00.000Z","clinic_id":"xx7x357x","integration_id":"x1x27xxx","data":{"patient":{"id":"x1x0196x","first_name":"Zoë","email":"patient@example.com","date_of_birth":null,"gender":"x","discount":0,"total_discount":"10.5","text_message_notification":true}}}}"#,
    r#"{"event_payload":{"event":{"id":"1","type":"treatment_plan.created","data":{"treatment_plan":{"id":"t","active":"true","available_at":"2018-03-02T05:00:00.000Z","recommendations":[{"variant_id":"v","refill":false,"units_to_purchase":10,"dosage":{"recommended_amount":"1-2","frequency":"once per day","time_of_day":["morning"]}}],"resources":[{"id":"r","type":"Guide"}],"lab_recommendations":[{"id":7,"requires_fasting":"true","tests":[{"id":"t"}]}]},"patient":{"id":"p"}}}}}"#,
    r#"{"event_payload":{"id":"1","type":"order.placed","data":{"id":"o","order_number":"R1","completed_at":"2025-03-02T13:26:02.000-05:00","treatment_plan_ids":["t"],"line_items":[{"variant_id":"v","quantity":1,"type":"labs"}]}}}"#,
    r#"{"id":1,"type":"lab_order.updated","created_at":1700000000,"data":{"lab_order":{"id":"l","status":"results_received"}}}"#,
    r#"{"event":{"id":"1","type":"product.description.updated","data":{"product":{"name":"Iron","brand":{"id":"b"},"variants":[{"id":"v","units":"90","msrp":"19.99"}]}}}}"#,
    r#"{"event":{"type":"fulfillment.shipment.shipped","data":"{\"a\":1}"}}"#,
];

/// Tokens with a meaning in JSON, inserted anywhere.
const TOKENS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
    "-",
    "0",
    "1e400",
    "18446744073709551616",
    "-1e-400",
    "\"id\"",
    "\"type\"",
    "\"data\"",
    "\"event\"",
    "\"event_payload\"",
    "{\"event\":",
    "[[[[[[[[",
    " ",
    "\u{0}",
    "\u{feff}",
    "é",
];

/// Applies the input to a sample. The first byte is the number of edits, and each following four
/// bytes are one edit: kind, position, value. The number is small, because too many edits leave
/// nothing of the sample.
#[must_use]
pub fn edited(sample: &[u8], input: &[u8]) -> Vec<u8> {
    let mut text = sample.to_vec();
    let Some((count, edits)) = input.split_first() else {
        return text;
    };
    for edit in edits.chunks_exact(4).take(usize::from(count % 8)) {
        let [kind, high, low, value] = [edit[0], edit[1], edit[2], edit[3]];
        let place = usize::from(u16::from_be_bytes([high, low])) % (text.len() + 1);
        match kind % 6 {
            0 => text.insert(place, value),
            1 => text.truncate(place),
            2 => {
                let end = text.len().min(place + usize::from(value % 32));
                text.drain(place..end);
            }
            3 => {
                let token = TOKENS[usize::from(value) % TOKENS.len()];
                text.splice(place..place, token.bytes());
            }
            4 => {
                if let Some(byte) = text.get_mut(place) {
                    *byte = value;
                }
            }
            _ => {
                let end = text.len().min(place + usize::from(value));
                let copy = text[place..end].to_vec();
                text.splice(place..place, copy);
            }
        }
    }
    text
}
