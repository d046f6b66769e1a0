//! The quickstart, run like a new user.
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't go on says so by panicking"
)]

use std::process::{Command, Stdio};

use fullscript::testing::FakeFullscript;
use tokio::io::{AsyncBufReadExt, BufReader};

/// Builds the example from the current source, with the features of a build of the whole workspace,
/// so that nothing is built twice if all tests run.
fn quickstart() -> Command {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--offline", "--workspace"])
        .args(["--example", "quickstart"])
        .status();
    assert!(built.unwrap().success());
    let tests = std::env::current_exe().unwrap();
    let target = tests.ancestors().nth(2).unwrap();
    let mut command = Command::new(target.join("examples/quickstart"));
    command.env_remove("FULLSCRIPT_CLIENT_ID");
    command
}

#[track_caller]
fn check(output: &str, steps: &[(&str, &str)]) {
    let mut lines = output.lines();
    for (step, what) in steps {
        let line = lines.find(|line| line.trim_start().starts_with(step));
        let line = line.unwrap_or_else(|| panic!("no {step} in {output}"));
        assert!(line.contains(what), "{what} in {line}");
    }
}

#[test]
fn without_settings_it_shows_each_step_against_the_fake() {
    let output = quickstart().output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    check(
        &text,
        &[
            ("Connected", "practitioner-1"),
            ("Called", "request 0"),
            ("Refreshed", "made 1 refresh"),
            ("Listed", "1000 patients, in 10 requests"),
            ("Drafted", "is a draft"),
            (
                "Webhook",
                "signature verified: the practitioner activated the plan",
            ),
            (
                "Refused",
                "the token lacks the scope patients:order_history",
            ),
            ("78 operations", "6 require commercial approval"),
        ],
    );
}

#[tokio::test]
async fn with_settings_it_opens_the_browser_and_waits_on_loopback() {
    let fake = FakeFullscript::start().await.unwrap();
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let redirect_uri = format!("http://127.0.0.1:{port}/callback");
    let mut example = tokio::process::Command::from(quickstart())
        .env("FULLSCRIPT_CLIENT_ID", "fake-client-id")
        .env("FULLSCRIPT_CLIENT_SECRET", "fake-client-secret")
        .env("FULLSCRIPT_REDIRECT_URI", &redirect_uri)
        .env("FULLSCRIPT_BASE_URL", fake.url())
        // Stands for the browser that the quickstart opens.
        .env("BROWSER", "true")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(example.stdout.take().unwrap()).lines();
    let address = loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if let Ok(address) = line.trim().parse::<reqwest::Url>() {
            break address;
        }
    };
    let callback = fake.approve(&address, "practitioner-7");
    assert!(callback.starts_with(&redirect_uri));
    // Installs the TLS provider of the process, which reqwest requires.
    let _client = fake.client();
    let page = reqwest::get(callback).await.unwrap().text().await.unwrap();
    assert!(page.contains("continues in the terminal"), "{page}");
    let mut rest = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        rest += &line;
        rest.push('\n');
    }
    assert!(example.wait().await.unwrap().success(), "{rest}");
    check(
        &rest,
        &[
            ("Connected", "practitioner-7"),
            ("Refreshed", "not shown here"),
            ("Listed", "1 patients, in 1 requests"),
            ("Drafted", "is a draft"),
            ("Webhook", "none"),
            ("Orders", "1 on the first page"),
        ],
    );
    assert_eq!(fake.count("create_oauth_token"), 1);
    assert_eq!(fake.count("create_treatment_plan"), 1);
}
