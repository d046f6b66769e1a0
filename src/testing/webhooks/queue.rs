//! The queue of webhook deliveries.

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
use super::fault::{Kind, WebhookFault};
use super::send::Answer;
use super::subscription::Webhook;
use crate::clock::Clock;
use crate::lock::lock;
use crate::testing::clock::ManualClock;
use crate::testing::planned::Planned;
use crate::types::WebhookDeliveryId;
use crate::webhook::Event;

/// The delays between the six attempts (source: the vendor's page on missed and repeated webhooks).
const RETRY_DELAYS: [Duration; 5] = [
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(60 * 60),
    Duration::from_secs(5 * 60 * 60),
];

/// An endpoint that fails for longer than this is disabled (source: the same page).
const MAX_FAILING: Duration = Duration::from_secs(24 * 60 * 60);

/// The status with which an endpoint unsubscribes.
const GONE: u16 = 410;

/// The webhook of the fake and its deliveries.
#[derive(Default)]
pub(in crate::testing) struct Webhooks {
    state: Mutex<State>,
    /// Notified when a delivery may have become due or has finished.
    changes: watch::Sender<()>,
}

#[derive(Default)]
pub(in crate::testing) struct State {
    pub(in crate::testing) webhook: Option<Arc<Webhook>>,
    /// The faults by event type.
    pub(in crate::testing) faults: Planned<String, WebhookFault>,
    pub(in crate::testing) attempts: Vec<DeliveryAttempt>,
    /// Sorted by due time, then by the order of the events.
    waiting: BTreeMap<(SystemTime, u64), Attempt>,
    queued: u64,
    is_in_flight: bool,
    failing_since: Option<SystemTime>,
    pub(in crate::testing) is_disabled: bool,
    worker: Option<AbortHandle>,
}

/// A future attempt.
struct Attempt {
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

    /// Queues an event, given without an envelope; does nothing if no webhook is subscribed to its
    /// type.
    pub(in crate::testing) fn deliver(&self, event: Value, now: SystemTime) {
        self.lock().enqueue(event, now);
        self.changes.send_replace(());
    }

    /// Subscribes an endpoint, and replaces the previous one.
    pub(in crate::testing) fn begin(
        self: &Arc<Self>,
        webhook: Webhook,
        clock: &ManualClock,
        http: reqwest::Client,
    ) {
        let mut state = self.lock();
        state.webhook = Some(Arc::new(webhook));
        (state.is_disabled, state.failing_since) = (false, None);
        if state.worker.is_none() {
            let worker = Arc::clone(self).run(clock.clone(), http);
            state.worker = Some(tokio::spawn(worker).abort_handle());
        }
    }

    /// Stops all deliveries.
    pub(in crate::testing) fn end(&self) {
        if let Some(worker) = self.lock().worker.take() {
            worker.abort();
        }
    }

    /// Waits until no delivery is in flight or due.
    pub(in crate::testing) async fn done(&self, clock: &ManualClock) {
        let mut changes = self.changes.subscribe();
        loop {
            changes.borrow_and_update();
            let is_busy = {
                let state = self.lock();
                let due = state.next_due().is_some_and(|due| due <= clock.now());
                state.worker.is_some() && (state.is_in_flight || due)
            };
            if !is_busy || changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Returns the time at which the next attempt is due.
    pub(in crate::testing) fn next_due(&self) -> Option<SystemTime> {
        self.lock().next_due()
    }

    /// Makes all attempts sequentially, each one when it is due.
    async fn run(self: Arc<Self>, clock: ManualClock, http: reqwest::Client) {
        let mut changes = self.changes.subscribe();
        loop {
            changes.borrow_and_update();
            let due = match self.next(clock.now()) {
                Ok((waiting, webhook)) => {
                    let attempted_at = clock.now();
                    let forged = waiting.fault == Kind::WrongSignature;
                    let (answer, result) = webhook.deliver(&http, &waiting.event, forged).await;
                    self.lock().record(waiting, attempted_at, answer, result);
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

    /// Returns the attempt that is due, or the time at which the next one is.
    fn next(&self, now: SystemTime) -> Result<(Attempt, Arc<Webhook>), Option<SystemTime>> {
        let mut state = self.lock();
        let Some(webhook) = state.webhook.clone() else {
            return Err(None);
        };
        match state.next_due() {
            Some(due) if due > now => return Err(Some(due)),
            _ => {}
        }
        let (_, waiting) = state.waiting.pop_first().ok_or(None)?;
        state.is_in_flight = true;
        Ok((waiting, webhook))
    }
}

impl State {
    fn next_due(&self) -> Option<SystemTime> {
        self.waiting.keys().next().map(|(due, _)| *due)
    }

    fn enqueue(&mut self, event: Value, now: SystemTime) {
        let wanted = self
            .webhook
            .as_ref()
            .is_some_and(|webhook| webhook.takes(&event));
        if !wanted || self.is_disabled {
            return;
        }
        let planned = self.faults.take(event["type"].as_str().unwrap_or_default());
        let fault = planned.map_or(Kind::None, |fault| fault.0);
        let (copies, wait) = match fault {
            Kind::Dropped => (0, Duration::ZERO),
            Kind::Duplicate => (2, Duration::ZERO),
            Kind::Delayed(by) => (1, by),
            Kind::None | Kind::AnswerLost | Kind::WrongSignature => (1, Duration::ZERO),
        };
        for _ in 0..copies {
            self.queued += 1;
            self.schedule(Attempt {
                due: now + wait,
                number: self.queued,
                event: event.clone(),
                attempt_number: 1,
                previous_attempt_at: None,
                fault,
            });
        }
    }

    fn schedule(&mut self, waiting: Attempt) {
        self.waiting.insert((waiting.due, waiting.number), waiting);
    }

    /// Records the result of an attempt, and schedules the next one or disables the endpoint.
    fn record(
        &mut self,
        attempt: Attempt,
        attempted_at: SystemTime,
        answer: Answer,
        result: Result<(), DeliveryFailure>,
    ) {
        self.is_in_flight = false;
        let result = match result {
            Ok(()) if attempt.fault == Kind::AnswerLost => Err(DeliveryFailure::AnswerLost),
            result => result,
        };
        let delay = RETRY_DELAYS.get(attempt.attempt_number as usize - 1);
        // An attempt starts slightly late while other deliveries are made. The next delay starts at
        // the due time, so that this does not accumulate.
        let late = attempted_at.duration_since(attempt.due).unwrap_or_default();
        let delay_starts_at = if late < RETRY_DELAYS[0] {
            attempt.due
        } else {
            attempted_at
        };
        let next_attempt_at = result
            .err()
            .and(delay)
            .map(|delay| delay_starts_at + *delay);
        self.attempts.push(DeliveryAttempt {
            id: delivery_id(self.attempts.len() + 1),
            event: Event::from_json(attempt.event.clone()),
            attempt_number: attempt.attempt_number,
            attempted_at,
            previous_attempt_at: attempt.previous_attempt_at,
            next_attempt_at,
            status: answer.status,
            reply: answer.body,
            failure: result.err(),
            reply_headers: answer.headers,
            reply_address: answer.address,
        });
        if let Some(due) = next_attempt_at {
            self.schedule(Attempt {
                due,
                attempt_number: attempt.attempt_number + 1,
                previous_attempt_at: Some(attempted_at),
                // A fault applies to the first attempt only.
                fault: Kind::None,
                ..attempt
            });
        }
        let failing_since = result
            .err()
            .map(|_| self.failing_since.unwrap_or(attempted_at));
        self.failing_since = failing_since;
        let failing = failing_since.and_then(|since| attempted_at.duration_since(since).ok());
        if answer.status == Some(GONE) || failing.is_some_and(|failing| failing > MAX_FAILING) {
            self.is_disabled = true;
            self.waiting.clear();
        }
    }
}

fn delivery_id(number: usize) -> WebhookDeliveryId {
    let id = format!("00000000-0000-4000-b000-{number:012}");
    id.parse()
        .expect("letters, digits and dashes are a valid id")
}
