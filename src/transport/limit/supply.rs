//! The supply of permits: none is needed, those of a budget, or those of a shared limit.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use super::budget::{Budget, Nanos, Pause, Sent, nanos};
use super::rate_limit::{Quota, RateLimit};
use super::shared_limit::{Lane, PermitRequest, Permits, SharedLimitEvent, slice_life};
use crate::transport::retry::jitter;

/// The largest number of permits in one request to a shared limit. The 5,000 requests of a window
/// are 200 slices.
const MAX_SLICE: u64 = 25;

/// The time within which a shared limit must respond: 1 s, within the life of a slice.
pub(super) const STORE_TIMEOUT: Duration = Duration::from_secs(1);

/// The time after which a request to a shared limit is lost, because its task was dropped.
const LOST_AFTER: Nanos = 2_000_000_000;

/// The mean time between two requests for each waiting call, while the shared limit has too few
/// permits: 50 ms, and 1.25 s for a full slice. So eight processes with many waiting calls send at
/// most two statements per second each.
const INTERVAL: Nanos = 50_000_000;

/// The mean time between two requests while the shared limit fails: 1 s. Until all processes know
/// that it is back, some use their part beside those that use the whole limit.
const PROBE_INTERVAL: Nanos = 1_000_000_000;

/// Where permits come from.
pub(super) enum Supply {
    Unlimited,
    Own(Box<Budget>),
    Shared(Box<Slices>),
}

/// The permits of this process, taken from a shared limit in slices.
pub(super) struct Slices {
    quota: Quota,
    /// An empty budget with the whole limit, for its pace.
    whole: Budget,
    /// The number of unused permits by the time at which they expire.
    stock: VecDeque<(Nanos, u64)>,
    /// The time of the request to the store that has no response yet.
    asked_at: Option<Nanos>,
    /// No request is sent to the store before this time.
    ask_from: Nanos,
    /// The store has no permit before this time.
    more_at: Nanos,
    /// Whether requests were sent that the store does not know, or a 429 was received.
    without_burst: bool,
    pause: Option<Pause>,
    oauth_pause: Option<Pause>,
    /// The part of this process while the store fails.
    part: Budget,
    is_cut_off: bool,
}

/// A request to the store of a shared limit.
#[derive(Clone, Copy)]
pub(super) struct Ask {
    pub(super) at: Nanos,
    pub(super) request: PermitRequest,
}

/// The decision on an OAuth request.
pub(super) enum OauthStep {
    /// The request is counted as sent.
    Send,
    /// The request cannot be sent before this time.
    At(Nanos),
    /// The shared limit decides.
    Ask(Ask),
}

impl Supply {
    pub(super) fn new(limit: &RateLimit) -> Self {
        match (limit.quota, &limit.sharing) {
            (None, _) => Self::Unlimited,
            (Some(quota), None) => Self::Own(Box::new(Budget::new(quota.requests, quota.window))),
            (Some(quota), Some(sharing)) => {
                Self::Shared(Box::new(Slices::new(quota, sharing.processes)))
            }
        }
    }

    pub(super) fn is_unlimited(&self) -> bool {
        matches!(self, Self::Unlimited)
    }

    /// Returns the time before which the `n`th request from now cannot be sent.
    ///
    /// Returns `now` if it may be sent now.
    pub(super) fn earliest(&mut self, now: Nanos, n: u64) -> Nanos {
        match self {
            Self::Unlimited => now,
            Self::Own(budget) => budget.earliest(now, n),
            Self::Shared(slices) => slices.earliest(now, n),
        }
    }

    /// Returns the time at which the `n`th request from now should check for its permit.
    pub(super) fn check_at(&mut self, now: Nanos, n: u64) -> Nanos {
        match self {
            Self::Shared(slices) => slices.check_at(now, n),
            other => other.earliest(now, n),
        }
    }

    /// Counts a request that is sent now, unless its permit has expired.
    pub(super) fn record(&mut self, now: Nanos) -> bool {
        match self {
            Self::Unlimited => {}
            Self::Own(budget) => budget.record(now),
            Self::Shared(slices) => return slices.record(now),
        }
        true
    }

    /// Applies a 429 that concerns all users, and returns whether permits come later than before.
    pub(super) fn throttled(&mut self, now: Nanos, retry_after: Option<Nanos>) -> bool {
        match self {
            Self::Unlimited => false,
            Self::Own(budget) => budget.throttled(now, retry_after),
            Self::Shared(slices) => slices.throttled(now, retry_after),
        }
    }

    /// Decides on an OAuth request; `granted` calls are about to be sent.
    pub(super) fn oauth(&mut self, now: Nanos, granted: u64) -> OauthStep {
        let sent = match self {
            Self::Unlimited => Ok(()),
            Self::Own(budget) => budget.send_oauth(now, granted),
            Self::Shared(slices) => match slices.ask_oauth(now) {
                Some(step) => return step,
                None => slices.part.send_oauth(now, granted),
            },
        };
        sent.map_or_else(OauthStep::At, |()| OauthStep::Send)
    }

    /// Returns the interval of OAuth requests that takes half of the part of this process.
    pub(super) fn oauth_pace(&self) -> Option<Nanos> {
        match self {
            Self::Unlimited => None,
            Self::Own(budget) => Some(budget.oauth_pace()),
            Self::Shared(slices) => Some(slices.part.oauth_pace()),
        }
    }

    /// Applies a 429 for an OAuth request, and returns whether permits come later than before.
    pub(super) fn oauth_throttled(&mut self, now: Nanos, retry_after: Option<Nanos>) -> bool {
        match self {
            Self::Unlimited => false,
            Self::Own(budget) => budget.oauth_throttled(now, retry_after),
            Self::Shared(slices) => {
                slices.part.oauth_throttled(now, retry_after);
                replace(&mut slices.oauth_pause, now, retry_after)
            }
        }
    }
}

impl Slices {
    fn new(quota: Quota, processes: NonZeroU32) -> Self {
        let part = quota.requests.get() / processes;
        let part = NonZeroU32::new(part).unwrap_or(NonZeroU32::MIN);
        Self {
            quota,
            whole: Budget::shared(quota.requests, quota.window, Sent::default()),
            stock: VecDeque::new(),
            asked_at: None,
            ask_from: 0,
            more_at: 0,
            without_burst: false,
            pause: None,
            oauth_pause: None,
            // Its margins are those of the shared limit, because both apply to one window.
            part: Budget::shared(part, quota.window, Sent::default()),
            is_cut_off: false,
        }
    }

    fn earliest(&mut self, now: Nanos, n: u64) -> Nanos {
        if self.is_cut_off {
            return self.part.earliest(now, n);
        }
        let at = now.max(self.resumed_at());
        match n.checked_sub(self.unused(now)) {
            None | Some(0) => at,
            // Nobody knows whether the store has a permit, so this is a bound.
            Some(missing) => self.whole.paced(at.max(self.more_at).max(now + 1), missing),
        }
    }

    fn check_at(&mut self, now: Nanos, n: u64) -> Nanos {
        let missing = n.saturating_sub(self.unused(now));
        if self.is_cut_off || missing == 0 {
            return self.earliest(now, n);
        }
        match self.asked_at {
            // The response notifies the first request.
            Some(asked_at) => asked_at.saturating_add(LOST_AFTER).max(now + 1),
            None => {
                let at = self.ask_from.max(self.resumed_at()).max(now + 1);
                at.saturating_add(self.whole.pace().saturating_mul(missing - 1))
            }
        }
    }

    fn record(&mut self, now: Nanos) -> bool {
        if self.is_cut_off {
            self.part.record(now);
            return true;
        }
        if self.unused(now) == 0 {
            return false;
        }
        if let Some((_, permits)) = self.stock.front_mut() {
            *permits -= 1;
        }
        true
    }

    fn throttled(&mut self, now: Nanos, retry_after: Option<Nanos>) -> bool {
        self.without_burst = true;
        let is_later = replace(&mut self.pause, now, retry_after);
        self.part.throttled(now, retry_after) || is_later
    }

    /// Returns what the shared limit decides, or `None` if this process decides alone.
    fn ask_oauth(&mut self, now: Nanos) -> Option<OauthStep> {
        let pause = self.oauth_pause.as_ref().map_or(0, |pause| pause.until);
        if pause > now {
            return Some(OauthStep::At(pause));
        }
        if self.is_cut_off {
            if now < self.ask_from {
                return None;
            }
            self.ask_from = now.saturating_add(PROBE_INTERVAL);
        }
        Some(OauthStep::Ask(self.ask_for(now, Lane::OAuth, 1)))
    }

    /// Returns a request to the store, if `calls` of the process can be sent and have too few
    /// permits, or if it is time to ask whether the store is back.
    pub(super) fn ask(
        &mut self,
        now: Nanos,
        calls: u64,
    ) -> (Option<Ask>, Option<SharedLimitEvent>) {
        let mut event = None;
        match self.asked_at {
            Some(at) if now < at.saturating_add(LOST_AFTER) => return (None, None),
            Some(_) => event = self.cut_off(now),
            None => {}
        }
        let missing = if self.is_cut_off {
            calls.max(1)
        } else {
            calls.saturating_sub(self.unused(now))
        };
        if missing == 0 || now < self.ask_from.max(self.resumed_at()) {
            return (None, event);
        }
        self.asked_at = Some(now);
        (
            Some(self.ask_for(now, Lane::Calls, missing.min(MAX_SLICE))),
            event,
        )
    }

    fn ask_for(&self, now: Nanos, lane: Lane, permits: u64) -> Ask {
        let request = PermitRequest {
            quota: self.quota,
            lane,
            permits: u32::try_from(permits).unwrap_or(u32::MAX),
            without_burst: self.without_burst,
        };
        Ask { at: now, request }
    }

    /// Applies the response of the store, or its failure.
    pub(super) fn answered(
        &mut self,
        now: Nanos,
        ask: &Ask,
        answer: Option<Permits>,
    ) -> Option<SharedLimitEvent> {
        if ask.request.lane == Lane::Calls {
            self.asked_at = None;
        }
        let Some(permits) = answer else {
            return self.cut_off(now);
        };
        if ask.request.without_burst {
            self.without_burst = false;
        }
        let event = self.is_cut_off.then_some(SharedLimitEvent::Recovered);
        self.is_cut_off = false;
        if ask.request.lane == Lane::Calls {
            let granted = u64::from(permits.granted.min(ask.request.permits));
            let expires_at = ask.at.saturating_add(nanos(slice_life(self.quota.window)));
            self.stock.push_back((expires_at, granted));
            self.more_at = now.saturating_add(nanos(permits.wait));
            let requested = u64::from(ask.request.permits);
            self.ask_from = if granted < requested {
                let interval = spread(INTERVAL.saturating_mul(requested));
                self.more_at.max(now.saturating_add(interval))
            } else {
                now
            };
        } else if event.is_some() {
            self.ask_from = now;
        }
        event
    }

    /// Uses the part of this process until the store is back.
    fn cut_off(&mut self, now: Nanos) -> Option<SharedLimitEvent> {
        self.asked_at = None;
        self.ask_from = now.saturating_add(spread(PROBE_INTERVAL));
        self.without_burst = true;
        if self.is_cut_off {
            return None;
        }
        self.is_cut_off = true;
        self.stock.clear();
        self.part.end_burst(now);
        Some(SharedLimitEvent::Failed)
    }

    fn resumed_at(&self) -> Nanos {
        self.pause.as_ref().map_or(0, |pause| pause.until)
    }

    /// Removes used and expired permits, and returns the number of the others.
    fn unused(&mut self, now: Nanos) -> u64 {
        let is_gone = |(expires_at, permits): &(Nanos, u64)| *expires_at <= now || *permits == 0;
        while self.stock.front().is_some_and(is_gone) {
            self.stock.pop_front();
        }
        self.stock.iter().map(|(_, permits)| permits).sum()
    }
}

/// Replaces a pause after a 429, and returns whether it ends later than the last one.
fn replace(pause: &mut Option<Pause>, now: Nanos, retry_after: Option<Nanos>) -> bool {
    pause.take_if(|pause| pause.forget_at() <= now);
    let next = Pause::after(pause.as_ref(), now, retry_after);
    let is_later = next.is_some();
    if is_later {
        *pause = next;
    }
    is_later
}

/// Returns a random time between half and three halves of `mean`, so that no process always asks
/// first.
fn spread(mean: Nanos) -> Nanos {
    mean / 2 + (mean as f64 * jitter()) as Nanos
}
