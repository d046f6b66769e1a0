//! Locks that outlive a panic of a test.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A test that panicked elsewhere leaves the log readable.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
