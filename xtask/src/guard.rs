//! Runs code on a large stack, and turns a panic into an error.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::thread;

/// JSON is nested at most 128 levels deep, and copies of referenced parts are limited, so this is
/// far more than the derivation needs. Only the pages that are used take memory.
const STACK: usize = 256 << 20;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static PANICKED_AT: RefCell<String> = const { RefCell::new(String::new()) };
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A panic that was caught.
#[derive(Debug)]
pub(crate) struct Panic {
    /// The message, with the place in the source code.
    pub(crate) message: String,
    /// The place in the document, or an empty string if it is unknown.
    pub(crate) place: String,
}

/// Runs `work` on a thread of its own.
///
/// # Errors
/// Returns the panic of `work`. The panic is not printed.
pub(crate) fn guarded<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, Panic> {
    quiet_hook();
    let caught = || {
        QUIET.set(true);
        panic::catch_unwind(AssertUnwindSafe(work)).map_err(|payload| Panic {
            message: format!("{} ({})", message(&*payload), PANICKED_AT.take()),
            place: PLACE.take(),
        })
    };
    thread::scope(|scope| {
        let worker = thread::Builder::new().stack_size(STACK);
        let failed = |message: String| Panic {
            message,
            place: String::new(),
        };
        match worker.spawn_scoped(scope, caught) {
            Ok(worker) => worker
                .join()
                .unwrap_or_else(|_| Err(failed("the thread ended".into()))),
            Err(error) => Err(failed(format!("no thread: {error}"))),
        }
    })
}

/// Names the place of the document that is being read, if a panic occurs while it exists.
pub(crate) struct At<'p>(pub(crate) &'p str);

impl Drop for At<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            PLACE.with_borrow_mut(|place| {
                // The innermost place is dropped first.
                if place.is_empty() {
                    self.0.clone_into(place);
                }
            });
        }
    }
}

/// Installs a hook that records the panics of guarded threads instead of printing them.
fn quiet_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if QUIET.get() {
                let place = info.location().map(ToString::to_string);
                PANICKED_AT.set(place.unwrap_or_default());
            } else {
                print(info);
            }
        }));
    });
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no panic message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_that_names_the_place() {
        let panic = guarded(|| {
            let _outer = At("/paths");
            let _inner = At("/paths/~1a");
            let empty: [u8; 0] = [];
            empty[empty.len()]
        })
        .unwrap_err();
        assert_eq!(panic.place, "/paths/~1a");
        assert!(panic.message.contains("index out of bounds"), "{panic:?}");
        assert!(panic.message.contains("guard.rs"), "{panic:?}");
    }

    #[test]
    fn a_place_that_was_left_is_not_named() {
        let panic = guarded(|| {
            drop(At("/info"));
            panic!("no place");
        });
        let panic: Panic = panic.unwrap_err();
        assert_eq!(panic.place, "");
    }
}
