//! The server, in a separate process so that its work is not measured.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::records::{Kind, page};

/// The environment variable that makes this binary the server.
pub(crate) const ARGUMENT: &str = "--serve";

/// Responses under this path contain complete records.
pub(crate) const WHOLE: &str = "/whole";

/// Responses under this path are delayed by [`LATENCY`] and have [`PAGES`] pages.
pub(crate) const DISTANT: &str = "/distant";

/// The latency of a server on another continent, at the low end.
pub(crate) const LATENCY: Duration = Duration::from_millis(20);

/// The number of pages of a distant list.
pub(crate) const PAGES: usize = 100;

/// The server's process, killed when dropped.
pub(crate) struct Server {
    process: Child,
    address: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        let said = process.stdout.as_mut().unwrap();
        BufReader::new(said).read_line(&mut address).unwrap();
        Self {
            process,
            address: address.trim().into(),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process also exits when its input closes, if this is not reached.
        drop(self.process.stdin.take());
        let _ended = self.process.wait();
    }
}

/// Serves requests until the input ends.
pub(crate) fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let answers = Answers::default();
        while let Ok((stream, _)) = listener.accept() {
            let answers = answers.clone();
            std::thread::spawn(move || converse(stream, &answers));
        }
    });
    let _ended = std::io::stdin().read_to_end(&mut Vec::new());
}

/// Complete responses by URL.
type Answers = Arc<Mutex<HashMap<String, Arc<[u8]>>>>;

fn converse(mut stream: TcpStream, answers: &Answers) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut head = Vec::new();
    let mut part = [0; 4096];
    loop {
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut part)? {
                0 => return Ok(()),
                read => head.extend_from_slice(&part[..read]),
            }
        }
        let text = String::from_utf8_lossy(&head);
        let address = text.split(' ').nth(1).unwrap_or_default();
        let known = answers.lock().unwrap().get(address).cloned();
        let answer = known.unwrap_or_else(|| {
            let new = answer(address);
            answers.lock().unwrap().insert(address.into(), new.clone());
            new
        });
        if address.starts_with(DISTANT) {
            std::thread::sleep(LATENCY);
        }
        stream.write_all(&answer)?;
        head.clear();
    }
}

fn answer(address: &str) -> Arc<[u8]> {
    let url = reqwest::Url::parse(&format!("http://localhost{address}")).unwrap();
    let asked = |name: &str| {
        let found = url.query_pairs().find(|(key, _)| key == name);
        found.and_then(|(_, value)| value.parse().ok())
    };
    let kind = if address.starts_with(WHOLE) {
        Kind::Whole
    } else {
        Kind::Listed
    };
    let pages = if address.starts_with(DISTANT) {
        PAGES
    } else {
        1
    };
    let (size, number) = (asked("page[size]"), asked("page[number]"));
    let body = page(kind, size.unwrap_or(25), number.unwrap_or(1), pages);
    let length = body.len();
    // About as many headers as a server behind a load balancer sends.
    let answer = format!(
        "HTTP/1.1 200 OK\r\n\
         content-type: application/json; charset=utf-8\r\n\
         content-length: {length}\r\n\
         date: Sat, 22 Nov 2025 07:00:00 GMT\r\n\
         cache-control: max-age=0, private, must-revalidate\r\n\
         etag: W/\"0123456789abcdef0123456789abcdef\"\r\n\
         x-request-id: 00000000-0000-4000-8000-000000000000\r\n\
         x-runtime: 0.012345\r\n\
         strict-transport-security: max-age=63072000; includeSubDomains\r\n\
         vary: Accept\r\n\r\n{body}"
    );
    answer.into_bytes().into()
}
