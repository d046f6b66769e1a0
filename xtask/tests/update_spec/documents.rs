//! Small documents.

use serde_json::{Value, json};

fn value(version: &str) -> Value {
    json!({
        "openapi": "3.0.1",
        "info": { "title": "Fullscript test", "version": version },
        "paths": { "/api/clinic": { "get": {
            "operationId": "getClinic",
            "summary": "Get the clinic",
            "responses": { "200": {
                "description": "The clinic",
                "content": { "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": { "clinic": {
                            "type": "object",
                            "properties": {
                                "id": { "type": "string" },
                                "name": { "type": "string" },
                            },
                        } },
                    },
                    "example": { "clinic": { "id": "c-1", "name": "Test" } },
                } },
            } },
        } } },
    })
}

pub(crate) fn document(version: &str) -> String {
    value(version).to_string()
}

pub(crate) fn with(change: impl FnOnce(&mut Value)) -> String {
    let mut document = value("changed");
    change(&mut document);
    document.to_string()
}
