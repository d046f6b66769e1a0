//! Downloads: allowed hosts, size limits, and the hosts that receive the token.

use fullscript::{DownloadedFile, Error, Response};
use httpmock::Method::GET;
use httpmock::{MockServer, Then};

use crate::support::{Act, Misbehaving, answer, any_request, client, on_get, once};

const PDF: &str = "%PDF-1.7\n...";

fn pdf(then: Then) -> Then {
    then.status(200)
        .header("content-type", "application/pdf")
        .body(PDF)
}

fn redirect(to: &str) -> impl FnOnce(Then) -> Then {
    move |then| then.status(302).header("location", to)
}

async fn download(server: &MockServer, url: &str) -> Result<Response<DownloadedFile>, Error> {
    client(&server.base_url()).download(url).pdf().send().await
}

#[tokio::test]
async fn a_file_on_the_api_host_is_requested_with_the_token() {
    let server = MockServer::start_async().await;
    let busy = on_get(&server, "/1", |then| then.status(503).up_to_n_times(1)).await;
    let ready = on_get(&server, "/1", pdf).await;
    let file = download(&server, &server.url("/1")).await.unwrap();
    assert_eq!(file.bytes, PDF.as_bytes());
    assert_eq!(file.content_type.as_deref(), Some("application/pdf"));
    assert_eq!(file.attempts(), 2);
    busy.assert_async().await;
    ready.assert_async().await;
}

#[tokio::test]
async fn a_redirect_to_an_allowed_host_is_followed_without_the_token() {
    let elsewhere = MockServer::start_async().await;
    let without_token = elsewhere.mock_async(|when, then| {
        when.method(GET)
            .path("/bucket/1")
            .query_param("signature", "2")
            .header_missing("authorization");
        pdf(then);
    });
    let without_token = without_token.await;
    let others = any_request(&elsewhere).await;
    let to = elsewhere.url("/bucket/1?signature=2");
    let server = MockServer::start_async().await;
    on_get(&server, "/files/1", redirect("/files/2")).await;
    on_get(&server, "/files/2", redirect(&to)).await;
    let from = server.url("/files/1");
    let error = download(&server, &from).await.unwrap_err();
    assert!(error.is_decode() && error.may_have_arrived(), "{error}");
    without_token.assert_calls_async(0).await;
    let client = client(&server.base_url());
    let allowed = client.download(&from).pdf().allow_host("127.0.0.1");
    assert_eq!(allowed.send().await.unwrap().bytes, PDF.as_bytes());
    without_token.assert_async().await;
    others.assert_calls_async(0).await;
}

#[tokio::test]
async fn a_host_that_is_not_allowed_receives_no_request() {
    let server = MockServer::start_async().await;
    let requests = any_request(&server).await;
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
    // The client of another machine could send the request through a proxy.
    let client = client("https://ehr.example");
    let local = client.download(&server.url("/1")).allow_host("127.0.0.1");
    assert!(local.send().await.unwrap_err().is_invalid_request());
    requests.assert_calls_async(0).await;
}

#[tokio::test]
async fn a_file_that_is_too_large_or_not_a_pdf_is_rejected() {
    let server = MockServer::start_async().await;
    let sign_in = |then| pdf(then).body("<html>sign in</html>").up_to_n_times(1);
    on_get(&server, "/1", sign_in).await;
    on_get(&server, "/1", pdf).await;
    let url = server.url("/1");
    let error = download(&server, &url).await.unwrap_err();
    assert!(
        error.is_decode() && error.to_string().contains("not a PDF"),
        "{error}"
    );
    let small = client(&server.base_url()).download(&url).limit(5);
    let error = small.send().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("larger than the limit of 5 bytes"),
        "{error}"
    );
    // Counts how much of the body was sent before the client stopped reading.
    let server = Misbehaving::start([Act::Large(1 << 30)]).await;
    let download = client(&server.url()).download(&(server.url() + "/1"));
    let error = download.send().await.unwrap_err();
    assert!(error.is_decode(), "{error}");
    assert!(server.bytes_sent() < 256 << 20);
}

#[tokio::test]
async fn a_pdf_begins_with_its_signature_and_is_reported_as_a_pdf() {
    for (content_type, body, is_pdf) in [
        ("application/pdf", PDF, true),
        ("application/octet-stream", PDF, true),
        ("text/html", PDF, true),
        ("", PDF, true),
        ("application/pdf", "<html>%PDF-1.7</html>", false),
        ("application/pdf", "\n%PDF-1.7\n", false),
        ("application/pdf", "%pdf-1.7\n", false),
        ("application/pdf", "%PDF", false),
        ("application/pdf", "", false),
    ] {
        let whole = Act::Answer(answer(200, content_type, body));
        let server = Misbehaving::start([whole]).await;
        let url = server.url() + "/1";
        let client = client(&server.url());
        match client.download(&url).pdf().send().await {
            Ok(file) => {
                assert!(is_pdf, "{body}");
                assert_eq!(file.content_type.as_deref(), Some("application/pdf"));
            }
            Err(error) => {
                assert!(!is_pdf && error.is_decode(), "{error}");
                assert!(error.to_string().contains("does not begin with"), "{error}");
                assert!(!error.to_string().contains("update this crate"), "{error}");
            }
        }
        // Without `pdf`, any file is accepted and has the type that the server states.
        let file = client.download(&url).send().await.unwrap();
        assert_eq!(file.content_type.as_deref(), Some(content_type));
    }
}

#[tokio::test(start_paused = true)]
async fn a_download_that_breaks_off_starts_again() {
    let file = format!("{PDF}{}%%EOF\n", "x".repeat(5_000));
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/pdf\r\n";
    let whole = || Act::Answer(answer(200, "application/pdf", &file));
    let length = file.len();
    let half = &file[..2_000];
    for (name, broken) in [
        (
            "a length",
            Act::AnswerAndClose(format!("{head}content-length: {length}\r\n\r\n{half}")),
        ),
        (
            "a length, no byte",
            Act::AnswerAndClose(format!("{head}content-length: {length}\r\n\r\n")),
        ),
        (
            "a reset",
            Act::AnswerAndReset(format!("{head}content-length: {length}\r\n\r\n{half}")),
        ),
        (
            "chunks",
            Act::AnswerAndClose(format!(
                "{head}transfer-encoding: chunked\r\n\r\n7d0\r\n{half}\r\n"
            )),
        ),
        (
            "neither length nor chunks",
            Act::AnswerAndClose(format!("{head}\r\n{half}")),
        ),
        (
            "neither length nor chunks, within the signature",
            Act::AnswerAndClose(format!("{head}\r\n%PD")),
        ),
    ] {
        let server = Misbehaving::start([broken.clone(), broken.clone(), whole()]).await;
        let url = server.url() + "/1";
        let got = client(&server.url()).download(&url).pdf().send().await;
        let got = got.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(got.bytes == file.as_bytes(), "{name}");
        assert_eq!((got.attempts(), server.requests().len()), (3, 3), "{name}");

        let server = Misbehaving::start([broken]).await;
        let url = server.url() + "/1";
        let twice = fullscript::CallOptions::new().max_attempts(2);
        let twice = client(&server.url()).with_options(twice);
        let error = twice.download(&url).pdf().send().await.unwrap_err();
        assert!(error.is_transport() && error.is_transient(), "{error}");
        assert_eq!(
            (error.attempts(), server.requests().len()),
            (2, 2),
            "{name}"
        );
        assert!(!error.to_string().contains("update this crate"), "{error}");
    }
    // A file that ends with its connection is complete if it ends like a PDF.
    let server = Misbehaving::start([Act::AnswerAndClose(format!("{head}\r\n{file}"))]).await;
    let url = server.url() + "/1";
    let got = client(&server.url()).download(&url).pdf().send().await;
    assert_eq!(got.unwrap().attempts(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_download_that_always_breaks_off_ends_with_the_retry_budget() {
    let broken = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n%PDF";
    let server = Misbehaving::start([Act::AnswerAndClose(broken.into())]).await;
    let client = crate::support::builder(&server.url()).rate_limit(fullscript::RateLimit::off());
    let client = client.build().unwrap();
    let url = server.url() + "/1";
    for _ in 0..60 {
        let error = client.download(&url).send().await.unwrap_err();
        assert!(error.is_transient(), "{error}");
    }
    assert_eq!(server.requests().len(), 60 + 35);
}

#[tokio::test]
async fn an_expired_url_and_a_redirect_loop_are_clear_errors() {
    let server = MockServer::start_async().await;
    on_get(&server, "/gone", |then| then.status(403).body("<Expired/>")).await;
    let circle = on_get(&server, "/1", redirect("/1")).await;
    let url = server.url("/gone");
    let error = download(&server, &url).await.unwrap_err();
    assert_eq!(
        (error.status().unwrap().as_u16(), error.operation_id()),
        (403, "download")
    );
    let client = once(&server.base_url());
    let error = client.download(&server.url("/1")).send().await.unwrap_err();
    assert!(error.to_string().contains("too many redirects"), "{error}");
    circle.assert_calls_async(6).await;
}
