//! Webhooks that a document describes. They are no part of a call, so only their names are compared.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use crate::normalize::WEBHOOKS;

/// The names of webhooks that only one of the documents has.
#[derive(Debug, Default, Serialize)]
pub struct Webhooks {
    /// Those of the new document.
    pub new: Vec<String>,
    /// Those of the old document.
    pub gone: Vec<String>,
}

impl Webhooks {
    pub(super) fn between(old: &Value, new: &Value) -> Self {
        let (before, after) = (names(old), names(new));
        let only = |these: &BTreeSet<&str>, those: &BTreeSet<&str>| {
            let only = these.difference(those);
            only.map(ToString::to_string).collect()
        };
        Self {
            new: only(&after, &before),
            gone: only(&before, &after),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.new.is_empty() && self.gone.is_empty()
    }
}

fn names(document: &Value) -> BTreeSet<&str> {
    let names = document[WEBHOOKS].as_array().into_iter().flatten();
    names.filter_map(Value::as_str).collect()
}
