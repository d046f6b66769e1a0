//! Read access to a document: traversal, names, and the evidence of its recorded examples.

pub(crate) mod evidence;
pub(crate) mod names;
pub(crate) mod walk;
