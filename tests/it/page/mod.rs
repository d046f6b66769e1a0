//! Lists as streams of pages and records.

mod ahead;
mod ends;
mod every_list;
mod records;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fullscript::testing::{FakeFullscript, FakeRequest, Script};
use fullscript::types::Patient;
use fullscript::{Client, Items, Page, PageMeta, Pages};
use futures_util::{Stream, StreamExt, TryStreamExt};
use serde_json::{Value, json};

/// A fake with the given number of patients that honors the requested page size.
async fn clinic_of(patients: usize) -> FakeFullscript {
    let fake = FakeFullscript::start().await.unwrap();
    fake.answer_with("list_patients", move |request| page(request, patients));
    fake
}

fn asked(request: &FakeRequest, name: &str) -> usize {
    request.query(name).unwrap().parse().unwrap()
}

/// The requested page of a clinic with the given number of patients.
fn page(request: &FakeRequest, patients: usize) -> Script {
    let (number, size) = (asked(request, "page[number]"), asked(request, "page[size]"));
    let ids: Vec<String> = (1..=patients).map(|id| id.to_string()).collect();
    Script::json(200, &answer(&ids, number, size))
}

/// A page of patients in the vendor's format.
fn answer(ids: &[String], number: usize, size: usize) -> Value {
    let pages = ids.len().div_ceil(size);
    let on_page = ids.iter().skip((number - 1) * size).take(size);
    json!({
        "patients": on_page.map(|id| json!({"id": id})).collect::<Vec<_>>(),
        "meta": {
            "current_page": number,
            "next_page": (number < pages).then_some(number + 1),
            "prev_page": (number > 1).then(|| number - 1),
            "total_pages": pages,
            "total_count": ids.len(),
        },
    })
}

fn ids(patients: &[Patient]) -> Vec<String> {
    let ids = patients.iter().map(|patient| patient.id.to_string());
    ids.collect()
}

fn numbers(range: std::ops::RangeInclusive<usize>) -> Vec<String> {
    range.map(|id| id.to_string()).collect()
}

#[tokio::test]
async fn a_thousand_patients_are_read_in_ten_pages() {
    let fake = clinic_of(1000).await;
    let patients = fake
        .client()
        .list_patients()
        .items()
        .collect_all()
        .await
        .unwrap();
    assert_eq!(ids(&patients), numbers(1..=1000));
    let requests = fake.requests();
    assert_eq!(requests.len(), 10);
    for (request, number) in requests.iter().zip(1..) {
        assert_eq!(asked(request, "page[number]"), number);
        assert_eq!(asked(request, "page[size]"), 100);
    }
}

#[tokio::test]
async fn nothing_is_sent_before_the_first_poll_and_no_page_before_it_is_wanted() {
    let fake = clinic_of(300).await;
    let mut patients = fake.client().list_patients().items();
    let _never_polled = fake.client().list_patients().pages().prefetch(4);
    assert_eq!(fake.count("list_patients"), 0);
    for _ in 0..100 {
        patients.next().await.unwrap().unwrap();
    }
    assert_eq!(fake.count("list_patients"), 1);
    assert_eq!(patients.page_number(), Some(1));
    patients.next().await.unwrap().unwrap();
    assert_eq!(fake.count("list_patients"), 2);
    assert_eq!(patients.page_number(), Some(2));
}

#[tokio::test]
async fn a_dropped_stream_sends_no_further_requests() {
    let fake = clinic_of(1000).await;
    let client = fake.client();
    let taken: Vec<_> = client
        .list_patients()
        .items()
        .take(150)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(taken.len(), 150);
    // A request on the same connection arrives after all requests of the stream.
    client.get_clinic().send().await.unwrap();
    assert_eq!(fake.count("list_patients"), 2);
}

#[tokio::test]
async fn every_page_request_has_the_token() {
    let fake = clinic_of(500).await;
    let client = fake.client();
    client.list_patients().items().collect_all().await.unwrap();
    client
        .list_patients()
        .items()
        .prefetch(3)
        .collect_all()
        .await
        .unwrap();
    let requests = fake.requests();
    assert_eq!(requests.len(), 10);
    for request in requests {
        let token = request
            .headers
            .iter()
            .find(|(name, _)| name == "authorization");
        assert_eq!(token.unwrap().1, "Bearer fake-access-token");
    }
}

#[tokio::test]
async fn a_page_has_meta_and_response() {
    let fake = clinic_of(250).await;
    let mut pages = fake
        .client()
        .list_patients()
        .page_size(50)
        .page_number(2)
        .pages();
    let page = pages.next().await.unwrap().unwrap();
    assert_eq!((page.number(), page.next_number()), (2, Some(3)));
    let PageMeta {
        current_page,
        next_page,
        prev_page,
        total_pages,
        total_count,
        ..
    } = *page.meta().unwrap();
    let meta = [current_page, next_page, prev_page, total_pages, total_count];
    assert_eq!(meta, [Some(2), Some(3), Some(1), Some(5), Some(250)]);
    assert_eq!(page.status(), 200);
    assert_eq!(
        page.headers()["content-type"],
        "application/json; charset=utf-8"
    );
    assert!(page.request_id().is_some());
    assert_eq!(page.response().len(), 50);
    assert_eq!(
        page.items()
            .first()
            .map(|patient| patient.id.to_string())
            .unwrap(),
        "51"
    );
    assert_eq!((&page).into_iter().count(), 50);
    assert_eq!(page.into_iter().count(), 50);
}

#[tokio::test]
async fn a_list_is_resumed_at_a_page() {
    let fake = clinic_of(1000).await;
    let client = fake.client();
    let mut pages = client.list_patients().pages();
    let mut first = Vec::new();
    let mut next = None;
    for _ in 0..3 {
        let page = pages.next().await.unwrap().unwrap();
        next = page.next_number();
        first.extend(page);
    }
    drop(pages);
    let rest = client.list_patients().page_number(next.unwrap()).items();
    let rest: Vec<Patient> = rest.try_collect().await.unwrap();
    first.extend(rest);
    assert_eq!(ids(&first), numbers(1..=1000));
    assert_eq!(fake.count("list_patients"), 10);
}

#[tokio::test]
async fn the_arguments_of_the_call_are_sent_for_every_page() {
    let fake = FakeFullscript::start().await.unwrap();
    fake.answer_with("search_patients", |request| page(request, 20));
    let client = fake.client();
    let found = client
        .search_patients()
        .query("ann & bob")
        .page_size(5)
        .items();
    assert_eq!(found.count().await, 20);
    assert_eq!(fake.requests().len(), 4);
    for request in fake.requests() {
        assert_eq!(request.query("query").as_deref(), Some("ann & bob"));
        assert_eq!(asked(&request, "page[size]"), 5);
    }
}

#[tokio::test]
async fn a_missing_argument_is_the_only_item_of_the_stream() {
    let fake = clinic_of(5).await;
    let mut pages = fake.client().list_patient_orders().pages();
    let error = pages.next().await.unwrap().unwrap_err();
    assert!(error.is_invalid_request(), "{error}");
    assert!(pages.next().await.is_none());
    assert_eq!(fake.requests().len(), 0);
}

#[tokio::test]
async fn an_error_in_the_middle_keeps_the_items_and_the_position_to_resume() {
    let fake = FakeFullscript::start().await.unwrap();
    let healthy = Arc::new(AtomicUsize::new(0));
    let state = Arc::clone(&healthy);
    fake.answer_with("list_patients", move |request| {
        match (asked(request, "page[number]"), state.load(Ordering::SeqCst)) {
            (3, 0) => Script::json(422, &json!({"error": "not now"})),
            _ => page(request, 500),
        }
    });
    let client = fake.client();
    for prefetch in [1, 4] {
        healthy.store(0, Ordering::SeqCst);
        let mut patients = client.list_patients().items().prefetch(prefetch);
        let mut came = Vec::new();
        let error = loop {
            match patients.next().await.unwrap() {
                Ok(patient) => came.push(patient),
                Err(error) => break error,
            }
        };
        assert!(patients.next().await.is_none());
        assert_eq!(ids(&came), numbers(1..=200));
        assert!(error.is_validation());
        assert_eq!(error.page(), Some(3));
        assert!(
            error.to_string().starts_with("list_patients: page 3: "),
            "{error}"
        );
        healthy.store(1, Ordering::SeqCst);
        let rest = client.list_patients().page_number(error.page().unwrap());
        came.extend(rest.items().collect_all().await.unwrap());
        assert_eq!(ids(&came), numbers(1..=500));
    }
}

#[tokio::test]
async fn a_token_that_expires_in_the_middle_is_refreshed() {
    let fake = clinic_of(500).await;
    let app = fake.app_builder().build().unwrap();
    let request = app.authorize();
    let callback = fake.approve(request.url(), "practitioner");
    let code = app.callback(&callback, request.state()).unwrap();
    app.exchange(code).await.unwrap();
    for prefetch in [1, 3] {
        let mut patients = app
            .client("practitioner")
            .list_patients()
            .items()
            .prefetch(prefetch);
        let mut came = vec![patients.next().await.unwrap().unwrap()];
        fake.expire_access_tokens();
        came.extend(patients.collect_all().await.unwrap());
        assert_eq!(ids(&came), numbers(1..=500));
    }
}

#[tokio::test]
async fn a_stream_outlives_its_client_and_moves_into_a_task() {
    fn sendable<S: Stream + Send + Unpin + 'static>(stream: S) -> S {
        stream
    }
    let fake = clinic_of(250).await;
    let client: Client = fake.client();
    let pages: Pages<Patient> = sendable(client.list_patients().pages());
    let mut items: Items<Patient> = sendable(client.list_patients().items().prefetch(2));
    drop(client);
    let pages = tokio::spawn(async move { pages.count().await });
    let items = tokio::spawn(async move { items.collect_all().await.unwrap().len() });
    assert_eq!((pages.await.unwrap(), items.await.unwrap()), (3, 250));
}
