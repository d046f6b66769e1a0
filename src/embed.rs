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

use std::fmt;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::environment::Environment;
use crate::text::html;
use crate::types::SessionGrant;

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

/// The patient that the embedded page opens with.
///
/// Every field is optional. With an `id`, the others are not needed.
///
/// ```
/// use fullscript::embed::EmbedPatient;
///
/// let patient = EmbedPatient::new().first_name("Ana").email("ana@example.com");
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct EmbedPatient {
    /// Fullscript's patient id.
    pub id: Option<String>,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Mobile phone number.
    pub mobile_number: Option<String>,
    /// Date of birth, `yyyy-mm-dd`.
    pub date_of_birth: Option<String>,
    /// Gender.
    pub gender: Option<String>,
    /// Biological sex.
    pub biological_sex: Option<BiologicalSex>,
    /// Discount in percent.
    pub discount: Option<f64>,
}

/// The biological sex of a patient, as the vendor's script accepts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BiologicalSex {
    /// `male`
    Male,
    /// `female`
    Female,
    /// `prefer not to say`
    PreferNotToSay,
}

/// Does not show patient data.
impl fmt::Debug for EmbedPatient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbedPatient").finish_non_exhaustive()
    }
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

    /// Sets the nonce of the page's content security policy. Default: no nonce.
    #[must_use]
    pub fn nonce(mut self, nonce: impl Into<String>) -> Self {
        self.nonce = Some(nonce.into());
        self
    }

    /// Points the script at another web host, for example a fake in a browser test. Default: the
    /// host of the environment.
    ///
    /// `origin` is a scheme and a host, such as `http://127.0.0.1:8080`.
    #[must_use]
    pub fn domain(mut self, origin: impl Into<String>) -> Self {
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
        let script = match clean(origin(&self.script_url)) {
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
            return domain.trim_end_matches('/');
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
        Ok(format!(
            "<div id=\"{element}\"></div>\n\
             <script src=\"{script}\"{nonce}></script>\n\
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

impl EmbedPatient {
    /// Creates a patient with no fields set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets Fullscript's patient id.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets the first name.
    #[must_use]
    pub fn first_name(mut self, first_name: impl Into<String>) -> Self {
        self.first_name = Some(first_name.into());
        self
    }

    /// Sets the last name.
    #[must_use]
    pub fn last_name(mut self, last_name: impl Into<String>) -> Self {
        self.last_name = Some(last_name.into());
        self
    }

    /// Sets the e-mail address.
    #[must_use]
    pub fn email(mut self, email: impl Into<String>) -> Self {
        self.email = Some(email.into());
        self
    }

    /// Sets the mobile phone number.
    #[must_use]
    pub fn mobile_number(mut self, mobile_number: impl Into<String>) -> Self {
        self.mobile_number = Some(mobile_number.into());
        self
    }

    /// Sets the date of birth, `yyyy-mm-dd`.
    #[must_use]
    pub fn date_of_birth(mut self, date_of_birth: impl Into<String>) -> Self {
        self.date_of_birth = Some(date_of_birth.into());
        self
    }

    /// Sets the gender.
    #[must_use]
    pub fn gender(mut self, gender: impl Into<String>) -> Self {
        self.gender = Some(gender.into());
        self
    }

    /// Sets the biological sex.
    #[must_use]
    pub fn biological_sex(mut self, biological_sex: BiologicalSex) -> Self {
        self.biological_sex = Some(biological_sex);
        self
    }

    /// Sets the discount in percent.
    #[must_use]
    pub fn discount(mut self, percent: f64) -> Self {
        self.discount = Some(percent);
        self
    }

    fn options(&self) -> Value {
        let fields = [
            ("id", &self.id),
            ("firstName", &self.first_name),
            ("lastName", &self.last_name),
            ("email", &self.email),
            ("mobileNumber", &self.mobile_number),
            ("dateOfBirth", &self.date_of_birth),
            ("gender", &self.gender),
        ];
        let given = fields.into_iter().filter_map(|(name, value)| {
            let value = value.as_ref()?;
            Some((name.to_string(), json!(value)))
        });
        let mut options = Value::Object(given.collect());
        if let Some(biological_sex) = self.biological_sex {
            options["biologicalSex"] = json!(match biological_sex {
                BiologicalSex::Male => "male",
                BiologicalSex::Female => "female",
                BiologicalSex::PreferNotToSay => "prefer not to say",
            });
        }
        if let Some(discount) = self.discount {
            options["discount"] = json!(discount);
        }
        options
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
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |scheme| scheme + 3);
    let end = url[host..].find(['/', '?', '#']);
    end.map_or(url, |end| &url[..host + end])
}

/// Escapes JSON for a script element, which ends at the first `</script`, even inside a string.
fn in_script(value: &Value) -> String {
    let mut text = value.to_string();
    for (character, escape) in [
        ('<', "\\u003c"),
        ('>', "\\u003e"),
        ('&', "\\u0026"),
        ('\u{2028}', "\\u2028"),
        ('\u{2029}', "\\u2029"),
    ] {
        text = text.replace(character, escape);
    }
    text
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
