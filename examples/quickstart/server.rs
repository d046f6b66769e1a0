//! What the example runs against: the embedded fake, or the sandbox.

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

/// How many patients the fake's clinic has.
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
    /// The sandbox where the environment has `FULLSCRIPT_CLIENT_ID` and
    /// `FULLSCRIPT_CLIENT_SECRET`, and the fake where it has not.
    ///
    /// `FULLSCRIPT_REDIRECT_URI` is the one of the vendor's dashboard, on
    /// loopback: `http://127.0.0.1:4321/callback` unless set.
    /// `FULLSCRIPT_BASE_URL` leads to a proxy instead.
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
        // Without `patients:order_history`: the last step shows what is said
        // then.
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

    /// The authorization-code flow: the browser goes to the vendor with our
    /// state, and comes back with a code.
    pub(crate) async fn connect(&self) -> Result<User, Failure> {
        let request = self.app().authorize();
        let callback = match self {
            Self::Fake { fake, .. } => fake.approve(request.url(), "practitioner-1"),
            Self::Sandbox { redirect_uri, .. } => came_back(&request, redirect_uri).await?,
        };
        let code = self.app().callback(&callback, request.state())?;
        Ok(self.app().exchange(code).await?)
    }

    /// Lets time pass where it can be let pass; how often tokens had been
    /// asked for before.
    pub(crate) async fn let_two_hours_pass(&self) -> Option<usize> {
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

    /// What the vendor's webhook tells of a plan, once the practitioner has
    /// activated it in the vendor's web app.
    pub(crate) async fn hear_of(
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

/// Opens the browser, and waits for it to come back to the redirect URI.
async fn came_back(request: &AuthorizationRequest, redirect_uri: &Url) -> Result<String, Failure> {
    let host = redirect_uri.host_str().unwrap_or_default();
    let port = redirect_uri.port_or_known_default().unwrap_or_default();
    let listener = TcpListener::bind((host, port)).await?;
    println!(
        "  Open this address and say yes:\n\n    {}\n",
        request.url()
    );
    // It is printed too, for where no browser is found.
    let _opened = webbrowser::open(request.url().as_str());
    let (sender, mut came) = mpsc::channel(1);
    let visited = Arc::new(Notify::new());
    let enough = Arc::clone(&visited);
    let route = get(async move |OriginalUri(uri): OriginalUri| {
        // A second visit has nobody to tell.
        let _told = sender.try_send(uri.to_string());
        visited.notify_one();
        "Back in the terminal it goes on. You can close this page."
    });
    let site = Router::new().route(redirect_uri.path(), route);
    // Ends when the page is there, not before.
    axum::serve(listener, site)
        .with_graceful_shutdown(async move { enough.notified().await })
        .await?;
    let path = came.try_recv()?;
    Ok(redirect_uri.join(&path)?.to_string())
}
