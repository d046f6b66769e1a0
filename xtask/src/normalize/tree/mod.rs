//! Readers of a document that repair nothing: ways through it, its names, and
//! what its recorded examples say.

pub(crate) mod evidence;
pub(crate) mod names;
pub(crate) mod walk;
