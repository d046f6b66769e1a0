//! The faults and the changes of each round.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use fullscript::testing::Fault as VendorFault;

use super::{ADDED, FIRST_SECRET, Month, SCOPES, State};
use crate::checker::User;
use crate::worker::CLAIM;

const SECOND_SECRET: &str = "the second secret";

/// The operations that fail in an outage of the vendor.
const OPERATIONS: [&str; 3] = ["create_oauth_token", "get_clinic", "create_treatment_plan"];

/// The duration of an outage: two hours by the clock of the vendor, which pass in two steps.
const OUTAGE: Duration = Duration::from_secs(2 * 60 * 60);

/// The time of an outage on the machine's clock.
const OUTAGE_LASTS: Duration = Duration::from_secs(2);

/// The time for which a process is suspended: longer than the lease of a user (2 s) and a claim.
const SUSPENDED: Duration = CLAIM.saturating_add(Duration::from_millis(500));

/// Something that happens in a round.
#[derive(Debug)]
pub(super) enum Fault {
    /// Replaces all processes, one after the other.
    Deploy,
    Kill,
    Suspend,
    Failover,
    Outage,
    LosesWebhooks(bool),
    Event(usize),
    Replay,
    AddScope,
    EndConnection(User),
    Reconnect(User),
    Secrets(&'static str, Option<&'static str>),
    /// The vendor accepts only the second secret.
    ReplaceSecret,
    /// The indexes of the keys, the first one writes.
    Keys(&'static [usize]),
    Reencrypt,
}

/// Something that happens at a time on the machine's clock.
#[derive(Clone, Copy)]
pub(super) enum Timer {
    Continue(usize),
    OutageHalfOver,
    OutageOver,
}

impl Month<'_> {
    /// Returns the faults of a round, each with the number of calls after which it happens.
    pub(super) fn faults_of(&mut self, round: usize, rounds: usize) -> VecDeque<(usize, Fault)> {
        // The changes that take several rounds begin early enough to end. In a short run, the seed
        // decides which of them coincide.
        let seed = self.seed as usize;
        let at = |part: usize| 1 + ((rounds - 3) * part + (seed * 7 + part * 3) % 10) / 10;
        let mut begin = Vec::new();
        let secrets = at(1);
        if round == secrets {
            begin.push(Fault::Secrets(FIRST_SECRET, Some(SECOND_SECRET)));
        } else if round == secrets + 1 {
            begin.push(Fault::ReplaceSecret);
            begin.push(Fault::Secrets(SECOND_SECRET, Some(FIRST_SECRET)));
        } else if round == secrets + 2 {
            begin.push(Fault::Secrets(SECOND_SECRET, None));
        }
        let keys = at(4);
        if round == keys {
            begin.push(Fault::Keys(&[0, 1]));
        } else if round == keys + 1 {
            begin.push(Fault::Keys(&[1, 0]));
        } else if round == keys + 2 {
            begin.push(Fault::Reencrypt);
            begin.push(Fault::Keys(&[1]));
        }
        let lost = at(7);
        if round == lost || round == lost + 2 {
            begin.push(Fault::LosesWebhooks(round == lost));
        }
        if round == at(5) {
            begin.push(Fault::AddScope);
        }
        if round > at(5) {
            for _ in 0..self.users.len().div_ceil(100) {
                begin.push(Fault::Reconnect(self.some_user()));
            }
        }
        if let Some(user) = self
            .history
            .ended
            .first()
            .cloned()
            .filter(|_| round.is_multiple_of(3))
        {
            begin.push(Fault::Reconnect(user));
        }
        if self.random.one_in(2) {
            begin.push(Fault::EndConnection(self.some_user()));
        }
        begin.push(Fault::Deploy);
        let mut later = vec![Fault::Replay];
        later.extend((0..4).flat_map(|_| [Fault::Event(0), Fault::Event(1)]));
        if self.random.one_in(2) {
            later.push(Fault::Kill);
        }
        if round % 8 == 3 {
            later.push(Fault::Suspend);
        }
        if round == at(3) {
            later.push(Fault::Outage);
        }
        if round == at(6) {
            later.push(Fault::Failover);
        }
        let calls = self.users.len();
        let mut later: Vec<(usize, Fault)> = later
            .into_iter()
            .map(|fault| (self.random.below(calls), fault))
            .collect();
        later.sort_by_key(|(after, _)| *after);
        begin
            .into_iter()
            .map(|fault| (0, fault))
            .chain(later)
            .collect()
    }

    /// Returns a user other than those who replay.
    fn some_user(&mut self) -> User {
        let index = 2 + self.random.below(self.users.len() - 2);
        self.users[index].clone()
    }

    pub(super) async fn apply(&mut self, fault: Fault) {
        match fault {
            Fault::Deploy => {
                self.deploys_before = self.started_processes;
                self.is_deploying = true;
            }
            Fault::Kill => self.kill(),
            Fault::Suspend => self.suspend(),
            Fault::Failover => {
                self.is_calm = false;
                self.primary.command("kill");
                self.standby.command("promote");
            }
            Fault::Outage => {
                self.is_calm = false;
                for vendor in &self.vendors {
                    for operation in OPERATIONS {
                        vendor.fake.fault(operation, VendorFault::status(503));
                    }
                }
                let now = Instant::now();
                self.timers
                    .push((now + OUTAGE_LASTS / 2, Timer::OutageHalfOver));
                self.timers.push((now + OUTAGE_LASTS, Timer::OutageOver));
            }
            Fault::LosesWebhooks(true) => self.balancer.loses_all(true),
            Fault::LosesWebhooks(false) => {
                self.balancer.loses_all(false);
                for (environment, vendor) in self.vendors.iter().enumerate() {
                    vendor.subscribe(environment, &self.balancer).await;
                }
            }
            Fault::Event(environment) => {
                let id = self.vendors[environment].emit();
                self.history.emitted.insert((environment, id));
            }
            Fault::Replay => self.replay_all(),
            Fault::AddScope => {
                for vendor in &self.vendors {
                    vendor.fake.grant_scopes(SCOPES.iter().chain([&ADDED]));
                }
                self.history
                    .without_scope
                    .extend(self.users.iter().cloned());
            }
            Fault::EndConnection(user) => {
                self.vendors[user.0].fake.end_connection(&user.1);
                self.history.ended.insert(user);
            }
            Fault::Reconnect(user) => {
                self.numbers.reconnected += 1;
                self.connect(&user).await;
            }
            Fault::Secrets(secret, alternate) => self.configure(|settings| {
                settings.secret = secret.to_string();
                settings.alternate_secret = alternate.map(str::to_string);
            }),
            Fault::ReplaceSecret => {
                // Each process sends a request with the old secret first.
                self.is_calm = false;
                for vendor in &self.vendors {
                    vendor.fake.accept_client_secrets([SECOND_SECRET]);
                }
            }
            Fault::Keys(indexes) => {
                let keys = indexes
                    .iter()
                    .map(|index| self.keys[*index].clone())
                    .collect();
                self.configure(|settings| settings.keys = keys);
            }
            Fault::Reencrypt => {
                let store = self.settings.encrypted(self.store.clone());
                let reencrypted = store.reencrypt().await.unwrap();
                if reencrypted.unreadable > 0 {
                    self.complain(0, &format!("{reencrypted:?}"));
                }
            }
        }
    }

    /// Returns the index of a process that works.
    fn some_process(&mut self) -> Option<usize> {
        let indexes = 0..self.processes.len();
        let working: Vec<usize> = indexes
            .filter(|index| self.processes[*index].state == State::Works)
            .collect();
        let number = self.random.below(working.len());
        working.get(number).copied()
    }

    fn kill(&mut self) {
        self.is_calm = false;
        let Some(index) = self.some_process() else {
            return;
        };
        self.numbers.kills += 1;
        let slot = &mut self.processes[index];
        slot.state = State::Ends;
        slot.process.signal("KILL");
        self.start_process();
    }

    fn suspend(&mut self) {
        self.is_calm = false;
        let Some(index) = self.some_process() else {
            return;
        };
        self.numbers.suspensions += 1;
        let slot = &mut self.processes[index];
        slot.state = State::Suspended;
        slot.process.signal("STOP");
        let number = slot.process.number;
        self.history.suspended.insert(number);
        self.timers
            .push((Instant::now() + SUSPENDED, Timer::Continue(number)));
    }

    pub(super) async fn run_timers(&mut self) {
        let now = Instant::now();
        let (due, waiting) = std::mem::take(&mut self.timers)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.timers = waiting;
        let due: Vec<(Instant, Timer)> = due;
        for (_, timer) in due {
            match timer {
                Timer::Continue(number) => {
                    if let Some(slot) = self.slot(number) {
                        slot.state = State::Works;
                        slot.process.signal("CONT");
                    }
                }
                Timer::OutageHalfOver => self.move_clocks(OUTAGE / 2).await,
                Timer::OutageOver => {
                    self.move_clocks(OUTAGE / 2).await;
                    for vendor in &self.vendors {
                        vendor.fake.end_faults();
                    }
                }
            }
        }
        self.repeat_later_ones();
    }

    /// Replaces the next process of a deployment, if there is one.
    pub(super) fn deploy(&mut self) {
        let mut is_replacing = false;
        for slot in &mut self.processes {
            if slot.state == State::Drains && slot.jobs.is_empty() {
                slot.state = State::Ends;
                slot.process.tell("exit");
            }
            is_replacing |= !matches!(slot.state, State::Works | State::Suspended);
        }
        if !self.is_deploying || is_replacing {
            return;
        }
        let limit = self.deploys_before;
        let mut old = self.processes.iter_mut();
        match old.find(|slot| slot.process.number <= limit && slot.state == State::Works) {
            Some(slot) => {
                slot.state = State::Drains;
                self.numbers.deployed_processes += 1;
                self.start_process();
            }
            // A process that is suspended is replaced by the next deployment.
            None => self.is_deploying = false,
        }
        self.update_balancer();
    }
}
