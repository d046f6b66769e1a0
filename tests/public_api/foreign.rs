//! The types of other crates in a crate's rustdoc JSON.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The types by crate, without the standard library. The JSON is limited to public items. Auto
/// trait and blanket implementations are not counted, because they are no promise of this crate.
pub(crate) fn foreign(rustdoc: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    let items = rustdoc["index"].as_object().unwrap().values();
    let own = items.filter(|item| item["crate_id"] == 0);
    for item in own {
        let made = &item["inner"]["impl"];
        if made["is_synthetic"] != true && made["blanket_impl"].is_null() {
            collect(&item["inner"], rustdoc, &mut found);
        }
    }
    for own in ["alloc", "core", "std"] {
        found.remove(own);
    }
    found
}

fn collect(part: &Value, rustdoc: &Value, found: &mut BTreeMap<String, BTreeSet<String>>) {
    match part {
        Value::Object(fields) => {
            let names = ["path", "source"].iter().any(|name| part[name].is_string());
            if let (true, Some(id)) = (names, part["id"].as_u64()) {
                note(id, rustdoc, found);
            }
            for field in fields.values() {
                collect(field, rustdoc, found);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                collect(element, rustdoc, found);
            }
        }
        _ => {}
    }
}

fn note(id: u64, rustdoc: &Value, found: &mut BTreeMap<String, BTreeSet<String>>) {
    let named = &rustdoc["paths"][id.to_string()];
    let (Some(number), Some(path)) = (named["crate_id"].as_u64(), named["path"].as_array()) else {
        return;
    };
    let owner = &rustdoc["external_crates"][number.to_string()]["name"];
    if let (Some(owner), Some(Value::String(name))) = (owner.as_str(), path.last()) {
        let names = found.entry(owner.to_string()).or_default();
        names.insert(name.clone());
    }
}
