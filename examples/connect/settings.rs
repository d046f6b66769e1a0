//! The settings of the example, from environment variables or for the fake.

use std::env::var;
use std::error::Error;

use fullscript::Environment;
use fullscript::auth::OAuthApp;
use fullscript::embed::Embed;
use fullscript::testing::{DeliveryFailure, FakeFullscript, Webhook};
use fullscript::webhook::Receiver;
use serde_json::json;

/// The number of patients in the fake's clinic.
const PATIENTS: usize = 45;

const WEBHOOK_SECRET: &str = "fake-webhook-secret";
const CHALLENGE_TOKEN: &str = "fake-challenge-token";

/// Replaces the vendor's script, which accepts only grants of the vendor's servers.
const STAND_IN: &str = "data:text/javascript,\
     function Fullscript() { return { create: function (feature) { return { mount: function (id) {\
     document.getElementById(id).textContent = 'Fullscript (' + feature + ') opens here.'; } }; } }; }";

pub(crate) struct Settings {
    pub(crate) app: OAuthApp,
    pub(crate) embed: Embed,
    pub(crate) receiver: Receiver,
    /// A description of the server.
    pub(crate) server: String,
    pub(crate) fake: Option<Fake>,
}

/// The embedded fake. It runs as long as the process.
#[derive(Clone, Copy)]
pub(crate) struct Fake(&'static FakeFullscript);

impl Fake {
    /// Does what a developer does in the vendor's dashboard: enters the address of the webhook.
    pub(crate) async fn subscribe(self, url: String) -> Result<(), DeliveryFailure> {
        let webhook = Webhook::new(url, WEBHOOK_SECRET, CHALLENGE_TOKEN);
        self.0.subscribe(webhook).await
    }

    /// Lets a patient place an order, and waits until its event is delivered.
    pub(crate) async fn place_order(self) {
        self.0.web_app().add_order(&json!({}));
        self.0.deliveries_done().await;
    }
}

/// Returns the port to listen on: `PORT`, by default 4321; 0 chooses a free port.
pub(crate) fn port() -> Result<u16, Box<dyn Error>> {
    Ok(var("PORT").map_or(Ok(4321), |port| port.parse())?)
}

impl Settings {
    /// Reads the settings for a site with this address.
    pub(crate) async fn read(url: &str) -> Result<Self, Box<dyn Error>> {
        let Ok(client_id) = var("FULLSCRIPT_CLIENT_ID") else {
            return Self::for_the_fake(url).await;
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
            fake: None,
        })
    }

    async fn for_the_fake(url: &str) -> Result<Self, Box<dyn Error>> {
        let fake = FakeFullscript::builder().patients(PATIENTS).start().await?;
        let fake: &FakeFullscript = Box::leak(Box::new(fake));
        let builder = fake.app_builder();
        Ok(Self {
            app: builder.redirect_uri(format!("{url}/callback")).build()?,
            embed: Embed::new(Environment::UsSandbox, "fake-public-key").script_url(STAND_IN),
            receiver: Receiver::new(WEBHOOK_SECRET, CHALLENGE_TOKEN)?,
            server: format!("the embedded fake at {}", fake.url()),
            fake: Some(Fake(fake)),
        })
    }
}

/// Returns a setting that is required once `FULLSCRIPT_CLIENT_ID` is set.
fn needed(name: &str) -> Result<String, String> {
    var(name).map_err(|_| format!("set {name} too"))
}

/// Returns a random session id.
pub(crate) fn random_text() -> String {
    let mut random = [0; 16];
    getrandom::fill(&mut random).expect("the machine has randomness");
    format!("{:032x}", u128::from_le_bytes(random))
}
