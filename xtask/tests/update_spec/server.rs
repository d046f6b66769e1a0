//! A loopback server with scripted responses.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

pub(crate) const JSON: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";

/// A server that passes every connection to a script and records the requests.
pub(crate) struct Server {
    pub(crate) address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn scripted(script: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Self {
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

    /// Sends these bytes for every request and closes the connection.
    pub(crate) fn raw(answer: impl AsRef<[u8]>) -> Self {
        let answer = answer.as_ref().to_vec();
        Self::scripted(move |_, stream| {
            let _ = stream.write_all(&answer);
        })
    }

    pub(crate) fn status(line: &str) -> Self {
        Self::raw(format!("HTTP/1.1 {line}\r\nContent-Length: 2\r\n\r\n{{}}"))
    }

    pub(crate) fn requests(&self) -> Vec<String> {
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

pub(crate) fn answer(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut answer = format!("{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}
