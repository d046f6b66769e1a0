//! What tests of an integration want (feature `testing`): a fake of the API
//! on loopback, and the types of its answers by name.
//!
//! [`FakeFullscript`] is a small vendor inside of the test, with a clinic of
//! its own: what is created is listed, what is cancelled is cancelled, and a
//! call that the vendor would not take is refused with the reason. The real
//! client calls it over HTTP, so nothing of your code has to change. Three
//! tests, of code that stands for yours:
//!
//! An import leaves nobody out.
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
//! A plan is sent to the patient when a practitioner decides so, and not
//! before.
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
//! // Later, in the vendor's web app: your webhook hears of this.
//! fake.web_app().activate_treatment_plan(id.as_str());
//! assert_eq!(state(&fake), "active");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! A user who gave too little is told to connect again, and one for whom the
//! vendor has something new is not let down.
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
//!         Err(error) => Err(error),
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
//! # Time, trouble and events
//!
//! - [`FakeFullscript::advance`]: hours pass in a call, and tokens, codes and
//!   session grants die of age when the vendor lets them.
//! - [`FakeFullscript::fault_times`]: the next requests of an operation are
//!   refused, delayed, or broken off on the wire; see [`Fault`].
//! - [`FakeFullscript::rate_limit`]: too many requests are refused.
//! - [`FakeFullscript::subscribe`]: what happens is delivered to your own
//!   endpoint, signed, and again in the vendor's gaps until it is answered; with
//!   [`WebhookFault`] it comes twice, late, or never.

// In the order of the layers: a module uses those below it in this list.
mod fake;

mod shared;

mod server;

mod state;

mod webhooks;

mod clock;
mod lock;
mod round_trip;
mod seed;
mod settings;

pub use clock::ManualClock;
pub use fake::FakeFullscript;
pub use fake::builder::FakeBuilder;
pub use fake::web_app::WebApp;
pub use round_trip::{RoundTripError, round_trip};
pub use server::drift::Drift;
pub use server::fault::Fault;
pub use server::oauth::RefreshMode;
pub use server::script::{FakeRequest, Script};
pub use webhooks::{DeliveryAttempt, DeliveryFailure, Envelope, Webhook, WebhookFault};
