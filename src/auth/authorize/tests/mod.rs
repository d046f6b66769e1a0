mod mutated;
mod redirect_uri;
mod request;
mod response;
mod state;

use std::time::{Duration, SystemTime};

use super::*;
use crate::auth::token::ClientSecret;
use crate::environment::Environment;
use crate::transport::{BuildError, Connection};

const CODE: &str = "the-code-of-the-vendor";
const PAYLOAD: &str = "return to patient 42, \"émile\" & co";

struct App {
    authorize_url: Url,
    redirect_uri: RedirectUri,
    secrets: Secrets,
    pkce: bool,
    now: SystemTime,
    randomness: Randomness,
}

impl App {
    fn new() -> Self {
        let authorize_url = "https://api-us-snd.fullscript.io/api/oauth/authorize";
        Self {
            authorize_url: authorize_url.parse().unwrap(),
            redirect_uri: redirect_uri("https://ehr.example/fullscript/callback").unwrap(),
            secrets: secrets("the-client-secret", None),
            pkce: false,
            now: now(),
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
            secrets: &self.secrets,
            redirect_uri: &self.redirect_uri,
            pkce: self.pkce,
            state_lifetime: Duration::from_secs(3_600),
            now: self.now,
            randomness: &self.randomness,
        }
    }

    fn request(&self, payload: Option<&str>) -> AuthorizationRequest {
        self.authorize()
            .request_with(payload.unwrap_or_default())
            .unwrap()
    }

    fn read(&self, callback: &str, state: &State) -> Result<AuthorizationCode, CallbackFault> {
        self.authorize().read(callback, state)
    }
}

fn secrets(current: &str, alternate: Option<&str>) -> Secrets {
    Secrets {
        current: ClientSecret::new(current),
        alternate: alternate.map(ClientSecret::new),
    }
}

fn redirect_uri(text: &str) -> Result<RedirectUri, BuildError> {
    RedirectUri::parse(text.into(), &Connection::to(Environment::UsSandbox))
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// Checks that a callback fails, after replacing `{state}` by the valid state.
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
