//! Query strings and bodies, matched by an independent server.

use fullscript::types::{AllergenId, SortOrder};
use httpmock::prelude::*;
use serde_json::json;

use crate::support::client;

#[tokio::test]
async fn page_parameters_are_sent_with_brackets() {
    let server = MockServer::start_async().await;
    let mock = server
        .mock_async(|when, then| {
            when.method(GET)
                .path("/api/clinic/patients")
                .query_param("page[number]", "2")
                .query_param("page[size]", "100")
                .header("authorization", "Bearer token")
                .header("accept", "application/json");
            then.status(200).json_body(json!({"patients": []}));
        })
        .await;
    let answer = client(&server.base_url())
        .list_patients()
        .page_number(2)
        .page_size(100)
        .send()
        .await;
    assert!(answer.unwrap().patients.is_empty());
    mock.assert_calls_async(1).await;
}

#[tokio::test]
async fn list_parameters_are_repeated_with_brackets() {
    let server = MockServer::start_async().await;
    let mock = server
        .mock_async(|when, then| {
            when.method(GET)
                .path("/api/catalog/search/products")
                .is_true(|request| {
                    let query = request
                        .uri()
                        .query()
                        .unwrap_or_default()
                        .replace("%5B%5D", "[]");
                    query == "allergen_ids[]=a&allergen_ids[]=b+c&query=zinc"
                });
            then.status(200).json_body(json!({"products": []}));
        })
        .await;
    let ids = vec![AllergenId::new("a"), AllergenId::new("b c")];
    let client = client(&server.base_url());
    let search = client.search_products().query("zinc").allergen_ids(ids);
    search.send().await.unwrap();
    mock.assert_calls_async(1).await;
}

#[tokio::test]
async fn an_update_sends_only_the_fields_that_were_set() {
    let server = MockServer::start_async().await;
    let mock = server
        .mock_async(|when, then| {
            when.method("PATCH")
                .path("/api/clinic/patients/p1")
                .json_body(json!({"first_name": "Zoë", "discount": "10"}));
            then.status(200).json_body(json!({"patient": {"id": "p1"}}));
        })
        .await;
    let change = fullscript::types::UpdatePatientRequest::new()
        .first_name("Zoë")
        .discount(fullscript::value::Decimal::from(10));
    let client = client(&server.base_url());
    let call = client.update_patient().id("p1").body(change);
    assert_eq!(call.send().await.unwrap().patient.id.as_str(), "p1");
    mock.assert_calls_async(1).await;
}

#[tokio::test]
async fn an_undocumented_enum_value_can_be_sent() {
    let server = MockServer::start_async().await;
    let mock = server
        .mock_async(|when, then| {
            when.path("/api/clinic/orders")
                .query_param("order_by", "SIDEWAYS");
            then.status(200)
                .json_body(json!({"orders": [], "meta": null}));
        })
        .await;
    let client = client(&server.base_url());
    let orders = client.list_orders().order_by(SortOrder::from("SIDEWAYS"));
    assert!(orders.send().await.unwrap().meta.is_none());
    mock.assert_calls_async(1).await;
}
