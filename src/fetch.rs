//! Requests the object of an event as it is now, and finds a client for it.

use crate::auth::{AuthError, ConnectionFilter, OAuthApp, Scope};
use crate::client::Client;
use crate::error::Error;
use crate::operations::scopes_for;
use crate::types::{LabOrder, Order, Patient, TreatmentPlan};
use crate::webhook::{
    EventKind, LabOrderUpdated, OrderPlaced, PatientCreated, PatientEmancipated, PatientUpdated,
    TreatmentPlanCreated, TreatmentPlanRecommendationUpdated, TreatmentPlanUpdated, TypedEvent,
};

/// A type of event about an object that can be requested, for [`TypedEvent::fetch`].
///
/// Events about products are not among them, because they do not contain the product's id
/// (documented).
pub trait Fetch: EventKind {
    /// The object.
    type Object: Send;

    /// The id of the operation that returns the object.
    const OPERATION: &'static str;

    /// Requests the object of a payload.
    ///
    /// # Errors
    /// Returns the errors of [`TypedEvent::fetch`].
    fn fetch(
        client: &Client,
        data: &Self::Data,
    ) -> impl Future<Output = Result<Self::Object, Error>> + Send;
}

/// Implements `Fetch` for the events about one type of object.
macro_rules! fetch {
    ($object:ident, $operation:ident, $field:ident: $($kind:ident),+) => {
        $(impl Fetch for $kind {
            type Object = $object;
            const OPERATION: &'static str = stringify!($operation);

            async fn fetch(client: &Client, data: &Self::Data) -> Result<$object, Error> {
                let id = data.id.as_ref().ok_or_else(|| {
                    let reason = "the event does not contain the id of its object";
                    Error::invalid_request(Self::OPERATION, reason.into())
                })?;
                let response = client.$operation().id(id).send().await?;
                Ok(response.into_inner().$field)
            }
        })+
    };
}

fetch!(Order, get_order, order: OrderPlaced);
fetch!(LabOrder, get_lab_order, order: LabOrderUpdated);
fetch!(Patient, get_patient, patient: PatientCreated, PatientUpdated, PatientEmancipated);
fetch!(
    TreatmentPlan, get_treatment_plan, treatment_plan:
    TreatmentPlanCreated, TreatmentPlanUpdated, TreatmentPlanRecommendationUpdated
);

impl<K: Fetch> TypedEvent<K> {
    /// Requests the object of the event as it is now.
    ///
    /// Events may arrive late and out of order (documented), so their payload may be older than what
    /// the app knows. Use a client of the event's clinic; [`OAuthApp::client_for_event`] finds one.
    ///
    /// # Errors
    /// Returns the errors of the operation ([`Error::is_not_found`] if the object is gone), and
    /// [`Error::is_invalid_request`] if the event does not name its object.
    pub async fn fetch(&self, client: &Client) -> Result<K::Object, Error> {
        K::fetch(client, &self.data).await
    }
}

impl OAuthApp {
    /// Returns a client of the event's clinic that may fetch the event's object, or `None` if no such
    /// user is connected, or if the event names no clinic.
    ///
    /// Equal to [`client_for_tenant`](Self::client_for_tenant) with the clinic of the event and the
    /// scopes of the operation that returns the object.
    ///
    /// ```no_run
    /// # async fn example(
    /// #     app: fullscript::auth::OAuthApp,
    /// #     event: fullscript::webhook::TypedEvent<fullscript::webhook::OrderPlaced>,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// match app.client_for_event(&event).await? {
    ///     Some(client) => println!("{:?}", event.fetch(&client).await?.payment_total),
    ///     None => println!("nobody of the clinic is connected any more"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the errors of [`client_for_tenant`](Self::client_for_tenant).
    pub async fn client_for_event<K: Fetch>(
        &self,
        event: &TypedEvent<K>,
    ) -> Result<Option<Client>, AuthError> {
        let Some(clinic) = &event.clinic_id else {
            return Ok(None);
        };
        let scopes = scopes_for([K::OPERATION]).unwrap_or_default();
        self.client_for_tenant(clinic, scopes).await
    }

    /// Returns the client of a connected user with this tenant whose tokens have the scopes, or
    /// `None` if no such user is connected.
    ///
    /// Store the Fullscript id of the user's clinic as the [tenant](Self::set_tenant) when the user
    /// connects. Then this is the way from a clinic to a client. Of several users, the first one
    /// whose last token refresh did not fail is taken, in the order of their keys.
    /// [`operations::scopes_for`](crate::operations::scopes_for) returns the scopes of operations.
    ///
    /// Reads the store and makes no request.
    ///
    /// # Errors
    ///
    /// Returns an error if the store fails ([`AuthError::is_store`]). A record that cannot be read
    /// is an error only if no other user is found.
    pub async fn client_for_tenant<S: Into<Scope>>(
        &self,
        tenant: impl AsRef<str>,
        scopes: impl IntoIterator<Item = S>,
    ) -> Result<Option<Client>, AuthError> {
        let scopes: Vec<Scope> = scopes.into_iter().map(Into::into).collect();
        let filter = ConnectionFilter::new().tenant(tenant.as_ref());
        let mut connections = self.connections(filter.needs_reconnect(false));
        let (mut failing, mut unreadable) = (None, None);
        while let Some(next) = connections.next().await {
            match next {
                Ok(connection) if !connection.lacks(scopes.iter().cloned()).is_empty() => {}
                Ok(connection) if connection.failure.is_some() => {
                    failing.get_or_insert(connection.user);
                }
                Ok(connection) => return Ok(Some(self.client(connection.user))),
                Err(error) if error.is_unreadable_record() => unreadable = Some(error),
                Err(error) => return Err(error),
            }
        }
        match (failing, unreadable) {
            (Some(user), _) => Ok(Some(self.client(user))),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(None),
        }
    }
}
