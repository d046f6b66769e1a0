//! A server with an untrusted certificate receives no part of a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::CertifiedKey;
use reqwest::Certificate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use super::{CLINIC, post};
use crate::support::{answer, builder, once};

/// A TLS server that counts the bytes received after the handshake.
struct Encrypted {
    url: String,
    certificate: Certificate,
    bytes: Arc<AtomicUsize>,
}

impl Encrypted {
    /// Serves on loopback with a certificate for this name.
    async fn named(name: &str) -> Self {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed([name.to_string()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key.into())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let bytes = Arc::<AtomicUsize>::default();
        let got = Arc::clone(&bytes);
        tokio::spawn(async move {
            let acceptor = TlsAcceptor::from(Arc::new(config));
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let mut buffer = [0; 4_096];
                    let count = stream.read(&mut buffer).await.unwrap_or_default();
                    got.fetch_add(count, Ordering::Relaxed);
                    let reply = answer(200, "application/json", CLINIC);
                    let _hung_up = stream.write_all(reply.as_bytes()).await;
                    let _hung_up = stream.shutdown().await;
                }
            }
        });
        Self {
            url,
            certificate: Certificate::from_der(cert.der()).unwrap(),
            bytes,
        }
    }

    /// An HTTP client that trusts this certificate, for the names in it.
    fn trusting(&self) -> reqwest::Client {
        let http = reqwest::Client::builder().tls_certs_only([self.certificate.clone()]);
        http.no_proxy().build().unwrap()
    }

    #[track_caller]
    fn got_nothing(&self) {
        assert_eq!(self.bytes.load(Ordering::Relaxed), 0);
    }
}

#[tokio::test]
async fn a_server_with_an_untrusted_certificate_receives_no_token_and_no_body() {
    let server = Encrypted::named("127.0.0.1").await;
    let error = post(&once(&server.url)).await.unwrap_err();
    server.got_nothing();
    assert!(error.is_transport() && !error.may_have_arrived(), "{error}");
    let mut source: &dyn std::error::Error = &error;
    while let Some(next) = source.source() {
        source = next;
    }
    let cause = source.to_string();
    assert!(cause.contains("certificate"), "{cause}");
}

#[tokio::test]
async fn a_server_with_a_certificate_for_another_host_receives_no_token_and_no_body() {
    let server = Encrypted::named("elsewhere.example").await;
    // Installs the TLS provider of the process.
    builder(&server.url).build().unwrap();
    let client = builder(&server.url).http_client(server.trusting());
    let once = fullscript::CallOptions::new().max_attempts(1);
    let client = client.options(once).build().unwrap();
    let error = post(&client).await.unwrap_err();
    server.got_nothing();
    assert!(error.is_transport() && !error.may_have_arrived(), "{error}");
}

#[tokio::test]
async fn a_server_with_a_trusted_certificate_receives_the_request() {
    let server = Encrypted::named("127.0.0.1").await;
    builder(&server.url).build().unwrap();
    let client = builder(&server.url).http_client(server.trusting());
    post(&client.build().unwrap()).await.unwrap();
    assert!(server.bytes.load(Ordering::Relaxed) > 0);
}
