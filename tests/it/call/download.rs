//! Files: where from, how large, and who gets the token.

use fullscript::{AccessToken, CallOptions, Client, DownloadedFile, Environment, Error, Response};

use crate::support::{Act, Misbehaving, answer, answer_with};

const PDF: &str = "%PDF-1.7\n...";

fn client(server: &Misbehaving) -> Client {
    Client::builder(Environment::UsSandbox)
        .base_url(server.url())
        .access_token(AccessToken::new("token"))
        .build()
        .unwrap()
}

fn pdf() -> Act {
    Act::Answer(answer(200, "application/pdf", PDF))
}

fn redirect(to: &str) -> Act {
    Act::Answer(answer_with(302, &format!("location: {to}\r\n"), ""))
}

fn has_token(request: &str) -> bool {
    request
        .to_lowercase()
        .contains("authorization: bearer token")
}

async fn download(server: &Misbehaving, url: &str) -> Result<Response<DownloadedFile>, Error> {
    client(server).download(url).pdf().send().await
}

#[tokio::test]
async fn a_file_of_the_api_comes_with_the_token() {
    let server = Misbehaving::start([Act::Answer(answer(503, "", "")), pdf()]).await;
    let file = download(&server, &format!("{}/files/1", server.url()))
        .await
        .unwrap();
    assert_eq!(file.bytes, PDF.as_bytes());
    assert_eq!(file.content_type.as_deref(), Some("application/pdf"));
    assert_eq!(file.attempts(), 2);
    assert!(server.requests().iter().all(|request| has_token(request)));
}

#[tokio::test]
async fn a_redirect_to_an_allowed_host_is_followed_without_the_token() {
    let elsewhere = Misbehaving::start([pdf()]).await;
    let to = format!("{}/bucket/1?signature=2", elsewhere.url());
    let server = Misbehaving::start([redirect("/files/2"), redirect(&to)]).await;
    let from = format!("{}/files/1", server.url());
    let error = download(&server, &from).await.unwrap_err();
    assert!(error.is_decode() && error.may_have_arrived(), "{error}");
    assert!(elsewhere.requests().is_empty());
    let allowed = client(&server)
        .download(&from)
        .pdf()
        .allow_host("127.0.0.1")
        .send()
        .await;
    assert_eq!(allowed.unwrap().bytes, PDF.as_bytes());
    let requests = elsewhere.requests();
    assert!(requests[0].starts_with("GET /bucket/1?signature=2 ") && !has_token(&requests[0]));
}

#[tokio::test]
async fn an_address_that_is_not_the_vendors_is_not_asked() {
    let server = Misbehaving::start([pdf()]).await;
    for url in [
        "",
        "files/1",
        "file:///etc/passwd",
        "http://api-us-snd.fullscript.io/files/1",
        "https://fullscript.io.example.com/1",
        "https://notfullscript.com/1",
        "https://user:password@api-us.fullscript.com/1",
        "https://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:1/",
    ] {
        let error = download(&server, url).await.unwrap_err();
        assert!(error.is_invalid_request(), "{url}: {error}");
        assert!(!error.may_have_arrived());
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn what_is_too_large_or_no_pdf_is_refused() {
    let sign_in = Act::Answer(answer(200, "application/pdf", "<html>sign in</html>"));
    let server = Misbehaving::start([sign_in, pdf(), Act::Large(1 << 30)]).await;
    let url = format!("{}/1", server.url());
    let error = download(&server, &url).await.unwrap_err();
    assert!(
        error.is_decode() && error.to_string().contains("no PDF"),
        "{error}"
    );
    let small = client(&server).download(&url).limit(5).send().await;
    assert!(
        small
            .unwrap_err()
            .to_string()
            .contains("larger than 5 bytes")
    );
    let error = download(&server, &url).await.unwrap_err();
    assert!(error.is_decode(), "{error}");
    assert!(server.bytes_sent() < 256 << 20);
}

#[tokio::test]
async fn an_expired_address_and_a_circle_are_clear_errors() {
    let server = Misbehaving::start([Act::Answer(answer(403, "text/xml", "<Expired/>"))]).await;
    let url = format!("{}/1", server.url());
    let error = download(&server, &url).await.unwrap_err();
    assert_eq!(
        (error.status().unwrap().as_u16(), error.operation_id()),
        (403, "download")
    );
    let server = Misbehaving::start([redirect("/1")]).await;
    let once = client(&server).with_options(CallOptions::new().max_attempts(1));
    let error = once
        .download(&format!("{}/1", server.url()))
        .send()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("again and again"), "{error}");
    assert_eq!(server.requests().len(), 6);
}
