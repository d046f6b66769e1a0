//! Errors and codes in a callback, and how much of them is shown.

use super::*;

#[test]
fn an_error_takes_precedence_over_a_code() {
    check(
        "code=x&error=access_denied&state={state}",
        CallbackFault::Denied,
    );
    check(
        "error=access_denied&error=&state={state}",
        CallbackFault::Duplicate("error"),
    );
    check("code=x&error=&state={state}", CallbackFault::Empty("error"));
    let callback = format!("code=x&state={{state}}&error={}", "x".repeat(1_025));
    check(&callback, CallbackFault::TooLong("error"));
}

#[test]
fn a_refusal_keeps_the_error_and_the_description() {
    check(
        "error=invalid_scope&error_description=The+scope+is+unknown&state={state}",
        refused("invalid_scope", Some("The scope is unknown")),
    );
    check(
        "error=server_error&state={state}",
        refused("server_error", None),
    );
}

#[test]
fn an_error_that_is_not_a_plain_word_is_dropped() {
    let long = "x".repeat(65);
    for error in [
        "jo%40clinic.example",
        "a+b",
        "%0d%0aSet-Cookie:",
        "%ff",
        "<b>",
        &long,
    ] {
        check(&format!("error={error}&state={{state}}"), refused("", None));
    }
    let longest = "x".repeat(64);
    check(
        &format!("error={longest}&state={{state}}"),
        refused(&longest, None),
    );
}

#[test]
fn an_unreadable_description_does_not_hide_the_refusal() {
    let long = format!("error_description={}", "x".repeat(1_025));
    for description in [
        "error_description=",
        "error_description=a&error_description=b",
        &long,
    ] {
        check(
            &format!("error=server_error&{description}&state={{state}}"),
            refused("server_error", None),
        );
    }
}

#[test]
fn a_refusal_quotes_neither_the_state_nor_the_code() {
    check(
        "error=server_error&error_description=bad+state+{state}&state={state}",
        refused("server_error", None),
    );
    check(
        "error=x1y&error_description=bad+code+x1y&code=x1y&state={state}",
        refused("", None),
    );
}

#[test]
fn a_description_is_shown_only_if_it_is_short_plain_and_without_addresses() {
    let shown = |text: &str| {
        let fault = refused("server_error", Some(text));
        assert_eq!(format!("{fault:?}"), format!("CallbackFault({fault})"));
        fault.to_string().contains(text)
    };
    assert!(shown("The scope is unknown."));
    assert!(shown(&"x".repeat(200)));
    for text in [
        &"x".repeat(201),
        "ask jo@clinic.example",
        "two\nlines",
        "Émile",
        "\u{1b}[31m",
    ] {
        assert!(!shown(text), "{text}");
    }
}

#[test]
fn a_callback_without_a_code_is_refused() {
    check("state={state}", CallbackFault::NoCode);
    check(
        "/fullscript/callback?state={state}&Code=x",
        CallbackFault::NoCode,
    );
}

#[test]
fn an_empty_code_is_refused() {
    check("state={state}&code=", CallbackFault::Empty("code"));
}

#[test]
fn a_duplicate_code_is_refused() {
    check(
        "state={state}&code=x&code=x",
        CallbackFault::Duplicate("code"),
    );
}

#[test]
fn an_over_long_code_is_refused() {
    let callback = format!("state={{state}}&code={}", "x".repeat(1_025));
    check(&callback, CallbackFault::TooLong("code"));
}

#[test]
fn debug_shows_no_secret() {
    let app = App::with_pkce();
    let request = app.request(Some("patient 42"));
    let state = request.state();
    let callback = format!("code={CODE}&state={}", state.in_url());
    let code = app.read(&callback, state).unwrap();
    assert_eq!(format!("{state:?} {state:#?}"), "State(***) State(***)");
    assert_eq!(
        format!("{code:?} {code:#?}"),
        "AuthorizationCode(***) AuthorizationCode(***)"
    );
    assert_eq!(
        format!("{request:?}"),
        "AuthorizationRequest { host_and_path: \"api-us-snd.fullscript.io/api/oauth/authorize\", .. }"
    );
}

#[test]
fn every_fault_reads_as_a_lower_case_fragment() {
    for fault in [
        CallbackFault::NoState,
        CallbackFault::StateMismatch,
        CallbackFault::StateForged,
        CallbackFault::StateExpired,
        CallbackFault::NoCode,
        CallbackFault::Duplicate("state"),
        CallbackFault::Empty("code"),
        CallbackFault::TooLong("error"),
        CallbackFault::WrongAddress,
        CallbackFault::Denied,
        refused("", None),
        refused("invalid_scope", Some("Unknown scope.")),
        CallbackFault::PayloadTooLong {
            limit: MAX_PAYLOAD_BYTES,
        },
    ] {
        let text = fault.to_string();
        assert!(
            text.starts_with(|first: char| first.is_lowercase()),
            "{text}"
        );
        assert!(text.contains("; ") && !text.ends_with('.'), "{text}");
        assert!(!text.contains("  ") && !text.contains('\n'), "{text}");
    }
}
