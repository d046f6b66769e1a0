//! Guides, one for each task.
//!
//! Their examples are run as tests, against the embedded fake wherever a
//! server is needed.
//!
//! | Guide | Tells |
//! |---|---|
//! | [`connect`] | how a practitioner connects an account, once |
//! | [`many_users`] | how tokens stay good, for one user or ten thousand, in one process or several |
//! | [`lists`] | how to read a list that does not fit in a page |
//! | [`calls`] | what is tried again, how long a call takes, how often one may call |
//! | [`treatment_plans`] | how to write a plan that reaches the patient when it should, and not before |
//! | [`labs`] | how to follow a lab order to its results |
//! | [`webhooks`] | how to hear of each event once, also of those that got lost |
//! | [`embed`] | how to show Fullscript in a page of yours, or link into it |
//! | [`testing`] | how to test an integration without credentials |
//! | [`updates`] | how to take a new version, or a new document of the vendor's |
//! | [`errors`] | what you see, why, and what to do |

/// Connect a user: from the button to the first call.
pub mod connect {
    #![doc = include_str!("connect.md")]
}

/// Refresh and many users: tokens that stay good.
pub mod many_users {
    #![doc = include_str!("many_users.md")]
}

/// List and page: a whole list as a stream.
pub mod lists {
    #![doc = include_str!("lists.md")]
}

/// Calls that hold: attempts, time, and the limit of requests.
pub mod calls {
    #![doc = include_str!("calls.md")]
}

/// Treatment plans, safely: draft against active.
pub mod treatment_plans {
    #![doc = include_str!("treatment_plans.md")]
}

/// Labs: from the plan to the results.
pub mod labs {
    #![doc = include_str!("labs.md")]
}

/// Webhooks: hear of each event once.
pub mod webhooks {
    #![doc = include_str!("webhooks.md")]
}

/// Fullscript in a page of yours, and links into it.
pub mod embed {
    #![doc = include_str!("embed.md")]
}

/// Test an integration without credentials.
pub mod testing {
    #![doc = include_str!("testing.md")]
}

/// Take a new version, or a new document of the vendor's.
pub mod updates {
    #![doc = include_str!("updates.md")]
}

/// Errors: what you see, why, and what to do.
pub mod errors {
    #![doc = include_str!("errors.md")]
}
