//! Connections that carry no data any more although they stay open.
//!
//! A relay between client and server stands for a middlebox: when it freezes, it still reads and
//! acknowledges everything on the present connections, and forwards nothing. New connections work.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fullscript::auth::{MemoryStore, OAuthApp};
use fullscript::testing::ManualClock;
use fullscript::{AccessToken, CallOptions, Client, Environment};
use rcgen::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use super::CLINIC;
use crate::support::{Act, Misbehaving, TWO_HOURS, answer, client, is_child, run_child};

/// The variable with the file of trusted certificates (source: `rustls-native-certs`).
const TRUSTED: &str = "SSL_CERT_FILE";

/// A time within which pings detect a dead HTTP/2 connection, and timeouts of attempts (15 s) do
/// not.
///
/// A ping is sent after 2 s without data, and its response may take 2 s. The rest is tolerance,
/// because the paused clock may jump to the next ping while data is on its way.
const DETECTION: Duration = Duration::from_secs(4 + 10);

/// A relay on loopback.
struct Relay {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    /// The connections before this one are frozen.
    frozen: Arc<AtomicUsize>,
}

impl Relay {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, frozen) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (count, until) = (Arc::clone(&accepted), Arc::clone(&frozen));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let server = TcpStream::connect(server).await.unwrap();
                let ((from_client, to_client), (from_server, to_server)) =
                    (client.into_split(), server.into_split());
                let is_frozen = move |frozen: &AtomicUsize| number < frozen.load(Ordering::SeqCst);
                for (mut from, mut to) in [(from_client, to_server), (from_server, to_client)] {
                    let until = Arc::clone(&until);
                    tokio::spawn(async move {
                        let mut buffer = vec![0; 16 << 10];
                        loop {
                            let count = from.read(&mut buffer).await.unwrap_or(0);
                            if is_frozen(&until) {
                                if count == 0 {
                                    // The other side does not learn of the end.
                                    std::future::pending::<()>().await;
                                }
                            } else if count == 0 || to.write_all(&buffer[..count]).await.is_err() {
                                return;
                            }
                        }
                    });
                }
            }
        });
        Self {
            address,
            accepted,
            frozen,
        }
    }

    fn freeze(&self) {
        self.frozen.store(self.connections(), Ordering::SeqCst);
    }

    fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// Starts an API with TLS and HTTP/2 behind a relay, and trusts its certificate in this process.
async fn encrypted() -> Relay {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_string()]).unwrap();
    let der = STANDARD.encode(cert.der());
    let pem = format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n");
    std::fs::write(std::env::var(TRUSTED).unwrap(), pem).unwrap();
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let stream = acceptor.accept(stream).await.ok()?;
                let mut connection = h2::server::handshake(stream).await.ok()?;
                while let Some(Ok((request, respond))) = connection.accept().await {
                    respond_to(request.uri().path(), respond);
                }
                Some(())
            });
        }
    });
    Relay::to(address).await
}

fn respond_to(path: &str, mut respond: h2::server::SendResponse<Bytes>) {
    let tokens = r#"{"oauth":{"access_token":"a","refresh_token":"r","expires_in":7200,
        "resource_owner":{"id":"practitioner","type":"Practitioner"}}}"#;
    let body = match path {
        "/api/oauth/token" => tokens,
        "/api/oauth/revoke" => "{}",
        _ => CLINIC,
    };
    let head = http::Response::builder().header("content-type", "application/json");
    let mut stream = respond
        .send_response(head.body(()).unwrap(), false)
        .unwrap();
    stream.send_data(body.into(), true).unwrap();
}

fn token_client(relay: &Relay, options: CallOptions) -> Client {
    Client::builder(Environment::UsSandbox)
        .base_url(format!("https://{}", relay.address))
        .access_token(AccessToken::new("token"))
        .options(options)
        .build()
        .unwrap()
}

/// Runs a test in a process that trusts one certificate.
#[track_caller]
fn run_trusting(test: &str) {
    let directory = tempfile::tempdir().unwrap();
    let file: &Path = &directory.path().join("trusted.pem");
    run_child(test, &[(TRUSTED, file.as_os_str())]);
}

const CALLS: &str = "call::frozen::child_makes_calls";

#[test]
fn calls_over_a_frozen_http2_connection_recover_within_their_deadline() {
    run_trusting(CALLS);
}

/// Not a test of its own.
#[tokio::test(start_paused = true)]
async fn child_makes_calls() {
    if !is_child(CALLS) {
        return;
    }
    let relay = encrypted().await;
    // Pings detect the dead connection while the call waits.
    let client = token_client(&relay, CallOptions::new());
    client.get_clinic().await.unwrap();
    for round in 0..3 {
        let before = relay.connections();
        relay.freeze();
        let started = Instant::now();
        let calls = (0..11).map(|_| client.get_clinic().send());
        for result in futures_util::future::join_all(calls).await {
            result.unwrap();
        }
        let waited = started.elapsed();
        assert!(waited < DETECTION, "{round}: {waited:?}");
        assert!(relay.connections() > before);
    }
    // A connection that freezes while idle is closed before a POST could be lost on it.
    relay.freeze();
    tokio::time::sleep(DETECTION).await;
    let started = Instant::now();
    client.get_clinic().await.unwrap();
    let waited = started.elapsed();
    assert!(waited < DETECTION / 2, "{waited:?}");
}

const SHORT: &str = "call::frozen::child_makes_short_calls";

#[test]
fn the_attempt_after_a_timeout_uses_a_new_connection() {
    run_trusting(SHORT);
}

/// Not a test of its own. All of its timeouts are shorter than the detection by pings.
#[tokio::test]
async fn child_makes_short_calls() {
    if !is_child(SHORT) {
        return;
    }
    let relay = encrypted().await;
    let options = CallOptions::new()
        .attempt_timeout(Duration::from_millis(400))
        .timeout(Duration::from_millis(1_900));
    let client = token_client(&relay, options);
    client.get_clinic().await.unwrap();
    for _ in 0..3 {
        relay.freeze();
        let calls = (0..11).map(|_| client.get_clinic().send());
        for result in futures_util::future::join_all(calls).await {
            result.unwrap();
        }
    }
    // A call that is not retried fails once, and the next one uses a new connection.
    let options = CallOptions::new().max_attempts(1);
    let once = client.with_options(options.timeout(Duration::from_secs(1)));
    for _ in 0..3 {
        relay.freeze();
        assert!(once.get_clinic().await.unwrap_err().is_timeout());
        once.get_clinic().await.unwrap();
    }
}

const REFRESHES: &str = "call::frozen::child_refreshes";

#[test]
fn refreshes_over_a_frozen_http2_connection_recover_within_the_deadline_of_a_call() {
    run_trusting(REFRESHES);
}

/// Not a test of its own.
#[tokio::test(start_paused = true)]
async fn child_refreshes() {
    if !is_child(REFRESHES) {
        return;
    }
    let (relay, clock) = (encrypted().await, ManualClock::default());
    let app = OAuthApp::builder(Environment::UsSandbox)
        .base_url(format!("https://{}", relay.address))
        .client_id("id")
        .client_secret("secret")
        .redirect_uri("https://ehr.example")
        .store(MemoryStore::new())
        .clock(clock.clone())
        .build()
        .unwrap();
    let request = app.authorize();
    let callback = format!("code=1&state={}", state_in(request.url()));
    let code = app.callback(&callback, request.state()).unwrap();
    let user = app.exchange(code).await.unwrap();
    let client = app.client(user.id());
    client.get_clinic().await.unwrap();
    for round in 0..3 {
        clock.advance(TWO_HOURS);
        // Both connections freeze: that of the token endpoint and that of the calls.
        relay.freeze();
        let started = Instant::now();
        client.get_clinic().await.unwrap();
        let waited = started.elapsed();
        assert!(waited < 2 * DETECTION, "{round}: {waited:?}");
    }
    relay.freeze();
    app.revoke(user.id()).await.unwrap();
}

fn state_in(url: &reqwest::Url) -> String {
    let mut query = url.query_pairs();
    query
        .find(|(name, _)| name == "state")
        .unwrap()
        .1
        .into_owned()
}

#[tokio::test]
async fn calls_beside_many_frozen_http1_connections_recover_within_their_deadline() {
    // Slow enough that calls at the same time use connections of their own.
    let head = answer(200, "application/json", CLINIC).replace(CLINIC, "");
    let clinic = Act::Slow(head, CLINIC.into(), Duration::from_millis(2));
    let server = Misbehaving::start([clinic]).await;
    let address = server.url().replace("http://", "").parse().unwrap();
    let relay = Relay::to(address).await;
    let options = CallOptions::new()
        .attempt_timeout(Duration::from_secs(1))
        .timeout(Duration::from_secs(3));
    let client = client(&format!("http://{}", relay.address)).with_options(options);
    for _ in 0..3 {
        let calls = (0..8).map(|_| client.get_clinic().send());
        for result in futures_util::future::join_all(calls).await {
            result.unwrap();
        }
        relay.freeze();
        client.get_clinic().await.unwrap();
    }
}

#[tokio::test]
async fn callers_with_a_timeout_of_their_own_lose_one_call_to_frozen_connections() {
    let head = answer(200, "application/json", CLINIC).replace(CLINIC, "");
    let clinic = Act::Slow(head, CLINIC.into(), Duration::from_millis(2));
    let server = Misbehaving::start([clinic]).await;
    let address = server.url().replace("http://", "").parse().unwrap();
    let relay = Relay::to(address).await;
    let client = client(&format!("http://{}", relay.address));
    for _ in 0..3 {
        let calls = (0..8).map(|_| client.get_clinic().send());
        for result in futures_util::future::join_all(calls).await {
            result.unwrap();
        }
        relay.freeze();
        let call = || tokio::time::timeout(Duration::from_secs(5), client.get_clinic().send());
        tokio::time::pause();
        assert!(call().await.is_err());
        tokio::time::resume();
        call().await.unwrap().unwrap();
    }
}
