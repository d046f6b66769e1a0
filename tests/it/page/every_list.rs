//! Each list operation streams its recorded example.

use std::collections::BTreeSet;

use fullscript::operations;

use super::*;

/// Reads each list to its end by pages, with the given path arguments, and returns its id with the
/// number of records.
macro_rules! read_all {
    ($client:ident; $($call:ident $(. $argument:ident)*),* $(,)?) => {{
        let mut read = Vec::new();
        $({
            let call = $client.$call()$(.$argument("1"))*;
            let pages: Vec<_> = call.clone().pages().try_collect().await.unwrap();
            let on_pages: usize = pages.iter().map(|page| page.items().len()).sum();
            let mut items = call.items();
            assert_eq!(items.collect_all().await.unwrap().len(), on_pages);
            assert!(items.changes().is_empty(), "{}", stringify!($call));
            read.push((stringify!($call), on_pages));
        })*
        read
    }};
}

#[tokio::test]
async fn every_list_operation_streams_its_recorded_example() {
    let fake = FakeFullscript::builder().stateless().start().await.unwrap();
    // The responses of these operations are not documented.
    for id in [
        "list_fullscript_protocols",
        "list_fullscript_resources",
        "list_lab_tests",
        "list_patient_dependents",
        "list_practitioner_resources",
        "search_lab_tests",
    ] {
        let body = json!({"records": [{"id": "1"}], "meta": {"total_count": 1, "total_pages": 1}});
        fake.answer(id, Script::json(200, &body));
    }
    let client = fake.client();
    let read = read_all!(client;
        find_objects_by_metadata,
        list_allergens,
        list_brands,
        list_categories,
        list_category_products.category_id,
        list_clinic_key_events,
        list_fullscript_protocols,
        list_fullscript_resources,
        list_ingredients,
        list_lab_order_events,
        list_lab_orders,
        list_lab_tests,
        list_order_events,
        list_orders,
        list_patient_addresses.patient_id,
        list_patient_dependents.patient_id,
        list_patient_events,
        list_patient_orders.patient_id,
        list_patient_treatment_plans.patient_id,
        list_patients,
        list_practitioner_protocols.practitioner_id,
        list_practitioner_resources.practitioner_id,
        list_practitioner_templates.practitioner_id,
        list_practitioner_types,
        list_practitioners,
        list_product_events,
        list_products,
        list_similar_products.product_id,
        list_staff,
        list_supplement_types,
        list_third_party_certifications,
        list_treatment_plan_events,
        list_webhook_deliveries,
        search_lab_tests,
        search_patients,
        search_products,
    );
    assert!(read.iter().all(|(_, records)| *records > 0), "{read:?}");
    let read: BTreeSet<_> = read.into_iter().map(|(id, _)| id).collect();
    let paged = operations::all().iter().filter(|operation| operation.paged);
    assert_eq!(read, paged.map(|operation| operation.id).collect());
}
