//! The source of the current time.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use std::time::Duration;
use std::time::SystemTime;

/// A source of the current time, replaceable in tests.
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time.
    fn now(&self) -> SystemTime;
}

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Converts to nanoseconds since 1970, negative before it; times outside the years 1677 to 2262 are
/// clamped.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) fn to_nanos(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
    }
}

/// Converts the time after a duration, like [`to_nanos`], whatever the duration is.
#[cfg(feature = "sqlite")]
pub(crate) fn nanos_after(time: SystemTime, duration: Duration) -> i64 {
    time.checked_add(duration).map_or(i64::MAX, to_nanos)
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) fn from_nanos(nanos: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanos.unsigned_abs());
    if nanos < 0 {
        SystemTime::UNIX_EPOCH - distance
    } else {
        SystemTime::UNIX_EPOCH + distance
    }
}
