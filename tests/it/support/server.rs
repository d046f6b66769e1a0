//! A server for responses that a mock server cannot send: invalid HTTP, connections that are closed
//! or stay silent, slow bodies and large bodies.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

/// The server's reaction to one request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Sends these bytes and keeps the connection open.
    Answer(String),
    /// Sends these bytes, which may be an incomplete response, and closes the connection.
    AnswerAndClose(String),
    /// Sends these bytes, which may be empty, and resets the connection.
    AnswerAndReset(String),
    /// Sends the first string, then one byte of the second after each delay.
    Slow(String, String, Duration),
    /// Sends a body with this number of bytes.
    Large(u64),
    /// Sends nothing and keeps the connection open.
    Silence,
    /// Sends these bytes, and closes the connection without a response when the next request arrives.
    AnswerThenHangUp(String),
}

/// A loopback server that performs one act per request, and repeats the last act.
pub(crate) struct Misbehaving {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    sent: Arc<Mutex<u64>>,
    server: JoinHandle<()>,
}

impl Misbehaving {
    pub(crate) async fn start(acts: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, acts)
    }

    fn on(listener: TcpListener, acts: impl IntoIterator<Item = Act>) -> Self {
        let address = listener.local_addr().unwrap();
        let acts = Arc::new(Mutex::new(acts.into_iter().collect::<Vec<_>>()));
        acts.lock().unwrap().reverse();
        let (requests, sent) = (
            Arc::<Mutex<Vec<_>>>::default(),
            Arc::<Mutex<u64>>::default(),
        );
        let (log, count) = (Arc::clone(&requests), Arc::clone(&sent));
        let server = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acts, log, count) = (Arc::clone(&acts), Arc::clone(&log), Arc::clone(&count));
                connections.spawn(serve(stream, acts, log, count));
            }
        });
        Self {
            address,
            requests,
            sent,
            server,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the requests received so far, in order.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Returns the number of bytes sent of large bodies.
    pub(crate) fn bytes_sent(&self) -> u64 {
        *self.sent.lock().unwrap()
    }
}

impl Drop for Misbehaving {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A reserved loopback port that refuses connections until it is opened.
pub(crate) struct Closed(TcpSocket);

impl Closed {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self(socket)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    pub(crate) fn open(self, acts: impl IntoIterator<Item = Act>) -> Misbehaving {
        Misbehaving::on(self.0.listen(128).unwrap(), acts)
    }
}

/// Returns a complete response.
pub(crate) fn answer(status: u16, content_type: &str, body: &str) -> String {
    answer_with(status, &format!("content-type: {content_type}\r\n"), body)
}

/// Returns a complete response with more headers, each with its line end.
pub(crate) fn answer_with(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

async fn serve(
    stream: TcpStream,
    acts: Arc<Mutex<Vec<Act>>>,
    log: Arc<Mutex<Vec<String>>>,
    count: Arc<Mutex<u64>>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let request = read_request(&mut stream).await?;
        log.lock().unwrap().push(request);
        let act = {
            let mut acts = acts.lock().unwrap();
            match acts.len() {
                1 => acts[0].clone(),
                _ => acts.pop()?,
            }
        };
        match act {
            Act::Answer(bytes) => stream.write_all(bytes.as_bytes()).await.ok()?,
            Act::AnswerAndClose(bytes) => {
                stream.write_all(bytes.as_bytes()).await.ok()?;
                stream.shutdown().await.ok()?;
                return None;
            }
            Act::AnswerThenHangUp(bytes) => {
                stream.write_all(bytes.as_bytes()).await.ok()?;
                // Reads the next request and does not respond.
                let next = read_request(&mut stream).await?;
                log.lock().unwrap().push(next);
                return None;
            }
            Act::AnswerAndReset(bytes) => {
                if !bytes.is_empty() {
                    stream.write_all(bytes.as_bytes()).await.ok()?;
                    // A reset may overtake the sent bytes, and the server cannot observe when the
                    // client has read them.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                stream.get_ref().set_zero_linger().ok()?;
                return None;
            }
            Act::Slow(head, body, pause) => {
                stream.write_all(head.as_bytes()).await.ok()?;
                for byte in body.as_bytes() {
                    tokio::time::sleep(pause).await;
                    stream.write_all(&[*byte]).await.ok()?;
                }
            }
            Act::Large(length) => {
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).await.ok()?;
                let part = [b' '; 64 << 10];
                for _ in 0..length / (64 << 10) {
                    stream.write_all(&part).await.ok()?;
                    *count.lock().unwrap() += 64 << 10;
                }
            }
            Act::Silence => std::future::pending().await,
        }
    }
}

/// Reads the head and body of one request.
async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut read = Vec::new();
    loop {
        let byte = stream.read_u8().await.ok()?;
        read.push(byte);
        if read.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let mut text = String::from_utf8(read).ok()?;
    let length = text
        .to_lowercase()
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    text.push_str(std::str::from_utf8(&body).ok()?);
    Some(text)
}
