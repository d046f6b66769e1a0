//! The state that the handle of a fake and its server share.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use super::clock::ManualClock;
use super::planned::Planned;
use super::server::drift::Drift;
use super::server::fault::Fault;
use super::server::oauth::TokenServer;
use super::server::rate::Rate;
use super::server::script::{FakeRequest, Script};
use super::settings::Settings;
use super::state::State;
use super::webhooks::Webhooks;

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
    pub(super) state: Mutex<State>,
    pub(super) webhooks: Arc<Webhooks>,
    /// The clock of the fake and of the apps that it creates.
    pub(super) clock: ManualClock,
}

impl Shared {
    pub(super) fn new(state: State, settings: Settings) -> Self {
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
            webhooks: state.webhooks(),
            clock: state.clock(),
            state: Mutex::new(state),
        }
    }
}

/// A function that creates the response to a request.
pub(super) type Handler = Arc<dyn Fn(&FakeRequest) -> Script + Send + Sync>;

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
