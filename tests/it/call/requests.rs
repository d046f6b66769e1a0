//! Requests: their URLs and headers, and calls that are rejected before anything is sent.

use fullscript::http::Method;
use fullscript::types::{self, CreateOauthTokenRequest, GrantType};
use fullscript::{AccessToken, Client, Environment, Error};
use httpmock::When;
use httpmock::prelude::{GET, MockServer, POST};
use serde_json::{Value, json};

use super::clinic;
use crate::support::{any_request, builder, client, on_get};

#[test]
fn a_url_without_tls_is_rejected_except_for_loopback() {
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
async fn equivalent_spellings_of_a_base_url_are_accepted() {
    let server = MockServer::start_async().await;
    let mock = on_get(&server, "/api/clinic", clinic).await;
    let (url, port) = (server.base_url(), server.port());
    for url in [
        format!("{url}/"),
        format!(" {url} "),
        format!("HTTP://127.0.0.1:{port}"),
        format!("http:127.0.0.1:{port}"),
        format!("{url}/a/.."),
    ] {
        let answered = client(&url).get_clinic().send().await;
        answered.unwrap_or_else(|error| panic!("{url}: {error}"));
    }
    mock.assert_calls_async(5).await;
}

#[tokio::test]
async fn a_base_path_precedes_every_path() {
    for (base, sent) in [
        ("/gateway", "/gateway"),
        ("/a b/ü", "/a%20b/%C3%BC"),
        ("/a%20b/", "/a%20b"),
    ] {
        let server = MockServer::start_async().await;
        let path = format!("{sent}/api/clinic");
        let mock = on_get(&server, &path, clinic).await;
        let client = client(&(server.base_url() + base));
        client.get_clinic().send().await.unwrap();
        mock.assert_async().await;
    }
}

#[tokio::test]
async fn without_an_access_token_nothing_is_sent() {
    let server = MockServer::start_async().await;
    let requests = any_request(&server).await;
    let url = server.base_url();
    let without = Client::builder(Environment::UsSandbox).base_url(&url);
    let mut clients = vec![without.build().unwrap()];
    for token in ["", "a\nb", "a b", "ü", "a\u{0}", " token"] {
        let builder = builder(&url).access_token(AccessToken::new(token));
        clients.push(builder.build().unwrap());
    }
    for client in clients {
        let error = client.get_clinic().send().await.unwrap_err();
        assert!(error.is_invalid_request(), "{error}");
        assert!(error.to_string().contains("access token"), "{error}");
    }
    requests.assert_calls_async(0).await;
}

#[tokio::test]
async fn the_oauth_operations_carry_no_token_and_all_others_do() {
    let server = MockServer::start_async().await;
    for path in ["/api/oauth/token", "/api/oauth/revoke"] {
        let mock = server.mock_async(|when, then| {
            when.method(POST).path(path).header_missing("authorization");
            then.status(200).json_body(issued());
        });
        mock.await;
    }
    on_get(&server, "/api/clinic", clinic).await;
    let client = client(&server.base_url());
    let issue = client.create_oauth_token().body(token_request());
    issue.send().await.unwrap();
    let revoke = types::RevokeOauthTokenRequest::new("id", "secret", "token");
    let revoke = client.revoke_oauth_token().body(revoke);
    revoke.send().await.unwrap();
    client.get_clinic().send().await.unwrap();
}

#[tokio::test]
async fn the_request_headers_are_the_documented_ones() {
    let server = MockServer::start_async().await;
    let known = |when: When| {
        when.header_missing("api-version")
            .header("accept", "application/json")
            .header_prefix("user-agent", "fullscript-rust/")
    };
    let got = server.mock_async(|when, then| {
        known(when).method(GET).header_missing("content-type");
        clinic(then);
    });
    got.await;
    let posted = server.mock_async(|when, then| {
        let posted = known(when).method(POST);
        posted.header("content-type", "application/json");
        then.status(200).json_body(issued());
    });
    posted.await;
    let client = client(&server.base_url());
    client.get_clinic().send().await.unwrap();
    let issue = client.create_oauth_token().body(token_request());
    issue.send().await.unwrap();
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

fn issued() -> Value {
    json!({"oauth": {"access_token": "a", "resource_owner": {"id": "1"}}})
}

#[tokio::test]
async fn paths_of_the_vendors_dashboard_are_refused() {
    let server = MockServer::start();
    let any = any_request(&server).await;
    let client = client(&server.base_url());
    let proxied = builder(&format!("{}/proxy", server.base_url()))
        .build()
        .unwrap();
    for path in [
        "/api/dashboard",
        "/api/dashboard/",
        "/api/dashboard/apps/1",
        "/API/Dashboard/apps",
        "/api/%64ashboard/apps",
        "/api%2Fdashboard/apps",
        "/api/dash\tboard/apps",
        "/api/dashboard%20/apps",
    ] {
        for client in [&client, &proxied] {
            let sent = client.request(Method::GET, path).send::<Value>().await;
            let error = sent.unwrap_err();
            assert!(error.is_invalid_request(), "{path}: {error}");
            assert!(
                error.to_string().contains("`/api/dashboard`"),
                "{path}: {error}"
            );
        }
    }
    assert_eq!(any.calls(), 0);
    for path in [
        "/api/dashboards",
        "/api/clinic/dashboard",
        "/dashboard/api",
        "/api",
    ] {
        client
            .request(Method::GET, path)
            .send::<Value>()
            .await
            .unwrap();
    }
}
