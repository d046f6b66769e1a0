//! Where the example gets its app from: the environment, or the fake.

use std::env::var;
use std::error::Error;

use fullscript::Environment;
use fullscript::auth::OAuthApp;
use fullscript::embed::Embed;
use fullscript::testing::FakeFullscript;
use fullscript::webhook::Receiver;

/// How many patients the fake has.
const PATIENTS: usize = 45;

/// In place of the vendor's script, which shows nothing without a grant of its
/// own.
const STAND_IN: &str = "data:text/javascript,\
     function Fullscript() { return { create: function (feature) { return { mount: function (id) {\
     document.getElementById(id).textContent = 'Fullscript (' + feature + ') opens here.'; } }; } }; }";

pub(crate) struct Settings {
    pub(crate) app: OAuthApp,
    pub(crate) embed: Embed,
    pub(crate) receiver: Receiver,
    /// What it runs against, in words.
    pub(crate) server: String,
}

/// The port to listen on: `PORT`, or 4321; 0 for any.
pub(crate) fn port() -> Result<u16, Box<dyn Error>> {
    Ok(var("PORT").map_or(Ok(4321), |port| port.parse())?)
}

impl Settings {
    /// Reads the settings of a site at this address.
    pub(crate) async fn read(url: &str) -> Result<Self, Box<dyn Error>> {
        let Ok(client_id) = var("FULLSCRIPT_CLIENT_ID") else {
            return Self::of_the_fake(url).await;
        };
        let app = OAuthApp::builder(Environment::UsSandbox)
            .client_id(client_id)
            .client_secret(needed("FULLSCRIPT_CLIENT_SECRET")?)
            .redirect_uri(format!("{url}/callback"))
            .build()?;

        Ok(Self {
            app,
            embed: Embed::new(Environment::UsSandbox, needed("FULLSCRIPT_PUBLIC_KEY")?),
            receiver: Receiver::new(
                needed("FULLSCRIPT_WEBHOOK_SECRET")?,
                needed("FULLSCRIPT_CHALLENGE_TOKEN")?,
            )?,
            server: "the US sandbox".into(),
        })
    }

    async fn of_the_fake(url: &str) -> Result<Self, Box<dyn Error>> {
        // Lives as long as the process.
        let fake = FakeFullscript::builder().patients(PATIENTS).start().await?;
        let fake = Box::leak(Box::new(fake));
        let builder = fake.app_builder();
        Ok(Self {
            app: builder.redirect_uri(format!("{url}/callback")).build()?,
            embed: Embed::new(Environment::UsSandbox, "fake-public-key").script_url(STAND_IN),
            receiver: Receiver::new("fake-webhook-secret", "fake-challenge-token")?,
            server: format!("the embedded fake at {}", fake.url()),
        })
    }
}

/// A setting that must be there where one is.
fn needed(name: &str) -> Result<String, String> {
    var(name).map_err(|_| format!("set {name} too"))
}

/// A name for a session that nobody guesses.
pub(crate) fn random_text() -> String {
    let mut random = [0; 16];
    getrandom::fill(&mut random).expect("the machine has randomness");
    format!("{:032x}", u128::from_le_bytes(random))
}
