//! Servers on a developer's machine are removed.

use serde_json::Value;

use crate::normalize::report::Report;
use crate::refusal::Refusal;

pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    let Some(servers) = document.get_mut("servers").and_then(Value::as_array_mut) else {
        return Ok(());
    };
    let mut index = 0;
    servers.retain(|server| {
        let url = server["url"].as_str().unwrap_or_default();
        let local = is_local(url);
        if local {
            report.note(format!("/servers/{index}"), url, "dropped");
        }
        index += 1;
        !local
    });
    Ok(())
}

fn is_local(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    host.split(':').next() == Some("localhost")
        || host.starts_with("127.")
        || host.starts_with("0.0.0.0")
        || host.starts_with("[::1]")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::normalize::report::check;

    #[test]
    fn local_servers_go() {
        let (document, repairs) = check(
            apply,
            json!({"servers": [{"url": "http://localhost:3000"}, {"url": "https://localhost.example"}, {"url": "http://127.0.0.1/api"}]}),
        );
        assert_eq!(
            document,
            json!({"servers": [{"url": "https://localhost.example"}]})
        );
        assert_eq!(repairs.len(), 2);
    }
}
