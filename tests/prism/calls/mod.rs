//! Calls of all operations, each without optional arguments and with all arguments.

mod bodies;
mod lists;

use fullscript::Client;
use fullscript::types::Entrypoint;

/// Makes typed calls sequentially, and records their operations.
macro_rules! send {
    ($client:ident, $sent:ident; $($operation:ident $(.$given:ident($value:expr))*;)*) => {$(
        let answer = $client.$operation()$(.$given($value))*.send().await;
        if let Err(error) = answer {
            panic!("{}: {error}", stringify!($operation));
        }
        $sent.push(stringify!($operation));
    )*};
}
use send;

/// Makes all calls; returns the operations of the requests in order.
pub(crate) async fn send_all(client: &Client) -> Vec<&'static str> {
    let mut sent = Vec::new();
    read_one(client, &mut sent).await;
    lists::read_bare(client, &mut sent).await;
    lists::read_filtered(client, &mut sent).await;
    lists::read_pages(client, &mut sent).await;
    change(client, &mut sent).await;
    bodies::send_least(client, &mut sent).await;
    bodies::send_all_fields(client, &mut sent).await;
    sent
}

async fn read_one(client: &Client, sent: &mut Vec<&'static str>) {
    send! { client, sent;
        get_allergen.id("1");
        get_brand.id("1");
        get_category.id("1");
        get_clinic;
        get_event.id("1");
        get_ingredient.id("1");
        get_lab_order.id("1");
        get_lab_test.id("1");
        get_new_treatment_plan_link;
        get_order.id("1");
        get_orderable_lab.id("1");
        get_patient.id("1");
        get_practitioner.id("1");
        get_practitioner_resource.practitioner_id("1").id("2");
        get_product.id("1");
        get_product.id("1").practitioner_id("2");
        get_protocol.id("1");
        get_staff_member.id("1");
        get_supplement_type.id("1");
        get_template.id("1");
        get_third_party_certification.id("1");
        get_treatment_plan.id("1");
        get_treatment_plan_link.id("1");
        get_treatment_plan_link.id("1").entrypoint(Entrypoint::Catalog);
        get_treatment_plan_link.id("1").entrypoint(Entrypoint::Labs);
        get_variant.id("1");
        // All characters that an id may contain.
        get_patient.id("a b/ü?#%\\[]");
    }
}

/// Changes without a body.
async fn change(client: &Client, sent: &mut Vec<&'static str>) {
    send! { client, sent;
        activate_treatment_plan.id("1");
        cancel_treatment_plan.id("1");
        create_in_office_checkout.id("1");
        delete_practitioner_resource.practitioner_id("1").id("2");
    }
}
