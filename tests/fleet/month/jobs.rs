//! The calls that the app makes, each repeated until it succeeds or its user must reconnect.

use std::time::{Duration, Instant};

use super::{Month, State};
use crate::checker::{Call, Outcome, User};

/// The largest number of jobs of a process at a time.
const AT_A_TIME: usize = 16;

/// The time after which a job that failed for now is repeated.
const PAUSE: Duration = Duration::from_millis(500);

/// Something to do for a user.
pub(super) struct Job {
    user: User,
    kind: Kind,
    outcomes: Vec<Outcome>,
    is_of_ended: bool,
}

enum Kind {
    Call,
    /// Creates a draft plan with this idempotency key.
    Plan(String),
    Replay,
}

impl Job {
    /// Returns the call for the checker.
    pub(super) fn call(&self) -> Option<Call> {
        let key = match &self.kind {
            Kind::Call => None,
            Kind::Plan(key) => Some(key.clone()),
            Kind::Replay => return None,
        };
        Some(Call {
            user: self.user.clone(),
            key,
            outcomes: self.outcomes.clone(),
            is_of_ended: self.is_of_ended,
        })
    }
}

impl Month<'_> {
    /// Lets each user make a call, some two at once, and some create a plan.
    pub(super) fn plan_jobs(&mut self) {
        let mut users = self.users.clone();
        for index in (1..users.len()).rev() {
            users.swap(index, self.random.below(index + 1));
        }
        for user in users {
            if self.random.one_in(8) {
                self.add_call(user.clone());
            }
            if self.random.one_in(20) {
                let key = format!("plan-{}", self.jobs.len());
                self.add(user, Kind::Plan(key));
            } else {
                self.add_call(user);
            }
        }
    }

    pub(super) fn add_call(&mut self, user: User) {
        self.add(user, Kind::Call);
    }

    /// Lets two processes try to replay the events of each clinic.
    pub(super) fn replay_all(&mut self) {
        for environment in [0, 1, 0, 1] {
            // These users are never disconnected.
            self.add((environment, format!("user-{environment}")), Kind::Replay);
        }
    }

    fn add(&mut self, user: User, kind: Kind) {
        self.waiting.push_back(self.jobs.len());
        self.jobs.push(Job {
            user,
            kind,
            outcomes: Vec::new(),
            is_of_ended: false,
        });
    }

    /// Gives waiting jobs to the processes that have the fewest.
    pub(super) fn assign(&mut self) {
        while let Some(&number) = self.waiting.front() {
            let working = self.processes.iter_mut();
            let working = working.filter(|slot| slot.state == State::Works);
            let Some(slot) = working.min_by_key(|slot| slot.jobs.len()) else {
                return;
            };
            if slot.jobs.len() >= AT_A_TIME {
                return;
            }
            self.waiting.pop_front();
            let job = &mut self.jobs[number];
            job.is_of_ended |= self.history.ended.contains(&job.user);
            let (environment, user) = &job.user;
            let command = match &job.kind {
                Kind::Call => format!("call {number} {environment} {user}"),
                Kind::Plan(key) => {
                    let (patient, variant) = &self.ids[*environment];
                    format!("plan {number} {environment} {user} {patient} {variant} {key}")
                }
                Kind::Replay => format!("replay {number} {environment} {user}"),
            };
            slot.process.tell(&command);
            slot.jobs.insert(number);
        }
    }

    pub(super) fn job_ended(&mut self, process: usize, word: &str, number: usize, line: &str) {
        if let Some(slot) = self.slot(process) {
            slot.jobs.remove(&number);
        }
        let job = &mut self.jobs[number];
        job.is_of_ended |= self.history.ended.contains(&job.user);
        job.outcomes.push(match word {
            "done" => {
                self.numbers.calls += 1;
                self.numbers.plans += usize::from(matches!(job.kind, Kind::Plan(_)));
                self.history.reachable.insert(job.user.clone());
                Outcome::Done
            }
            "transient" => {
                self.numbers.transient += 1;
                self.later.push_back((Instant::now() + PAUSE, number));
                self.last_transient = line.to_string();
                Outcome::Transient
            }
            "reconnect" => Outcome::NeedsReconnect,
            _ => Outcome::Failed(line.to_string()),
        });
    }

    /// Repeats a job of a process that ended before it answered.
    pub(super) fn repeat(&mut self, number: usize) {
        self.numbers.unknown += 1;
        self.jobs[number].outcomes.push(Outcome::Unknown);
        self.waiting.push_front(number);
    }

    /// Does all jobs that can be done now, and returns whether none is left.
    pub(super) async fn drive_to_end(&mut self) -> bool {
        self.drive([].into()).await;
        if self.later.is_empty() {
            return true;
        }
        self.turn().await;
        false
    }

    /// Puts the jobs that are to be repeated now before all others.
    pub(super) fn repeat_later_ones(&mut self) {
        let now = Instant::now();
        while let Some((_, number)) = self.later.front().filter(|(at, _)| *at <= now) {
            self.waiting.push_front(*number);
            self.later.pop_front();
        }
    }
}
