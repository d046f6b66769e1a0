//! The end of a list, and lists that are rejected because they would not end.

use fullscript::ListChanges;

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

/// Reads all patients, and returns their ids and the detected changes.
async fn read_all(fake: &FakeFullscript, size: i64, prefetch: usize) -> (Vec<String>, ListChanges) {
    let client = fake.client();
    let list = client.list_patients().page_size(size).items();
    let mut list = list.prefetch(prefetch);
    let came = list.collect_all().await.unwrap();
    (ids(&came), *list.changes())
}

#[tokio::test]
async fn a_server_that_caps_the_page_size_or_ignores_it_is_read_to_the_end() {
    for (cap, total) in [(1, 3), (10, 10), (25, 90), (25, 100), (25, 101), (100, 250)] {
        for size in [2, 30, 100, 500] {
            for prefetch in [1, 4] {
                let fake = FakeFullscript::start().await.unwrap();
                fake.answer_with("list_patients", move |request| {
                    let number = asked(request, "page[number]");
                    let mut body = answer(&numbers(1..=total), number, cap);
                    body.as_object_mut().unwrap().remove("meta");
                    Script::json(200, &body)
                });
                let (came, changes) = read_all(&fake, size, prefetch).await;
                assert_eq!(
                    came,
                    numbers(1..=total),
                    "{cap} of {total}, {size} requested"
                );
                assert!(changes.is_empty(), "{changes}");
                let requests = fake.requests().len();
                assert_eq!(requests, total / cap + 1);
            }
        }
    }
}

#[tokio::test]
async fn a_list_that_ignores_pagination_is_one_page() {
    for length in [0, 1, 7, 99, 101, 250] {
        let all: Vec<u32> = (1..=length).collect();
        let meta = |fields: Value| json!({"patients": patients(&all), "meta": fields});
        for body in [
            json!({"patients": patients(&all)}),
            meta(json!({})),
            meta(json!({"current_page": 1, "next_page": 1})),
            meta(json!({"next_page": 0})),
            meta(json!({"total_count": length})),
            meta(json!({"next_page": 2, "total_pages": 3, "total_count": length})),
        ] {
            let fake = answering(vec![body.clone()]).await;
            for prefetch in [1, 4] {
                let mut list = fake.client().list_patients().pages().prefetch(prefetch);
                let mut pages = Vec::new();
                while let Some(page) = list.next().await {
                    pages.push(page.unwrap());
                }
                let sizes: Vec<_> = pages.iter().map(|page| page.items().len()).collect();
                if length > 0 {
                    assert_eq!(sizes, [all.len()], "{body}");
                    assert!(fake.requests().len() <= 10);
                }
                assert!(sizes.iter().sum::<usize>() == all.len(), "{body}");
                let is_stated_wrong = length == 0 && body["meta"]["total_pages"] == 3;
                assert!(list.changes().is_empty() || is_stated_wrong, "{body}");
            }
        }
    }
}

#[tokio::test]
async fn an_end_that_the_server_does_not_state_is_uncertain_if_a_full_page_repeats() {
    for (length, size, uncertain) in [
        (2, 2, true),
        (100, 100, true),
        (100, 500, true),
        (2, 100, false),
        (3, 2, false),
        (99, 100, false),
    ] {
        let all: Vec<u32> = (1..=length).collect();
        for meta in [
            json!(null),
            json!({}),
            json!({"next_page": 0}),
            json!({"next_page": 1}),
        ] {
            let fake = answering(vec![json!({"patients": patients(&all), "meta": meta})]).await;
            for prefetch in [1, 4] {
                let (came, changes) = read_all(&fake, size, prefetch).await;
                assert_eq!(came.len(), all.len());
                assert_eq!(
                    changes.uncertain_end, uncertain,
                    "{length} of {size}: {meta}"
                );
                assert_eq!(changes.is_empty(), !uncertain);
                assert_eq!(
                    changes.to_string().contains("end of the list is uncertain"),
                    uncertain
                );
            }
        }
    }
}

#[tokio::test]
async fn a_total_that_contradicts_the_stated_end_is_not_the_end() {
    // The number of pages is computed from the requested size, which the server does not honor, or
    // is no number of pages at all.
    for meta in [
        json!({"total_pages": 1, "total_count": 250, "next_page": null}),
        json!({"total_pages": 0}),
        json!({"total_pages": -1, "total_count": 0}),
        json!({"total_count": 0, "next_page": 0}),
    ] {
        for prefetch in [1, 4] {
            let fake = FakeFullscript::start().await.unwrap();
            let stated = meta.clone();
            fake.answer_with("list_patients", move |request| {
                let mut body = answer(&numbers(1..=250), asked(request, "page[number]"), 100);
                body["meta"] = stated.clone();
                Script::json(200, &body)
            });
            let (came, changes) = read_all(&fake, 500, prefetch).await;
            assert_eq!(came, numbers(1..=250), "{meta}");
            assert!(changes.is_empty(), "{meta}: {changes}");
        }
    }
}

#[tokio::test]
async fn an_empty_page_is_not_the_end_if_more_pages_are_stated() {
    for metas in [
        json!([{"next_page": 2}, {"next_page": 3}, {"next_page": null}]),
        json!([{"total_pages": 3}, {"total_pages": 3}, {"total_pages": 3}]),
        json!([{"next_page": 2, "total_pages": 3}, {"total_pages": 3}, {"next_page": 0, "total_pages": 3}]),
        json!([{"next_page": 2}, {"next_page": 2, "total_pages": "3"}, {"next_page": 3}]),
    ] {
        for empty in [0, 1] {
            for prefetch in [1, 4] {
                let fake = FakeFullscript::start().await.unwrap();
                let stated = metas.clone();
                fake.answer_with("list_patients", move |request| {
                    let number = asked(request, "page[number]");
                    let index = u32::try_from(number).unwrap();
                    let ids = [index]
                        .into_iter()
                        .filter(|_| number != 1 + empty && number <= 3);
                    let records = patients(&ids.collect::<Vec<_>>());
                    Script::json(
                        200,
                        &json!({"patients": records, "meta": stated[number - 1]}),
                    )
                });
                let (came, changes) = read_all(&fake, 1, prefetch).await;
                let expected = if empty == 0 { ["2", "3"] } else { ["1", "3"] };
                assert_eq!(came, expected, "{metas}");
                assert!(changes.is_empty());
            }
        }
    }
}

#[tokio::test]
async fn ten_consecutive_empty_pages_are_an_error_if_more_are_stated() {
    for meta in [json!({"total_pages": 1000}), json!({"next_page": true})] {
        for prefetch in [1, 4, 10] {
            let fake = FakeFullscript::start().await.unwrap();
            let stated = meta.clone();
            fake.answer_with("list_patients", move |request| {
                let number = asked(request, "page[number]");
                let mut stated = stated.clone();
                if stated["next_page"] == true {
                    stated["next_page"] = json!(number + 1);
                }
                let records = if number == 1 {
                    patients(&[1])
                } else {
                    json!([])
                };
                Script::json(200, &json!({"patients": records, "meta": stated}))
            });
            let client = fake.client();
            let error = client.list_patients().items().prefetch(prefetch);
            let error = { error }.collect_all().await.unwrap_err();
            assert!(error.is_pagination() && !error.is_transient(), "{error}");
            assert_eq!((error.page(), error.records().len()), (Some(11), 1));
            assert!(
                error.to_string().contains("10 consecutive pages are empty"),
                "{error}"
            );
            assert!(fake.requests().len() <= 20);
        }
    }
    // The last of 11 pages is no page of a list without an end.
    let all: Vec<_> = (1..=11)
        .map(|number| {
            let records = if number == 1 || number == 11 {
                patients(&[number])
            } else {
                json!([])
            };
            json!({"patients": records, "meta": {"total_pages": 11}})
        })
        .collect();
    let (came, _) = read_all(&answering(all).await, 1, 1).await;
    assert_eq!(came, ["1", "11"]);
}

#[tokio::test]
async fn a_next_page_that_does_not_advance_is_the_end() {
    for next in [
        json!(2),
        json!(1),
        json!(0),
        json!(-1),
        json!("0"),
        json!("2"),
        json!(false),
        json!(null),
        json!("null"),
        json!(""),
        json!("none"),
        json!(2.5),
        json!([]),
        json!({}),
        json!(["a", "b"]),
    ] {
        for stated in [
            json!({}),
            json!({"total_pages": 2}),
            json!({"total_count": 2}),
        ] {
            let mut meta = stated;
            meta["next_page"] = next.clone();
            // A page after the last is empty, or the last one again.
            for after in [None, Some(json!({"patients": []}))] {
                for prefetch in [1, 4] {
                    let answers = [
                        Some(json!({"patients": patients(&[1]), "meta": {"next_page": 2}})),
                        Some(json!({"patients": patients(&[2]), "meta": meta})),
                        after.clone(),
                    ];
                    let fake = answering(answers.into_iter().flatten().collect()).await;
                    let (came, changes) = read_all(&fake, 100, prefetch).await;
                    assert_eq!(came, ["1", "2"], "{meta}");
                    assert!(changes.is_empty(), "{meta}: {changes}");
                    assert!(fake.requests().len() <= 3);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_page_behind_the_last_one_ends_the_list_although_it_states_a_next_page() {
    // api-platform/core 3393, umdio/umdio 22.
    for total in [
        json!({"total_count": 3}),
        json!({"total_count": "3", "total_pages": 99}),
    ] {
        for prefetch in [1, 4] {
            let fake = FakeFullscript::start().await.unwrap();
            let stated = total.clone();
            fake.answer_with("list_patients", move |request| {
                let number = asked(request, "page[number]");
                let mut body = answer(&numbers(1..=3), number, 2);
                body["meta"] = stated.clone();
                body["meta"]["next_page"] = json!(number + 1);
                Script::json(200, &body)
            });
            let (came, changes) = read_all(&fake, 2, prefetch).await;
            assert_eq!(came, numbers(1..=3), "{total}");
            assert!(changes.is_empty(), "{changes}");
        }
    }
}

#[tokio::test]
async fn two_pages_that_alternate_are_a_pagination_loop() {
    // boto/botocore 3778.
    let page = |id| json!({"patients": patients(&[id]), "meta": {"next_page": id + 1}});
    for prefetch in [1, 4] {
        let fake = FakeFullscript::start().await.unwrap();
        fake.answer_with("list_patients", move |request| {
            let number = u32::try_from(asked(request, "page[number]")).unwrap();
            let mut body = page(number % 2);
            body["meta"]["next_page"] = json!(number + 1);
            Script::json(200, &body)
        });
        let mut list = fake.client().list_patients().items().prefetch(prefetch);
        let error = list.collect_all().await.unwrap_err();
        assert!(error.is_pagination(), "{error}");
        assert_eq!(ids(error.records()), ["1", "0"]);
        assert!(fake.requests().len() < 10);
    }
}

#[tokio::test]
async fn a_next_page_of_a_list_of_unknown_shape_may_be_anything_at_the_end() {
    for next in [
        json!(false),
        json!("null"),
        json!(""),
        json!("none"),
        json!([]),
        json!(0),
    ] {
        let fake = FakeFullscript::start().await.unwrap();
        let stated = next.clone();
        fake.answer_with("list_patient_dependents", move |request| {
            let number = asked(request, "page[number]");
            let records = if number > 3 {
                json!([])
            } else {
                json!([{"id": number}])
            };
            let next = if number < 3 {
                json!(number + 1)
            } else {
                stated.clone()
            };
            Script::json(
                200,
                &json!({"dependents": records, "meta": {"next_page": next}}),
            )
        });
        let client = fake.client();
        let mut list = client.list_patient_dependents().patient_id("1").items();
        assert_eq!(list.collect_all().await.unwrap().len(), 3, "{next}");
        assert!(list.changes().is_empty());
    }
}

#[tokio::test]
async fn a_page_that_repeats_the_one_before_is_an_error_if_more_records_are_stated() {
    for meta in [
        json!({"total_pages": 9, "total_count": 18}),
        json!({"total_pages": 2}),
        json!({"total_count": 3}),
        json!({"next_page": 2}),
        json!({"next_page": 2, "total_count": 3}),
    ] {
        for prefetch in [1, 4] {
            let fake = answering(vec![json!({"patients": patients(&[1, 2]), "meta": meta})]).await;
            let client = fake.client();
            let call = client.list_patients().page_size(2);
            let mut list = call.items().prefetch(prefetch);
            assert_eq!(list.next().await.unwrap().unwrap().id.as_str(), "1");
            assert_eq!(list.next().await.unwrap().unwrap().id.as_str(), "2");
            let error = list.next().await.unwrap().unwrap_err();
            assert!(error.is_pagination() && !error.is_decode(), "{error}");
            assert_eq!(
                (error.page(), error.status().unwrap().as_u16()),
                (Some(2), 200)
            );
            assert!(error.request_id().is_some());
            let text = error.to_string();
            let start = "list_patients: page 2: pagination loop: the page repeats the previous one";
            assert!(text.starts_with(start), "{text}");
            assert!(list.next().await.is_none());
        }
    }
}

#[tokio::test]
async fn a_list_that_fails_returns_the_records_and_the_page_to_resume_from() {
    for failing in [1, 2, 5] {
        for (status, body) in [
            (422, json!({"error": "not now"})),
            (200, json!({"patients": 3})),
        ] {
            let fake = FakeFullscript::start().await.unwrap();
            let refusal = Script::json(status, &body);
            fake.answer_with("list_patients", move |request| {
                if asked(request, "page[number]") == failing {
                    return refusal.clone();
                }
                page(request, 60)
            });
            for prefetch in [1, 4] {
                let client = fake.client();
                let list = client.list_patients().page_size(10).items();
                let error = { list }.prefetch(prefetch).collect_all().await.unwrap_err();
                let before = (failing - 1) * 10;
                assert_eq!(ids(error.records()), numbers(1..=before));
                assert_eq!(error.page(), Some(i64::try_from(failing).unwrap()));
                assert_eq!(
                    (error.is_validation(), error.is_decode()),
                    (status == 422, status == 200)
                );
                let text = error.to_string();
                assert!(
                    text.ends_with(&format!("; records received before: {before}")),
                    "{text}"
                );
                assert!(!format!("{error:?}").contains("Patient"), "{error:?}");
                assert_eq!(error.into_parts().0.len(), before);
            }
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
