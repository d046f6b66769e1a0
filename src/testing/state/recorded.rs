//! Read-only responses, as the document records them.

use super::list::page;
use super::records::id_of;
use crate::testing::server::call::{Answer, Call, Refusal};
use crate::testing::server::recorded::example;

/// Lists the recorded records of a type.
pub(super) fn list_recorded(call: &Call<'_>, name: &str) -> Answer {
    let recorded = example(call.operation.id)[name].as_array();
    page(call, name, recorded.into_iter().flatten().collect())
}

/// Returns the recorded record of a type.
pub(super) fn get_recorded(call: &Call<'_>, name: &str) -> Answer {
    let recorded = example(call.operation.id);
    if id_of(&recorded[name]) == call.variable("id") {
        Ok((200, recorded.clone()))
    } else {
        Err(Refusal::not_found())
    }
}
