//! Guides, one for each task.
//!
//! Their examples are run as tests, against the embedded fake wherever a
//! server is needed.
//!
//! In the order in which most apps need them:
//!
//! 1. [Connect a user](connect)
//! 2. [Refresh and many users](many_users)
//! 3. [List and page](lists)
//! 4. [Calls that hold](calls)
//! 5. [Treatment plans, safely](treatment_plans)
//! 6. [Labs](labs)
//! 7. [Webhooks](webhooks)
//! 8. [Fullscript in a page](embed)
//! 9. [Test an integration](testing)
//! 10. [Take an update](updates)
//! 11. [Errors](errors)

/// How a practitioner connects an account, once.
pub mod connect {
    #![doc = include_str!("connect.md")]
}

/// How tokens stay good, for one user or ten thousand.
pub mod many_users {
    #![doc = include_str!("many_users.md")]
}

/// How to read a list that does not fit in a page.
pub mod lists {
    #![doc = include_str!("lists.md")]
}

/// What is tried again, how long a call takes, how often one may call.
pub mod calls {
    #![doc = include_str!("calls.md")]
}

/// How to write a plan that reaches the patient when it should, and not before.
pub mod treatment_plans {
    #![doc = include_str!("treatment_plans.md")]
}

/// How to follow a lab order to its results.
pub mod labs {
    #![doc = include_str!("labs.md")]
}

/// How to hear of each event once, also of those that got lost.
pub mod webhooks {
    #![doc = include_str!("webhooks.md")]
}

/// How to show Fullscript in a page of yours, or link into it.
pub mod embed {
    #![doc = include_str!("embed.md")]
}

/// How to test an integration without credentials.
pub mod testing {
    #![doc = include_str!("testing.md")]
}

/// How to take a new version, or a new document of the vendor's.
pub mod updates {
    #![doc = include_str!("updates.md")]
}

/// What you see when a call fails, why, and what to do.
pub mod errors {
    #![doc = include_str!("errors.md")]
}
