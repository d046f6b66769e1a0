//! Who may call what: by the scopes of the token, and by the approval of the
//! app.

use crate::auth::Scope;
use crate::testing::server::call::{Call, Refusal};

/// All scopes that the vendor documents, as one text.
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

/// Refuses an operation that the token is not good for, or that is kept for
/// approved apps.
pub(in crate::testing) fn check(call: &Call<'_>, approved: bool) -> Result<(), Refusal> {
    let operation = call.operation;
    let mut ways = operation.scopes.iter();
    let is_let_in = operation.scopes.is_empty()
        || ways.any(|way| way.iter().all(|scope| call.has_scope(scope)));
    if !is_let_in {
        let ways = operation.scopes.iter().map(|way| way.join("` and `"));
        let ways: Vec<_> = ways.collect();
        let message = format!("Must have `{}` scope", ways.join("` or `"));
        return Err(Refusal::forbidden(&message));
    }
    if operation.requires_commercial_approval && !approved {
        // What the vendor says here is not known.
        return Err(Refusal::forbidden("Forbidden"));
    }
    Ok(())
}
