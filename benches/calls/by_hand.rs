//! A handwritten call of one operation, with no more than is needed.
//!
//! It is cheaper than the client's types where possible: an amount is a float, dates and gender are
//! strings.
#![allow(
    dead_code,
    reason = "fields are decoded, which takes time, and not looked at"
)]

use reqwest::header::ACCEPT;
use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct PatientList {
    pub(crate) patients: Vec<Patient>,
    meta: Option<Pagination>,
}

#[derive(Deserialize)]
struct Pagination {
    current_page: Option<i64>,
    next_page: Option<i64>,
    prev_page: Option<i64>,
    total_count: Option<i64>,
    total_pages: Option<i64>,
}

#[derive(Deserialize)]
pub(crate) struct Patient {
    id: String,
    archived: Option<bool>,
    date_of_birth: Option<String>,
    discount: Option<f64>,
    email: Option<String>,
    first_name: Option<String>,
    gender: Option<String>,
    guardian_patient_id: Option<String>,
    is_dependent: Option<bool>,
    last_name: Option<String>,
    metadata: Option<Metadata>,
    mobile_number: Option<String>,
    text_message_notification: Option<bool>,
    total_discount: Option<f64>,
}

#[derive(Deserialize)]
struct Metadata {
    id: Option<String>,
}

pub(crate) struct ByHand {
    pub(crate) http: reqwest::Client,
    pub(crate) base_url: String,
    pub(crate) token: String,
}

impl ByHand {
    pub(crate) async fn list_patients(
        &self,
        page_size: usize,
    ) -> Result<PatientList, Box<dyn std::error::Error>> {
        let response = self
            .http
            .get(format!("{}/api/clinic/patients", self.base_url))
            .bearer_auth(&self.token)
            .header(ACCEPT, "application/json")
            .query(&[("page[size]", page_size)])
            .send()
            .await?
            .error_for_status()?;
        let body = response.bytes().await?;
        Ok(serde_json::from_slice(&body)?)
    }
}
