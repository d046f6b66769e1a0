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
        return Err(missing_scope(operation.scopes.concat()));
    }
    if operation.requires_commercial_approval && !approved {
        // The vendor's message is not known.
        return Err(Refusal::forbidden("Forbidden"));
    }
    Ok(())
}

/// Rejects a token without any of these scopes. The message names their families, as the vendor's
/// does: `patients` for `patients:read`.
pub(in crate::testing) fn missing_scope<'s>(scopes: impl IntoIterator<Item = &'s str>) -> Refusal {
    let mut families: Vec<&str> = Vec::new();
    for scope in scopes {
        let family = scope.split(':').next().unwrap_or(scope);
        if !families.contains(&family) {
            families.push(family);
        }
    }
    let families = families.join("` and `");
    let message = format!("Must have `{families}` scope enabled for this request");
    Refusal::forbidden(&message)
}
