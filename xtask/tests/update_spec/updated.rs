//! Successful runs: the files that they write and the ones that they do not touch.

use std::fs;
use std::io::Write;

use serde_json::Value;

use crate::documents::{document, with};
use crate::sandbox::{OVERLAY, Sandbox, says};
use crate::server::{JSON, Server, answer};

#[test]
fn the_first_run_needs_only_an_overlay() {
    let sandbox = Sandbox::fresh();
    let body = document("1");
    let headers =
        format!("{JSON}ETag: \"one\"\r\nLast-Modified: Mon, 02 Nov 2026 10:00:00 GMT\r\n");
    let server = Server::raw(answer(&headers, &body));
    let address = server.address.replace("http://", "http://user:secret@");

    let text = sandbox.update_from(&format!("{address}#part"));

    for line in [
        "new openapi.json: +",
        "new openapi.normalized.json: +",
        "new source.toml: +",
    ] {
        says(&text, line);
    }
    assert!(
        text.lines().last().unwrap().starts_with("updated "),
        "{text}"
    );
    let parsed: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(sandbox.read("openapi.json"), format!("{parsed:#}\n"));
    assert_eq!(sandbox.read("overlay.yaml"), OVERLAY);
    let source: toml::Table = sandbox.read("source.toml").parse().unwrap();
    assert_eq!(source["url"].as_str(), Some(server.address.as_str()));
    assert_eq!(source["etag"].as_str(), Some("\"one\""));
    assert_eq!(
        source["last_modified"].as_str(),
        Some("Mon, 02 Nov 2026 10:00:00 GMT")
    );
    assert_eq!(source["kind"].as_str(), Some("vendor"));
    assert_eq!(
        source["fetched"].as_str().unwrap().len(),
        "2026-11-22".len()
    );
    assert_eq!(source["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(sandbox.leftovers(), [""; 0]);
    sandbox.check().done();
}

#[test]
fn an_unchanged_document_is_requested_by_its_etag_and_changes_nothing() {
    let sandbox = Sandbox::fresh();
    let body = document("1");
    let server = Server::scripted(move |request, stream| {
        let reply = if request.contains("if-none-match: \"one\"") {
            b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec()
        } else {
            answer(&format!("{JSON}ETag: \"one\"\r\n"), &body)
        };
        let _ = stream.write_all(&reply);
    });
    sandbox.update_from(&server.address);
    let before = sandbox.files();
    let times = modified(&sandbox);

    for args in [[].as_slice(), &["--check"], &["--dry-run"]] {
        let text = sandbox
            .update(&[&["--from", &server.address], args].concat())
            .done();
        assert!(
            text.starts_with("unchanged") && text.lines().count() == 1,
            "{text}"
        );
    }

    assert_eq!(sandbox.files(), before);
    assert_eq!(modified(&sandbox), times, "not even rewritten");
    let conditional = |request: &String| request.contains("if-none-match");
    let sent: Vec<bool> = server.requests().iter().map(conditional).collect();
    assert_eq!(sent, [false, true, true, true]);
}

fn modified(sandbox: &Sandbox) -> Vec<std::time::SystemTime> {
    let spec = sandbox.spec();
    let time = |name: &String| fs::metadata(spec.join(name)).unwrap().modified().unwrap();
    sandbox.files().keys().map(time).collect()
}

#[test]
fn an_edited_document_is_fetched_whole_again() {
    let sandbox = Sandbox::fresh();
    let server = Server::raw(answer(&format!("{JSON}ETag: \"one\"\r\n"), document("1")));
    sandbox.update_from(&server.address);
    let before = sandbox.files();
    sandbox.write("spec/openapi.json", document("edited"));

    let text = sandbox.update_from(&server.address);

    says(&text, "changed openapi.json");
    assert_eq!(sandbox.files(), before);
    assert!(!server.requests()[1].contains("if-none-match"));
}

#[test]
fn a_validator_is_not_used_for_another_address() {
    let sandbox = Sandbox::fresh();
    let server = Server::raw(answer(&format!("{JSON}ETag: \"one\"\r\n"), document("1")));
    sandbox.update_from(&server.address);
    sandbox.update_from(&format!("{}?version=2", server.address));
    sandbox.update_from(&format!("{}l", server.address));
    assert!(!server.requests().concat().contains("if-none-match"));
}

#[test]
fn the_same_bytes_keep_the_record_and_its_date() {
    let sandbox = Sandbox::filled();
    let dated = sandbox
        .read("source.toml")
        .replace("fetched = \"20", "fetched = \"19");
    sandbox.write("spec/source.toml", &dated);
    sandbox.write("again.json", document("filled"));
    let text = sandbox.update_from("again.json");
    assert!(text.starts_with("unchanged"), "{text}");

    sandbox.write("spec/overlay.yaml", OVERLAY.replace("x-test", "x-other"));
    let text = sandbox.update_from("again.json");

    says(&text, "changed openapi.normalized.json");
    assert_eq!(sandbox.read("source.toml"), dated);
}

#[test]
fn a_check_reports_changes_and_writes_nothing() {
    let sandbox = Sandbox::filled();
    let before = sandbox.files();
    sandbox.write("new.json", document("new"));
    let new = sandbox.path("new.json");

    let text = sandbox.update(&["--from", &new, "--check"]).ends_with(1);
    says(&text, "changed openapi.json: +1 -1 lines");
    says(&text, "outdated");
    let text = sandbox.update(&["--from", &new, "--dry-run"]).done();
    says(&text, "changed source.toml");

    assert_eq!(sandbox.files(), before);
}

#[test]
fn the_kind_is_given_read_from_the_document_or_assumed() {
    let sandbox = Sandbox::fresh();
    let check = |file: &str, kind: &[&str], expected: &str| {
        sandbox.write("given.json", file);
        let given = sandbox.path("given.json");
        sandbox.update(&[&["--from", &given], kind].concat()).done();
        let line = format!("kind = \"{expected}\"");
        says(&sandbox.read("source.toml"), &line);
    };
    let reconstructed =
        with(|document| document["info"]["description"] = "A Reconstruction".into());
    check(&document("1"), &[], "vendor");
    check(
        &document("1"),
        &["--kind", "reconstructed"],
        "reconstructed",
    );
    check(&document("1"), &[], "reconstructed");
    check(&reconstructed, &[], "reconstructed");
    check(&reconstructed, &["--kind", "vendor"], "vendor");
    says(&sandbox.read("source.toml"), "file = \"given.json\"");
    sandbox.refuses_with(&["--kind", "invented"], "neither vendor nor reconstructed");
}

#[test]
fn a_byte_order_mark_is_removed() {
    let sandbox = Sandbox::fresh();
    sandbox.write("given.json", format!("\u{feff}{}", document("1")));
    sandbox.update_from("given.json");
    assert!(sandbox.read("openapi.json").starts_with('{'));
}
