//! Embeds Fullscript in a page of your application, and links into Fullscript.
//!
//! # Embed
//!
//! The browser needs a session grant: a secret that signs the user in, valid once and for 120
//! seconds (source: Fullscript's page on session grants). Create it when the page is requested, put
//! it into that page only, and do not store it:
//!
//! ```no_run
//! use fullscript::Environment;
//! use fullscript::embed::{Embed, Entrypoint};
//!
//! # #[cfg(feature = "client")]
//! # async fn example(client: fullscript::Client) -> Result<String, Box<dyn std::error::Error>> {
//! let embed = Embed::new(Environment::UsSandbox, "public key of the dashboard")
//!     .entrypoint(Entrypoint::Labs);
//! let grant = client.create_session_grant().send().await?;
//! let now = std::time::SystemTime::now();
//! let html = embed.html(&grant, now)?; // part of the body of a page that is not cached
//! # Ok(html)
//! # }
//! ```
//!
//! Serve that page with `Cache-Control: no-store`. The dashboard must list the page's origin.
//! [`Embed::content_security_policy`] returns what a content security policy must allow.
//!
//! An app created before August 2021 has clinic-level tokens. In that case the body of the grant
//! names the user: `CreateSessionGrantRequest::new().user_id(..)` and `.user_type(..)`.
//!
//! # Redirect
//!
//! Links that open Fullscript for a practitioner are requested one at a time:
//! `get_new_treatment_plan_link` for an empty plan, `create_treatment_plan_link` for a draft with a
//! patient and products, and `create_gateway_treatment_plan_link` for a draft for which the
//! practitioner selects the patient. Note three pitfalls (source: Fullscript's guide on redirects):
//!
//! - The format of `redirect_url` may change: use it unchanged and never construct one.
//! - A link to a draft does not expire and opens the same plan each time.
//! - Creating a patient sends a welcome e-mail unless `send_welcome_email` is false. The sandbox
//!   also sends it, to whatever address is given.

#![cfg_attr(
    feature = "client",
    doc = "\n# See also\n\nThe [guide to embed and redirect](crate::guide::embed)."
)]

mod browser_event;
mod patient;

use std::fmt;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::environment::Environment;
use crate::text::{html, in_script};
use crate::types::SessionGrant;

pub use self::browser_event::{BrowserEvent, BrowserEventData};
pub use self::patient::{BiologicalSex, EmbedPatient};

/// Fullscript's script for pages without a bundler, in the version that its guides name.
const DEFAULT_SCRIPT: &str =
    "https://public-assets.fullscript.com/fullscript.js/3.0.1/fullscript-js.umd.min.js";

/// Default id of the element that contains the frame.
const DEFAULT_ELEMENT: &str = "fullscript";

/// The configuration of `@fullscript/fullscript-js` in a page.
#[derive(Clone)]
pub struct Embed {
    environment: Environment,
    public_key: String,
    script_url: String,
    integrity: Option<String>,
    element_id: String,
    nonce: Option<String>,
    domain: Option<String>,
    feature: Feature,
    entrypoint: Option<Entrypoint>,
    patient: Option<EmbedPatient>,
}

#[derive(Clone, Copy)]
enum Feature {
    Platform,
    TreatmentPlan,
}

/// The page on which the platform opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entrypoint {
    /// The supplement catalog.
    Catalog,
    /// Labs; only in the United States.
    Labs,
}

impl Embed {
    /// Creates a configuration that embeds the whole platform.
    ///
    /// `public_key` is the public key from the dashboard of this environment.
    #[must_use]
    pub fn new(environment: Environment, public_key: impl Into<String>) -> Self {
        Self {
            environment,
            public_key: public_key.into(),
            script_url: DEFAULT_SCRIPT.into(),
            integrity: None,
            element_id: DEFAULT_ELEMENT.into(),
            nonce: None,
            domain: None,
            feature: Feature::Platform,
            entrypoint: None,
            patient: None,
        }
    }

    /// Embeds only a new treatment plan instead of the whole platform.
    ///
    /// Fullscript's current guides describe the platform instead.
    #[must_use]
    pub fn treatment_plan(mut self) -> Self {
        self.feature = Feature::TreatmentPlan;
        self
    }

    /// Sets the page on which the platform opens. Default: its start page.
    #[must_use]
    pub fn entrypoint(mut self, entrypoint: Entrypoint) -> Self {
        self.entrypoint = Some(entrypoint);
        self
    }

    /// Sets the patient to open with. Default: no patient.
    #[must_use]
    pub fn patient(mut self, patient: EmbedPatient) -> Self {
        self.patient = Some(patient);
        self
    }

    /// Sets the id of the element that contains the frame. Default: `fullscript`.
    #[must_use]
    pub fn element_id(mut self, id: impl Into<String>) -> Self {
        self.element_id = id.into();
        self
    }

    /// Sets the address of Fullscript's script, for example of a newer version or of your own copy.
    /// Default: version 3.0.1 on Fullscript's host.
    #[must_use]
    pub fn script_url(mut self, url: impl Into<String>) -> Self {
        self.script_url = url.into();
        self
    }

    /// Sets the hash that the script must have (subresource integrity), such as `sha384-..`.
    /// Default: the browser runs whatever the script's address returns.
    ///
    /// The browser refuses a script with another hash, so set it together with the
    /// [address](Self::script_url) of one version. A script on another host must be served with
    /// `Access-Control-Allow-Origin`. The guide to embed
    /// and redirect shows how to compute the hash.
    #[must_use]
    pub fn integrity(mut self, hash: impl Into<String>) -> Self {
        self.integrity = Some(hash.into());
        self
    }

    /// Sets the nonce of the page's content security policy. Default: no nonce.
    #[must_use]
    pub fn nonce(mut self, nonce: impl Into<String>) -> Self {
        self.nonce = Some(nonce.into());
        self
    }

    /// Points the script at another web host, for example a fake in a browser test. Default: the
    /// host of the environment.
    ///
    /// `origin` is a scheme and a host, such as `http://127.0.0.1:8080`. It is written as browsers
    /// write it: in lower case, without a default port and a path.
    #[must_use]
    pub fn domain(mut self, origin: impl Into<String>) -> Self {
        let origin = origin_of(&origin.into()).to_ascii_lowercase();
        // The script compares the origin of each message with this text.
        let default_port = if origin.starts_with("http:") {
            ":80"
        } else {
            ":443"
        };
        let origin = origin.strip_suffix(default_port).unwrap_or(&origin);
        self.domain = Some(origin.into());
        self
    }

    /// Returns the directives that the page's content security policy must contain.
    ///
    /// `script-src` allows the vendor's script, and the inline script of [`html`](Self::html) if a
    /// [`nonce`](Self::nonce) is set; `frame-src` allows the frame; `connect-src` allows the
    /// request with which the script sends the patient. Without `connect-src`, the frame opens
    /// without the patient, and the script reports nothing (observed with version 3.2.0). Merge the
    /// sources into your own directives of the same names.
    ///
    /// ```
    /// use fullscript::Environment;
    /// use fullscript::embed::Embed;
    ///
    /// let embed = Embed::new(Environment::UsSandbox, "public key").nonce("r4nd0m");
    /// assert_eq!(
    ///     embed.content_security_policy(),
    ///     "script-src 'nonce-r4nd0m' https://public-assets.fullscript.com; \
    ///      frame-src https://us-snd.fullscript.io; \
    ///      connect-src https://us-snd.fullscript.io"
    /// );
    /// ```
    #[must_use]
    pub fn content_security_policy(&self) -> String {
        // Neither separator of a policy can be a part of a source.
        let clean = |text: &str| text.replace([';', ',', '\'', ' ', '\n', '\r'], "");
        let nonce = self.nonce.as_deref().map(clean);
        let nonce = nonce.map_or_else(String::new, |nonce| format!("'nonce-{nonce}' "));
        let script = match clean(origin_of(&self.script_url)) {
            own if own.is_empty() => "'self'".to_string(),
            other => other,
        };
        let web = clean(self.web_origin());
        format!("script-src {nonce}{script}; frame-src {web}; connect-src {web}")
    }

    /// Returns the directive that a `Permissions-Policy` of the page must contain, if there is such
    /// a policy: the frame copies links to the clipboard.
    #[must_use]
    pub fn permissions_policy(&self) -> String {
        format!("clipboard-write=(self \"{}\")", self.web_origin())
    }

    /// Returns the origin of the frame: `https://us-snd.fullscript.io`.
    #[must_use]
    pub fn web_origin(&self) -> &str {
        if let Some(domain) = &self.domain {
            return domain;
        }
        match self.environment {
            Environment::UsSandbox => "https://us-snd.fullscript.io",
            Environment::CaSandbox => "https://ca-snd.fullscript.io",
            Environment::UsProduction => "https://us.fullscript.com",
            Environment::CaProduction => "https://ca.fullscript.com",
        }
    }

    /// Returns the arguments for the npm package, for a page that builds the frame itself: `client`
    /// for `Fullscript(..)`, `feature` and `options` for `create(..)`, `elementId` for `mount(..)`.
    ///
    /// They contain the grant's secret: send them only to the browser that requested the page, over
    /// a connection that nothing caches or logs.
    ///
    /// # Errors
    /// Returns an [`EmbedError`] if the grant has no secret, was already used, or is expired at
    /// `now`.
    pub fn options(&self, grant: &SessionGrant, now: SystemTime) -> Result<Value, EmbedError> {
        if grant.claimed_at.is_some() {
            return Err(EmbedError("session grant: already used; create another"));
        }
        let expires_at = grant.expires_at.as_ref().and_then(|it| it.instant());
        if expires_at.is_some_and(|expires_at| SystemTime::from(expires_at) <= now) {
            return Err(EmbedError("session grant: expired; create another"));
        }
        let secret = grant
            .secret_token
            .as_ref()
            .ok_or(EmbedError("session grant: no secret token; create another"))?;
        let mut options = json!({ "secretToken": secret.expose() });
        if let Some(patient) = &self.patient {
            options["patient"] = patient.options();
        }
        if let (Feature::Platform, Some(entrypoint)) = (self.feature, self.entrypoint) {
            options["entrypoint"] = json!(match entrypoint {
                Entrypoint::Catalog => "catalog",
                Entrypoint::Labs => "labs",
            });
        }
        let mut client = json!({"publicKey": self.public_key, "env": self.env()});
        if self.domain.is_some() {
            client["domain"] = json!(self.web_origin());
        }
        Ok(json!({
            "client": client,
            "feature": match self.feature {
                Feature::Platform => "platform",
                Feature::TreatmentPlan => "treatmentPlan",
            },
            "options": options,
            "elementId": self.element_id,
        }))
    }

    /// Returns the HTML that shows Fullscript: an element, Fullscript's script, and a few lines
    /// that mount the frame at the height of the window.
    ///
    /// The page can use the feature as `window.fullscriptFeature`, for example to handle its
    /// events.
    ///
    /// # Errors
    /// Returns the errors of [`options`](Self::options).
    pub fn html(&self, grant: &SessionGrant, now: SystemTime) -> Result<String, EmbedError> {
        let options = in_script(&self.options(grant, now)?);
        let element = html(&self.element_id);
        let script = html(&self.script_url);
        let nonce = self.nonce.as_ref().map(|nonce| {
            let nonce = html(nonce);
            format!(" nonce=\"{nonce}\"")
        });
        let nonce = nonce.unwrap_or_default();
        let integrity = self.integrity.as_ref().map(|hash| {
            let hash = html(hash);
            format!(" integrity=\"{hash}\" crossorigin=\"anonymous\"")
        });
        let integrity = integrity.unwrap_or_default();
        Ok(format!(
            "<div id=\"{element}\"></div>\n\
             <script src=\"{script}\"{integrity}{nonce}></script>\n\
             <script{nonce}>\n\
             (function (page) {{\n  \
               document.getElementById(page.elementId).style.height = \"100vh\";\n  \
               var feature = Fullscript(page.client).create(page.feature, page.options);\n  \
               window.fullscriptFeature = feature;\n  \
               feature.mount(page.elementId);\n\
             }})({options});\n\
             </script>\n"
        ))
    }

    fn env(&self) -> &'static str {
        match self.environment {
            Environment::UsSandbox => "us-snd",
            Environment::CaSandbox => "ca-snd",
            Environment::UsProduction => "us",
            Environment::CaProduction => "ca",
        }
    }
}

/// Does not show patient data.
impl fmt::Debug for Embed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embed")
            .field("environment", &self.environment)
            .finish_non_exhaustive()
    }
}

/// Returns the scheme and the host of a URL.
fn origin_of(url: &str) -> &str {
    let host = url.find("://").map_or(0, |scheme| scheme + 3);
    let end = url[host..].find(['/', '?', '#']);
    end.map_or(url, |end| &url[..host + end])
}

/// The reason why a session grant cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbedError(&'static str);

impl fmt::Display for EmbedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for EmbedError {}
