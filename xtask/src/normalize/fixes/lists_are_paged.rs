//! Paged lists accept `page[number]` and `page[size]`.
//!
//! The vendor documents these two parameters once for all lists and declares them on no operation.
//! A list is identified by the `meta` of its response, or by the overlay's `x-paged` if no response
//! was recorded.

use serde_json::{Value, json};

use super::parameters_are_sendable::rust_name;
use crate::normalize::report::Report;
use crate::normalize::tree::names::snake;
use crate::normalize::tree::walk::{each_operation, escape, members_mut, whole};
use crate::refusal::Refusal;

pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    let schemas = document["components"]["schemas"].clone();
    each_operation(document, |pointer, _, method, operation| {
        if method != "get" {
            return;
        }
        let in_pages = members_mut(operation, "responses").any(|(status, response)| {
            let schema = &response["content"]["application/json"]["schema"];
            let meta = &whole(schema, &schemas)["properties"]["meta"];
            let meta = whole(meta, &schemas);
            status.starts_with('2') && meta["properties"]["next_page"].is_object()
        });
        if !in_pages && operation.get("x-paged") != Some(&json!(true)) {
            return;
        }
        operation.insert("x-paged".into(), json!(true));
        let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
        let parameters = parameters.as_array_mut().expect("well-formed parameters");
        for (name, description) in [
            ("page[number]", "Page to return, from 1."),
            ("page[size]", "Records per page, at most 100."),
        ] {
            if parameters.iter().any(|own| rust_name(own) == snake(name)) {
                continue;
            }
            let place = format!("{pointer}/parameters/{}", escape(name));
            report.note(place, "absent", "an optional integer");
            parameters.push(json!({
                "name": name, "in": "query", "required": false,
                "description": description, "schema": {"type": "integer"},
            }));
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::report::check;

    #[test]
    fn a_list_with_meta_accepts_a_page() {
        let (document, repairs) = check(
            apply,
            json!({"components": {"schemas": {"Pagination": {"properties": {"next_page": {}}}}},
                "paths": {"/a": {"get": {"responses": {"200": {"content": {"application/json": {"schema": {"properties": {"meta": {"$ref": "#/components/schemas/Pagination"}}}}}}}},
                    "post": {}}, "/b": {"get": {"x-paged": true}}, "/c": {"get": {}}}}),
        );
        let count = |path: &str| {
            document["paths"][path]["get"]["parameters"]
                .as_array()
                .map_or(0, Vec::len)
        };
        assert_eq!((count("/a"), count("/b"), count("/c")), (2, 2, 0));
        assert_eq!(document["paths"]["/a"]["get"]["x-paged"], true);
        assert_eq!(repairs.len(), 4);
    }
}
