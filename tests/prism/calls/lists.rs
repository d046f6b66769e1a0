//! Lists: without arguments, with every filter, and as streams.

use fullscript::Client;
use fullscript::types::{
    CategoryProductSort, EventSort, EventType, FullscriptProtocolSort, LabOrderEventSort,
    MetadataOwner, OrderSort, OrderType, PatientType, ProtocolOwnershipFilter, ProtocolSort,
    ProtocolState, SortOrder, TreatmentPlanSort, WebhookDeliverySort,
};

use super::send;

/// Requests the first page of each list's stream, and records the operations. Some responses were
/// never recorded, so Prism's response need not contain a list.
macro_rules! read {
    ($client:ident, $sent:ident; $($operation:ident $(.$given:ident($value:expr))*;)*) => {$(
        let list = $client.$operation()$(.$given($value))*.page_size(25);
        assert!(list.pages().next().await.is_some());
        $sent.push(stringify!($operation));
    )*};
}

/// Does the same with every list, without arguments.
macro_rules! every_list {
    ($do:ident, $client:ident, $sent:ident) => {
        $do! { $client, $sent;
            find_objects_by_metadata;
            list_allergens;
            list_brands;
            list_categories;
            list_category_products.category_id("1");
            list_clinic_key_events;
            list_fullscript_protocols;
            list_fullscript_resources;
            list_ingredients;
            list_lab_order_events;
            list_lab_orders;
            list_lab_tests;
            list_order_events;
            list_orders;
            list_patient_addresses.patient_id("1");
            list_patient_dependents.patient_id("1");
            list_patient_events;
            list_patient_orders.patient_id("1");
            list_patient_treatment_plans.patient_id("1");
            list_patients;
            list_practitioner_protocols.practitioner_id("1");
            list_practitioner_resources.practitioner_id("1");
            list_practitioner_templates.practitioner_id("1");
            list_practitioner_types;
            list_practitioners;
            list_product_events;
            list_products;
            list_similar_products.product_id("1");
            list_staff;
            list_supplement_types;
            list_third_party_certifications;
            list_treatment_plan_events;
            list_webhook_deliveries;
            search_lab_tests;
            search_patients;
            search_products;
        }
    };
}

pub(crate) async fn read_bare(client: &Client, sent: &mut Vec<&'static str>) {
    every_list! { send, client, sent }
}

pub(crate) async fn read_filtered(client: &Client, sent: &mut Vec<&'static str>) {
    send! { client, sent;
        find_objects_by_metadata
            .id("a & b=ü")
            .page_number(2)
            .page_size(100)
            .type_(MetadataOwner::TreatmentPlan);
        list_allergens.page_number(2).page_size(100);
        list_brands.available(true).clinic_permitted(true).page_number(2).page_size(100);
        list_categories.page_number(2).page_size(100);
        list_category_products
            .category_id("1")
            .order_by(SortOrder::Desc)
            .page_number(2)
            .page_size(100)
            .sort_by(CategoryProductSort::Name);
        list_clinic_key_events
            .created_at("2026-01-01..2026-02-01")
            .event_type(EventType::ClinicKeyActivated)
            .order_by(SortOrder::Desc)
            .page_number(2)
            .page_size(100)
            .sort_by(EventSort::CreatedAt);
        list_fullscript_protocols
            .order_by(SortOrder::Desc)
            .page_number(2)
            .page_size(100)
            .sort_by(FullscriptProtocolSort::Name);
        list_fullscript_resources.page_number(2).page_size(100);
        list_ingredients.page_number(2).page_size(100);
        list_lab_order_events
            .created_at("2026-01-01..2026-02-01")
            .order_by(SortOrder::Desc)
            .page_number(2)
            .page_size(100)
            .sort_by(LabOrderEventSort::CreatedAt);
        list_lab_orders.page_number(2).page_size(100).patient_id("1");
        list_lab_tests.page_number(2).page_size(100);
        list_order_events
            .created_at("2026-01-01..2026-02-01")
            .event_type(EventType::OrderPlaced)
            .order_by(SortOrder::Desc)
            .page_number(2)
            .page_size(100)
            .sort_by(EventSort::CreatedAt);
        list_orders
            .completed_at("2026-01-01..2026-02-01")
            .order_by(SortOrder::Desc)
            .order_number("a & b=ü")
            .page_number(2)
            .page_size(100)
            .patient_id("1")
            .sort_by(OrderSort::CompletedAt)
            .treatment_plan_id("1")
            .type_(OrderType::Labs);
        list_patient_addresses.patient_id("1").page_number(2).page_size(100);
        list_patient_dependents.patient_id("1").page_number(2).page_size(100);
        list_patient_events
            .created_at("2026-01-01..2026-02-01")
            .event_type(EventType::PatientUpdated)
            .order_by(SortOrder::Desc)
            .page_number(2)
            .page_size(100)
            .sort_by(EventSort::CreatedAt);
        list_patient_orders.patient_id("1").page_number(2).page_size(100);
        list_patient_treatment_plans
            .patient_id("1")
            .order_by(SortOrder::Desc)
            .page_number(2)
            .page_size(100)
            .sort_by(TreatmentPlanSort::UpdatedAt);
        list_patients.page_number(2).page_size(100).patient_type(PatientType::Dependent);
        list_practitioner_protocols
            .practitioner_id("1")
            .current_state(ProtocolState::Active)
            .order_by(SortOrder::Desc)
            .ownership_type(ProtocolOwnershipFilter::All)
            .page_number(2)
            .page_size(100)
            .sort_by(ProtocolSort::CurrentState);
        list_practitioner_resources.practitioner_id("1").page_number(2).page_size(100);
        list_practitioner_templates.practitioner_id("1").page_number(2).page_size(100);
        list_practitioner_types.page_number(2).page_size(100);
        list_practitioners.page_number(2).page_size(100);
        list_product_events
            .created_at("2026-01-01..2026-02-01")
            .event_type(EventType::ProductUpdated)
            .order_by(SortOrder::Desc)
            .page_number(2)
            .page_size(100)
            .sort_by(EventSort::CreatedAt);
        list_products.page_number(2).page_size(100);
        list_similar_products.product_id("1").page_number(2).page_size(100);
        list_staff.page_number(2).page_size(100);
        list_supplement_types.page_number(2).page_size(100);
        list_third_party_certifications.page_number(2).page_size(100);
        list_treatment_plan_events
            .created_at("2026-01-01..2026-02-01")
            .event_type(EventType::TreatmentPlanUpdated)
            .order_by(SortOrder::Desc)
            .page_number(2)
            .page_size(100)
            .sort_by(EventSort::CreatedAt);
        list_webhook_deliveries
            .attempted_at("2026-01-01..2026-02-01")
            .event_id("1")
            .order_by(SortOrder::Desc)
            .page_number(2)
            .page_size(100)
            .sort_by(WebhookDeliverySort::AttemptedAt)
            .successfully_delivered(true);
        search_lab_tests.page_number(2).page_size(100).query("a & b=ü");
        search_patients
            .page_number(2)
            .page_size(100)
            .patient_type(PatientType::Dependent)
            .query("a & b=ü");
        search_products
            .allergen_ids(["1", "b c"])
            .brand_id("1")
            .ingredient_ids(["1", "b c"])
            .page_number(2)
            .page_size(100)
            .query("a & b=ü")
            .supplement_type_ids(["1", "b c"])
            .third_party_certification_ids(["1", "b c"]);
    }
}

pub(crate) async fn read_pages(client: &Client, sent: &mut Vec<&'static str>) {
    every_list! { read, client, sent }
}
