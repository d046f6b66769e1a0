//! The redirect URI of an app, checked and in its own spelling.

use url::Url;

use crate::transport::{BuildError, Connection};

/// Schemes that a browser does not pass on to an app, or that are not safe to redirect to.
const REFUSED_SCHEMES: [&str; 10] = [
    "about",
    "blob",
    "data",
    "file",
    "ftp",
    "javascript",
    "mailto",
    "vbscript",
    "ws",
    "wss",
];

/// The parameters of a callback, which the query of a redirect URI must not contain.
const CALLBACK_PARAMETERS: [&str; 4] = ["code", "state", "error", "error_description"];

/// The redirect URI of an app.
///
/// The server compares it byte by byte with the dashboard, so it is sent as it was given, and its
/// parsed form is used only to recognize callbacks.
pub(crate) struct RedirectUri {
    text: String,
    url: Url,
}

impl RedirectUri {
    /// Accepts `https`, `http` on a loopback address or an allowed host, and the custom scheme of
    /// a native app (RFC 8252, section 7), without a fragment (RFC 6749, section 3.1.2).
    pub(crate) fn parse(text: String, connection: &Connection) -> Result<Self, BuildError> {
        let refuse = |reason| Err(BuildError::new(reason));
        // The parser would drop them.
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return refuse("redirect URI: contains white space or a control character");
        }
        let Ok(url) = Url::parse(&text) else {
            return refuse("redirect URI: not a valid URL; write it in full, with its scheme");
        };
        // The parser would also accept `https:/host` and `https:\\host`.
        let is_web = matches!(url.scheme(), "http" | "https");
        if is_web && !text[url.scheme().len()..].starts_with("://") {
            return refuse("redirect URI: not a valid URL; write `//` after the scheme");
        }
        if url.scheme() == "http" && !connection.is_local(&url) {
            return refuse(
                "redirect URI: not https; http is accepted only on a loopback address, or on a \
                 host that `allow_http_host` names",
            );
        }
        if REFUSED_SCHEMES.contains(&url.scheme()) {
            return refuse(
                "redirect URI: the scheme does not lead back to an app; use https, http on a \
                 loopback address, or the custom scheme of a native app",
            );
        }
        if url.fragment().is_some() {
            return refuse("redirect URI: has a fragment; remove `#` and the text after it");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("redirect URI: contains a user name or a password; remove it");
        }
        let mut names = url.query_pairs().map(|(name, _)| name);
        if names.any(|name| CALLBACK_PARAMETERS.contains(&&*name)) {
            return refuse(
                "redirect URI: the query contains a parameter of the callback (code, state, error \
                 or error_description); rename it",
            );
        }
        Ok(Self { text, url })
    }

    /// Returns the redirect URI as it was given.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }
}
