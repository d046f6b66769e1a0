//! A test that runs again in a process of its own, with other environment variables.

use std::ffi::OsStr;
use std::process::Command;

const CHILD: &str = "FULLSCRIPT_TEST_CHILD";

/// Returns whether this process was started by [`run_child`] for this test.
pub(crate) fn is_child(test: &str) -> bool {
    std::env::var(CHILD).is_ok_and(|child| child == test)
}

/// Runs a test of this binary in a child process, and fails if it fails.
#[track_caller]
pub(crate) fn run_child(test: &str, variables: &[(&str, &OsStr)]) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, test)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}\n{errors}"
    );
}
