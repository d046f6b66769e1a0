//! Pagination, filters and sorting of lists.

use fullscript::testing::FakeFullscript;
use fullscript::types::PatientType;
use serde_json::{Value, json};

async fn thousand() -> FakeFullscript {
    FakeFullscript::builder()
        .seed(7)
        .patients(1_000)
        .start()
        .await
        .unwrap()
}

/// The text of a response as the server writes it.
async fn answer(fake: &FakeFullscript, query: &str) -> Value {
    let client = fake.client();
    let mut call = client.request(fullscript::http::Method::GET, "/api/clinic/patients");
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        call = call.query(name, value);
    }
    call.send::<Value>().await.unwrap().into_inner()
}

#[tokio::test]
async fn a_thousand_patients_are_read_by_pages_each_once() {
    let fake = thousand().await;
    let patients = fake
        .client()
        .list_patients()
        .page_size(100)
        .items()
        .collect_all()
        .await
        .unwrap();
    let mut ids: Vec<_> = patients.iter().map(|patient| patient.id.as_str()).collect();
    assert_eq!(ids.len(), 1_000);
    let own = fake.patients();
    let own: Vec<_> = own
        .iter()
        .map(|patient| patient["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, own);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1_000);
    assert_eq!(fake.count("list_patients"), 10);
}

#[tokio::test]
async fn the_meta_block_is_as_recorded() {
    let fake = thousand().await;
    for (query, meta) in [
        (
            "",
            r#"{"current_page":1,"next_page":2,"prev_page":null,"total_pages":40,"total_count":1000}"#,
        ),
        (
            "page[size]=100",
            r#"{"current_page":1,"next_page":2,"prev_page":null,"total_pages":10,"total_count":1000}"#,
        ),
        (
            "page[number]=2&page[size]=300",
            r#"{"current_page":2,"next_page":3,"prev_page":1,"total_pages":10,"total_count":1000}"#,
        ),
        (
            "page[number]=10&page[size]=100",
            r#"{"current_page":10,"next_page":null,"prev_page":9,"total_pages":10,"total_count":1000}"#,
        ),
    ] {
        let expected: Value = serde_json::from_str(meta).unwrap();
        assert_eq!(answer(&fake, query).await["meta"], expected, "{query}");
    }
    // A page after the last one is empty.
    let after = answer(&fake, "page[number]=41").await;
    assert_eq!(after["patients"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a_list_shows_what_the_recorded_list_shows() {
    let fake = FakeFullscript::start().await.unwrap();
    let listed = answer(&fake, "").await;
    let fields: Vec<_> = listed["patients"][0]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(
        fields,
        ["archived", "email", "first_name", "id", "last_name"]
    );
}

#[tokio::test]
async fn patients_are_listed_by_type() {
    let fake = thousand().await;
    let client = fake.client();
    let count = async |patient_type| {
        let call = client.list_patients().patient_type(patient_type);
        call.items().collect_all().await.unwrap().len()
    };
    assert_eq!(count(PatientType::All).await, 1_000);
    assert_eq!(count(PatientType::Dependent).await, 99);
    assert_eq!(count(PatientType::Guardian).await, 99);
    // A search excludes dependents unless they are requested.
    let search = client.search_patients().query("example.com");
    assert_eq!(search.items().collect_all().await.unwrap().len(), 901);
    let dependent = fake
        .patients()
        .into_iter()
        .find(|patient| patient["is_dependent"] == true);
    let guardian = dependent.unwrap()["guardian_patient_id"]
        .as_str()
        .unwrap()
        .to_string();
    let list = client.list_patient_dependents().patient_id(guardian);
    assert_eq!(
        list.send().await.unwrap()["patients"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn orders_are_sorted_as_requested() {
    let fake = thousand().await;
    let client = fake.client();
    let sorted = async |order_by| {
        let call = client
            .list_orders()
            .sort_by(fullscript::types::OrderSort::CompletedAt)
            .order_by(order_by);
        let orders = call.items().collect_all().await.unwrap();
        let times = orders
            .iter()
            .map(|order| order.completed_at.clone().unwrap());
        times
            .map(|time| time.as_str().to_string())
            .collect::<Vec<_>>()
    };
    let up = sorted(fullscript::types::SortOrder::Asc).await;
    let mut down = sorted(fullscript::types::SortOrder::Desc).await;
    assert!(up.len() > 100 && up.is_sorted());
    down.reverse();
    assert_eq!(up, down);
}

#[tokio::test]
async fn the_catalog_is_paged_searched_and_added_to() {
    let fake = FakeFullscript::builder()
        .seed(7)
        .products(120)
        .start()
        .await
        .unwrap();
    let client = fake.client();
    let all = client
        .list_products()
        .page_size(50)
        .items()
        .collect_all()
        .await
        .unwrap();
    assert_eq!((all.len(), fake.count("list_products")), (120, 3));
    let found = client.search_products().query("drops fictional");
    let found = found.items().collect_all().await.unwrap();
    assert!(!found.is_empty() && found.len() < 60);
    for product in &found {
        assert!(
            product
                .name
                .as_ref()
                .unwrap()
                .starts_with("Fictional Drops")
        );
    }
    let added = fake
        .web_app()
        .add_product(&json!({"name": "Paper Capsules"}));
    let found = client
        .search_products()
        .query("paper")
        .send()
        .await
        .unwrap();
    assert_eq!(found.products[0].id.as_str(), added["id"].as_str().unwrap());
    let variant = added["variants"][1]["id"].as_str().unwrap();
    let variant = client
        .get_variant()
        .id(variant)
        .send()
        .await
        .unwrap()
        .into_inner()
        .variant;
    assert_eq!(variant.msrp.unwrap().as_str(), "39.98");
    assert_eq!(
        variant.product.unwrap().name.as_deref(),
        Some("Paper Capsules")
    );
}
