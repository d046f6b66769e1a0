//! Documents from a URL: complete and trusted ones only.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use crate::documents::document;
use crate::sandbox::{Sandbox, says};
use crate::server::{JSON, Server, answer};

#[test]
fn a_check_distinguishes_an_unreachable_server_from_a_document() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let address = format!("http://{closed}/");
    Sandbox::filled().reaches_no_server(
        &["--check", "--from", &address],
        "no connection to 127.0.0.1",
    );
}

#[test]
fn a_status_other_than_200_is_refused() {
    let sandbox = Sandbox::filled();
    for line in [
        "404 Not Found",
        "204 No Content",
        "206 Partial Content",
        "304 Not Modified",
        "302 Found",
        "401 Unauthorized",
    ] {
        let server = Server::status(line);
        sandbox.refuses(&server.address, &format!("error: status {}", &line[..3]));
    }
}

#[test]
fn an_unavailable_server_is_distinguished_from_a_document() {
    let sandbox = Sandbox::filled();
    for line in [
        "500 Internal Server Error",
        "502 Bad Gateway",
        "503 Service Unavailable",
        "429 Too Many Requests",
    ] {
        let server = Server::status(line);
        sandbox.reaches_no_server(
            &["--check", "--from", &server.address],
            &format!("error: status {}", &line[..3]),
        );
    }
}

#[test]
fn a_body_that_is_not_the_document_is_refused() {
    let sandbox = Sandbox::filled();
    let html = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n";
    for (headers, body, problem) in [
        (
            html,
            b"<!DOCTYPE html><title>Docs</title>".to_vec(),
            "a web page",
        ),
        (html, document("1").into_bytes(), "a web page"),
        (JSON, b"\n <html>".to_vec(), "a web page"),
        (JSON, Vec::new(), "the document is empty"),
        (JSON, b" \r\n\t".to_vec(), "the document is empty"),
        (
            JSON,
            document("1").into_bytes()[..50].to_vec(),
            "truncated JSON",
        ),
        (JSON, vec![b'{', 0xff, 0xfe], "invalid UTF-8 at byte 1 of 3"),
    ] {
        let server = Server::raw(answer(headers, body));
        sandbox.refuses(&server.address, problem);
    }
}

#[test]
fn a_truncated_response_is_refused() {
    let sandbox = Sandbox::filled();
    let body = document("1");
    let longer = format!("{JSON}Content-Length: {}\r\n\r\n{body}", body.len() + 1);
    let chunked = format!(
        "{JSON}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}",
        body.len() + 1
    );
    for (reply, problem) in [
        (longer.as_str(), "closed after"),
        (chunked.as_str(), "closed after"),
        ("", "no response from 127.0.0.1"),
        ("SSH-2.0-server\r\n", "no response from 127.0.0.1"),
    ] {
        let server = Server::raw(reply);
        sandbox.reaches_no_server(&["--from", &server.address], problem);
    }
}

#[test]
fn a_slow_response_times_out() {
    let silent = Server::scripted(|_, stream| {
        let _ = stream.read(&mut [0]);
    });
    let trickling = Server::scripted(|_, stream| {
        let _ = stream.write_all(JSON.as_bytes());
        let _ = stream.write_all(b"\r\n");
        while stream.write_all(b" ").is_ok() {
            // The server sends continuously, so only the total timeout applies.
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
        sandbox.reaches_no_server(
            &["--timeout", "1", "--from", &server.address],
            "timed out after 1 s",
        );
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{:?}",
            start.elapsed()
        );
    }
}

#[test]
fn a_response_above_the_size_limit_is_refused() {
    let endless = Server::scripted(|_, stream| {
        let _ = stream.write_all(format!("{JSON}\r\n").as_bytes());
        while stream.write_all(&[b' '; 1 << 16]).is_ok() {}
    });
    let announced = Server::raw(format!("{JSON}Content-Length: {}\r\n\r\n", (64 << 20) + 1));
    let sandbox = Sandbox::filled();
    for server in [endless, announced] {
        sandbox.refuses(&server.address, "more than 64 MiB");
    }
    let large = fs::File::create(sandbox.path("large.json")).unwrap();
    large.set_len((64 << 20) + 1).unwrap();
    sandbox.refuses("large.json", "more than 64 MiB");
}

#[test]
fn only_redirects_to_trusted_urls_are_followed() {
    let sandbox = Sandbox::filled();
    for (location, problem) in [
        (
            "http://example.com/openapi.json",
            "redirect to http://example.com/openapi.json",
        ),
        ("file:///etc/passwd", "redirect to file:///etc/passwd"),
        ("http://", "invalid redirect location"),
        ("/openapi.json", "more than 5 redirects"),
    ] {
        let reply =
            format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let server = Server::raw(reply);
        sandbox.refuses(&server.address, problem);
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
    sandbox.update_from(&server.address);
    // The requested URL is recorded, not the one that responded.
    says(&sandbox.read("source.toml"), &server.address);
}

#[test]
fn an_unreachable_or_untrusted_url_is_refused() {
    let sandbox = Sandbox::filled();
    let plain = Server::raw(answer(JSON, document("1")));
    let tls = plain.address.replace("http:", "https:");
    sandbox.reaches_no_server(&["--from", &tls], "no connection to 127.0.0.1: ");
    sandbox.refuses("http://us.fullscript.com/a", "plain http URL");
    sandbox.refuses("ftp://localhost/a", "scheme \"ftp\"");
    sandbox.refuses("http://", "invalid URL");
    sandbox.refuses_with(&["--unknown"], "--unknown");
}

#[test]
fn an_error_message_contains_no_secret() {
    let sandbox = Sandbox::filled();
    let server = Server::status("403 Forbidden");
    let address = server.address.replace("http://", "http://user:secret@");
    let run = sandbox.update(&["--from", &format!("{address}?key=secret")]);
    run.ends_with(2);
    assert!(!run.stderr().contains("secret"), "{}", run.stderr());
}
