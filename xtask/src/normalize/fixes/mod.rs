//! The fixes, one file each.

pub(crate) mod answers_are_tolerant;
pub(crate) mod approval_is_marked;
pub(crate) mod bodies_are_sendable;
pub(crate) mod dates_are_typed;
pub(crate) mod descriptions_are_plain;
pub(crate) mod errors_are_declared;
pub(crate) mod every_operation_named;
pub(crate) mod examples_are_values;
pub(crate) mod examples_hold;
pub(crate) mod extensions_are_ours;
pub(crate) mod fields_are_apart;
pub(crate) mod lists_are_paged;
pub(crate) mod one_answer_type;
pub(crate) mod openapi_3_0_3;
pub(crate) mod operations_secured;
pub(crate) mod parameters_are_sendable;
pub(crate) mod partner_operations_only;
pub(crate) mod path_variables_agree;
pub(crate) mod paths_are_addresses;
pub(crate) mod references_resolve;
pub(crate) mod schema_names_are_types;
pub(crate) mod schemas_are_plain;
pub(crate) mod servers_are_public;
pub(crate) mod swagger_is_translated;
pub(crate) mod types_are_named;
pub(crate) mod well_formed;
