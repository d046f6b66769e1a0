//! Runs `xtask update-spec` and `xtask check` as a user does, against a
//! loopback server that answers whatever a test wants.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

const OVERLAY: &str = "\
overlay: 1.0.0
info: {title: test, version: 1.0.0}
actions:
  - target: $.info
    update: {x-test: true}
";

const JSON: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";

type Files = BTreeMap<String, Vec<u8>>;

/// A spec directory of its own, with a room beside it for other files.
struct Sandbox {
    root: TempDir,
}

impl Sandbox {
    /// A directory that holds an overlay and nothing else.
    fn fresh() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("spec")).unwrap();
        fs::write(root.path().join("spec/overlay.yaml"), OVERLAY).unwrap();
        Self { root }
    }

    /// A directory that a document has already been brought into.
    fn filled() -> Self {
        let sandbox = Self::fresh();
        sandbox.write("filled.json", document("filled"));
        sandbox
            .update(&["--from", &sandbox.path("filled.json")])
            .done();
        sandbox
    }

    fn spec(&self) -> PathBuf {
        self.root.path().join("spec")
    }

    fn path(&self, name: &str) -> String {
        self.root.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.root.path().join(name), content).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.spec().join(name)).unwrap()
    }

    fn command(&self, verb: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.arg(verb).arg("--spec").arg(self.spec()).args(args);
        for proxy in [
            "http_proxy",
            "HTTP_PROXY",
            "https_proxy",
            "HTTPS_PROXY",
            "ALL_PROXY",
        ] {
            command.env_remove(proxy);
        }
        command
    }

    fn update(&self, args: &[&str]) -> Run {
        Run(self.command("update-spec", args).output().unwrap())
    }

    fn check(&self) -> Run {
        Run(self.command("check", &[]).output().unwrap())
    }

    fn files(&self) -> Files {
        files(&self.spec())
    }

    /// Everything beside `spec/` that a run could have left there.
    fn leftovers(&self) -> Vec<String> {
        fs::read_dir(self.root.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with('.'))
            .collect()
    }

    /// The command refuses, says why in full, and leaves every byte in place.
    #[track_caller]
    fn refuses(&self, args: &[&str], came: &str) {
        let before = self.files();
        let run = self.update(args);
        let message = run.stderr();
        assert_eq!(run.0.status.code(), Some(2), "{message}");
        for part in ["came: ", "expected: ", "do: "] {
            let lines = message.lines().filter(|line| line.starts_with(part));
            assert_eq!(lines.count(), 1, "{part} in {message}");
        }
        assert!(message.contains(came), "{came:?} in {message}");
        assert!(!message.contains("panicked"), "{message}");
        assert_eq!(run.stdout(), "");
        assert_eq!(self.files(), before);
        assert_eq!(self.leftovers(), [""; 0]);
    }

    #[track_caller]
    fn refuses_file(&self, content: impl AsRef<[u8]>, came: &str) {
        self.write("given.json", content);
        self.refuses(&["--from", &self.path("given.json")], came);
    }
}

struct Run(Output);

impl Run {
    fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    #[track_caller]
    fn ends_with(&self, code: i32) -> String {
        assert_eq!(
            self.0.status.code(),
            Some(code),
            "{}{}",
            self.stdout(),
            self.stderr()
        );
        self.stdout()
    }

    #[track_caller]
    fn done(&self) -> String {
        self.ends_with(0)
    }
}

/// A server that hands every connection to a script and keeps the requests.
struct Server {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn scripted(script: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/openapi.json", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = head(&mut stream);
                kept.lock().unwrap().push(request.clone());
                script(&request, &mut stream);
            }
        });
        Self { address, requests }
    }

    /// Answers every request with these bytes and closes.
    fn raw(answer: impl AsRef<[u8]>) -> Self {
        let answer = answer.as_ref().to_vec();
        Self::scripted(move |_, stream| {
            let _ = stream.write_all(&answer);
        })
    }

    fn status(line: &str) -> Self {
        Self::raw(format!("HTTP/1.1 {line}\r\nContent-Length: 2\r\n\r\n{{}}"))
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn head(stream: &mut TcpStream) -> String {
    const TLS_HANDSHAKE: u8 = 0x16;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
        if head[0] == TLS_HANDSHAKE {
            break;
        }
    }
    String::from_utf8_lossy(&head).to_lowercase()
}

fn answer(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut answer = format!("{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

fn files(directory: &Path) -> Files {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

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

fn document(version: &str) -> String {
    value(version).to_string()
}

fn with(change: impl FnOnce(&mut Value)) -> String {
    let mut document = value("changed");
    change(&mut document);
    document.to_string()
}

#[test]
fn the_first_run_needs_only_an_overlay() {
    let sandbox = Sandbox::fresh();
    let body = document("1");
    let headers =
        format!("{JSON}ETag: \"one\"\r\nLast-Modified: Mon, 02 Nov 2026 10:00:00 GMT\r\n");
    let server = Server::raw(answer(&headers, &body));
    let address = server.address.replace("http://", "http://user:secret@");

    let text = sandbox
        .update(&["--from", &format!("{address}#part")])
        .done();

    for line in [
        "new openapi.json: +",
        "new openapi.normalized.json: +",
        "new source.toml: +",
    ] {
        assert!(text.contains(line), "{text}");
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
fn an_unchanged_document_is_asked_for_by_its_etag_and_changes_nothing() {
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
    sandbox.update(&["--from", &server.address]).done();
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
    sandbox.update(&["--from", &server.address]).done();
    let before = sandbox.files();
    sandbox.write("spec/openapi.json", document("edited"));

    let text = sandbox.update(&["--from", &server.address]).done();

    assert!(text.contains("changed openapi.json"), "{text}");
    assert_eq!(sandbox.files(), before);
    assert!(!server.requests()[1].contains("if-none-match"));
}

#[test]
fn a_validator_is_not_used_for_another_address() {
    let sandbox = Sandbox::fresh();
    let server = Server::raw(answer(&format!("{JSON}ETag: \"one\"\r\n"), document("1")));
    sandbox.update(&["--from", &server.address]).done();
    sandbox
        .update(&["--from", &format!("{}?version=2", server.address)])
        .done();
    sandbox
        .update(&["--from", &format!("{}l", server.address)])
        .done();
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
    let text = sandbox
        .update(&["--from", &sandbox.path("again.json")])
        .done();
    assert!(text.starts_with("unchanged"), "{text}");

    sandbox.write("spec/overlay.yaml", OVERLAY.replace("x-test", "x-other"));
    let text = sandbox
        .update(&["--from", &sandbox.path("again.json")])
        .done();

    assert!(text.contains("changed openapi.normalized.json"), "{text}");
    assert_eq!(sandbox.read("source.toml"), dated);
}

#[test]
fn a_check_says_what_would_change_and_writes_nothing() {
    let sandbox = Sandbox::filled();
    let before = sandbox.files();
    sandbox.write("new.json", document("new"));
    let new = sandbox.path("new.json");

    let text = sandbox.update(&["--from", &new, "--check"]).ends_with(1);
    assert!(text.contains("changed openapi.json: +1 -1 lines"), "{text}");
    assert!(text.contains("outdated"), "{text}");
    let text = sandbox.update(&["--from", &new, "--dry-run"]).done();
    assert!(text.contains("changed source.toml"), "{text}");

    assert_eq!(sandbox.files(), before);
}

#[test]
fn a_check_of_what_cannot_be_reached_is_refused() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let address = format!("http://{closed}/");
    Sandbox::filled().refuses(
        &["--check", "--from", &address],
        "no connection to 127.0.0.1",
    );
}

#[test]
fn the_committed_document_is_derived_again_with_its_record_kept() {
    let sandbox = Sandbox::filled();
    let source = sandbox.read("source.toml");
    sandbox.write("spec/overlay.yaml", OVERLAY.replace("x-test", "x-other"));
    let text = sandbox.check().ends_with(1);
    assert!(
        text.contains("openapi.normalized.json: not what is derived, first at /"),
        "{text}"
    );
    let repair = text
        .lines()
        .last()
        .unwrap()
        .strip_prefix("repair with: cargo xtask ")
        .unwrap();

    let repaired = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(repair.split(' '))
        .output()
        .unwrap();

    Run(repaired).done();
    sandbox.check().done();
    assert_eq!(sandbox.read("source.toml"), source);
    let committed = sandbox.path("spec/openapi.json");
    sandbox.refuses(
        &["--from", &committed, "--kind", "vendor"],
        "--kind together",
    );
}

#[test]
fn a_check_finds_every_kind_of_difference() {
    let sandbox = Sandbox::filled();
    sandbox.check().done();
    for (name, content, finding) in [
        (
            "openapi.json",
            document("filled"),
            "openapi.json: not in the form",
        ),
        (
            "openapi.normalized.json",
            "{".into(),
            "openapi.normalized.json: not JSON",
        ),
        (
            "openapi.normalized.json",
            "{}".into(),
            "openapi.normalized.json: not what is derived",
        ),
        (
            "source.toml",
            "kind = \"vendor\"".into(),
            "source.toml: missing field",
        ),
        ("source.toml", "?".into(), "source.toml: "),
    ] {
        let good = sandbox.read(name);
        sandbox.write(&format!("spec/{name}"), content);
        let text = sandbox.check().ends_with(1);
        assert!(text.starts_with(finding), "{text}");
        assert!(
            text.contains("repair with: cargo xtask update-spec"),
            "{text}"
        );
        fs::remove_file(sandbox.spec().join(name)).unwrap();
        let text = sandbox.check().ends_with(1);
        assert!(text.starts_with(&format!("{name}: missing")), "{text}");
        sandbox.write(&format!("spec/{name}"), good);
    }
}

#[test]
fn the_kind_is_told_taken_from_the_document_or_presumed() {
    let sandbox = Sandbox::fresh();
    let check = |file: &str, kind: &[&str], expected: &str| {
        sandbox.write("given.json", file);
        let given = sandbox.path("given.json");
        sandbox.update(&[&["--from", &given], kind].concat()).done();
        let line = format!("kind = \"{expected}\"");
        assert!(
            sandbox.read("source.toml").contains(&line),
            "{}",
            sandbox.read("source.toml")
        );
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
    assert!(
        sandbox
            .read("source.toml")
            .contains("file = \"given.json\"")
    );
    sandbox.refuses(&["--kind", "invented"], "neither vendor nor reconstructed");
}

#[test]
fn a_byte_order_mark_is_taken_off() {
    let sandbox = Sandbox::fresh();
    sandbox.write("given.json", format!("\u{feff}{}", document("1")));
    sandbox
        .update(&["--from", &sandbox.path("given.json")])
        .done();
    assert!(sandbox.read("openapi.json").starts_with('{'));
}

#[test]
fn a_status_other_than_200_is_refused() {
    let sandbox = Sandbox::filled();
    for line in [
        "404 Not Found",
        "500 Internal Server Error",
        "204 No Content",
        "206 Partial Content",
        "304 Not Modified",
        "302 Found",
        "401 Unauthorized",
    ] {
        let server = Server::status(line);
        sandbox.refuses(
            &["--from", &server.address],
            &format!("came: status {}", &line[..3]),
        );
    }
}

#[test]
fn a_body_that_is_not_the_document_is_refused() {
    let sandbox = Sandbox::filled();
    let html = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n";
    for (headers, body, came) in [
        (
            html,
            b"<!DOCTYPE html><title>Docs</title>".to_vec(),
            "a web page",
        ),
        (html, document("1").into_bytes(), "a web page"),
        (JSON, b"\n <html>".to_vec(), "a web page"),
        (JSON, Vec::new(), "an empty document"),
        (JSON, b" \r\n\t".to_vec(), "an empty document"),
        (
            JSON,
            document("1").into_bytes()[..50].to_vec(),
            "JSON that breaks off",
        ),
        (JSON, vec![b'{', 0xff, 0xfe], "not UTF-8 from byte 1 on"),
    ] {
        let server = Server::raw(answer(headers, body));
        sandbox.refuses(&["--from", &server.address], came);
    }
}

#[test]
fn an_answer_that_breaks_off_is_refused() {
    let sandbox = Sandbox::filled();
    let body = document("1");
    let longer = format!("{JSON}Content-Length: {}\r\n\r\n{body}", body.len() + 1);
    let chunked = format!(
        "{JSON}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}",
        body.len() + 1
    );
    for (reply, came) in [
        (longer.as_str(), "broke off after"),
        (chunked.as_str(), "broke off after"),
        ("", "no answer from 127.0.0.1"),
        ("SSH-2.0-server\r\n", "no answer from 127.0.0.1"),
    ] {
        let server = Server::raw(reply);
        sandbox.refuses(&["--from", &server.address], came);
    }
}

#[test]
fn a_slow_answer_is_given_up() {
    let silent = Server::scripted(|_, stream| {
        let _ = stream.read(&mut [0]);
    });
    let trickling = Server::scripted(|_, stream| {
        let _ = stream.write_all(JSON.as_bytes());
        let _ = stream.write_all(b"\r\n");
        while stream.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let stalled = Server::scripted(|_, stream| {
        let _ = stream.write_all(format!("{JSON}Content-Length: 9\r\n\r\n{{").as_bytes());
        let _ = stream.read(&mut [0]);
    });
    let sandbox = Sandbox::filled();
    for server in [silent, trickling, stalled] {
        let start = Instant::now();
        sandbox.refuses(
            &["--timeout", "1", "--from", &server.address],
            "when 1 s were over",
        );
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{:?}",
            start.elapsed()
        );
    }
}

#[test]
fn too_much_is_not_received() {
    let endless = Server::scripted(|_, stream| {
        let _ = stream.write_all(format!("{JSON}\r\n").as_bytes());
        while stream.write_all(&[b' '; 1 << 16]).is_ok() {}
    });
    let announced = Server::raw(format!("{JSON}Content-Length: {}\r\n\r\n", (64 << 20) + 1));
    let sandbox = Sandbox::filled();
    for server in [endless, announced] {
        sandbox.refuses(&["--from", &server.address], "more than 64 MiB");
    }
    let large = fs::File::create(sandbox.path("large.json")).unwrap();
    large.set_len((64 << 20) + 1).unwrap();
    sandbox.refuses(&["--from", &sandbox.path("large.json")], "more than 64 MiB");
}

#[test]
fn redirects_are_followed_to_trusted_addresses_only() {
    let sandbox = Sandbox::filled();
    for (location, came) in [
        (
            "http://example.com/openapi.json",
            "a redirect to http://example.com/openapi.json",
        ),
        ("file:///etc/passwd", "a redirect to file:///etc/passwd"),
        ("http://", "no readable address"),
        ("/openapi.json", "more than 5 redirects"),
    ] {
        let reply =
            format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let server = Server::raw(reply);
        sandbox.refuses(&["--from", &server.address], came);
        assert!(server.requests().len() <= 6);
    }
    let server = Server::scripted(|request, stream| {
        let reply = if request.starts_with("get /moved ") {
            answer(JSON, document("moved"))
        } else {
            b"HTTP/1.1 308 Permanent Redirect\r\nLocation: /moved\r\nContent-Length: 0\r\n\r\n"
                .to_vec()
        };
        let _ = stream.write_all(&reply);
    });
    sandbox.update(&["--from", &server.address]).done();
    assert!(
        sandbox.read("source.toml").contains(&server.address),
        "the address asked for"
    );
}

#[test]
fn what_cannot_be_reached_or_trusted_is_refused() {
    let sandbox = Sandbox::filled();
    let plain = Server::raw(answer(JSON, document("1")));
    let tls = plain.address.replace("http:", "https:");
    sandbox.refuses(&["--from", &tls], "no connection to 127.0.0.1: ");
    sandbox.refuses(
        &["--from", "http://us.fullscript.com/a"],
        "the plain http address",
    );
    sandbox.refuses(&["--from", "ftp://localhost/a"], "scheme \"ftp\"");
    sandbox.refuses(&["--from", "http://"], "cannot be read");
    sandbox.refuses(&["--unknown"], "--unknown");
}

#[test]
fn a_message_holds_no_key() {
    let sandbox = Sandbox::filled();
    let server = Server::status("403 Forbidden");
    let address = server.address.replace("http://", "http://user:secret@");
    let run = sandbox.update(&["--from", &format!("{address}?key=secret")]);
    run.ends_with(2);
    assert!(!run.stderr().contains("secret"), "{}", run.stderr());
}

#[test]
fn a_file_that_cannot_be_read_is_refused() {
    let sandbox = Sandbox::filled();
    sandbox.refuses(&["--from", &sandbox.path("missing.json")], "no file at");
    sandbox.refuses(&["--from", &sandbox.path("spec")], "a directory");
    sandbox.refuses(
        &["--from", &sandbox.path("filled.json/x")],
        "an unreadable file",
    );
    // Even root cannot read what the system refuses to hand out.
    #[cfg(target_os = "linux")]
    sandbox.refuses(&["--from", "/proc/self/mem"], "an unreadable file");
}

#[test]
fn a_file_that_is_not_the_document_is_refused() {
    let sandbox = Sandbox::filled();
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let cases: Vec<(String, &str)> = vec![
        ("{\"openapi\": nope}".into(), "text that is not JSON"),
        ("openapi: 3.0.1\n".into(), "text that is not JSON"),
        (
            format!("{}{}", document("1"), document("2")),
            "text that is not JSON",
        ),
        ("[]".into(), "JSON that is an array"),
        ("null".into(), "JSON that is null"),
        ("{}".into(), "without an `openapi` field"),
        (deep(200), "nested too deep"),
        (deep(100_000), "nested too deep"),
        ("[".repeat(200), "nested too deep"),
        (
            r#"{"swagger": "2.0", "paths": {}}"#.into(),
            "Swagger version \"2.0\"",
        ),
        (
            with(|d| d["openapi"] = "3.2.0".into()),
            "OpenAPI version \"3.2.0\"",
        ),
        (with(|d| d["openapi"] = 3.0.into()), "is a number"),
        (with(|d| d["paths"] = json!({})), "empty `paths`"),
        (with(|d| d["paths"] = json!([])), "`paths` is an array"),
        (
            with(|d| drop(d.as_object_mut().unwrap().remove("paths"))),
            "without `paths`",
        ),
        (
            with(|d| d["info"]["title"] = "Pet\nStore".into()),
            "titled \"Pet Store\"",
        ),
        (
            with(|d| {
                let schema =
                    "/paths/~1api~1clinic/get/responses/200/content/application~1json/schema";
                let missing = json!({ "$ref": "#/components/schemas/Missing" });
                *d.pointer_mut(schema).unwrap() = missing;
            }),
            "Missing",
        ),
    ];
    for (content, came) in cases {
        sandbox.refuses_file(content, came);
    }
}

#[test]
fn a_document_whose_generated_code_is_no_rust_is_refused() {
    let sandbox = Sandbox::filled();
    let twins = "\
overlay: 1.0.0
info: {title: test, version: 1.0.0}
actions:
  - target: $.paths['/api/clinic'].get
    update:
      parameters:
        - {name: a-b, in: query, schema: {type: string}}
        - {name: a_b, in: query, schema: {type: string}}
";
    fs::write(sandbox.spec().join("overlay.yaml"), twins).unwrap();
    sandbox.refuses_file(document("2"), "GetClinic.a_b is there twice");
}

#[test]
fn a_directory_that_is_not_one_of_documents_is_refused() {
    let sandbox = Sandbox::fresh();
    fs::remove_file(sandbox.spec().join("overlay.yaml")).unwrap();
    sandbox.refuses_file(document("1"), "no overlay.yaml");
    fs::remove_dir(sandbox.spec()).unwrap();
    let run = sandbox.update(&["--from", &sandbox.path("given.json")]);
    run.ends_with(2);
    assert!(run.stderr().contains("no directory at"), "{}", run.stderr());
}

#[test]
fn a_write_that_fails_leaves_the_old_files() {
    let sandbox = Sandbox::filled();
    let before = sandbox.files();
    let long = with(|d| d["info"]["description"] = "x".repeat(4096).into());
    sandbox.write("long.json", long);
    let xtask = env!("CARGO_BIN_EXE_xtask");
    // Without the trap the system kills the command; with it the write fails.
    for (trap, killed) in [("", true), ("trap '' XFSZ; ", false)] {
        let script = format!("{trap}ulimit -c 0; ulimit -f 1; exec \"$@\"");
        let output = Command::new("sh")
            .args(["-c", &script, "sh", xtask, "update-spec", "--spec"])
            .arg(sandbox.spec())
            .args(["--from", &sandbox.path("long.json")])
            .output()
            .unwrap();
        let run = Run(output);
        assert_eq!(run.0.status.signal().is_some(), killed, "{}", run.stderr());
        if !killed {
            run.ends_with(2);
            assert!(
                run.stderr().contains("came: a write that failed"),
                "{}",
                run.stderr()
            );
            assert_eq!(sandbox.leftovers(), [""; 0]);
        }
        assert_eq!(sandbox.files(), before);
    }
}

#[test]
fn a_kill_at_any_moment_leaves_the_old_files_or_the_new_ones() {
    const KILLS: u32 = 24;
    let sandbox = Sandbox::filled();
    // More files to carry over make the part that writes last longer.
    for number in 0..300 {
        sandbox.write(&format!("spec/note-{number}.md"), "note");
    }
    let names = ["one.json", "two.json"];
    let states = names.map(|name| {
        sandbox.write(name, document(name));
        sandbox.update(&["--from", &sandbox.path(name)]).done();
        sandbox.files()
    });
    let mut at = 1;
    let mut interrupted = 0;
    for kill in 0..KILLS {
        let mut child = sandbox
            .command("update-spec", &["--from", &sandbox.path(names[1 - at])])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let staging = sandbox.path(&format!(".spec.new-{}", child.id()));
        while !Path::new(&staging).exists() && child.try_wait().unwrap().is_none() {
            thread::yield_now();
        }
        thread::sleep(Duration::from_micros(300) * kill);
        child.kill().unwrap();
        child.wait().unwrap();
        interrupted += usize::from(Path::new(&staging).exists());
        let found = sandbox.files();
        at = states
            .iter()
            .position(|state| *state == found)
            .expect("wholly old or wholly new");
    }
    assert!(interrupted > 0, "no kill came while files were written");
    sandbox
        .update(&["--from", &sandbox.path("filled.json")])
        .done();
    assert_eq!(sandbox.leftovers(), [""; 0], "swept by the next run");
}

#[test]
fn runs_at_the_same_time_do_not_mix() {
    let sandbox = Sandbox::filled();
    let names = ["a.json", "b.json", "c.json", "d.json"];
    for name in names {
        sandbox.write(name, document(name));
    }
    let children: Vec<_> = names
        .map(|name| {
            sandbox
                .command("update-spec", &["--from", &sandbox.path(name)])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        })
        .into_iter()
        .map(|mut child| child.wait().unwrap().code())
        .collect();
    assert!(children.contains(&Some(0)), "{children:?}");
    assert!(
        children.iter().all(|code| matches!(code, Some(0 | 2))),
        "{children:?}"
    );
    sandbox.check().done();
    assert_eq!(sandbox.leftovers(), [""; 0]);
}

#[test]
fn the_help_names_every_command_and_option() {
    let help = Run(Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("help")
        .output()
        .unwrap())
    .done();
    for word in [
        "update-spec",
        "check",
        "--from",
        "--dry-run",
        "--kind",
        "--timeout",
        "--spec",
    ] {
        assert!(help.contains(word), "{word}");
    }
}
