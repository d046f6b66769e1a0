//! The memory that a page of a list takes. This is a separate binary because its allocator counts.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that can't go on says so by panicking, and prints what it measured"
)]

use std::io::{Read, Write};
use std::net::TcpListener;

use fullscript::{AccessToken, CallOptions, Client, Environment, Error};
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// The allocator counts for the whole process, so that one test measures at a time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Serves one response to every request, with a length or in chunks.
fn serve(body: String, chunked: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let length = body.len();
        let framing = if chunked {
            format!("transfer-encoding: chunked\r\n\r\n{length:x}\r\n")
        } else {
            format!("content-length: {length}\r\n\r\n")
        };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{framing}");
        let end: &[u8] = if chunked { b"\r\n0\r\n\r\n" } else { b"" };
        let mut read = [0; 4_096];
        while let Ok((mut stream, _)) = listener.accept() {
            while stream.read(&mut read).is_ok_and(|length| length > 0) {
                let parts = [head.as_bytes(), body.as_bytes(), end];
                // The client hangs up if the body is too large.
                let _hung_up = parts.iter().try_for_each(|part| stream.write_all(part));
            }
        }
    });
    url
}

fn page(records: impl Iterator<Item = Value>) -> String {
    let records: Vec<Value> = records.collect();
    json!({"patients": records, "meta": {"current_page": 1, "next_page": null}}).to_string()
}

fn patient(number: usize, note: &str) -> Value {
    json!({
        "id": format!("00000000-0000-4000-8000-{number:012}"),
        "email": format!("patient-{number}@example.com"),
        "first_name": "Ana",
        "last_name": format!("Lee{note}"),
        "date_of_birth": "1970-01-01",
        "gender": "female",
        "discount": 10,
        "metadata": {"id": format!("ehr-{number}")},
    })
}

/// Returns the most memory that reading one page took, and what came of it.
async fn peak(body: String, chunked: bool, options: CallOptions) -> (usize, Result<usize, Error>) {
    let client = Client::builder(Environment::UsSandbox)
        .base_url(serve(body, chunked))
        .access_token(AccessToken::new("token"))
        .options(options)
        .build()
        .unwrap();
    let _profiler = dhat::Profiler::builder().testing().build();
    let page = client.list_patients().pages().next().await.unwrap();
    let records = page.map(|page| page.items().len());
    (dhat::HeapStats::get().max_bytes, records)
}

#[tokio::test]
async fn the_memory_of_a_page_follows_its_size() {
    let _alone = ALONE.lock().await;
    let note = "x".repeat(20 * KIB);
    for (name, body, records, times) in [
        (
            "100 records",
            page((0..100).map(|n| patient(n, ""))),
            100,
            5,
        ),
        (
            "100 long records",
            page((0..100).map(|n| patient(n, &note))),
            100,
            3,
        ),
        (
            "5,000 records",
            page((0..5_000).map(|n| patient(n, ""))),
            5_000,
            // The page keeps its body.
            6,
        ),
        // The smallest records that are possible: their fields take more memory than their text.
        (
            "10,000 tiny records",
            page((0..10_000).map(|_| json!({"id": "1"}))),
            10_000,
            60,
        ),
    ] {
        for chunked in [false, true] {
            let size = body.len();
            let (bytes, read) = peak(body.clone(), chunked, CallOptions::new()).await;
            println!("{name}: {bytes} bytes for a page of {size} bytes");
            assert_eq!(read.unwrap(), records);
            // The buffers of the connection and of the call do not depend on the page.
            let bound = 400 * KIB + times * size;
            assert!(bytes <= bound, "{name}: {bytes} bytes, at most {bound}");
        }
    }
}

#[tokio::test]
async fn a_response_beyond_the_limit_takes_no_more_memory_than_the_limit() {
    let _alone = ALONE.lock().await;
    let body = "x".repeat(64 * MIB);
    for (limit, chunked, bound) in [
        (None, false, MIB),
        (None, true, 18 * MIB),
        (Some(MIB), false, MIB),
        (Some(MIB), true, 4 * MIB),
    ] {
        let options = CallOptions::new();
        let options = limit.map_or_else(CallOptions::new, |size| options.max_response_size(size));
        let (bytes, read) = peak(body.clone(), chunked, options).await;
        println!("{bytes} bytes, limit {limit:?}, in chunks: {chunked}");
        assert!(read.unwrap_err().is_decode());
        assert!(bytes <= bound, "{bytes} bytes, at most {bound}");
    }
}
