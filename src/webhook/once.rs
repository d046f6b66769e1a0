//! Processes each event once: claim, process, acknowledge or release.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::event::Event;
use super::event_log::{Claim, EventKey, EventLog, EventLogError};

/// The duration of a claim: 60 s, less than the first gap between two attempts of the vendor (1
/// minute after the response), so that the next delivery can claim an event whose process died.
const CLAIM_DURATION: Duration = Duration::from_secs(60);

/// Processes an event unless it was processed before, in any process that shares the event log.
///
/// Claims the event, calls `handler`, and acknowledges the event if the handler succeeds. If the
/// handler fails, the claim is released, so that the next delivery is processed again at once. The
/// handler must end within 60 s, the duration of the claim. An event without an id cannot be
/// deduplicated; its claim is that of an event with the same content.
///
/// Returns `true` if the handler was called, and `false` if the event was processed before. In
/// both cases, the event needs no further attempt.
///
/// ```
/// use std::time::SystemTime;
///
/// use fullscript::webhook::{Event, EventLog, NotProcessed, process_once};
///
/// async fn work(
///     event_log: &dyn EventLog,
///     event: Event,
///     now: SystemTime,
/// ) -> Result<(), NotProcessed<std::io::Error>> {
///     process_once(event_log, event, now, async |event: Event| {
///         println!("{:?}", event.type_);
///         Ok(())
///     })
///     .await?;
///     Ok(())
/// }
/// ```
///
/// # Errors
/// Returns why the event was not processed: the event log or the handler failed, or another process
/// has the claim. Try again later in all three cases; for a delivery, respond with 503.
pub async fn process_once<F, E>(
    event_log: &dyn EventLog,
    event: Event,
    now: SystemTime,
    handler: impl FnOnce(Event) -> F,
) -> Result<bool, NotProcessed<E>>
where
    F: Future<Output = Result<(), E>>,
{
    let key = EventKey::from(&event);
    let claim = event_log.claim(&key, now, now + CLAIM_DURATION);
    let grant = match claim.await.map_err(NotProcessed::EventLog)? {
        Claim::Processed => return Ok(false),
        Claim::HeldUntil(until) => return Err(NotProcessed::Claimed(until)),
        Claim::Granted(grant) => grant,
    };
    if let Err(error) = handler(event).await {
        // A claim that cannot be released expires.
        let _expires = event_log.release(&grant).await;
        return Err(NotProcessed::Handler(error));
    }
    let acknowledged = event_log.acknowledge(&grant, now).await;
    acknowledged.map_err(NotProcessed::EventLog)?;
    Ok(true)
}

/// The reason why an event was not processed, or not recorded as processed.
#[derive(Debug)]
#[non_exhaustive]
pub enum NotProcessed<E> {
    /// The event log failed. If it failed after the handler, the event is processed again.
    EventLog(EventLogError),
    /// Another process has the claim until this time, and may still fail.
    Claimed(SystemTime),
    /// The handler failed.
    Handler(E),
}

impl<E> fmt::Display for NotProcessed<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EventLog(_) => "webhook event: the event log failed; deliver the event again",
            Self::Claimed(_) => "webhook event: another process has claimed it; retry later",
            Self::Handler(_) => "webhook event: the handler failed; deliver the event again",
        })
    }
}

impl<E: std::error::Error + 'static> std::error::Error for NotProcessed<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::EventLog(error) => Some(error),
            Self::Claimed(_) => None,
            Self::Handler(error) => Some(error),
        }
    }
}
