//! The state that the handle of a fake and its server share.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};

use super::clock::ManualClock;
use super::server::drift::Drift;
use super::server::fault::Faults;
use super::server::oauth::TokenServer;
use super::server::rate::Rate;
use super::server::script::{FakeRequest, Script};
use super::settings::Settings;
use super::state::State;
use super::webhooks::Webhooks;

pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) handlers: Mutex<HashMap<&'static str, Handler>>,
    /// The responses to give first, the next one at the front.
    pub(super) next: Mutex<HashMap<&'static str, VecDeque<Script>>>,
    /// The drifts of the next responses, the next one at the front.
    pub(super) drifts: Mutex<HashMap<&'static str, VecDeque<Drift>>>,
    pub(super) tokens: Mutex<TokenServer>,
    pub(super) requests: Mutex<Vec<FakeRequest>>,
    pub(super) faults: Mutex<Faults>,
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
