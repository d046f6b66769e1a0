//! What is still to be delivered, and when.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::attempt::{DeliveryAttempt, DeliveryFailure};
use super::fault::{Faults, Kind};
use super::send::Answer;
use super::subscription::Webhook;
use crate::clock::Clock;
use crate::testing::clock::ManualClock;
use crate::testing::lock::lock;
use crate::types::WebhookDeliveryId;
use crate::webhook::Event;

/// The gaps between the six tries (source: the vendor's page on missed and
/// repeated webhooks).
const GAPS: [Duration; 5] = [
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(60 * 60),
    Duration::from_secs(5 * 60 * 60),
];

/// After failing for longer an endpoint is disabled (source: the same page).
const LONGEST_FAILING: Duration = Duration::from_secs(24 * 60 * 60);

/// The answer by which an endpoint asks to be left alone.
const GONE: u16 = 410;

/// The webhook of the fake and its deliveries.
#[derive(Default)]
pub(in crate::testing) struct Webhooks {
    state: Mutex<State>,
    /// Told whenever there may be something to do, or nothing any more.
    changes: watch::Sender<()>,
}

#[derive(Default)]
pub(in crate::testing) struct State {
    pub(in crate::testing) webhook: Option<Arc<Webhook>>,
    pub(in crate::testing) faults: Faults,
    pub(in crate::testing) attempts: Vec<DeliveryAttempt>,
    /// By when they are due, and then in the order of the events.
    waiting: BTreeMap<(SystemTime, u64), Waiting>,
    taken_up: u64,
    is_under_way: bool,
    failing_since: Option<SystemTime>,
    pub(in crate::testing) is_disabled: bool,
    courier: Option<AbortHandle>,
}

/// A try that is to come.
struct Waiting {
    due: SystemTime,
    number: u64,
    event: Value,
    attempt_number: u32,
    previous_attempt_at: Option<SystemTime>,
    fault: Kind,
}

impl Webhooks {
    pub(in crate::testing) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Delivers an event, given without an envelope, as soon as the ones before
    /// it are done; nothing where no webhook wants it.
    pub(in crate::testing) fn deliver(&self, event: Value, now: SystemTime) {
        self.lock().take_up(event, now);
        self.changes.send_replace(());
    }

    /// Begins to deliver to this endpoint, and to no other.
    pub(in crate::testing) fn begin(
        self: &Arc<Self>,
        webhook: Webhook,
        clock: &ManualClock,
        http: reqwest::Client,
    ) {
        let mut state = self.lock();
        state.webhook = Some(Arc::new(webhook));
        (state.is_disabled, state.failing_since) = (false, None);
        if state.courier.is_none() {
            let courier = Arc::clone(self).carry(clock.clone(), http);
            state.courier = Some(tokio::spawn(courier).abort_handle());
        }
    }

    /// Delivers nothing any more.
    pub(in crate::testing) fn end(&self) {
        if let Some(courier) = self.lock().courier.take() {
            courier.abort();
        }
    }

    /// Ends when nothing is under way and nothing is due.
    pub(in crate::testing) async fn done(&self, clock: &ManualClock) {
        let mut changes = self.changes.subscribe();
        loop {
            changes.borrow_and_update();
            let is_busy = {
                let state = self.lock();
                let due = state.next_due().is_some_and(|due| due <= clock.now());
                state.courier.is_some() && (state.is_under_way || due)
            };
            if !is_busy || changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// When the next try is due.
    pub(in crate::testing) fn next_due(&self) -> Option<SystemTime> {
        self.lock().next_due()
    }

    /// Makes all tries, one after the other, each when it is due.
    async fn carry(self: Arc<Self>, clock: ManualClock, http: reqwest::Client) {
        let mut changes = self.changes.subscribe();
        loop {
            changes.borrow_and_update();
            let due = match self.next(clock.now()) {
                Ok((waiting, webhook)) => {
                    let attempted_at = clock.now();
                    let forged = waiting.fault == Kind::WrongSignature;
                    let (answer, verdict) = webhook.deliver(&http, &waiting.event, forged).await;
                    self.lock().settle(waiting, attempted_at, answer, verdict);
                    self.changes.send_replace(());
                    continue;
                }
                Err(due) => due,
            };
            let mut changed = pin!(changes.changed());
            let mut reached = pin!(async {
                match due {
                    Some(due) => clock.reaches(due).await,
                    None => std::future::pending().await,
                }
            });
            poll_fn(|context| {
                let is_ready = changed.as_mut().poll(context).is_ready()
                    || reached.as_mut().poll(context).is_ready();
                if is_ready {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
        }
    }

    /// The try that is due, or when there is one.
    fn next(&self, now: SystemTime) -> Result<(Waiting, Arc<Webhook>), Option<SystemTime>> {
        let mut state = self.lock();
        let Some(webhook) = state.webhook.clone() else {
            return Err(None);
        };
        match state.next_due() {
            Some(due) if due > now => return Err(Some(due)),
            _ => {}
        }
        let (_, waiting) = state.waiting.pop_first().ok_or(None)?;
        state.is_under_way = true;
        Ok((waiting, webhook))
    }
}

impl State {
    fn next_due(&self) -> Option<SystemTime> {
        self.waiting.keys().next().map(|(due, _)| *due)
    }

    fn take_up(&mut self, event: Value, now: SystemTime) {
        let wanted = self
            .webhook
            .as_ref()
            .is_some_and(|webhook| webhook.takes(&event));
        if !wanted || self.is_disabled {
            return;
        }
        let fault = self
            .faults
            .befalling(event["type"].as_str().unwrap_or_default());
        let (copies, wait) = match fault {
            Kind::Dropped => (0, Duration::ZERO),
            Kind::Duplicate => (2, Duration::ZERO),
            Kind::Late(by) => (1, by),
            Kind::None | Kind::AnswerLost | Kind::WrongSignature => (1, Duration::ZERO),
        };
        for _ in 0..copies {
            self.taken_up += 1;
            self.wait(Waiting {
                due: now + wait,
                number: self.taken_up,
                event: event.clone(),
                attempt_number: 1,
                previous_attempt_at: None,
                fault,
            });
        }
    }

    fn wait(&mut self, waiting: Waiting) {
        self.waiting.insert((waiting.due, waiting.number), waiting);
    }

    /// Keeps how a try went, and what follows from it.
    fn settle(
        &mut self,
        tried: Waiting,
        attempted_at: SystemTime,
        answer: Answer,
        verdict: Result<(), DeliveryFailure>,
    ) {
        self.is_under_way = false;
        let verdict = match verdict {
            Ok(()) if tried.fault == Kind::AnswerLost => Err(DeliveryFailure::AnswerLost),
            verdict => verdict,
        };
        let gap = GAPS.get(tried.attempt_number as usize - 1);
        // Moments pass while others are delivered to, and don't add up.
        let late = attempted_at.duration_since(tried.due).unwrap_or_default();
        let counts_from = if late < GAPS[0] {
            tried.due
        } else {
            attempted_at
        };
        let next_attempt_at = verdict.err().and(gap).map(|gap| counts_from + *gap);
        self.attempts.push(DeliveryAttempt {
            id: delivery_id(self.attempts.len() + 1),
            event: Event::from_json(tried.event.clone()),
            attempt_number: tried.attempt_number,
            attempted_at,
            previous_attempt_at: tried.previous_attempt_at,
            next_attempt_at,
            status: answer.status,
            reply: answer.body,
            failure: verdict.err(),
            reply_headers: answer.headers,
            reply_address: answer.address,
        });
        if let Some(due) = next_attempt_at {
            self.wait(Waiting {
                due,
                attempt_number: tried.attempt_number + 1,
                previous_attempt_at: Some(attempted_at),
                // It befell the first try.
                fault: Kind::None,
                ..tried
            });
        }
        let failing_since = verdict
            .err()
            .map(|_| self.failing_since.unwrap_or(attempted_at));
        self.failing_since = failing_since;
        let failing = failing_since.and_then(|since| attempted_at.duration_since(since).ok());
        if answer.status == Some(GONE) || failing.is_some_and(|failing| failing > LONGEST_FAILING) {
            self.is_disabled = true;
            self.waiting.clear();
        }
    }
}

fn delivery_id(number: usize) -> WebhookDeliveryId {
    let id = format!("00000000-0000-4000-b000-{number:012}");
    id.parse().expect("an id of letters and digits is one")
}
