//! Every operation declares the scopes that the token needs.
//!
//! The overlay declares scopes as `x-scopes` (alternatives, each a list of scopes that are required
//! together). Scopes that the vendor declares take precedence.

use serde_json::{Value, json};

use crate::normalize::report::Report;
use crate::normalize::tree::walk::{each_operation, object_mut};
use crate::refusal::Refusal;

/// The name of the security scheme from the overlay.
const SCHEME: &str = "FullscriptOAuth";

/// The types of security schemes in OpenAPI 3.0.
const KINDS: [&str; 4] = ["apiKey", "http", "oauth2", "openIdConnect"];

pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    let components = document
        .get_mut("components")
        .and_then(Value::as_object_mut);
    if let Some(schemes) = components.and_then(|all| object_mut(all, "securitySchemes")) {
        schemes.retain(|name, scheme| {
            let kind = scheme["type"].as_str().unwrap_or_default();
            let known = KINDS.contains(&kind);
            if !known {
                let pointer = format!("/components/securitySchemes/{name}");
                report.note(pointer, kind, "dropped, not of OpenAPI 3.0");
            }
            known
        });
    }
    let declared = document["components"]["securitySchemes"][SCHEME].is_object();
    each_operation(document, |pointer, _, _, operation| {
        let Some(alternatives) = operation.get("x-scopes").and_then(Value::as_array) else {
            return;
        };
        // Scopes that the vendor declares take precedence.
        let security = operation.get("security").and_then(Value::as_array);
        let mut schemes = security
            .into_iter()
            .flatten()
            .filter_map(Value::as_object)
            .flatten();
        let names_scopes = schemes.any(|(_, scopes)| scopes.get(0).is_some());
        if !declared || names_scopes {
            return;
        }
        let security: Value = alternatives
            .iter()
            .map(|scopes| json!({ SCHEME: scopes }))
            .collect();
        if operation.get("security") != Some(&security) {
            let before = operation
                .get("security")
                .map_or("absent".into(), Value::to_string);
            report.note(format!("{pointer}/security"), before, json!(alternatives));
            operation.insert("security".into(), security);
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::report::check;

    #[test]
    fn scopes_become_security_unless_the_vendor_declares_some() {
        let (document, repairs) = check(
            apply,
            json!({"components": {"securitySchemes": {"FullscriptOAuth": {"type": "oauth2"}, "M": {"type": "mutualTLS"}}},
                "paths": {"/a": {"get": {"x-scopes": [["a:read"], ["b:read"]]}, "put": {"x-scopes": [["a"]], "security": [{"M": ["b"]}]}, "post": {"x-scopes": [], "security": [{"M": []}]}}}}),
        );
        assert_eq!(
            document["paths"]["/a"]["get"]["security"],
            json!([{"FullscriptOAuth": ["a:read"]}, {"FullscriptOAuth": ["b:read"]}]),
        );
        assert_eq!(
            document["paths"]["/a"]["put"]["security"],
            json!([{"M": ["b"]}])
        );
        assert_eq!(document["paths"]["/a"]["post"]["security"], json!([]));
        assert_eq!(repairs.len(), 3);
    }
}
