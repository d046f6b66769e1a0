//! Every value of every recorded response is changed in every way, one at a time: no change costs
//! more than the value, and each change that cannot be represented is reported once.

use fullscript::testing::{DecodedResponse, decode};
use fullscript::value::DecodeIssueKind;
use serde_json::{Value, json};

use super::round_trip::difference;
use super::tolerance::examples;

/// Text in the place of a value, which is replaced in the serialized response.
const PLACE: &str = "@place@";

/// Text that no report may contain.
const SECRET: &str = "s3cret";

/// What is sent in the place of a value: JSON text, and its meaning if it has one.
struct Sent {
    text: Vec<u8>,
    meaning: Option<Value>,
}

/// Changes that are JSON.
fn values(leaf: &Value) -> Vec<Value> {
    vec![
        Value::Null,
        json!(3.4),
        json!(-1e300),
        json!(u64::MAX),
        json!(SECRET),
        json!("3.4"),
        json!(""),
        json!("  "),
        json!("yes"),
        json!(true),
        json!([]),
        json!([leaf]),
        json!([leaf, SECRET]),
        json!([null]),
        json!({}),
        json!({SECRET: leaf}),
        json!([{"id": null}, [[SECRET]]]),
    ]
}

/// Changes that are not JSON, with their meaning.
fn texts() -> [Sent; 8] {
    let deep = "[".repeat(200) + "1" + &"]".repeat(200);
    let without_meaning = |text: &[u8]| Sent {
        text: text.to_vec(),
        meaning: None,
    };
    [
        without_meaning(b"1e999"),
        without_meaning(b"NaN"),
        without_meaning(br#""s3cret \ud800""#),
        without_meaning(br#""s3cret \udc00\ud800 ""#),
        without_meaning(br#""s3cret \x""#),
        without_meaning(b"\"s3cret \xFF\""),
        without_meaning(deep.as_bytes()),
        Sent {
            text: b"\"s3cret \n\t\x01\"".to_vec(),
            meaning: Some(json!("s3cret \n\t\u{1}")),
        },
    ]
}

#[test]
fn no_change_of_a_leaf_costs_more_than_the_leaf_and_each_is_reported_once() {
    check(10_000, |answer| {
        let mut changes = Vec::new();
        walk(answer, "", &mut |pointer, value| {
            if value.is_array() || value.is_object() {
                return;
            }
            let as_json = values(value).into_iter().map(Sent::from);
            for sent in as_json.chain(texts()) {
                changes.push((answer.clone(), pointer.to_owned(), sent));
            }
        });
        changes
    });
}

#[test]
fn no_change_of_a_list_or_an_object_costs_more_than_itself_and_each_is_reported_once() {
    check(1_500, |answer| {
        let mut changes = Vec::new();
        walk(answer, "", &mut |pointer, value| {
            if pointer.is_empty() {
                return;
            }
            let mut sent = vec![json!(SECRET), json!(3.4), json!(true)];
            match value {
                Value::Array(list) => {
                    sent.extend([json!(null), json!({}), json!({ SECRET: SECRET })]);
                    let elements = list.iter().enumerate();
                    sent.push(
                        elements
                            .map(|(at, value)| (at.to_string(), value.clone()))
                            .collect(),
                    );
                    if let [one] = list.as_slice() {
                        sent.push(one.clone());
                    }
                    for at in [0, list.len() / 2, list.len()] {
                        for misfit in [Value::Null, json!([[], []])] {
                            let mut longer = answer.clone();
                            let list = longer.pointer_mut(pointer).unwrap();
                            list.as_array_mut().unwrap().insert(at, Value::Null);
                            let place = format!("{pointer}/{at}");
                            changes.push((longer, place, misfit.into()));
                        }
                    }
                }
                Value::Object(fields) => {
                    sent.extend([json!([]), json!([value]), json!([value, value])]);
                    sent.extend([json!([SECRET]), json!([SECRET, {}, []]), json!([[]])]);
                    if let Some((name, _)) = fields.iter().next() {
                        let text = value.to_string();
                        let text = format!("{{\"{name}\":[\"{SECRET}\"],{}", &text[1..]);
                        let sent = Sent {
                            text: text.into(),
                            meaning: Some(value.clone()),
                        };
                        changes.push((answer.clone(), pointer.to_owned(), sent));
                    }
                }
                _ => return,
            }
            for sent in sent {
                changes.push((answer.clone(), pointer.to_owned(), sent.into()));
            }
        });
        changes
    });
}

impl From<Value> for Sent {
    fn from(value: Value) -> Self {
        Self {
            text: value.to_string().into_bytes(),
            meaning: Some(value),
        }
    }
}

/// Makes each change separately in each recorded response, and lists the failures. A change is a
/// response, the pointer to one of its values, and what is sent in its place.
#[track_caller]
fn check(at_least: usize, changes: impl Fn(&Value) -> Vec<(Value, String, Sent)>) {
    let (mut tried, mut failures) = (0, Vec::new());
    let mut known = Vec::new();
    for (operation, answer) in examples() {
        if known.contains(&answer) {
            continue;
        }
        for (answer, pointer, sent) in changes(&answer) {
            tried += 1;
            if let Err(reason) = judge(operation, &answer, &pointer, &sent) {
                let text = String::from_utf8_lossy(&sent.text);
                let text: String = text.chars().take(40).collect();
                failures.push(format!("{operation} {pointer} = {text}: {reason}"));
            }
        }
        known.push(answer);
    }
    assert!(tried > at_least, "only {tried} changes tried");
    let shown: Vec<_> = failures.iter().take(40).cloned().collect();
    assert!(
        failures.is_empty(),
        "{} of {tried}:\n{}",
        failures.len(),
        shown.join("\n")
    );
}

/// Serializes the response with other text in the place of a value.
fn body_of(answer: &Value, pointer: &str, sent: &Sent) -> Vec<u8> {
    let mut template = answer.clone();
    *template.pointer_mut(pointer).unwrap() = PLACE.into();
    let template = template.to_string();
    let (before, after) = template.split_once(&format!("\"{PLACE}\"")).unwrap();
    [before.as_bytes(), &sent.text, after.as_bytes()].concat()
}

fn judge(operation: &str, answer: &Value, pointer: &str, sent: &Sent) -> Result<(), String> {
    let decoded = match decode(operation, &body_of(answer, pointer, sent)) {
        Ok(decoded) => decoded,
        Err(_) if is_whole(answer, pointer) => return Ok(()),
        Err(error) => return Err(format!("whole response: {error}")),
    };
    let DecodedResponse {
        value: back,
        issues,
        unreadable_records,
        ..
    } = &decoded;
    let messages: Vec<_> = issues.iter().map(ToString::to_string).collect();
    if format!("{decoded:?} {messages:?}").contains(SECRET) {
        return Err(format!("a report contains the value: {messages:?}"));
    }
    let path = path_of(pointer);
    match issues.as_slice() {
        [] => {
            let back = back.pointer(pointer).unwrap_or(&Value::Null);
            // An amount keeps the digits of a number of any size.
            if sent.text == b"1e999" && *back == "1e999" {
                return Ok(());
            }
            if sent
                .meaning
                .as_ref()
                .is_none_or(|sent| !is_same(sent, back))
            {
                return Err(format!("not reported, came back {back:?}"));
            }
        }
        [issue] if is_path(&issue.path, &path) => {}
        [issue] if issue.kind == DecodeIssueKind::Duplicate => {}
        more => return Err(format!("reported as {more:?}")),
    }
    let may_cost_the_record = pointer.ends_with("/id") || is_record(pointer);
    if !unreadable_records.is_empty() && !may_cost_the_record {
        return Err("costs the record".into());
    }
    // Nothing else is lost, except the objects whose own id the leaf is.
    let mut place = pointer;
    loop {
        let mut found = Vec::new();
        difference(&with(answer, place, back), back, "", &mut found);
        let (parent, step) = place.rsplit_once('/').unwrap();
        if found.is_empty() {
            return Ok(());
        }
        let is_in_list = step.parse::<usize>().is_ok();
        if step != "id" && !is_in_list {
            return Err(format!("also lost: {found:?}"));
        }
        place = parent;
    }
}

/// Returns the response with the value at `pointer` as it came back, or without it.
fn with(answer: &Value, pointer: &str, back: &Value) -> Value {
    let mut answer = answer.clone();
    let (parent, step) = pointer.rsplit_once('/').unwrap();
    let length = |value: &Value| {
        let list = value.pointer(parent).and_then(Value::as_array);
        list.map(Vec::len)
    };
    if length(&answer) == length(back) {
        let back = back.pointer(pointer).cloned().unwrap_or_default();
        *answer.pointer_mut(pointer).unwrap() = back;
    } else {
        let list = answer.pointer_mut(parent).unwrap().as_array_mut().unwrap();
        list.remove(step.parse().unwrap());
    }
    answer
}

/// Returns whether a value came back, perhaps as another type of JSON value.
fn is_same(sent: &Value, back: &Value) -> bool {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut found = Vec::new();
    difference(sent, back, "", &mut found);
    found.is_empty() || text(sent) == text(back) || sent == "yes" && back == true
}

/// Returns whether a response has nothing without this value: the wrapper, the list of a list
/// operation, or the own id of the only record.
fn is_whole(answer: &Value, pointer: &str) -> bool {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let is_wrapper = parent.is_empty() && name != "meta" && !answer[name].is_string();
    is_wrapper || name == "id" && parent.matches('/').count() <= 1
}

/// Returns whether the value is a record of a list operation.
fn is_record(pointer: &str) -> bool {
    let is_index = |step: &str| step.parse::<usize>().is_ok();
    pointer.matches('/').count() == 2 && pointer.rsplit('/').next().is_some_and(is_index)
}

fn path_of(pointer: &str) -> String {
    let mut path = String::new();
    for step in pointer.split('/').skip(1) {
        match step.parse::<usize>() {
            Ok(index) => path.push_str(&format!("[{index}]")),
            Err(_) if path.is_empty() => path.push_str(step),
            Err(_) => path.push_str(&format!(".{step}")),
        }
    }
    path
}

/// Returns whether a reported path is this path, in which a name may be hidden. The level that is
/// too deep is below the path.
fn is_path(reported: &str, path: &str) -> bool {
    let reported = reported.split("[0][0]").next().unwrap();
    let (reported, path) = (reported.split('.'), path.split('.'));
    reported.clone().count() == path.clone().count()
        && reported
            .zip(path)
            .all(|(reported, name)| reported == name || reported == "*")
}

/// Visits each value with its pointer.
fn walk(value: &Value, pointer: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(pointer, value);
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                walk(value, &format!("{pointer}/{key}"), visit);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                walk(value, &format!("{pointer}/{index}"), visit);
            }
        }
        _ => {}
    }
}
