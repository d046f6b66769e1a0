//! The import of patients.

use fullscript::{Client, Error};

/// Returns the e-mail addresses of all patients of the clinic.
pub(crate) async fn addresses(client: &Client) -> Result<Vec<String>, Error> {
    let mut patients = client.list_patients().items().prefetch(4);
    let mut addresses = Vec::new();
    while let Some(patient) = patients.next().await {
        addresses.extend(patient?.email);
    }
    Ok(addresses)
}
