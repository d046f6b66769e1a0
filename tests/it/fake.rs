//! The fake, as users' tests meet it.

mod clock;
mod faults;
mod webhooks;
