//! A first look: who the clinic is, its patients, a price, and what needs
//! approval. Runs against the embedded fake, so it needs no credentials.
#![allow(clippy::print_stdout, reason = "an example shows what it found")]

use std::error::Error;

use fullscript::operations;
use fullscript::testing::FakeFullscript;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let fake = FakeFullscript::start().await?;
    let client = fake.client();

    let clinic = client.get_clinic().send().await?.into_inner().clinic;
    println!(
        "Clinic    {}, {} practitioners, {} patients",
        clinic.name.as_deref().unwrap_or("without a name"),
        clinic.practitioner_count.unwrap_or_default(),
        clinic.patient_count.unwrap_or_default(),
    );

    let patients = client.list_patients().page_size(100).send().await?;
    for patient in &patients.patients {
        println!(
            "Patient   {} {}",
            patient.first_name.as_deref().unwrap_or_default(),
            patient.last_name.as_deref().unwrap_or_default(),
        );
    }

    let products = client.list_products().send().await?;
    let first = products.products.first().ok_or("the catalog is empty")?;
    let product = client
        .get_product()
        .id(first.id.clone())
        .send()
        .await?
        .into_inner()
        .product;
    let price = product
        .variants
        .iter()
        .flatten()
        .find_map(|variant| variant.msrp.as_ref());
    println!(
        "Product   {} at {}",
        product.name.as_deref().unwrap_or("without a name"),
        price.map_or("no price".into(), |price| format!("${price}")),
    );

    println!("\nThese operations require commercial approval:");
    for operation in operations::all() {
        if operation.requires_commercial_approval {
            println!(
                "  {:<26} {:<5} {}",
                operation.id, operation.method, operation.path
            );
        }
    }
    println!(
        "\n{} operations in all; each is a method of `fullscript::Client`.",
        operations::all().len()
    );
    Ok(())
}
