//! The fake, as users' tests meet it: it behaves as the vendor is known to.

mod answers;
mod any_request;
mod clock;
mod drift;
mod events;
mod faults;
mod lists;
mod patients;
mod permission;
mod plans;
mod validation;
mod webhooks;
