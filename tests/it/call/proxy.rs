//! Proxies of the environment variables, and hosts without TLS.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::time::Duration;

use fullscript::auth::OAuthApp;
use fullscript::testing::FakeFullscript;
use fullscript::{AccessToken, BuildError, CallOptions, Client, Environment};
use httpmock::MockServer;

use super::clinic;
use crate::support::{connect, is_child, on_get, run_child};

const CHILD: &str = "call::proxy::child_makes_calls_with_proxy_variables";

/// Returns the URL of a proxy that nothing may be sent to, and its listener.
fn proxy() -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    listener.set_nonblocking(true).unwrap();
    (url, listener)
}

#[test]
fn nothing_for_this_machine_or_a_test_host_is_sent_to_a_proxy_of_the_environment() {
    for names in [
        &["HTTP_PROXY", "http_proxy"][..],
        &["ALL_PROXY", "all_proxy"],
        &[
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "http_proxy",
            "https_proxy",
            "all_proxy",
        ],
    ] {
        let (url, listener) = proxy();
        let url = OsStr::new(&url);
        let mut variables: Vec<_> = names.iter().map(|name| (*name, url)).collect();
        variables.push(("NO_PROXY", OsStr::new("")));
        run_child(CHILD, &variables);
        // The last request of the child is for Fullscript, and shows that the variables work.
        let expects = names.iter().any(|name| name.to_lowercase() != "http_proxy");
        assert_eq!(listener.accept().is_ok(), expects, "{names:?}");
        assert!(listener.accept().is_err(), "{names:?}");
    }
}

/// Not a test of its own.
#[tokio::test]
async fn child_makes_calls_with_proxy_variables() {
    if !is_child(CHILD) {
        return;
    }
    let fake = FakeFullscript::start().await.unwrap();
    let app = fake.app_builder().build().unwrap();
    connect(&fake, &app, "practitioner").await;
    let client = app.client("practitioner");
    client.get_clinic().await.unwrap();
    fake.expire_access_tokens();
    client.get_clinic().await.unwrap();
    app.revoke("practitioner").await.unwrap();
    let direct = fake.url().replace("127.0.0.1", "localhost");
    let token = || AccessToken::new("token");
    let local = Client::builder(Environment::UsSandbox).base_url(direct);
    let local = local.access_token(token()).build().unwrap();
    assert!(local.get_clinic().await.unwrap_err().is_unauthorized());

    let options = CallOptions::new()
        .max_attempts(1)
        .timeout(Duration::from_secs(5));
    // A test host that no resolver knows.
    let mock = Client::builder(Environment::UsSandbox)
        .base_url("http://mock.invalid")
        .allow_http_host("mock.invalid")
        .access_token(token())
        .options(options.clone());
    assert!(mock.build().unwrap().get_clinic().await.is_err());
    let fullscript = Client::builder(Environment::UsSandbox)
        .base_url("https://fullscript.invalid")
        .access_token(token())
        .options(options.timeout(Duration::from_millis(300)));
    assert!(fullscript.build().unwrap().get_clinic().await.is_err());
}

fn app_at(base_url: &str, host: &str) -> Result<OAuthApp, BuildError> {
    OAuthApp::builder(Environment::UsSandbox)
        .client_id("id")
        .client_secret("secret")
        .redirect_uri("https://ehr.example")
        .base_url(base_url)
        .allow_http_host(host)
        .build()
}

fn client_at(base_url: &str, host: &str) -> Result<Client, BuildError> {
    Client::builder(Environment::UsSandbox)
        .base_url(base_url)
        .allow_http_host(host)
        .build()
}

#[tokio::test]
async fn a_named_test_host_is_called_without_tls() {
    let server = MockServer::start_async().await;
    let mock = on_get(&server, "/api/clinic", clinic).await;
    // Installs the TLS provider of the process.
    client_at("http://mock", "mock").unwrap();
    let resolving = reqwest::Client::builder().no_proxy();
    let http = resolving.resolve("mock", *server.address());
    let client = Client::builder(Environment::UsSandbox)
        .base_url(format!("http://mock:{}", server.port()))
        .allow_http_host("mock")
        .access_token(AccessToken::new("token"))
        .http_client(http.build().unwrap());
    client.build().unwrap().get_clinic().await.unwrap();
    mock.assert_async().await;
}

#[test]
fn plain_http_is_accepted_for_named_hosts_only() {
    for (base_url, host, accepted) in [
        ("http://mock", "mock", true),
        ("http://mock:8080/prefix", "mock", true),
        ("http://MOCK:8080", "Mock", true),
        ("http://10.0.0.5:8080", "10.0.0.5", true),
        (
            "http://mock.test-net.internal",
            "mock.test-net.internal",
            true,
        ),
        ("https://ehr.example", "mock", true),
        ("http://mock", "other", false),
        ("http://mock.example", "mock", false),
        ("http://a.mock", "mock", false),
        ("ftp://mock", "mock", false),
        (
            "http://api-us-snd.fullscript.io",
            "api-us-snd.fullscript.io",
            false,
        ),
        (
            "http://api-us.fullscript.com",
            "API-US.fullscript.com.",
            false,
        ),
        ("http://fullscript.com", "fullscript.com", false),
        ("https://ehr.example", "fullscript.io", false),
        ("http://mock:8080", "mock:8080", false),
        ("http://mock", "http://mock", false),
        ("http://mock", "mock/", false),
        ("http://mock", "*", false),
        ("http://mock", "", false),
    ] {
        let client = client_at(base_url, host).map(drop);
        assert_eq!(client.is_ok(), accepted, "{base_url} {host}: {client:?}");
        let app = app_at(base_url, host).map(drop);
        assert_eq!(app, client, "{base_url} {host}");
    }
}

#[test]
fn a_base_url_that_ends_with_api_is_refused_with_the_url_to_write() {
    for environment in Environment::ALL {
        for end in ["/api", "/api/", "/api//", "/prefix/api", "/API", "/Api/"] {
            let url = format!("{}{end}", environment.base_url());
            for error in [
                client_at(&url, "mock").map(drop).unwrap_err(),
                app_at(&url, "mock").map(drop).unwrap_err(),
            ] {
                let text = error.to_string();
                assert!(
                    text.contains("write the URL without `/api`"),
                    "{url}: {text}"
                );
            }
        }
    }
    for url in [
        "https://ehr.example/apis",
        "https://ehr.example/api/v1",
        "https://api.example",
        "http://localhost:1/my-api",
    ] {
        assert!(client_at(url, "mock").is_ok(), "{url}");
    }
}
