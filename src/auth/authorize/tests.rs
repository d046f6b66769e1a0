use super::*;

const CODE: &str = "the-code-of-the-vendor";
const PAYLOAD: &str = "return to patient 42, \"émile\" & co";

struct App {
    authorize_url: Url,
    redirect_uri: Url,
    client_secret: &'static str,
    pkce: bool,
    randomness: Randomness,
}

impl App {
    fn new() -> Self {
        let authorize_url = "https://api-us-snd.fullscript.io/api/oauth/authorize";
        Self {
            authorize_url: authorize_url.parse().unwrap(),
            redirect_uri: "https://ehr.example/fullscript/callback".parse().unwrap(),
            client_secret: "the-client-secret",
            pkce: false,
            randomness: Randomness::new().unwrap(),
        }
    }

    fn with_pkce() -> Self {
        let pkce = true;
        Self {
            pkce,
            ..Self::new()
        }
    }

    fn authorize(&self) -> Authorize<'_> {
        Authorize {
            authorize_url: &self.authorize_url,
            client_id: "the client",
            client_secret: self.client_secret,
            redirect_uri: &self.redirect_uri,
            pkce: self.pkce,
            randomness: &self.randomness,
        }
    }

    fn request(&self, payload: Option<&str>) -> AuthorizationRequest {
        self.authorize()
            .request_with(payload.unwrap_or_default())
            .unwrap()
    }

    fn read(&self, callback: &str, state: &State) -> Result<AuthorizationCode, CallbackFault> {
        self.authorize().read(callback, state, now())
    }
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// Reads a callback, in which `{state}` stands for the right one, and expects
/// it to fail.
#[track_caller]
fn check(callback: &str, fault: CallbackFault) {
    let app = App::new();
    let request = app.request(None);
    let callback = callback.replace("{state}", request.state().in_url());
    assert_eq!(app.read(&callback, request.state()).unwrap_err(), fault);
}

fn refused(error: &str, description: Option<&str>) -> CallbackFault {
    CallbackFault::Refused {
        error: error.to_owned(),
        description: description.map(str::to_owned),
    }
}

#[test]
fn the_address_is_the_documented_one_and_nothing_more() {
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
fn the_address_with_pkce_ends_with_the_challenge() {
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
    assert_eq!(error.to_string(), CallbackFault::PayloadTooLong.to_string());
}

#[test]
fn a_callback_is_read_in_each_of_its_forms() {
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
        let code = app
            .authorize()
            .callback(&callback, &remembered, now())
            .unwrap();
        assert_eq!(code.expose(), CODE, "{callback}");
        assert_eq!(code.payload(), Some(PAYLOAD));
        assert_eq!(code.verifier(), request.state().verifier());
        assert!(code.verifier().is_some());
        assert_eq!(code.received_at(), now());
    }
}

#[test]
fn a_redirect_uri_may_have_a_query_and_a_port() {
    let redirect_uri = "http://localhost:3000/cb?tenant=1".parse().unwrap();
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
fn an_empty_payload_comes_back_as_none() {
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
fn a_state_that_comes_twice_is_refused() {
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
fn a_state_with_its_verifier_is_not_the_one_that_was_sent() {
    let app = App::with_pkce();
    let request = app.request(None);
    let callback = format!("code=x&state={}", request.state().expose());
    let fault = app.read(&callback, request.state()).unwrap_err();
    assert_eq!(fault, CallbackFault::StateMismatch);
}

#[test]
fn a_changed_payload_is_refused_even_where_the_session_was_changed_too() {
    let app = App::new();
    let request = app.request(Some("patient 42"));
    let parts: Vec<&str> = request.state().expose().split('.').collect();
    let other = app.request(Some("patient 43"));
    let theirs: Vec<&str> = other.state().expose().split('.').collect();
    for forged in [
        [parts[0], theirs[1], parts[2]],
        [parts[0], "", parts[2]],
        [theirs[0], parts[1], parts[2]],
        [parts[0], parts[1], theirs[2]],
    ] {
        let forged = State::from_text(&forged.join(".")).unwrap();
        let callback = format!("code=x&error=access_denied&state={}", forged.expose());
        let fault = app.read(&callback, &forged).unwrap_err();
        assert_eq!(fault, CallbackFault::StateForged);
    }
}

#[test]
fn the_state_of_another_apps_secret_is_refused() {
    let client_secret = "another-secret";
    let request = App {
        client_secret,
        ..App::new()
    }
    .request(Some("patient 42"));
    let callback = format!("code=x&state={}", request.state().expose());
    let fault = App::new().read(&callback, request.state()).unwrap_err();
    assert_eq!(fault, CallbackFault::StateForged);
}

#[test]
fn a_signature_by_the_raw_secret_is_refused() {
    let app = App::new();
    let random = "A".repeat(43);
    let message = format!("{random}.");
    let raw = hmac(app.client_secret.as_bytes(), &[message.as_bytes()]);
    let state = format!("{message}.{}", URL_SAFE_NO_PAD.encode(&raw[..]));
    let fault = app.read(
        &format!("code=x&state={state}"),
        &State::parse(&state).unwrap(),
    );
    assert_eq!(fault.unwrap_err(), CallbackFault::StateForged);
}

#[test]
fn a_state_is_signed_as_in_a_vector_made_by_other_code() {
    // Python's hmac: the key is HMAC(client secret, label).
    let random = "A".repeat(43);
    let signature = App::new().authorize().signature(&random, "cGF0aWVudCA0Mg");
    assert_eq!(signature, "QgytmRi55cewZ9d1_W1f6-FkZH2yRIY2O_nC8Z8g6_Q");
}

#[test]
fn what_was_remembered_is_checked_when_it_is_read() {
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

#[test]
fn an_error_is_believed_before_a_code() {
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
fn a_refusal_keeps_the_servers_words() {
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
fn an_error_that_is_no_plain_word_is_not_kept() {
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
fn a_code_that_comes_twice_is_refused() {
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
        CallbackFault::NoCode,
        CallbackFault::Duplicate("state"),
        CallbackFault::Empty("code"),
        CallbackFault::TooLong("error"),
        CallbackFault::WrongAddress,
        CallbackFault::Denied,
        refused("", None),
        refused("invalid_scope", Some("Unknown scope.")),
        CallbackFault::PayloadTooLong,
    ] {
        let text = fault.to_string();
        assert!(
            text.starts_with(|first: char| first.is_lowercase()),
            "{text}"
        );
        assert!(text.contains(": ") && !text.ends_with('.'), "{text}");
        assert!(!text.contains("  ") && !text.contains('\n'), "{text}");
    }
}

/// A xorshift generator: the same mutations in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }

    fn mutate(&mut self, text: &str) -> String {
        const BYTES: &[u8] = b"?&=#/:.%+@ \\\t\n\0aZ09-_~[]\xc3\xa9\xff";
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..=self.below(4) {
            let (from, to) = (self.below(bytes.len() + 1), self.below(bytes.len() + 1));
            let (from, to) = (from.min(to), from.max(to));
            let byte = BYTES[self.below(BYTES.len())];
            match self.below(6) {
                0 if from < bytes.len() => bytes[from] = byte,
                1 => bytes.insert(from, byte),
                2 => drop(bytes.drain(from..to.min(from + 3))),
                3 => bytes.extend_from_within(from..to),
                4 => bytes.truncate(to),
                _ => bytes[from..to].reverse(),
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[test]
fn no_mutated_callback_panics_or_gets_by_with_a_wrong_state() {
    let app = App::with_pkce();
    let request = app.request(Some("42"));
    let other = app.request(Some("42"));
    let state = request.state().in_url();
    let query = format!("code={CODE}&state={state}");
    let seeds = [
        format!("https://ehr.example/fullscript/callback?{query}"),
        format!("/fullscript/callback?{query}"),
        format!("?{query}"),
        format!("error=invalid_scope&error_description=about+{state}+and+{CODE}&{query}"),
    ];
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut codes = 0;
    for round in 0..10_000 {
        let callback = dice.mutate(&seeds[round % seeds.len()]);
        match app.read(&callback, request.state()) {
            Ok(code) => {
                codes += 1;
                // URLs are read without tabs and line breaks.
                let text = callback.replace(['\t', '\n'], "");
                let pairs = form_urlencoded::parse(text.as_bytes());
                let decoded: String = pairs.flat_map(|(key, value)| [key, value]).collect();
                assert!(decoded.contains(state), "{callback:?}");
                assert_eq!(code.payload(), Some("42"));
                assert!(!code.expose().is_empty());
            }
            Err(fault) => {
                let text = format!("{fault} {fault:?}");
                assert!(!text.contains(request.state().random()), "{text}");
                // A description may say what is no longer the code's value.
                assert!(
                    !text.contains(CODE) || !callback.contains(&format!("code={CODE}&")),
                    "{text}"
                );
            }
        }
        assert!(app.read(&callback, other.state()).is_err(), "{callback:?}");
        let _ = State::from_text(&dice.mutate(request.state().expose()));
    }
    assert!(
        codes > 100,
        "too few mutations leave the state whole: {codes}"
    );
}
