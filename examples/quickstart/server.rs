//! The server that the example runs against: the embedded fake, or the US sandbox.

use std::env::var;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::OriginalUri;
use axum::routing::get;
use fullscript::Environment;
use fullscript::auth::{AuthorizationRequest, OAuthApp, Scope, User};
use fullscript::testing::FakeFullscript;
use fullscript::types::TreatmentPlan;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use url::Url;

use crate::Failure;
use crate::webhook::Deliveries;

/// The number of patients in the fake's clinic.
const PATIENTS: usize = 1_000;

pub(crate) enum Server {
    Fake {
        fake: FakeFullscript,
        app: OAuthApp,
        deliveries: Deliveries,
    },
    Sandbox {
        app: OAuthApp,
        redirect_uri: Url,
    },
}

impl Server {
    /// Chooses the US sandbox if the environment sets `FULLSCRIPT_CLIENT_ID` and
    /// `FULLSCRIPT_CLIENT_SECRET`, and the embedded fake otherwise.
    ///
    /// `FULLSCRIPT_REDIRECT_URI` must equal the redirect URI in the vendor's dashboard, and be a
    /// loopback address. Default: `http://127.0.0.1:4321/callback`. `FULLSCRIPT_BASE_URL`
    /// overrides the base URL, for example to use a proxy.
    pub(crate) async fn choose() -> Result<Self, Failure> {
        let Ok(client_id) = var("FULLSCRIPT_CLIENT_ID") else {
            return Self::fake().await;
        };
        let secret = var("FULLSCRIPT_CLIENT_SECRET");
        let secret = secret.map_err(|_| "set FULLSCRIPT_CLIENT_SECRET too")?;
        let redirect_uri = var("FULLSCRIPT_REDIRECT_URI")
            .unwrap_or_else(|_| "http://127.0.0.1:4321/callback".into());
        let mut app = OAuthApp::builder(Environment::UsSandbox)
            .client_id(client_id)
            .client_secret(secret)
            .redirect_uri(redirect_uri.clone());
        if let Ok(base_url) = var("FULLSCRIPT_BASE_URL") {
            app = app.base_url(base_url);
        }
        let app = app.build()?;
        let redirect_uri = redirect_uri.parse()?;
        Ok(Self::Sandbox { app, redirect_uri })
    }

    async fn fake() -> Result<Self, Failure> {
        // Without `patients:order_history`, so that the last step shows the error.
        let scopes = [
            Scope::CATALOG_READ,
            Scope::CLINIC_READ,
            Scope::CLINIC_WRITE,
            Scope::PATIENTS_READ,
            Scope::TREATMENT_PLAN_HISTORY,
        ];
        let fake = FakeFullscript::builder()
            .patients(PATIENTS)
            .scopes(scopes)
            .start()
            .await?;
        let app = fake.app_builder().build()?;
        let deliveries = Deliveries::to(&fake).await?;
        Ok(Self::Fake {
            fake,
            app,
            deliveries,
        })
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Fake { .. } => "the embedded fake (no credentials needed)",
            Self::Sandbox { .. } => "the US sandbox",
        }
    }

    pub(crate) fn app(&self) -> &OAuthApp {
        match self {
            Self::Fake { app, .. } | Self::Sandbox { app, .. } => app,
        }
    }

    /// Runs the authorization code flow: the browser opens the authorization URL, and returns to
    /// the redirect URI with a code.
    pub(crate) async fn connect(&self) -> Result<User, Failure> {
        let request = self.app().authorize();
        let callback = match self {
            Self::Fake { fake, .. } => fake.approve(request.url(), "practitioner-1"),
            Self::Sandbox { redirect_uri, .. } => wait_for_callback(&request, redirect_uri).await?,
        };
        let code = self.app().callback(&callback, request.state())?;
        Ok(self.app().exchange(code).await?)
    }

    /// Advances the time of the fake by two hours. Returns the number of token requests before.
    pub(crate) async fn advance_two_hours(&self) -> Option<usize> {
        let Self::Fake { fake, .. } = self else {
            return None;
        };
        let before = self.token_requests();
        fake.advance(Duration::from_secs(2 * 60 * 60)).await;
        Some(before)
    }

    pub(crate) fn token_requests(&self) -> usize {
        match self {
            Self::Fake { fake, .. } => fake.count("create_oauth_token"),
            Self::Sandbox { .. } => 0,
        }
    }

    /// Activates a plan as a practitioner does in the vendor's web app, and returns the webhook
    /// event that this causes.
    pub(crate) async fn activate_in_web_app(
        &mut self,
        plan: &TreatmentPlan,
    ) -> Result<Option<String>, Failure> {
        let Self::Fake {
            fake, deliveries, ..
        } = self
        else {
            return Ok(None);
        };
        fake.web_app().activate_treatment_plan(plan.id.as_str());
        Ok(deliveries.next().await)
    }
}

/// Opens the browser, and waits until it requests the redirect URI.
async fn wait_for_callback(
    request: &AuthorizationRequest,
    redirect_uri: &Url,
) -> Result<String, Failure> {
    let host = redirect_uri.host_str().unwrap_or_default();
    let port = redirect_uri.port_or_known_default().unwrap_or_default();
    let listener = TcpListener::bind((host, port)).await?;
    println!(
        "  Open this address and authorize the app:\n\n    {}\n",
        request.url()
    );
    // The address is printed too, in case no browser is found.
    let _opened = webbrowser::open(request.url().as_str());
    let (sender, mut callbacks) = mpsc::channel(1);
    let visited = Arc::new(Notify::new());
    let shut_down = Arc::clone(&visited);
    let route = get(async move |OriginalUri(uri): OriginalUri| {
        // The channel holds the first request only.
        let _sent = sender.try_send(uri.to_string());
        visited.notify_one();
        "The quickstart continues in the terminal. You can close this page."
    });
    let site = Router::new().route(redirect_uri.path(), route);
    // A graceful shutdown delivers the page before the server ends.
    axum::serve(listener, site)
        .with_graceful_shutdown(async move { shut_down.notified().await })
        .await?;
    let path = callbacks.try_recv()?;
    Ok(redirect_uri.join(&path)?.to_string())
}
