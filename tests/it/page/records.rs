//! Records that cannot be read, in lists.

use fullscript::{Error, ErrorKind};

use super::*;

/// Ways in which a record cannot be read, with its id if it has one, and the path of the cause.
fn bad(place: usize) -> [(Value, Option<&'static str>, String); 5] {
    let path = format!("patients[{place}]");
    [
        (json!(null), None, path.clone()),
        (json!("PLANTED"), None, path.clone()),
        (
            json!({"id": null, "email": "PLANTED"}),
            None,
            format!("{path}.id"),
        ),
        (json!({"first_name": "PLANTED"}), None, format!("{path}.id")),
        (json!([[], "PLANTED"]), None, path),
    ]
}

/// A clinic whose list has the value `bad` in the places of these records, which begin at 1.
async fn clinic_with(bad: &Value, places: &[usize]) -> FakeFullscript {
    let fake = FakeFullscript::start().await.unwrap();
    let (bad, places) = (bad.clone(), places.to_vec());
    fake.answer_with("list_patients", move |request| {
        let (number, size) = (asked(request, "page[number]"), asked(request, "page[size]"));
        let mut body = answer(&numbers(1..=9), number, size);
        for record in body["patients"].as_array_mut().unwrap() {
            let id: usize = record["id"].as_str().unwrap().parse().unwrap();
            if places.contains(&id) {
                *record = bad.clone();
            }
        }
        Script::json(200, &body)
    });
    fake
}

fn check(error: &Error, page: i64, id: Option<&str>, path: &str) {
    assert!(error.is_record_unreadable() && !error.is_transient());
    assert_eq!(error.kind(), ErrorKind::RecordUnreadable);
    assert_eq!(error.page(), Some(page));
    assert_eq!(error.status().unwrap(), 200);
    let record = error.unreadable_record().unwrap();
    assert_eq!(record.id(), id);
    assert_eq!(record.cause().path, path);
    assert_eq!(error.body(), Some(record.body()));
    let shown = format!("{error} {error:?} {record:?}");
    assert!(shown.contains(path), "{shown}");
    assert!(!shown.contains("PLANTED"), "{shown}");
}

#[tokio::test]
async fn a_bad_record_is_one_error_in_its_place_and_the_stream_continues() {
    // Pages of 3 records: the bad one is the first, in the middle, or the last of its page.
    for place in 1..=9 {
        for (record, id, path) in bad((place - 1) % 3) {
            for prefetch in [1, 3] {
                let fake = clinic_with(&record, &[place]).await;
                let client = fake.client();
                let items = client.list_patients().page_size(3).items();
                let mut items = items.prefetch(prefetch);
                for expected in 1..=9 {
                    match items.next().await.unwrap() {
                        Ok(patient) => assert_eq!(patient.id.as_str(), expected.to_string()),
                        Err(error) => {
                            assert_eq!(expected, place);
                            let page = i64::try_from((place - 1) / 3 + 1).unwrap();
                            check(&error, page, id, &path);
                        }
                    }
                }
                assert!(items.next().await.is_none());
                let changes = items.changes();
                assert!(changes.is_empty(), "{changes}");
                assert_eq!((changes.delivered, changes.unreadable), (8, 1));
                assert_eq!(fake.requests().len(), 3);
            }
        }
    }
}

#[tokio::test]
async fn a_list_of_bad_records_only_is_read_to_its_end() {
    let all: Vec<_> = (1..=9).collect();
    for (record, ..) in bad(0) {
        let fake = clinic_with(&record, &all).await;
        let mut items = fake.client().list_patients().page_size(3).items();
        for _ in 0..9 {
            let error = items.next().await.unwrap().unwrap_err();
            assert!(error.is_record_unreadable(), "{error}");
        }
        assert!(items.next().await.is_none());
        assert!(items.changes().is_empty(), "{}", items.changes());
    }
}

#[tokio::test]
async fn a_list_whose_bad_records_are_not_even_json_does_not_look_short() {
    let deep = "[".repeat(200) + "1" + &"]".repeat(200);
    for bad in [
        &b"NaN"[..],
        br#""PLANTED \ud800""#,
        b"\"PLANTED \xFF\"",
        deep.as_bytes(),
    ] {
        for place in 0..3 {
            let mut records = vec![&br#"{"id":"1"}"#[..], br#"{"id":"2","added":[1]}"#];
            records.insert(place, bad);
            let mut body = br#"{"other":[NaN],"patients":["#.to_vec();
            body.extend(records.join(&b','));
            body.extend(br#"],"meta":{"total_count":3,"next_page":null}}"#);
            let fake = FakeFullscript::start().await.unwrap();
            fake.answer("list_patients", Script::html(200, body));
            let mut items = fake.client().list_patients().items();
            for (expected, record) in records.into_iter().enumerate() {
                match items.next().await.unwrap() {
                    Ok(_) => {
                        let json = items.record_json().unwrap();
                        assert_eq!((json.index(), json.body()), (expected, record));
                        assert_eq!(json.issues().count(), 0);
                    }
                    Err(error) => {
                        assert_eq!(expected, place, "{error}");
                        check(&error, 1, None, &format!("patients[{place}]"));
                        assert_eq!(error.body(), Some(bad));
                        assert!(items.record_json().is_none());
                    }
                }
            }
            assert!(items.next().await.is_none());
            assert!(items.record_json().is_none());
            let changes = items.changes();
            assert!(changes.is_empty(), "{changes}");
            assert_eq!((changes.delivered, changes.unreadable), (2, 1));
        }
    }
}

#[tokio::test]
async fn a_record_is_found_in_its_page_beside_bad_and_repeated_ones() {
    let fake = FakeFullscript::start().await.unwrap();
    fake.answer_with("list_patients", |request| {
        let number = asked(request, "page[number]");
        let record = |id: usize| json!({"id": id.to_string(), "n": id, "discount": [null]});
        let records = match number {
            1 => vec![record(1), json!(null), record(2)],
            _ => vec![record(2), json!({"n": 0}), record(3)],
        };
        let next = (number == 1).then_some(2);
        let meta = json!({"next_page": next, "total_pages": 2});
        Script::json(
            200,
            &json!({"lists": [[1], [2]], "patients": records, "meta": meta}),
        )
    });
    #[derive(serde::Deserialize)]
    struct Added {
        n: usize,
    }
    let client = fake.client();
    let mut pages = client.list_patients().pages();
    let mut items = client.list_patients().items();
    for (number, indexes) in [(1, &[0, 2][..]), (2, &[2])] {
        let page = pages.next().await.unwrap().unwrap();
        assert_eq!((page.number(), page.items().len()), (number, indexes.len()));
        for (position, patient) in page.items().iter().enumerate() {
            while items.next().await.unwrap().is_err() {}
            for json in [page.record_json(position), items.record_json()] {
                let json = json.unwrap();
                assert_eq!(json.index(), indexes[position]);
                let added: Added = json.decode_as().unwrap();
                assert_eq!(added.n.to_string(), patient.id.as_str());
                let paths: Vec<_> = json.issues().map(|issue| issue.path.as_str()).collect();
                assert_eq!(paths, [format!("patients[{}].discount", indexes[position])]);
            }
        }
        assert!(page.record_json(indexes.len()).is_none());
    }
}

#[tokio::test]
async fn the_records_after_a_bad_one_are_collected_by_a_second_call() {
    let fake = clinic_with(&Value::Null, &[5]).await;
    let mut items = fake.client().list_patients().page_size(3).items();
    let error = items.collect_all().await.unwrap_err();
    assert!(error.is_record_unreadable());
    assert_eq!(ids(error.records()), numbers(1..=4));
    let rest = items.collect_all().await.unwrap();
    assert_eq!(ids(&rest), numbers(6..=9));
}

#[tokio::test]
async fn a_page_names_its_bad_records_and_its_other_issues() {
    let fake = clinic_with(&json!({"discount": []}), &[4, 6]).await;
    let mut pages = fake.client().list_patients().page_size(3).pages();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        found.push((page.items().len(), page.unreadable_records().len()));
        assert_eq!(page.next_number().is_none(), page.number() == 3);
        if page.number() == 2 {
            let paths = page.issues().iter().map(|issue| issue.path.as_str());
            let mut paths: Vec<_> = paths.collect();
            paths.sort_unstable();
            let own = ["[0].discount", "[0].id", "[2].discount", "[2].id"];
            assert_eq!(paths, own.map(|path| format!("patients{path}")));
        }
    }
    assert_eq!(found, [(3, 0), (1, 2), (3, 0)]);
}

#[tokio::test]
async fn a_bad_record_without_an_id_is_reported_on_each_page() {
    let fake = FakeFullscript::start().await.unwrap();
    let bad = json!({"id": null, "email": "a"});
    let page = |records: Value, next: Option<u32>| {
        Script::json(
            200,
            &json!({"patients": records, "meta": {"next_page": next}}),
        )
    };
    let first = page(json!([{"id": "1"}, bad]), Some(2));
    let second = page(json!([bad, {"id": "2"}]), None);
    fake.answer_times("list_patients", 1, first);
    fake.answer_times("list_patients", 1, second);
    fake.answer("list_patients", page(json!([]), None));
    let mut items = fake.client().list_patients().page_size(2).items();
    let (mut read, mut bad) = (Vec::new(), 0);
    while let Some(next) = items.next().await {
        match next {
            Ok(patient) => read.push(patient),
            Err(error) => bad += usize::from(error.is_record_unreadable()),
        }
    }
    assert_eq!((ids(&read), bad), (numbers(1..=2), 2));
    assert_eq!(items.changes().duplicates, 0);
}

#[tokio::test]
async fn the_json_of_a_record_is_found_in_every_form_of_a_list() {
    let (a, b) = (json!({"id": "a", "n": 1}), json!({"id": "b", "n": 2}));
    let listed = json!({"patients": [a, b]});
    let typed = [
        (listed.clone(), 2),
        (json!([listed]), 2),
        (json!({"patients": {"0": a, "5": b}}), 2),
        (json!({"patients": [[a], b]}), 2),
        (json!({"patients": a}), 1),
        (json!({"patients": {}}), 0),
        (json!({"patients": null}), 0),
    ];
    for (body, length) in typed {
        let fake = FakeFullscript::start().await.unwrap();
        fake.answer("list_patients", Script::json(200, &body));
        let page = fake.client().list_patients().pages().next().await;
        let page = page.unwrap().unwrap();
        assert_eq!(page.items().len(), length, "{body}");
        for (position, patient) in page.items().iter().enumerate() {
            let json = page.record_json(position).unwrap();
            let fields: Patient = json.decode_as().unwrap();
            assert_eq!(&fields, patient, "{body}");
        }
    }
    // A list of unknown shape.
    let fake = FakeFullscript::start().await.unwrap();
    let body = json!({"meta": {"x": [1]}, "any": [a, b]});
    fake.answer("list_patient_dependents", Script::json(200, &body));
    let list = fake.client().list_patient_dependents().patient_id("1");
    let mut items = list.items();
    for expected in [&a, &b] {
        let item = items.next().await.unwrap().unwrap();
        let json: Value = items.record_json().unwrap().decode_as().unwrap();
        assert_eq!((&item, &json), (expected, expected));
    }
}

/// 100 records of 2 KB with 20 values each that do not fit.
#[test]
fn a_page_full_of_values_that_do_not_fit_is_decoded_in_time() {
    let plan = |id: usize| {
        let one = json!({"id": "r", "refill": "PLANTED", "units_to_purchase": {}, "dosage": []});
        json!({"id": id.to_string(), "recommendations": vec![one; 10], "state": [1, 2]})
    };
    let plans: Vec<_> = (0..100).map(plan).collect();
    let body = json!({"treatment_plans": plans}).to_string();
    let started = std::time::Instant::now();
    let decoded = fullscript::testing::decode("list_patient_treatment_plans", body.as_bytes());
    let elapsed = started.elapsed();
    let decoded = decoded.unwrap();
    assert!(decoded.issues.len() >= 2_000, "{}", decoded.issues.len());
    assert_eq!(
        decoded.value["treatment_plans"].as_array().unwrap().len(),
        100
    );
    // In a release build it takes a tenth of a second.
    assert!(elapsed.as_secs() < 10, "{elapsed:?}");
}
