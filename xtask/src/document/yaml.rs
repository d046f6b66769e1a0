//! YAML as JSON values.

use serde_json::{Map, Value};
use serde_norway::Value as Yaml;

/// Parses a YAML text. Keys become texts, and tags are ignored.
///
/// # Errors
/// Returns a message that names the place of the error.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let mut parsed: Yaml = serde_norway::from_str(text).map_err(|error| {
        let error = error.to_string();
        if error.contains("recursion limit") {
            return format!("YAML nested too deep: {error}");
        }
        format!("invalid YAML: {error}")
    })?;
    parsed
        .apply_merge()
        .map_err(|error| format!("invalid YAML: {error}"))?;
    json(parsed)
}

fn json(value: Yaml) -> Result<Value, String> {
    Ok(match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => value.into(),
        Yaml::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(integer), ..) => integer.into(),
            (None, Some(integer), _) => integer.into(),
            // JSON has neither infinity nor NaN.
            (None, None, Some(float)) if float.is_finite() => float.into(),
            _ => number.to_string().into(),
        },
        Yaml::String(text) => text.into(),
        Yaml::Sequence(list) => Value::Array(list.into_iter().map(json).collect::<Result<_, _>>()?),
        Yaml::Mapping(mapping) => {
            let mut object = Map::new();
            for (name, value) in mapping {
                let name = key(name)?;
                object.insert(name, json(value)?);
            }
            object.into()
        }
        Yaml::Tagged(tagged) => json(tagged.value)?,
    })
}

/// A status such as `200` is a number in YAML, and a text in JSON.
fn key(key: Yaml) -> Result<String, String> {
    match key {
        Yaml::String(text) => Ok(text),
        Yaml::Number(number) => Ok(number.to_string()),
        Yaml::Bool(value) => Ok(value.to_string()),
        Yaml::Null => Ok("null".into()),
        Yaml::Tagged(tagged) => self::key(tagged.value),
        Yaml::Sequence(_) | Yaml::Mapping(_) => {
            Err("invalid YAML: a key that is a list or a mapping".into())
        }
    }
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
d: [*anchor, !ruby/symbol tagged, .inf, 18446744073709551615, 2026-01-31, on, ~]
e: |
  two
  lines
";
        let anchored = json!({"b": 1, "200": "x", "true": "y"});
        let expected = json!({
            "a": anchored,
            "c": {"b": 2.5, "200": "x", "true": "y"},
            "d": [anchored, "tagged", ".inf", 18_446_744_073_709_551_615_u64, "2026-01-31", "on", null],
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
        assert!(parse("a: 1\na: 2\n").unwrap_err().contains("invalid YAML"));
    }
}
