//! Test utilities (feature `testing`): a fake Fullscript API on loopback, and decoding of responses
//! by the name of their operation.
//!
//! [`FakeFullscript`] is an HTTP server inside the test process that keeps the state of one clinic, or
//! of [several](FakeBuilder::clinics).
//! Created records appear in lists, cancelled plans stay cancelled, and an invalid call is rejected
//! with the reason. The real client calls it over HTTP, so your code does not change. The three
//! tests below each exercise a function that stands for your code.
//!
//! The first test checks that an import reads every patient.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use fullscript::testing::FakeFullscript;
//!
//! async fn import(client: &fullscript::Client) -> Result<Vec<String>, fullscript::Error> {
//!     let patients = client.list_patients().items().collect_all().await?;
//!     Ok(patients.into_iter().filter_map(|patient| patient.email).collect())
//! }
//!
//! let fake = FakeFullscript::builder().seed(7).patients(250).start().await?;
//! let imported = import(&fake.client()).await?;
//! assert_eq!(imported.len(), 250);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! The second test checks that a plan is sent to the patient only after a practitioner activates
//! it.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use fullscript::testing::FakeFullscript;
//! use fullscript::types::{CreateTreatmentPlanRequest, TreatmentPlanId};
//!
//! async fn propose(
//!     client: &fullscript::Client,
//!     patient: &str,
//! ) -> Result<TreatmentPlanId, fullscript::Error> {
//!     let draft = CreateTreatmentPlanRequest::draft(vec![]);
//!     let call = client.create_treatment_plan().patient_id(patient).body(draft);
//!     Ok(call.send().await?.into_inner().treatment_plan.id)
//! }
//!
//! let fake = FakeFullscript::start().await?;
//! let patient = fake.patients()[0].clone();
//! let id = propose(&fake.client(), patient["id"].as_str().unwrap()).await?;
//! let state = |fake: &FakeFullscript| fake.treatment_plans().pop().unwrap()["state"].clone();
//! assert_eq!(state(&fake), "draft");
//! assert_eq!(fake.count("activate_treatment_plan"), 0);
//! // Later, in the vendor's web app. Your webhook receives an event for this.
//! fake.web_app().activate_treatment_plan(id.as_str());
//! assert_eq!(state(&fake), "active");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! The third test checks that a user with missing scopes is asked to connect again, and that
//! responses with new values, new fields or nulls do not break the code.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use fullscript::auth::Scope;
//! use fullscript::testing::{Drift, FakeFullscript};
//!
//! async fn orders(client: &fullscript::Client) -> Result<String, fullscript::Error> {
//!     match client.list_orders().items().collect_all().await {
//!         Ok(orders) => Ok(format!("{} orders", orders.len())),
//!         Err(error) if error.status().is_some_and(|status| status == 403) => {
//!             Ok("Please connect again to see orders.".into())
//!         }
//!         Err(error) => Err(error.into()),
//!     }
//! }
//!
//! let fake = FakeFullscript::builder().scopes([Scope::CLINIC_READ]).start().await?;
//! assert!(orders(&fake.client()).await?.starts_with("Please connect"));
//!
//! let fake = FakeFullscript::start().await?;
//! for drift in [Drift::NewValue, Drift::NewField, Drift::Null] {
//!     fake.drift("list_orders", 1, drift);
//!     assert_eq!(orders(&fake.client()).await?, "1 orders");
//! }
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! # Time, faults and events
//!
//! - [`FakeFullscript::advance`]: moves the clock, for example by hours. Tokens, codes and session
//!   grants expire as the vendor documents.
//! - [`FakeFullscript::fault_times`]: makes the next requests of an operation fail, take longer, or
//!   lose their connection; see [`Fault`].
//! - [`FakeFullscript::rate_limit`]: rejects requests above a limit with 429.
//! - [`FakeFullscript::file`]: serves a file, such as a PDF of lab results.
//! - [`FakeFullscript::subscribe`]: delivers signed events to your own endpoint and retries them on
//!   the vendor's schedule until they are acknowledged. With a [`WebhookFault`] an event is
//!   delivered twice, late, or never.

// Modules are listed in the order of the layers: each one uses only those below it.
mod fake;

mod shared;

mod server;

mod state;

mod webhooks;

mod clock;
pub mod contract;
mod expose;
mod files;
mod planned;
mod round_trip;
mod seed;
mod settings;

pub use clock::ManualClock;
pub use expose::{Expose, Exposed};
pub use fake::FakeFullscript;
pub use fake::builder::FakeBuilder;
pub use fake::clinic::FakeClinic;
pub use fake::web_app::WebApp;
pub use round_trip::{DecodedResponse, RoundTripError, decode, round_trip};
pub use server::drift::Drift;
pub use server::fault::Fault;
pub use server::oauth::RefreshMode;
pub use server::script::{FakeRequest, Script};
pub use webhooks::{DeliveryAttempt, DeliveryFailure, Envelope, Webhook, WebhookFault};
