//! The URL of the authorization request, and valid callbacks.

use super::*;

#[test]
fn the_url_has_exactly_the_documented_parameters() {
    let request = App::new().request(None);
    let expected = format!(
        "https://api-us-snd.fullscript.io/api/oauth/authorize?client_id=the+client\
         &redirect_uri=https%3A%2F%2Fehr.example%2Ffullscript%2Fcallback\
         &response_type=code&state={}",
        request.state().expose()
    );
    assert_eq!(request.url().as_str(), expected);
}

#[test]
fn the_url_with_pkce_ends_with_the_challenge() {
    let request = App::with_pkce().request(Some("42"));
    let (state, verifier) = request.state().expose().rsplit_once('.').unwrap();
    let expected = format!(
        "&response_type=code&state={state}&code_challenge={}&code_challenge_method=S256",
        challenge(verifier)
    );
    assert!(request.url().as_str().ends_with(&expected));
    assert!(!request.url().as_str().contains(verifier));
}

#[test]
fn the_challenge_is_that_of_rfc_7636_appendix_b() {
    assert_eq!(
        challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    );
}

#[test]
fn no_two_states_share_their_random_part() {
    let app = App::with_pkce();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..1_000 {
        let request = app.request(None);
        let random = URL_SAFE_NO_PAD.decode(request.state().random()).unwrap();
        assert!(random.len() * 8 >= 128);
        assert!(seen.insert(request.state().random().to_owned()));
        assert!(seen.insert(request.state().verifier().unwrap().to_owned()));
    }
}

#[test]
fn the_longest_payload_fits_and_one_byte_more_does_not() {
    let app = App::with_pkce();
    let longest = "x".repeat(1_024);
    let request = app.request(Some(&longest));
    assert!(request.state().in_url().len() <= 2_048);
    let state = State::from_text(request.state().expose()).unwrap();
    let callback = format!("code={CODE}&state={}", state.in_url());
    let code = app.read(&callback, &state).unwrap();
    assert_eq!(code.payload(), Some(&*longest));

    let error = app
        .authorize()
        .request_with(&"x".repeat(1_025))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        CallbackFault::PayloadTooLong {
            limit: MAX_PAYLOAD_BYTES
        }
        .to_string()
    );
}

#[test]
fn a_callback_is_read_in_all_its_forms() {
    let app = App::with_pkce();
    let request = app.request(Some(PAYLOAD));
    let remembered = State::from_text(request.state().expose()).unwrap();
    let query = format!("code={CODE}&state={}&more=1&more=2", remembered.in_url());
    for callback in [
        format!("https://ehr.example/fullscript/callback?{query}"),
        format!("HTTPS://EHR.example:443/fullscript/callback?{query}#_=_"),
        format!("/fullscript/callback?{query}"),
        format!("?{query}"),
        query.clone(),
        format!("state={}&code={CODE}#_=_", remembered.in_url()),
        format!("at=12:30&to=https://elsewhere.example/&{query}"),
        query.replace("code=the-", "%63ode=%74he%2D"),
    ] {
        let code = app.authorize().callback(&callback, &remembered).unwrap();
        assert_eq!(code.expose(), CODE, "{callback}");
        assert_eq!(code.payload(), Some(PAYLOAD));
        assert_eq!(code.verifier(), request.state().verifier());
        assert!(code.verifier().is_some());
        assert_eq!(code.received_at(), now());
    }
}

#[test]
fn a_redirect_uri_may_have_a_query_and_a_port() {
    let redirect_uri = redirect_uri("http://localhost:3000/cb?tenant=1").unwrap();
    let app = App {
        redirect_uri,
        ..App::new()
    };
    let request = app.request(None);
    let query = format!("tenant=1&code={CODE}&state={}", request.state().expose());
    for (address, is_right) in [
        ("http://localhost:3000/cb", true),
        ("/cb", true),
        ("http://localhost/cb", false),
        ("http://localhost:3001/cb", false),
        ("https://localhost:3000/cb", false),
    ] {
        let code = app.read(&format!("{address}?{query}"), request.state());
        assert_eq!(code.is_ok(), is_right, "{address}");
    }
}

#[test]
fn an_empty_payload_is_returned_as_none() {
    let app = App::new();
    for payload in [None, Some("")] {
        let request = app.request(payload);
        let callback = format!("code={CODE}&state={}", request.state().expose());
        let code = app.read(&callback, request.state()).unwrap();
        assert_eq!((code.payload(), code.verifier()), (None, None));
    }
}

#[test]
fn a_code_expires_ten_minutes_after_its_receipt() {
    let app = App::new();
    let request = app.request(None);
    let callback = format!("code={CODE}&state={}", request.state().expose());
    let code = app.read(&callback, request.state()).unwrap();
    for (age, is_expired) in [(0, false), (599, false), (600, true), (86_400, true)] {
        let then = now() + Duration::from_secs(age);
        assert_eq!(code.is_expired(then), is_expired, "{age}");
    }
    assert!(!code.is_expired(now() - Duration::from_secs(86_400)));
}
