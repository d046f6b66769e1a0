//! The fake as users' tests see it: it behaves like the vendor, as far as that is known.

mod answers;
mod any_request;
mod clinics;
mod clock;
mod drift;
mod embeddable;
mod events;
mod faults;
mod files;
mod lists;
mod patients;
mod permission;
mod plans;
mod validation;
mod webhooks;
