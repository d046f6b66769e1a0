//! Guides, one for each task.
//!
//! Each guide says when to use a feature, shows the code, and lists what can go wrong. The code is
//! run as a test, against the embedded fake where a server is needed.
//!
//! In the order in which most integrations need them:
//!
//! 1. [Connect a user](connect)
//! 2. [Token refresh and many users](many_users)
//! 3. [Move from your own token table](import)
//! 4. [Pagination](lists)
//! 5. [Retries, timeouts and rate limits](calls)
//! 6. [Patients, orders and catalog](patients)
//! 7. [Treatment plans](treatment_plans)
//! 8. [Labs](labs)
//! 9. [Webhooks](webhooks)
//! 10. [Embed and redirect](embed)
//! 11. [Testing](testing)
//! 12. [Multi-user jobs](multi_user_jobs)
//! 13. [Production](production)
//! 14. [Upgrading](upgrading)
//! 15. [Errors](errors)

/// The OAuth flow: how a practitioner connects a Fullscript account.
pub mod connect {
    #![doc = include_str!("connect.md")]
}

/// Token refresh, token stores, and users who were disconnected.
pub mod many_users {
    #![doc = include_str!("many_users.md")]
}

/// Moving connected users from your own token table.
pub mod import {
    #![doc = include_str!("import.md")]
}

/// Pagination: lists as streams of records or pages.
pub mod lists {
    #![doc = include_str!("lists.md")]
}

/// Retries, timeouts, rate limits, idempotency keys and metrics of calls.
pub mod calls {
    #![doc = include_str!("calls.md")]
}

/// Patients, orders and the catalog: finding, creating, updating and reading.
pub mod patients {
    #![doc = include_str!("patients.md")]
}

/// Treatment plans: drafts, active plans, and failures while creating them.
pub mod treatment_plans {
    #![doc = include_str!("treatment_plans.md")]
}

/// Labs: from a lab order to its results.
pub mod labs {
    #![doc = include_str!("labs.md")]
}

/// Webhooks: signatures, deduplication, and the replay of missed events.
pub mod webhooks {
    #![doc = include_str!("webhooks.md")]
}

/// Fullscript embedded in a page, and links into Fullscript.
pub mod embed {
    #![doc = include_str!("embed.md")]
}

/// Testing an integration with the fake server, without credentials.
pub mod testing {
    #![doc = include_str!("testing.md")]
}

/// Jobs that read the data of many practitioners.
pub mod multi_user_jobs {
    #![doc = include_str!("multi_user_jobs.md")]
}

/// Production: several processes, metrics, logs, shutdown, key rotation and backup.
pub mod production {
    #![doc = include_str!("production.md")]
}

/// Many machines: PostgreSQL for tokens, processed events and replays, and how to operate it.
pub mod fleet {
    #![doc = include_str!("fleet.md")]
}

/// Upgrading to a new version of the crate or a new document of the vendor.
pub mod upgrading {
    #![doc = include_str!("upgrading.md")]
}

/// Each kind of error, its cause, and what to do.
pub mod errors {
    #![doc = include_str!("errors.md")]
}
