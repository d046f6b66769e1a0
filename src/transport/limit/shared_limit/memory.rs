//! A shared limit in memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use super::{PermitRequest, Permits, SharedLimit, SharedLimitFuture};
use crate::clock::{Clock, SystemClock};
use crate::lock::lock;

/// A shared limit in memory, for several apps or clients of one process, and for tests.
///
/// Clones share the state.
#[derive(Clone)]
pub struct MemoryLimit {
    clock: Arc<dyn Clock>,
    states: Arc<Mutex<HashMap<String, Vec<u8>>>>,
}

impl MemoryLimit {
    /// Creates a limit without state, which begins without a burst.
    #[must_use]
    pub fn new() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            states: Arc::default(),
        }
    }

    /// Sets the clock, for tests. Default: [`SystemClock`].
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }
}

impl Default for MemoryLimit {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLimit").finish_non_exhaustive()
    }
}

impl SharedLimit for MemoryLimit {
    fn take<'a>(&'a self, app: &'a str, request: PermitRequest) -> SharedLimitFuture<'a, Permits> {
        Box::pin(async move {
            let mut states = lock(&self.states);
            let state = states.get(app).map(Vec::as_slice);
            let (state, permits) = request.apply(state, self.clock.now());
            states.insert(app.into(), state);
            Ok(permits)
        })
    }
}
