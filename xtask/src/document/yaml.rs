//! YAML as JSON values.

use serde_json::Value;

use super::tree::Tree;

/// Parses a YAML text. Keys become texts, and tags are ignored.
///
/// # Errors
/// Returns a message that names the place of the error.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let Tree::<true>(parsed) = serde_norway::from_str(text).map_err(|error| {
        let error = error.to_string();
        if error.contains("recursion limit") {
            return format!("YAML nested too deep: {error}");
        }
        format!("invalid YAML: {error}")
    })?;
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_is_read_as_json() {
        let text = "\
a: &anchor {b: 1, 200: x, true: y}
c:
  <<: *anchor
  b: 2.5
f: {<<: [*anchor, {b: 3, z: 4}]}
d: [*anchor, !ruby/symbol tagged, .inf, 18446744073709551615, 1000000000000000000000, 2026-01-31, on, ~]
e: |
  two
  lines
";
        let anchored = json!({"b": 1, "200": "x", "true": "y"});
        let expected = json!({
            "a": anchored,
            "c": {"b": 2.5, "200": "x", "true": "y"},
            "f": {"b": 1, "200": "x", "true": "y", "z": 4},
            "d": [anchored, "tagged", ".inf", 18_446_744_073_709_551_615_u64, 1e21, "2026-01-31", "on", null],
            "e": "two\nlines\n",
        });
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn aliases_that_multiply_and_deep_nesting_are_errors() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let inner = format!("*a{}", level - 1);
            let list = vec![inner; 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{list}]\n"));
        }
        assert!(parse(&bomb).unwrap_err().contains("invalid YAML"));
        let deep = format!("a: {}{}", "[".repeat(500), "]".repeat(500));
        assert!(parse(&deep).unwrap_err().contains("nested too deep"));
        assert!(parse("? [a]\n: b\n").unwrap_err().contains("a key"));
        assert_eq!(
            parse("a: {b: 1}\na: {c: 2}\n").unwrap(),
            json!({"a": {"b": 1, "c": 2}})
        );
        assert!(parse("a: {<<: 5}\n").unwrap_err().contains("no mapping"));
    }
}
