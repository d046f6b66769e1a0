//! The end of a list, and lists that are rejected because they would not end.

use super::*;

/// Sends the responses in order, one per request. The last one is repeated.
async fn answering(answers: Vec<Value>) -> FakeFullscript {
    let fake = FakeFullscript::start().await.unwrap();
    let asked = AtomicUsize::new(0);
    fake.answer_with("list_patients", move |_| {
        let index = asked.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        Script::json(200, &answers[index])
    });
    fake
}

fn patients(ids: &[u32]) -> Value {
    ids.iter().map(|id| json!({"id": id.to_string()})).collect()
}

#[tokio::test]
async fn the_end_is_detected_without_each_optional_meta_field() {
    let two = |meta: &Value| {
        vec![
            json!({"patients": patients(&[1, 2]), "meta": meta[0]}),
            json!({"patients": patients(&[3, 4]), "meta": meta[1]}),
            json!({"patients": []}),
        ]
    };
    for (meta, requests) in [
        (
            json!([{"next_page": 2, "total_pages": 2}, {"next_page": null, "total_pages": 2}]),
            2,
        ),
        (
            json!([{"next_page": "2", "total_pages": "2"}, {"next_page": null, "total_pages": "2"}]),
            2,
        ),
        (json!([{"total_pages": 2}, {"total_pages": 2}]), 2),
        (json!([{"total_pages": "2"}, {"total_pages": "2"}]), 2),
        (json!([{"total_count": 4}, {"total_count": 4}]), 2),
        (json!([{"total_count": "4"}, {"total_count": "4"}]), 2),
        // The response does not say that the second page is the last; an empty third page does.
        (json!([{"next_page": 2}, {"next_page": null}]), 3),
        (json!([{}, {}]), 3),
        (json!([null, null]), 3),
    ] {
        for prefetch in [1, 3] {
            let fake = answering(two(&meta)).await;
            let client = fake.client();
            let list = client
                .list_patients()
                .page_size(2)
                .items()
                .prefetch(prefetch);
            let list: Vec<Patient> = list.try_collect().await.unwrap();
            assert_eq!(ids(&list), numbers(1..=4), "{meta}");
            assert_eq!(fake.requests().len(), requests, "{meta}");
        }
    }
}

#[tokio::test]
async fn a_page_that_is_not_full_is_the_last_if_nothing_else_says_so() {
    let fake = answering(vec![
        json!({"patients": patients(&[1, 2])}),
        json!({"patients": patients(&[3])}),
    ])
    .await;
    let client = fake.client();
    let list = client
        .list_patients()
        .page_size(2)
        .items()
        .collect_all()
        .await
        .unwrap();
    assert_eq!(ids(&list), numbers(1..=3));
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test]
async fn smaller_pages_than_requested_are_read_to_the_end() {
    // 500 are requested; the maximum is 100.
    let fake = FakeFullscript::start().await.unwrap();
    fake.answer_with("list_patients", |request| {
        let (number, size) = (asked(request, "page[number]"), asked(request, "page[size]"));
        let mut body = answer(&numbers(1..=250), number, size.min(100));
        body["meta"] = Value::Null;
        Script::json(200, &body)
    });
    let client = fake.client();
    let list = client
        .list_patients()
        .page_size(500)
        .items()
        .collect_all()
        .await
        .unwrap();
    assert_eq!(ids(&list), numbers(1..=250));
}

#[tokio::test]
async fn a_list_without_pagination_is_one_page() {
    for length in [0, 7, 99, 101, 250] {
        let all: Vec<u32> = (1..=length).collect();
        let fake = answering(vec![json!({"patients": patients(&all)})]).await;
        for prefetch in [1, 4] {
            let pages = fake.client().list_patients().pages().prefetch(prefetch);
            let pages: Vec<Page<Patient>> = pages.try_collect().await.unwrap();
            assert_eq!(pages.len(), 1);
            assert_eq!((pages[0].number(), pages[0].next_number()), (1, None));
            assert!(pages[0].meta().is_none());
            assert_eq!(pages[0].items().len(), all.len());
        }
        assert_eq!(fake.requests().len(), 2);
    }
}

#[tokio::test]
async fn an_empty_page_ends_the_list_despite_a_next_page() {
    let fake = answering(vec![
        json!({"patients": patients(&[1]), "meta": {"next_page": 2, "total_pages": 9}}),
        json!({"patients": [], "meta": {"next_page": 3, "total_pages": 9}}),
    ])
    .await;
    let list = fake
        .client()
        .list_patients()
        .items()
        .collect_all()
        .await
        .unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test]
async fn a_next_page_that_does_not_advance_is_an_error() {
    for next in [2, 1, 0, -1] {
        let fake = answering(vec![
            json!({"patients": patients(&[1]), "meta": {"next_page": 2}}),
            json!({"patients": patients(&[2]), "meta": {"next_page": next}}),
        ])
        .await;
        let client = fake.client();
        let mut list = client.list_patients().items();
        assert_eq!(list.next().await.unwrap().unwrap().id.as_str(), "1");
        let error = list.next().await.unwrap().unwrap_err();
        assert!(error.is_pagination() && !error.is_decode(), "{error}");
        assert_eq!(error.page(), Some(2));
        assert_eq!(error.status().unwrap(), 200);
        assert!(error.request_id().is_some());
        let text = error.to_string();
        let start = format!("list_patients: page 2: pagination loop: `next_page` is {next}");
        assert!(text.starts_with(&start), "{text}");
        assert!(list.next().await.is_none());
        assert_eq!(fake.requests().len(), 2);
    }
}

#[tokio::test]
async fn a_page_that_repeats_the_one_before_is_an_error() {
    for meta in [
        json!({"total_pages": 9, "total_count": 18}),
        json!({"total_pages": 2}),
        json!({}),
    ] {
        for prefetch in [1, 4] {
            let fake = answering(vec![json!({"patients": patients(&[1, 2]), "meta": meta})]).await;
            let client = fake.client();
            let call = client.list_patients().page_size(2);
            let mut list = call.items().prefetch(prefetch);
            assert_eq!(list.next().await.unwrap().unwrap().id.as_str(), "1");
            assert_eq!(list.next().await.unwrap().unwrap().id.as_str(), "2");
            let error = list.next().await.unwrap().unwrap_err();
            assert!(error.is_pagination(), "{error}");
            assert_eq!(error.page(), Some(2));
            assert!(
                error
                    .to_string()
                    .contains("the page repeats the previous one"),
                "{error}"
            );
            assert!(list.next().await.is_none());
        }
    }
}

#[tokio::test]
async fn a_longer_loop_is_an_error_too() {
    let fake = FakeFullscript::start().await.unwrap();
    fake.answer_with("list_patients", |request| {
        let number = asked(request, "page[number]");
        let index = u32::try_from(number % 3).unwrap();
        let body = json!({"patients": patients(&[index]), "meta": {"next_page": number + 1}});
        Script::json(200, &body)
    });
    let client = fake.client();
    let mut list = client.list_patients().items();
    for _ in 0..3 {
        list.next().await.unwrap().unwrap();
    }
    let error = list.next().await.unwrap().unwrap_err();
    assert!(error.is_pagination(), "{error}");
    assert_eq!(error.page(), Some(6));
    assert!(error.to_string().contains("no new records"), "{error}");
}

#[tokio::test]
async fn records_without_an_id_are_all_kept_and_loops_are_detected() {
    let fake = FakeFullscript::start().await.unwrap();
    // The id belongs to the caller, and occurs on objects of two types.
    let record = |kind: &str| json!({"id": "ehr-1", "type": kind, "data": {}});
    let (one, two) = (record("patient"), record("practitioner"));
    fake.answer_with("find_objects_by_metadata", move |request| {
        let number = asked(request, "page[number]");
        let records = if number == 1 {
            json!([one, one])
        } else {
            json!([one, two])
        };
        Script::json(
            200,
            &json!({"metadata": records, "meta": {"next_page": number + 1}}),
        )
    });
    let client = fake.client();
    let mut list = client.find_objects_by_metadata().id("ehr-1").items();
    for _ in 0..4 {
        list.next().await.unwrap().unwrap();
    }
    let error = list.next().await.unwrap().unwrap_err();
    assert!(error.is_pagination(), "{error}");
    assert_eq!((error.page(), list.changes().duplicates), (Some(3), 0));
}

#[tokio::test]
async fn a_list_of_unknown_shape_is_the_only_array_of_its_response() {
    let fake = FakeFullscript::start().await.unwrap();
    fake.answer_with("list_patient_dependents", |request| {
        let number = asked(request, "page[number]");
        let body =
            json!({"dependents": [{"id": number}], "meta": {"total_pages": "3"}, "more": {}});
        Script::json(200, &body)
    });
    let client = fake.client();
    let call = || client.list_patient_dependents().patient_id("1");
    let list: Vec<Value> = call().items().collect_all().await.unwrap();
    assert_eq!(list, [json!({"id": 1}), json!({"id": 2}), json!({"id": 3})]);
    for (body, reason) in [
        (json!({}), "contains no list"),
        (json!({"dependents": null}), "contains no list"),
        (
            json!({"dependents": [], "others": []}),
            "more than one list",
        ),
    ] {
        fake.answer("list_patient_dependents", Script::json(200, &body));
        let error = call().items().collect_all().await.unwrap_err();
        assert!(
            error.is_pagination() && error.to_string().contains(reason),
            "{error}"
        );
    }
}
