//! The service: connecting practitioners, handling events, proposing plans, reporting health.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use fullscript::auth::{ConnectionFilter, OAuthApp, State, UserKey};
use fullscript::replay::Cursor;
use fullscript::types::*;
use fullscript::webhook::axum::receive_once;
use fullscript::webhook::{
    Event, Events, HandlerFuture, LabOrderUpdated, MemoryEventLog, OrderPlaced, PatientCreated,
    PatientUpdated, Receiver, TypedEvent,
};
use fullscript::{Clock, Fetch};

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// A synchronization that is older than this is overdue.
const OVERDUE: Duration = Duration::from_secs(26 * 3600);

/// Stands for the database of the EHR.
#[derive(Default)]
pub(crate) struct Database {
    pub(crate) patients: HashMap<PatientId, Patient>,
    pub(crate) orders: HashMap<OrderId, Order>,
    pub(crate) reports: HashMap<LabOrderId, Vec<u8>>,
    /// Where the replay of each clinic resumes.
    pub(crate) cursors: HashMap<String, Cursor>,
    pub(crate) synchronized_at: Option<SystemTime>,
}

pub(crate) struct Service {
    pub(crate) app: OAuthApp,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) event_log: MemoryEventLog,
    database: Mutex<Database>,
}

impl Service {
    pub(crate) fn new(app: OAuthApp, clock: impl Clock) -> Arc<Self> {
        Arc::new(Self {
            app,
            clock: Arc::new(clock),
            event_log: MemoryEventLog::new(),
            database: Mutex::default(),
        })
    }

    pub(crate) fn database(&self) -> MutexGuard<'_, Database> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn save_patient(&self, patient: Patient) {
        self.database().patients.insert(patient.id.clone(), patient);
    }

    /// Handles the request to the redirect URI. The user's clinic becomes the tenant, by which the
    /// events of the clinic find a client.
    pub(crate) async fn connect(&self, callback: &str, state: &State) -> Result<UserKey> {
        let code = self.app.callback(callback, state)?;
        let user = self.app.exchange(code).await?.key().clone();
        let client = self.app.client(&user);
        let clinic = client.get_clinic().await?.into_inner().clinic;
        self.app.set_tenant(&user, Some(clinic.id.as_str())).await?;
        Ok(user)
    }

    /// Returns the routes of the web server.
    pub(crate) fn routes(self: &Arc<Self>, receiver: Receiver) -> Router {
        let webhook = receive_once(receiver, self.event_log.clone(), self.events());
        let service = Arc::clone(self);
        Router::new()
            .route("/fullscript/webhooks", webhook)
            .route("/health", get(async move || service.health().await))
    }

    /// Returns the handler of all events, for webhooks and for the replay of missed events.
    pub(crate) fn events(
        self: &Arc<Self>,
    ) -> impl Fn(Event) -> HandlerFuture<Error> + Clone + Send + Sync + use<> {
        let [new, old, labs, orders] = [(); 4].map(|()| Arc::clone(self));
        Events::new()
            .on(PatientCreated, move |event| new.clone().on_patient(event))
            .on(PatientUpdated, move |event| old.clone().on_patient(event))
            .on(LabOrderUpdated, move |event| labs.clone().on_results(event))
            .on(OrderPlaced, move |event| orders.clone().on_order(event))
            .otherwise(async |_| Ok(()))
    }

    async fn on_patient<K: Fetch<Object = Patient>>(
        self: Arc<Self>,
        event: TypedEvent<K>,
    ) -> Result<()> {
        // Without a connected user of the clinic, the service may not read the clinic's data.
        if let Some(client) = self.app.client_for_event(&event).await? {
            self.save_patient(event.fetch(&client).await?);
        }
        Ok(())
    }

    async fn on_results(self: Arc<Self>, event: TypedEvent<LabOrderUpdated>) -> Result<()> {
        if let Some(client) = self.app.client_for_event(&event).await? {
            self.copy_results(&client, event.fetch(&client).await?)
                .await?;
        }
        Ok(())
    }

    async fn on_order(self: Arc<Self>, event: TypedEvent<OrderPlaced>) -> Result<()> {
        if let Some(client) = self.app.client_for_event(&event).await? {
            let order = event.fetch(&client).await?;
            self.database().orders.insert(order.id.clone(), order);
        }
        Ok(())
    }

    /// Proposes a plan as a draft: the patient is notified only after a practitioner activated it.
    ///
    /// `own_id` is the id of the proposal in the EHR: the idempotency key of all attempts, and the
    /// metadata by which the plan is found again.
    pub(crate) async fn propose(
        &self,
        practitioner: &UserKey,
        patient: &PatientId,
        variant: &VariantId,
        own_id: &str,
    ) -> Result<TreatmentPlanId> {
        let plan = CreateTreatmentPlanRequest::draft([RecommendationInput::new(variant, 1)])
            .metadata(ObjectMetadataInput::new().id(own_id));
        let client = self.app.client(practitioner);
        let call = client.create_treatment_plan().patient_id(patient);
        let created = call.idempotency_key(own_id).body(plan).await?;
        Ok(created.into_inner().treatment_plan.id)
    }

    /// Returns the health page, which contains no patient data.
    pub(crate) async fn health(&self) -> (StatusCode, String) {
        let mut lost = self
            .app
            .connections(ConnectionFilter::new().needs_reconnect(true));
        let mut must_reconnect = 0;
        while let Some(connection) = lost.next().await {
            match connection {
                Ok(_) => must_reconnect += 1,
                Err(error) => return (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            }
        }
        let database = self.database();
        let since = database.synchronized_at.unwrap_or(SystemTime::UNIX_EPOCH);
        let (status, sync) = if self.clock.now() < since + OVERDUE {
            (StatusCode::OK, "in time")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "overdue")
        };
        let (patients, reports) = (database.patients.len(), database.reports.len());
        let text = format!(
            "{patients} patients, {reports} reports, {must_reconnect} must reconnect, sync {sync}"
        );
        (status, text)
    }
}
