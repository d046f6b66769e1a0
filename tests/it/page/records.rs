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
        // Records without an id that are equal cannot be told apart.
        let mut reported = 0;
        while let Some(next) = items.next().await {
            let error = next.unwrap_err();
            reported += usize::from(error.is_record_unreadable());
        }
        assert!(reported >= 3, "{reported}");
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
    // The second bad record equals the first, so that it counts as its repetition within a list
    // only if it is on a later page.
    assert_eq!(found, [(3, 0), (1, 2), (3, 0)]);
}

#[tokio::test]
async fn a_bad_record_that_moved_to_the_next_page_is_reported_once() {
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
    assert_eq!((ids(&read), bad), (numbers(1..=2), 1));
    assert_eq!(items.changes().duplicates, 1);
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
