//! Callbacks with a wrong address or a wrong state.

use super::*;
use crate::auth::authorize::state::hmac;

#[test]
fn a_callback_to_another_address_is_refused() {
    for address in [
        "http://ehr.example/fullscript/callback",
        "https://ehr.example:8443/fullscript/callback",
        "https://ehr.example.evil.example/fullscript/callback",
        "https://evil.example/fullscript/callback",
        "https://ehr.example/fullscript/callback/",
        "https://ehr.example/fullscript/Callback",
        "https://ehr.example/",
        "https://",
        "custom:/fullscript/callback",
        "//evil.example/fullscript/callback",
        "/\\evil.example/fullscript/callback",
        "/callback",
        "/",
    ] {
        let callback = format!("{address}?code={CODE}&state={{state}}");
        check(&callback, CallbackFault::WrongAddress);
    }
}

#[test]
fn a_callback_without_a_state_is_refused() {
    for callback in [
        "",
        "?",
        "code=x",
        "code=x&error=access_denied",
        "State={state}&code=x",
        "#state={state}&code=x",
        "/fullscript/callback",
        "https://ehr.example/fullscript/callback#code=x&state={state}",
    ] {
        check(callback, CallbackFault::NoState);
    }
}

#[test]
fn a_duplicate_state_is_refused() {
    let fault = CallbackFault::Duplicate("state");
    check("code=x&state={state}&state={state}", fault.clone());
    check("code=x&state={state}&st%61te=other", fault.clone());
    check("code=x&state=&state={state}", fault);
}

#[test]
fn an_empty_state_is_refused() {
    check("code=x&state=", CallbackFault::Empty("state"));
    check("code=x&state", CallbackFault::Empty("state"));
}

#[test]
fn an_over_long_state_is_refused() {
    let callback = format!("code=x&state={}", "x".repeat(2_049));
    check(&callback, CallbackFault::TooLong("state"));
}

#[test]
fn a_state_that_is_not_the_remembered_one_is_refused() {
    let other = App::new().request(None);
    for state in [
        other.state().expose(),
        "x",
        "{state}x",
        "x{state}",
        "{state}.",
    ] {
        let callback = format!("code=x&error=access_denied&state={state}");
        check(&callback, CallbackFault::StateMismatch);
    }
}

#[test]
fn a_state_with_its_verifier_is_refused() {
    let app = App::with_pkce();
    let request = app.request(None);
    let callback = format!("code=x&state={}", request.state().expose());
    let fault = app.read(&callback, request.state()).unwrap_err();
    assert_eq!(fault, CallbackFault::StateMismatch);
}

#[test]
fn a_changed_payload_is_refused_even_if_the_session_was_changed_too() {
    let app = App::new();
    let request = app.request(Some("patient 42"));
    let parts: Vec<&str> = request.state().expose().split('.').collect();
    let other = app.request(Some("patient 43"));
    let theirs: Vec<&str> = other.state().expose().split('.').collect();
    let later = "1800000001";
    for forged in [
        [parts[0], parts[1], theirs[2], parts[3]],
        [parts[0], parts[1], "", parts[3]],
        [parts[0], later, parts[2], parts[3]],
        [parts[0], "", parts[2], parts[3]],
        [theirs[0], parts[1], parts[2], parts[3]],
        [parts[0], parts[1], parts[2], theirs[3]],
    ] {
        let forged = State::from_text(&forged.join(".")).unwrap();
        let callback = format!("code=x&error=access_denied&state={}", forged.expose());
        let fault = app.read(&callback, &forged).unwrap_err();
        assert_eq!(fault, CallbackFault::StateForged);
    }
}

#[test]
fn the_state_of_another_apps_secret_is_refused() {
    let request = App {
        secrets: secrets("another-secret", None),
        ..App::new()
    }
    .request(Some("patient 42"));
    let callback = format!("code=x&state={}", request.state().expose());
    let fault = App::new().read(&callback, request.state()).unwrap_err();
    assert_eq!(fault, CallbackFault::StateForged);
}

#[test]
fn a_state_of_either_secret_is_accepted_during_a_rotation() {
    let app = |current, alternate| App {
        secrets: secrets(current, alternate),
        ..App::new()
    };
    // The configurations of a rotation, in order; neighbors run at the same time.
    let apps = [
        app("old", None),
        app("old", Some("new")),
        app("new", Some("old")),
        app("new", None),
    ];
    for (from, to, is_accepted) in [
        (0, 1, true),
        (1, 0, true),
        (1, 2, true),
        (2, 1, true),
        (2, 3, true),
        (3, 2, true),
        (0, 3, false),
        (3, 0, false),
    ] {
        let request = apps[from].request(Some("42"));
        let callback = format!("code={CODE}&state={}", request.state().in_url());
        let read = apps[to].read(&callback, request.state());
        assert_eq!(read.is_ok(), is_accepted, "{from} {to}");
    }
}

#[test]
fn a_state_expires_an_hour_after_its_request_on_any_clock() {
    let request = App::with_pkce().request(Some("42"));
    let callback = format!("code={CODE}&state={}", request.state().in_url());
    let hour = Duration::from_secs(3_600);
    let second = Duration::from_secs(1);
    for (now, expected) in [
        (now(), Ok(())),
        (now() + hour, Ok(())),
        (now() + hour + second, Err(CallbackFault::StateExpired)),
        (now() + 1_000 * hour, Err(CallbackFault::StateExpired)),
        // Clocks that are behind the one that signed the state.
        (now() - hour, Ok(())),
        (now() - hour - second, Err(CallbackFault::StateExpired)),
        (SystemTime::UNIX_EPOCH, Err(CallbackFault::StateExpired)),
    ] {
        let app = App { now, ..App::new() };
        let read = app.read(&callback, request.state()).map(drop);
        assert_eq!(read, expected, "{now:?}");
        // An expired state is refused before the server's error is read.
        let denied = callback.replace("code=", "error=access_denied&code=");
        let denied = app.read(&denied, request.state()).unwrap_err();
        assert_eq!(denied == CallbackFault::Denied, read.is_ok(), "{now:?}");
    }
}

#[test]
fn a_signature_by_the_raw_secret_is_refused() {
    let app = App::new();
    let random = "A".repeat(43);
    let message = format!("{random}.1800000000.");
    let raw = hmac(
        app.secrets.current.expose().as_bytes(),
        &[message.as_bytes()],
    );
    let state = format!("{message}.{}", URL_SAFE_NO_PAD.encode(&raw[..]));
    let fault = app.read(
        &format!("code=x&state={state}"),
        &State::parse(&state).unwrap(),
    );
    assert_eq!(fault.unwrap_err(), CallbackFault::StateForged);
}

#[test]
fn the_signature_matches_a_vector_of_another_implementation() {
    // Computed with Python's `hmac`; the key is HMAC(client secret, label).
    let random = "A".repeat(43);
    let signature = signature(
        App::new().secrets.current.expose(),
        &random,
        "1800000000",
        "cGF0aWVudCA0Mg",
    );
    assert_eq!(signature, "HNLIyzn1NqHd4dgnEd3CKaREYVYnQ9P14JXQIpsQO4o");
}

#[test]
fn a_remembered_state_is_checked_when_it_is_read() {
    let request = App::with_pkce().request(Some("42"));
    let text = request.state().expose();
    assert_eq!(State::try_from(text).unwrap().expose(), text);
    assert_eq!(
        State::parse("").unwrap_err(),
        CallbackFault::Empty("remembered state")
    );
    assert_eq!(
        State::parse(&"x".repeat(3_000)).unwrap_err(),
        CallbackFault::TooLong("remembered state")
    );
    for damaged in [
        "...",
        "é",
        &text[1..],
        &text[..text.len() - 1],
        &format!("{text}."),
        &format!("{text}.{}", "A".repeat(43)),
        &text.replace('.', "+"),
        &format!(" {text}"),
    ] {
        assert_eq!(
            State::parse(damaged).unwrap_err(),
            CallbackFault::StateForged
        );
        assert!(State::from_text(damaged).is_err());
    }
}
