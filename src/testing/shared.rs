//! The state that the handle of a fake and its server share.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard};

use super::clock::ManualClock;
use super::files::Files;
use super::planned::Planned;
use super::server::drift::Drift;
use super::server::fault::Fault;
use super::server::oauth::TokenServer;
use super::server::rate::Rate;
use super::server::script::{FakeRequest, Script};
use super::settings::Settings;
use super::state::{Outside, State};
use super::webhooks::Webhooks;
use crate::auth::UserKey;
use crate::lock::lock;

pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) handlers: Mutex<HashMap<&'static str, Handler>>,
    /// The responses to give first.
    pub(super) next: Mutex<Planned<&'static str, Script>>,
    /// The drifts of the next responses.
    pub(super) drifts: Mutex<Planned<&'static str, Drift>>,
    pub(super) tokens: Mutex<TokenServer>,
    pub(super) requests: Mutex<Vec<FakeRequest>>,
    /// The number of requests ever received.
    pub(super) received: AtomicUsize,
    pub(super) faults: Mutex<Planned<&'static str, Fault>>,
    pub(super) rate: Mutex<Rate>,
    /// The clinics; there is at least one.
    pub(super) clinics: Vec<Mutex<State>>,
    pub(super) files: Arc<Files>,
    pub(super) webhooks: Arc<Webhooks>,
    /// The clock of the fake and of the apps that it creates.
    pub(super) clock: ManualClock,
}

impl Shared {
    pub(super) fn new(clinics: Vec<State>, outside: Outside, settings: Settings) -> Self {
        Self {
            tokens: Mutex::new(TokenServer::new(settings.scope.clone())),
            settings,
            handlers: Mutex::default(),
            next: Mutex::default(),
            drifts: Mutex::default(),
            requests: Mutex::default(),
            received: AtomicUsize::new(0),
            faults: Mutex::default(),
            rate: Mutex::default(),
            clinics: clinics.into_iter().map(Mutex::new).collect(),
            files: outside.files,
            webhooks: outside.webhooks,
            clock: outside.clock,
        }
    }

    /// Returns the clinic in which a user works; that of an unknown user is the first one.
    pub(super) fn clinic_of(&self, user: &str) -> MutexGuard<'_, State> {
        let user = UserKey::from(user);
        let mut clinics = self.clinics.iter().map(lock);
        let own = clinics.find(|clinic| clinic.employs(user.id()));
        own.unwrap_or_else(|| lock(&self.clinics[0]))
    }
}

/// A function that creates the response to a request.
pub(super) type Handler = Arc<dyn Fn(&FakeRequest) -> Script + Send + Sync>;

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
