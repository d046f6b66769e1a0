//! The arithmetic of the shared limit: the budget of one process, over a state that can be saved.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{Lane, PermitRequest, Permits};
use crate::transport::limit::budget::{Budget, Nanos, Sent, nanos};
use crate::transport::limit::rate_limit::Quota;

/// The version of the encoding. A state of another version counts as none.
const VERSION: u32 = 1;

/// The divisor of the window that gives the precision of saved times: 1 s of 5 minutes, so that a
/// state has at most some 300 times.
const BUCKETS: u32 = 300;

/// The divisor of the window that gives the time until which permits must be used.
const SLICES: u32 = 150;

/// The least of these times, within which a store responds or counts as failed.
const MIN_SLICE_LIFE: Duration = Duration::from_secs(1);

/// The number of requests above which a state is not believed.
const MAX_REQUESTS: u64 = 10_000_000;

const MILLISECOND: Nanos = 1_000_000;

/// The saved form of a budget. All times are milliseconds.
#[derive(Serialize, Deserialize)]
struct State {
    version: u32,
    /// The number of requests and their time: that of the first one since 1970, those of the others
    /// since the one before.
    calls: Vec<(u64, u64)>,
    oauth: Vec<(u64, u64)>,
    /// The time since which there is no burst, and the number of calls since then.
    without_burst: Option<(u64, u64)>,
    kept_until: u64,
    is_oauth_next: bool,
}

/// Returns the precision of saved times. A permit counts from the begin of its bucket.
pub(in crate::transport::limit) fn bucket(window: Duration) -> Duration {
    let millis = (window / BUCKETS).as_millis();
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX).max(1))
}

/// Returns the time after the request for a permit until which it must be used: 2 s of 5 minutes, and
/// at least 1 s.
pub(in crate::transport::limit) fn slice_life(window: Duration) -> Duration {
    (window / SLICES).max(MIN_SLICE_LIFE)
}

pub(super) fn apply(
    request: &PermitRequest,
    state: Option<&[u8]>,
    now: SystemTime,
) -> (Vec<u8>, Permits) {
    let Quota { requests, window } = request.quota;
    let bucket = nanos(bucket(window));
    let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH);
    let mut now = nanos(since_1970.unwrap_or_default());
    let saved = state.and_then(decode);
    let is_new = saved.is_none();
    let mut sent = saved.unwrap_or_default();
    if let Some(newest) = sent.newest().filter(|newest| *newest > now) {
        if newest - now <= bucket {
            // The clocks of two threads or the order of two commits.
            now = newest;
        } else {
            // The clock was set back: no time has passed since the last request, as far as known.
            sent.move_back((newest - now).next_multiple_of(bucket));
        }
    }
    let mut budget = Budget::shared(requests, window, sent);
    let at = now - now % bucket;
    if is_new || request.without_burst {
        budget.end_burst(at);
    }
    let mut granted = 0;
    let mut next = now;
    while granted < request.permits {
        next = match request.lane {
            Lane::Calls => budget.earliest(now, 1),
            Lane::OAuth => budget.send_oauth(now, 0).err().unwrap_or(now),
        };
        if next > now {
            break;
        }
        if request.lane == Lane::Calls {
            budget.record(at);
        }
        granted += 1;
    }
    let permits = Permits {
        granted,
        wait: Duration::from_nanos(next - now),
    };
    (encode(&budget.into_sent(), bucket), permits)
}

fn encode(sent: &Sent, bucket: Nanos) -> Vec<u8> {
    let millis = |at: Nanos| at / MILLISECOND;
    let runs = |times: &mut dyn Iterator<Item = Nanos>| {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        let mut last = None;
        for at in times.map(|at| millis(at - at % bucket)) {
            match runs.last_mut() {
                Some((_, count)) if last == Some(at) => *count += 1,
                _ => runs.push((at.saturating_sub(last.unwrap_or(0)), 1)),
            }
            last = Some(at);
        }
        runs
    };
    let state = State {
        version: VERSION,
        calls: runs(&mut sent.calls.iter().copied()),
        oauth: runs(&mut sent.oauth.iter().copied()),
        without_burst: sent.without_burst.map(|(at, calls)| (millis(at), calls)),
        // A permit that is kept for a millisecond less is asked for before.
        kept_until: millis(sent.kept_until),
        is_oauth_next: sent.is_oauth_next,
    };
    serde_json::to_vec(&state).unwrap_or_default()
}

fn decode(state: &[u8]) -> Option<Sent> {
    let state: State = serde_json::from_slice(state).ok()?;
    let times = |runs: &[(u64, u64)]| {
        let counts = runs.iter().map(|(_, count)| *count);
        let total = counts.fold(0, u64::saturating_add);
        let mut at: u64 = 0;
        (total <= MAX_REQUESTS).then(|| {
            let times = runs.iter().flat_map(|(after, count)| {
                at = at.saturating_add(*after);
                let at = at.saturating_mul(MILLISECOND);
                std::iter::repeat_n(at, *count as usize)
            });
            times.collect()
        })
    };
    (state.version == VERSION).then_some(())?;
    Some(Sent {
        calls: times(&state.calls)?,
        oauth: times(&state.oauth)?,
        without_burst: state
            .without_burst
            .map(|(at, calls)| (at.saturating_mul(MILLISECOND), calls)),
        kept_until: state.kept_until.saturating_mul(MILLISECOND),
        is_oauth_next: state.is_oauth_next,
    })
}
