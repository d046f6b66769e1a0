//! The nightly synchronization: patients, lab results and missed events.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use fullscript::auth::{Connection, ConnectionFilter, JobReport};
use fullscript::types::LabOrder;
use fullscript::{CallOptions, Client};

use crate::service::{Error, Result, Service};

/// The number of practitioners whose data is copied at the same time.
const CONCURRENT_USERS: usize = 8;

impl Service {
    /// Copies the data of all connected practitioners. Can be repeated at any time.
    pub(crate) async fn synchronize(self: &Arc<Self>) -> JobReport<Error> {
        let (service, mut clinics) = (Arc::clone(self), HashSet::new());
        let copy = move |connection: Connection| {
            let is_first_of_clinic = clinics.insert(connection.tenant.clone());
            Arc::clone(&service).copy(connection, is_first_of_clinic)
        };
        let connected = ConnectionFilter::new().needs_reconnect(false);
        let job = self.app.for_each_user(connected, CONCURRENT_USERS, copy);
        let report = job.run().await;
        if report.stopped.is_none() {
            self.database().synchronized_at = Some(self.clock.now());
        }
        report
    }

    /// Copies what a practitioner sees. Labs and events are those of the clinic: one suffices.
    async fn copy(self: Arc<Self>, connection: Connection, is_first_of_clinic: bool) -> Result<()> {
        // A job can wait longer for a permit than a web page.
        let options = CallOptions::new().timeout(Duration::from_secs(600));
        let client = self.app.client(&connection.user).with_options(options);
        let mut patients = client.list_patients().page_size(100).items();
        while let Some(patient) = patients.next().await {
            self.save_patient(patient?);
        }
        if is_first_of_clinic {
            // Polled, because no event reports an interpretation.
            let mut orders = client.list_lab_orders().items();
            while let Some(order) = orders.next().await {
                let order = client.get_lab_order().id(order?.id).await?;
                self.copy_results(&client, order.into_inner().order).await?;
            }
            self.catch_up(&client, &connection.tenant.unwrap_or_default())
                .await?;
        }
        Ok(())
    }

    /// Downloads the results of a lab order. If an address has expired, the next run or the next
    /// delivery of the event gets a new one.
    pub(crate) async fn copy_results(&self, client: &Client, order: LabOrder) -> Result<()> {
        for result in order.results.into_iter().flatten() {
            if let Some(url) = result.pdf_url {
                let report = client.download(&url).pdf().send().await?.into_inner();
                self.database()
                    .reports
                    .insert(order.id.clone(), report.bytes);
            }
        }
        Ok(())
    }

    /// Handles the events of a clinic that no webhook delivered.
    async fn catch_up(self: &Arc<Self>, client: &Client, clinic: &str) -> Result<()> {
        let handler = self.events();
        let cursor = self.database().cursors.get(clinic).cloned();
        let events = client.events(self.event_log.clone());
        let mut replay = events.replay(cursor.unwrap_or_default());
        while let Some(missed) = replay.next().await {
            let missed = missed?;
            match handler(missed.event.clone()).await {
                Ok(()) => drop(missed.acknowledge().await?),
                Err(_) => missed.release().await?, // the next run handles it
            }
        }
        let mut database = self.database();
        database.cursors.insert(clinic.into(), replay.cursor());
        Ok(())
    }
}
