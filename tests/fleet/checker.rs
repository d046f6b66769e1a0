//! An independent checker: it knows no code of the crate, only what was recorded of a run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// A user of an environment.
pub(crate) type User = (usize, String);

/// What was recorded.
#[derive(Clone, Default)]
pub(crate) struct History {
    /// The limit of the vendor.
    pub(crate) limit: (usize, Duration),
    /// The times of the requests of each environment.
    pub(crate) requests: [Vec<Duration>; 2],
    /// The refresh tokens of the token requests of each environment, with the round.
    pub(crate) refreshes: [Vec<(usize, String)>; 2],
    /// The rounds in which nothing was killed, suspended, failed over or unavailable.
    pub(crate) calm_rounds: BTreeSet<usize>,
    /// All users who connected.
    pub(crate) users: BTreeSet<User>,
    /// Users whose connection ended at the vendor, and who did not connect again.
    pub(crate) ended: BTreeSet<User>,
    /// Users who did not connect again since the scope was added.
    pub(crate) without_scope: BTreeSet<User>,
    /// The users whom the store lists as disconnected, with the reason.
    pub(crate) listed: BTreeMap<User, String>,
    /// The users whom the store lists without the scope.
    pub(crate) listed_without_scope: BTreeSet<User>,
    /// The users whose last call succeeded, at the end.
    pub(crate) reachable: BTreeSet<User>,
    pub(crate) calls: Vec<Call>,
    /// The idempotency keys of the draft plans that the vendor has.
    pub(crate) plans: Vec<String>,
    /// The ids of the events that the vendor emitted.
    pub(crate) emitted: BTreeSet<(usize, String)>,
    /// What each process said of events, in this order.
    pub(crate) handled: Vec<Handled>,
    /// The processes that were suspended, which may acknowledge an event late.
    pub(crate) suspended: BTreeSet<usize>,
    /// Sentences of processes that they should not say.
    pub(crate) complaints: Vec<String>,
}

/// A call that was made until it succeeded or its user had to reconnect.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) user: User,
    /// The idempotency key, of a call that creates a plan.
    pub(crate) key: Option<String>,
    pub(crate) outcomes: Vec<Outcome>,
    /// Whether the connection had ended at the vendor when the call was made.
    pub(crate) is_of_ended: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Transient,
    NeedsReconnect,
    /// The process was killed before it answered.
    Unknown,
    Failed(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Handled {
    pub(crate) event: (usize, String),
    pub(crate) attempt: u64,
    pub(crate) process: usize,
    /// Whether the process said that the event was acknowledged.
    pub(crate) is_acknowledged: bool,
}

impl History {
    /// Returns every violation of what the crate promises.
    pub(crate) fn violations(&self) -> Vec<String> {
        let mut found = self.complaints.clone();
        self.check_calls(&mut found);
        self.check_connections(&mut found);
        self.check_windows(&mut found);
        self.check_refreshes(&mut found);
        self.check_events(&mut found);
        self.check_plans(&mut found);
        found
    }

    fn check_calls(&self, found: &mut Vec<String>) {
        for call in &self.calls {
            for outcome in &call.outcomes {
                match outcome {
                    Outcome::Failed(error) => {
                        found.push(format!("a call of {:?} failed: {error}", call.user));
                    }
                    Outcome::NeedsReconnect if !call.is_of_ended => {
                        found.push(format!("{:?} was disconnected", call.user));
                    }
                    _ => {}
                }
            }
            match call.outcomes.last() {
                Some(Outcome::Done | Outcome::NeedsReconnect | Outcome::Failed(_)) => {}
                other => found.push(format!("a call of {:?} ended as {other:?}", call.user)),
            }
        }
    }

    /// Checks that no connection is lost, and that all users who must reconnect are listed.
    fn check_connections(&self, found: &mut Vec<String>) {
        for user in &self.users {
            let (is_ended, listed) = (self.ended.contains(user), self.listed.get(user));
            match (is_ended, listed) {
                (true, None) => found.push(format!("{user:?} must reconnect and is not listed")),
                (false, Some(_)) => found.push(format!("{user:?} is listed without a reason")),
                (true, Some(reason)) if !reason.contains("RefreshTokenRejected") => {
                    found.push(format!("{user:?} is listed because of {reason}"));
                }
                _ => {}
            }
            if !is_ended && !self.reachable.contains(user) {
                found.push(format!("the connection of {user:?} is lost"));
            }
        }
        if self.listed_without_scope != self.without_scope {
            let of = |one: &BTreeSet<User>, other: &BTreeSet<User>| {
                one.difference(other).cloned().collect::<Vec<_>>()
            };
            found.push(format!(
                "listed without the scope and not missing it: {:?}, not listed: {:?}",
                of(&self.listed_without_scope, &self.without_scope),
                of(&self.without_scope, &self.listed_without_scope),
            ));
        }
    }

    /// Checks that no window has more requests than the limit.
    fn check_windows(&self, found: &mut Vec<String>) {
        for (environment, requests) in self.requests.iter().enumerate() {
            let most = most_in_a_window(requests, self.limit.1);
            if most > self.limit.0 {
                let (limit, window) = self.limit;
                found.push(format!(
                    "environment {environment}: {most} requests in {window:?}, allowed {limit}"
                ));
            }
        }
    }

    /// Checks that a refresh token is sent once where nothing was disturbed.
    fn check_refreshes(&self, found: &mut Vec<String>) {
        for (environment, refreshes) in self.refreshes.iter().enumerate() {
            let mut times: HashMap<&str, usize> = HashMap::new();
            for (round, token) in refreshes {
                let count = times.entry(token).or_default();
                *count += 1;
                if *count > 1 && self.calm_rounds.contains(round) {
                    found.push(format!(
                        "environment {environment}: a refresh token was sent {count} times, the \
                         last time in the calm round {round}"
                    ));
                }
            }
        }
    }

    /// Checks that each event is handled, and again only if the handler did not acknowledge it.
    fn check_events(&self, found: &mut Vec<String>) {
        let mut by_event: BTreeMap<&(usize, String), Vec<&Handled>> = BTreeMap::new();
        for handled in &self.handled {
            by_event.entry(&handled.event).or_default().push(handled);
        }
        for event in &self.emitted {
            if !by_event.contains_key(event) {
                found.push(format!("the event {event:?} was not handled"));
            }
        }
        for (event, handled) in by_event {
            if !self.emitted.contains(event) {
                found.push(format!("the event {event:?} was handled and not emitted"));
            }
            let mut attempts: Vec<u64> = handled.iter().map(|it| it.attempt).collect();
            attempts.sort_unstable();
            attempts.dedup();
            if attempts.len() < handled.len() {
                found.push(format!("an attempt of {event:?} was granted twice"));
            }
            let is_in_time =
                |it: &&&Handled| it.is_acknowledged && !self.suspended.contains(&it.process);
            let acknowledged = handled.iter().filter(is_in_time);
            if let Some(first) = acknowledged.map(|it| it.attempt).min()
                && attempts.last() > Some(&first)
            {
                let later = handled.iter().filter(|it| it.attempt > first);
                let processes: Vec<usize> = later.map(|it| it.process).collect();
                found.push(format!(
                    "the event {event:?} was acknowledged in attempt {first}, and handled again by \
                     {processes:?}"
                ));
            }
        }
    }

    /// Checks that each plan that was confirmed exists once.
    fn check_plans(&self, found: &mut Vec<String>) {
        let mut made: HashMap<&str, usize> = HashMap::new();
        for key in &self.plans {
            *made.entry(key).or_default() += 1;
        }
        for call in &self.calls {
            let Some(key) = &call.key else { continue };
            let count = made.get(key.as_str()).copied().unwrap_or_default();
            let is_done = call.outcomes.last() == Some(&Outcome::Done);
            if count > 1 || (is_done && count == 0) {
                found.push(format!("the plan {key} was made {count} times"));
            }
        }
    }
}

/// Returns the largest number of times within any window.
pub(crate) fn most_in_a_window(times: &[Duration], window: Duration) -> usize {
    let mut times = times.to_vec();
    times.sort_unstable();
    let mut first = 0;
    let mut most = 0;
    for (index, time) in times.iter().enumerate() {
        while *time - times[first] >= window {
            first += 1;
        }
        most = most.max(index + 1 - first);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> User {
        (0, id.to_string())
    }

    /// A history without a violation.
    fn history() -> History {
        let seconds = |second: u64| Duration::from_secs(second);
        let call = |id: &str, key: Option<&str>, outcomes: &[Outcome]| Call {
            user: user(id),
            key: key.map(str::to_string),
            outcomes: outcomes.to_vec(),
            is_of_ended: id == "ended",
        };
        let handled = |id: &str, attempt, is_acknowledged| Handled {
            event: user(id),
            attempt,
            process: 7,
            is_acknowledged,
        };
        History {
            limit: (2, seconds(10)),
            requests: [vec![seconds(1), seconds(5), seconds(11)], vec![]],
            refreshes: [
                vec![(1, "one".into()), (2, "one".into()), (3, "two".into())],
                vec![],
            ],
            calm_rounds: [1, 3].into(),
            users: [user("a"), user("ended")].into(),
            ended: [user("ended")].into(),
            without_scope: [user("a")].into(),
            listed: [(user("ended"), "RefreshTokenRejected".to_string())].into(),
            listed_without_scope: [user("a")].into(),
            reachable: [user("a")].into(),
            calls: vec![
                call(
                    "a",
                    Some("k"),
                    &[Outcome::Unknown, Outcome::Transient, Outcome::Done],
                ),
                call("ended", None, &[Outcome::NeedsReconnect]),
            ],
            plans: vec!["k".into()],
            emitted: [user("1"), user("2")].into(),
            handled: vec![
                handled("1", 1, true),
                handled("2", 1, false),
                handled("2", 2, true),
            ],
            suspended: BTreeSet::new(),
            complaints: Vec::new(),
        }
    }

    /// Changes a history, and returns whether exactly one violation with this text is found.
    #[track_caller]
    fn check(expected: &str, change: impl FnOnce(&mut History)) {
        let mut changed = history();
        change(&mut changed);
        let found = changed.violations();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(expected), "{found:?}");
    }

    #[test]
    fn a_history_without_violations_is_accepted_and_each_planted_violation_is_found() {
        assert_eq!(history().violations(), Vec::<String>::new());
        check("said so", |it| it.complaints.push("said so".into()));
        check("is lost", |it| it.reachable.clear());
        check("is not listed", |it| it.listed.clear());
        check("because of", |it| {
            it.listed.insert(user("ended"), "NoRefreshToken".into());
        });
        check("without a reason", |it| {
            it.listed.insert(user("a"), "RefreshTokenRejected".into());
        });
        check("not missing it", |it| it.without_scope.clear());
        check("not listed: [(0, \"a\")]", |it| {
            it.listed_without_scope.clear()
        });
        check("3 requests", |it| {
            it.requests[0][2] = Duration::from_millis(10_999)
        });
        check("calm round 3", |it| it.refreshes[0][2].1 = "one".into());
        check("was not handled", |it| {
            it.handled.remove(0);
        });
        check("not emitted", |it| {
            it.emitted.remove(&user("1"));
        });
        check("granted twice", |it| it.handled[2].attempt = 1);
        check("handled again", |it| it.handled[1].is_acknowledged = true);
        check("made 2 times", |it| it.plans.push("k".into()));
        check("made 0 times", |it| it.plans.clear());
        check("was disconnected", |it| it.calls[1].is_of_ended = false);
        check("ended as", |it| {
            it.calls[0].outcomes.pop();
            it.plans.clear();
        });
        check("a call of (0, \"a\") failed: why", |it| {
            it.calls[0].outcomes = vec![Outcome::Failed("why".into())];
        });
    }
}
