//! Redirect URIs: which are accepted, and that they are sent as they are.

use super::*;

#[test]
fn a_redirect_uri_is_sent_byte_for_byte_and_its_callback_is_recognized() {
    for (text, callback) in [
        ("https://ehr.example", "https://ehr.example/"),
        ("https://ehr.example/", "https://ehr.example"),
        ("https://EHR.example/Cb", "https://ehr.example/Cb"),
        ("https://ehr.example:443/cb", "https://ehr.example/cb"),
        ("https://ehr.example/a/../cb", "https://ehr.example/cb"),
        (
            "https://ehr.example/caf\u{e9}",
            "https://ehr.example/caf%C3%A9",
        ),
        (
            "https://b\u{fc}cher.example/cb",
            "https://xn--bcher-kva.example/cb",
        ),
        ("HTTPS://ehr.example/cb", "https://ehr.example/cb"),
        ("https://ehr.example/cb?", "https://ehr.example/cb"),
        ("http://localhost:3000", "http://localhost:3000/"),
        ("http://127.0.0.1:3000/cb", "http://127.0.0.1:3000/cb"),
        ("http://[::1]:3000/cb", "http://[::1]:3000/cb"),
        ("com.example.ehr:/cb", "com.example.ehr:/cb"),
        ("com.example.ehr://cb", "com.example.ehr://cb"),
        ("ehr-app://oauth/cb", "ehr-app://oauth/cb"),
    ] {
        let redirect_uri = redirect_uri(text).unwrap();
        assert_eq!(redirect_uri.as_str(), text);
        let app = App {
            redirect_uri,
            ..App::new()
        };
        let request = app.request(None);
        let mut sent = request.url().query_pairs();
        let sent = sent.find(|(name, _)| name == "redirect_uri").unwrap().1;
        assert_eq!(sent, text);
        let callback = format!("{callback}?code={CODE}&state={}", request.state().in_url());
        let code = app.read(&callback, request.state());
        assert_eq!(code.unwrap().expose(), CODE, "{text}");
    }
}

#[test]
fn a_redirect_uri_that_leads_to_no_app_is_refused_with_its_reason() {
    for (reason, texts) in [
        (
            "not https",
            &[
                "http://ehr.example/cb",
                "http://10.0.0.1/cb",
                "http://0.0.0.0/cb",
            ][..],
        ),
        (
            "has a fragment",
            &[
                "https://ehr.example/cb#",
                "https://ehr.example/#/cb",
                "com.example.ehr:/cb#x",
            ],
        ),
        (
            "white space",
            &[
                " https://ehr.example/cb",
                "https://ehr.example/cb\n",
                "https://ehr.example/c b",
                "https://ehr.example/\tcb",
            ],
        ),
        (
            "not a valid URL",
            &[
                "ehr.example/cb",
                "/cb",
                "https://",
                "https:/ehr.example/cb",
                "https:ehr.example",
                "https:\\\\ehr.example",
                "//ehr.example/cb",
            ],
        ),
        (
            "does not lead back",
            &[
                "javascript:alert(1)",
                "data:text/html,x",
                "file:///cb",
                "ftp://ehr.example/cb",
                "ws://ehr.example",
                "wss://ehr.example",
                "about:blank",
                "mailto:jo@ehr.example",
            ],
        ),
        (
            "a parameter of the callback",
            &[
                "https://ehr.example/cb?code=1",
                "https://ehr.example/cb?tenant=1&state",
                "https://ehr.example/cb?%65rror=x",
                "com.example.ehr:/cb?error_description=",
            ],
        ),
        (
            "user name",
            &[
                "https://jo@ehr.example/cb",
                "https://jo:pw@ehr.example/cb",
                "com.example.ehr://jo@cb",
            ],
        ),
    ] {
        for text in texts {
            let error = redirect_uri(text).map(drop).unwrap_err().to_string();
            assert!(error.starts_with("redirect URI: "), "{text:?}: {error}");
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }
}
