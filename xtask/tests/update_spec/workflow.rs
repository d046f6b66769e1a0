//! The weekly job: its reaction to each exit status, and its permissions.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use crate::documents::document;
use crate::sandbox::{Run, Sandbox, says};
use crate::server::{JSON, Server, answer};

const WORKFLOW: &str = include_str!("../../../.github/workflows/spec.yml");

fn workflow() -> Value {
    serde_norway::from_str(WORKFLOW).unwrap()
}

/// The steps of all jobs.
fn steps() -> Vec<Value> {
    let workflow = workflow();
    let jobs = workflow["jobs"].as_object().unwrap().values();
    jobs.flat_map(|job| job["steps"].as_array().unwrap().clone())
        .collect()
}

/// Runs the step that checks for updates, with the given URL as the vendor's, and returns its
/// outputs.
fn asks(sandbox: &Sandbox, address: &str) -> (Run, String) {
    let step = steps()
        .into_iter()
        .find(|step| step["id"] == "check")
        .unwrap();
    let cargo = sandbox.path("cargo");
    let spec = sandbox.spec();
    let (xtask, spec) = (env!("CARGO_BIN_EXE_xtask"), spec.display());
    let script = format!("#!/bin/sh\nshift\nexec {xtask} \"$@\" --spec {spec} --from {address}\n");
    fs::write(&cargo, script).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    let outputs = sandbox.path("outputs");
    fs::write(&outputs, "").unwrap();
    let path = format!("{}:{}", sandbox.path(""), std::env::var("PATH").unwrap());
    let run = Command::new("bash")
        .args(["--noprofile", "--norc", "-eo", "pipefail", "-c"])
        .arg(step["run"].as_str().unwrap())
        .env("PATH", path)
        .env("GITHUB_OUTPUT", &outputs)
        .current_dir(sandbox.path(""))
        .output()
        .unwrap();
    (Run(run), fs::read_to_string(outputs).unwrap())
}

#[test]
fn only_an_unacceptable_document_fails_the_job() {
    let sandbox = Sandbox::filled();
    let before = sandbox.files();
    let html = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n";
    for (server, code, outcome, said) in [
        (
            Server::raw(answer(JSON, document("filled"))),
            0,
            "outcome=unchanged\n",
            "unchanged: ",
        ),
        (
            Server::raw(answer(JSON, document("new"))),
            0,
            "outcome=changed\n",
            "## Verdict",
        ),
        (
            Server::status("503 Service Unavailable"),
            0,
            "outcome=unreachable\n",
            "::warning",
        ),
        (Server::raw(""), 0, "outcome=unreachable\n", "::warning"),
        (Server::raw(answer(html, "<html>")), 2, "", "::error"),
        (Server::status("404 Not Found"), 2, "", "::error"),
    ] {
        let (run, handed_on) = asks(&sandbox, &server.address);
        let text = run.ends_with(code);
        says(&text, said);
        assert_eq!(handed_on, outcome, "{text}");
    }
    assert_eq!(sandbox.files(), before, "a check writes nothing");
}

#[test]
fn every_action_is_pinned_and_one_job_alone_may_write() {
    for step in steps() {
        let Some(uses) = step["uses"].as_str() else {
            continue;
        };
        let (action, commit) = uses.split_once('@').unwrap();
        assert!(action.starts_with("actions/"), "{uses}");
        assert!(
            commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{uses}"
        );
    }
    let workflow = workflow();
    assert_eq!(workflow["permissions"], serde_json::json!({}));
    let jobs = workflow["jobs"].as_object().unwrap();
    for (name, job) in jobs {
        let runs = job["steps"].to_string().contains("cargo ");
        let writes = job["permissions"].to_string().contains("write");
        assert!(!(runs && writes), "{name} runs code and may write");
    }
}
