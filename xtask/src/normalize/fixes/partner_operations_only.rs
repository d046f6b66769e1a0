//! Operations that partners cannot call are removed: `/api/dashboard/*` serves the vendor's own
//! dashboard.

use serde_json::Value;

use crate::normalize::report::Report;
use crate::normalize::tree::walk::escape;
use crate::refusal::Refusal;

/// The path prefix of the dashboard's operations (source: the guides' page for AI).
const DASHBOARD: &str = "/api/dashboard";

pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    if let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        paths.retain(|path, _| {
            let private = path
                .strip_prefix(DASHBOARD)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            if private {
                let place = format!("/paths/{}", escape(path));
                report.note(place, path, "dropped, not for partners");
            }
            !private
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::normalize::report::check;

    #[test]
    fn only_dashboard_paths_are_removed() {
        let (document, repairs) = check(
            apply,
            json!({"paths": {"/api/dashboard/apps": {}, "/api/dashboards": {}, "/api/clinic": {}}}),
        );
        assert_eq!(
            document,
            json!({"paths": {"/api/dashboards": {}, "/api/clinic": {}}})
        );
        assert_eq!(repairs.len(), 1);
    }
}
