//! Pages that are fetched concurrently, and lists that change meanwhile.

use std::sync::Mutex;
use std::time::Duration;

use fullscript::ListChanges;

use super::*;

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(3_600);

/// A clinic whose patients change after each page, by page number.
async fn changing(change: fn(usize, &mut Vec<String>)) -> FakeFullscript {
    let fake = FakeFullscript::start().await.unwrap();
    let patients = Mutex::new(numbers(1..=10));
    fake.answer_with("list_patients", move |request| {
        let mut patients = patients.lock().unwrap();
        let number = asked(request, "page[number]");
        let body = answer(&patients, number, asked(request, "page[size]"));
        change(number, &mut patients);
        Script::json(200, &body)
    });
    fake
}

async fn read(fake: &FakeFullscript, prefetch: usize) -> (Vec<String>, ListChanges) {
    let client = fake.client();
    let mut list = client
        .list_patients()
        .page_size(2)
        .items()
        .prefetch(prefetch);
    let came = list.collect_all().await.unwrap();
    (ids(&came), *list.changes())
}

#[tokio::test]
async fn pages_are_delivered_in_order_regardless_of_their_delays() {
    let fake = FakeFullscript::start().await.unwrap();
    fake.answer_with("list_patients", |request| {
        let number = asked(request, "page[number]");
        let delay = if number.is_multiple_of(2) { 30 } else { 0 };
        page(request, 1000).after(Duration::from_millis(delay))
    });
    let client = fake.client();
    let list = client
        .list_patients()
        .items()
        .prefetch(4)
        .collect_all()
        .await
        .unwrap();
    assert_eq!(ids(&list), numbers(1..=1000));
    assert_eq!(fake.count("list_patients"), 10);
}

#[tokio::test]
async fn prefetch_requests_n_pages_concurrently_after_the_first() {
    for (wanted, allowed) in [(1, 1), (3, 3), (1000, 10)] {
        let fake = FakeFullscript::start().await.unwrap();
        fake.answer_with("list_patients", |request| {
            match asked(request, "page[number]") {
                1 => page(request, 5000),
                _ => page(request, 5000).after(NEVER),
            }
        });
        let mut pages = fake.client().list_patients().pages().prefetch(wanted);
        pages.next().await.unwrap().unwrap();
        let waiting = tokio::time::timeout(Duration::from_millis(300), pages.next());
        assert!(waiting.await.is_err(), "page 2 never comes");
        let mut asked_for: Vec<_> = fake
            .requests()
            .iter()
            .map(|request| asked(request, "page[number]"))
            .collect();
        asked_for.sort_unstable();
        assert_eq!(asked_for, (1..=1 + allowed).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_dropped_stream_cancels_its_in_flight_requests() {
    let fake = FakeFullscript::start().await.unwrap();
    fake.answer_with("list_patients", |request| {
        match asked(request, "page[number]") {
            1 => page(request, 1000),
            _ => page(request, 1000).after(NEVER),
        }
    });
    // Requests that were not cancelled would keep all permits of the concurrency limit.
    let client = fake.client_builder().concurrency(3).build().unwrap();
    let mut pages = client.list_patients().pages().prefetch(3);
    pages.next().await.unwrap().unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(100), pages.next());
    assert!(waiting.await.is_err(), "page 2 never comes");
    drop(pages);
    client.get_clinic().send().await.unwrap();
    assert_eq!(fake.count("list_patients"), 4);
}

#[tokio::test]
async fn no_request_is_in_flight_while_a_page_is_processed() {
    let fake = clinic_of(100).await;
    let client = fake.client_builder().concurrency(1).build().unwrap();
    let mut items = client.list_patients().page_size(10).items().prefetch(4);
    let mut came = 0;
    while let Some(patient) = items.next().await {
        patient.unwrap();
        came += 1;
        // A leaked request would make this one wait for the rate limiter forever.
        let call = client.get_clinic().send();
        let answer = tokio::time::timeout(Duration::from_secs(10), call).await;
        answer.expect("no page keeps its place").unwrap();
    }
    assert_eq!(came, 100);
}

#[tokio::test]
async fn a_dropped_wait_loses_no_page() {
    let fake = FakeFullscript::start().await.unwrap();
    fake.answer_with("list_patients", |request| {
        page(request, 500).after(Duration::from_millis(20))
    });
    for prefetch in [1, 3] {
        let mut items = fake.client().list_patients().items().prefetch(prefetch);
        let mut came = Vec::new();
        loop {
            match tokio::time::timeout(Duration::from_millis(3), items.next()).await {
                Err(_waited_enough) => {}
                Ok(Some(patient)) => came.push(patient.unwrap()),
                Ok(None) => break,
            }
        }
        assert_eq!(ids(&came), numbers(1..=500));
    }
    assert_eq!(fake.count("list_patients"), 10);
}

#[tokio::test]
async fn an_unchanged_list_reports_no_changes() {
    for prefetch in [1, 4] {
        let fake = changing(|_, _| {}).await;
        let (came, changes) = read(&fake, prefetch).await;
        assert_eq!(came, numbers(1..=10));
        assert!(changes.is_empty() && !changes.has_grown() && !changes.has_shrunk());
        assert_eq!((changes.delivered, changes.total_before), (10, Some(10)));
    }
}

#[tokio::test]
async fn a_list_that_grew_drops_duplicates_and_reports_them() {
    for prefetch in [1, 4] {
        let fake = changing(|number, patients| {
            if number == 1 {
                patients.insert(0, "new".into());
            }
        })
        .await;
        let (came, changes) = read(&fake, prefetch).await;
        assert_eq!(came, numbers(1..=10), "prefetch {prefetch}");
        assert_eq!((changes.duplicates, changes.missing), (1, 1));
        assert_eq!(
            (changes.total_before, changes.total_after),
            (Some(10), Some(11))
        );
        assert!(changes.has_grown() && !changes.is_empty());
        assert_eq!(
            changes.to_string(),
            "the list changed while it was read: duplicates dropped: 1, \
             records missing: 1, total changed from 10 to 11; read the list again"
        );
    }
}

#[tokio::test]
async fn a_list_that_shrank_is_reported() {
    for prefetch in [1, 4] {
        let fake = changing(|number, patients| {
            if number == 1 {
                patients.drain(..2);
            }
        })
        .await;
        let (came, changes) = read(&fake, prefetch).await;
        // Records 3 and 4 have moved to a page that was already read.
        assert_eq!(came, ["1", "2", "5", "6", "7", "8", "9", "10"]);
        assert_eq!(
            (changes.total_before, changes.total_after),
            (Some(10), Some(8))
        );
        assert!(changes.has_shrunk() && !changes.is_empty());
    }
}

#[tokio::test]
async fn a_moved_record_is_detected_with_an_unchanged_total() {
    let fake = changing(|number, patients| {
        if number == 1 {
            let moved = patients.remove(4);
            patients.insert(0, moved);
        }
    })
    .await;
    let (came, changes) = read(&fake, 1).await;
    assert_eq!(came, ["1", "2", "3", "4", "6", "7", "8", "9", "10"]);
    assert!(!changes.total_moved && !changes.is_empty());
    assert_eq!((changes.duplicates, changes.missing), (1, 1));
}

#[tokio::test]
async fn a_total_that_changes_and_reverts_is_detected() {
    let fake = changing(|number, patients| match number {
        1 => patients.push("new".into()),
        3 => {
            patients.pop();
        }
        _ => {}
    })
    .await;
    let (came, changes) = read(&fake, 1).await;
    assert_eq!(came, numbers(1..=10));
    assert!(changes.total_moved && !changes.has_grown() && !changes.is_empty());
    assert!(
        changes.to_string().contains("changed and changed back"),
        "{changes}"
    );
}

#[tokio::test]
async fn a_list_that_grew_by_a_full_page_is_not_a_loop() {
    for prefetch in [1, 4] {
        let fake = changing(|number, patients| {
            if number == 1 {
                patients.splice(0..0, ["new".into(), "newer".into()]);
            }
        })
        .await;
        let (came, changes) = read(&fake, prefetch).await;
        assert_eq!(came, numbers(1..=10));
        assert_eq!(changes.duplicates, 2);
    }
}

#[tokio::test]
async fn each_page_reports_the_changes_detected_so_far() {
    let fake = changing(|number, patients| {
        if number == 2 {
            patients.insert(0, "new".into());
        }
    })
    .await;
    let client = fake.client();
    let pages = client.list_patients().page_size(2).pages();
    let pages: Vec<Page<Patient>> = pages.try_collect().await.unwrap();
    let noticed: Vec<_> = pages
        .iter()
        .map(|page| !page.changes().is_empty())
        .collect();
    assert_eq!(noticed, [false, false, true, true, true, true]);
    assert_eq!(pages[2].items().len(), 1);
}

#[tokio::test]
async fn pages_without_a_total_are_fetched_sequentially() {
    let fake = FakeFullscript::start().await.unwrap();
    fake.answer_with("list_patients", |request| {
        let (number, size) = (asked(request, "page[number]"), asked(request, "page[size]"));
        let mut body = answer(&numbers(1..=450), number, size);
        body["meta"] = Value::Null;
        Script::json(200, &body)
    });
    let client = fake.client();
    let list = client
        .list_patients()
        .items()
        .prefetch(4)
        .collect_all()
        .await
        .unwrap();
    assert_eq!(ids(&list), numbers(1..=450));
    assert_eq!(fake.count("list_patients"), 5);
}
