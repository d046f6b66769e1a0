//! Permission of calls: the scopes of the token and the approval of the app.

use crate::auth::Scope;
use crate::testing::server::call::{Call, Refusal};

/// Returns all documented scopes, separated by spaces.
pub(in crate::testing) fn all_scopes() -> String {
    [
        Scope::CATALOG_READ,
        Scope::CLINIC_READ,
        Scope::CLINIC_WRITE,
        Scope::PATIENTS_READ,
        Scope::PATIENTS_WRITE,
        Scope::TREATMENT_PLAN_HISTORY,
        Scope::ORDER_HISTORY,
    ]
    .join(" ")
}

/// Rejects an operation whose scopes the token lacks, or that requires an approved app.
pub(in crate::testing) fn check(call: &Call<'_>, approved: bool) -> Result<(), Refusal> {
    let operation = call.operation;
    let mut alternatives = operation.scopes.iter();
    let is_allowed = operation.scopes.is_empty()
        || alternatives.any(|alternative| alternative.iter().all(|scope| call.has_scope(scope)));
    if !is_allowed {
        let alternatives = operation
            .scopes
            .iter()
            .map(|alternative| alternative.join("` and `"));
        let alternatives: Vec<_> = alternatives.collect();
        let message = format!("Must have `{}` scope", alternatives.join("` or `"));
        return Err(Refusal::forbidden(&message));
    }
    if operation.requires_commercial_approval && !approved {
        // The vendor's message is not known.
        return Err(Refusal::forbidden("Forbidden"));
    }
    Ok(())
}
