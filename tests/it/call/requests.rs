//! What is sent, where to, and what is not sent at all.

use fullscript::testing::{FakeFullscript, FakeRequest, Script};
use fullscript::types::{self, CreateOauthTokenRequest, GrantType};
use fullscript::{AccessToken, Client, Environment, Error};
use serde_json::json;

use super::wire::client;

#[test]
fn an_address_without_tls_is_refused_unless_it_is_this_machine() {
    let build = |url: &str| {
        Client::builder(Environment::UsSandbox)
            .base_url(url)
            .build()
    };
    for url in [
        "http://api-us-snd.fullscript.io",
        "http://10.0.0.1",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://0.0.0.0",
        "ftp://localhost",
        "file:///",
        "localhost:3000",
        "//localhost",
        "",
        "https://user@example.com",
        "https://user:password@example.com",
        "https://:password@example.com",
        "https://example.com?token=1",
        "https://example.com#fragment",
    ] {
        assert!(build(url).is_err(), "{url}");
    }
    for url in [
        "https://example.com/a/b/",
        "http://localhost:1",
        "http://127.9.9.9",
        "http://[::1]:1",
    ] {
        assert!(build(url).is_ok(), "{url}");
    }
    for environment in Environment::ALL {
        assert!(build(environment.base_url()).is_ok());
    }
}

#[tokio::test]
async fn any_spelling_of_an_address_leads_there() {
    let fake = FakeFullscript::start().await.unwrap();
    let url = fake.url();
    let port = url.rsplit(':').next().unwrap();
    for url in [
        format!("{url}/"),
        format!(" {url} "),
        format!("HTTP://127.0.0.1:{port}"),
        format!("http:127.0.0.1:{port}"),
        format!("{url}/a/.."),
    ] {
        let client = fake.client_builder().base_url(&url).build().unwrap();
        client
            .get_clinic()
            .send()
            .await
            .unwrap_or_else(|error| panic!("{url}: {error}"));
    }
}

#[tokio::test]
async fn a_base_path_stands_before_every_path() {
    for base in ["/gateway", "/a b/ü", "/a%20b/"] {
        let fake = FakeFullscript::start().await.unwrap();
        let url = fake.url() + base;
        let client = fake.client_builder().base_url(url).build().unwrap();
        let error = client.get_patient().id("1").send().await.unwrap_err();
        assert!(error.is_not_found(), "{base}: {error}");
        let target = &fake.requests()[0].target;
        assert!(
            target.ends_with("/api/clinic/patients/1") && target.len() > 25,
            "{target}"
        );
    }
}

#[tokio::test]
async fn without_an_access_token_nothing_is_sent() {
    let fake = FakeFullscript::start().await.unwrap();
    let builder = || Client::builder(Environment::UsSandbox).base_url(fake.url());
    let mut clients = vec![builder().build().unwrap()];
    for token in ["", "a\nb", "a b", "ü", "a\u{0}", " token"] {
        clients.push(
            builder()
                .access_token(AccessToken::new(token))
                .build()
                .unwrap(),
        );
    }
    for client in clients {
        let error = client.get_clinic().send().await.unwrap_err();
        assert!(error.is_invalid_request(), "{error}");
        assert!(error.to_string().contains("access token"), "{error}");
    }
    assert!(fake.requests().is_empty());
}

/// A fake that issues tokens for any code.
async fn fake_of_any_code() -> FakeFullscript {
    let fake = FakeFullscript::start().await.unwrap();
    let issued = json!({"oauth": {"access_token": "a", "resource_owner": {"id": "1"}}});
    fake.answer("create_oauth_token", Script::json(200, &issued));
    fake
}

#[tokio::test]
async fn the_oauth_operations_carry_no_token_and_all_others_do() {
    let fake = fake_of_any_code().await;
    let client = fake.client();
    client
        .create_oauth_token()
        .body(token_request())
        .send()
        .await
        .unwrap();
    let revoke = types::RevokeOauthTokenRequest::new("id", "secret", "token");
    client
        .revoke_oauth_token()
        .body(revoke)
        .send()
        .await
        .unwrap();
    client.get_clinic().send().await.unwrap();
    let tokens: Vec<_> = fake
        .requests()
        .iter()
        .map(|request| header(request, "authorization"))
        .collect();
    assert_eq!(
        tokens,
        [
            None,
            None,
            Some(format!("Bearer {}", fake.access_token().expose()))
        ]
    );
}

#[tokio::test]
async fn the_headers_are_those_that_the_vendor_knows() {
    let fake = fake_of_any_code().await;
    fake.client().get_clinic().send().await.unwrap();
    fake.client()
        .create_oauth_token()
        .body(token_request())
        .send()
        .await
        .unwrap();
    for request in fake.requests() {
        assert_eq!(header(&request, "api-version"), None);
        assert_eq!(header(&request, "accept").unwrap(), "application/json");
        assert!(
            header(&request, "user-agent")
                .unwrap()
                .starts_with("fullscript-rust/")
        );
    }
    assert_eq!(
        header(&fake.requests()[1], "content-type").unwrap(),
        "application/json"
    );
}

#[test]
fn calls_are_send_and_clients_are_shared() {
    fn is_send<T: Send>(_: T) {}
    fn is_shared<T: Send + Sync + Clone + 'static>() {}
    fn is_error<T: std::error::Error + Send + Sync + 'static>() {}
    is_shared::<Client>();
    is_shared::<AccessToken>();
    is_shared::<fullscript::Response<types::PatientListResponse>>();
    is_error::<Error>();
    let client = client("http://127.0.0.1:1");
    is_send(client.list_patients().send());
    is_send(client.create_treatment_plan().send());
    is_send(client.delete_practitioner_resource().send());
    is_send(client.create_oauth_token().send());
}

fn token_request() -> types::CreateOauthTokenRequest {
    CreateOauthTokenRequest::new(GrantType::RefreshToken, "id", "secret")
}

fn header(request: &FakeRequest, name: &str) -> Option<String> {
    let mut found = request.headers.iter().filter(|(header, _)| header == name);
    found.next().map(|(_, value)| value.clone())
}
