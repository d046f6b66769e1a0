//! Downloads a document from a URL, or reads it from a file, within limits.

use std::error::Error;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use reqwest::blocking::{Client, Response};
use reqwest::header::{
    ACCEPT, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED, LOCATION,
};
use reqwest::redirect::Policy;
use reqwest::{StatusCode, Url};

use crate::document::judge::quote;
use crate::document::source::{Source, without_secrets};
use crate::refusal::{Refusal, refuse, unreachable, usage};

/// The URL where the vendor publishes the document.
pub const DEFAULT_SOURCE: &str = "https://us.fullscript.com/docs/api/open-api/v1/openapi.json";

/// A server that accepts no connection within this time is considered down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The document is below 1 MB, so a minute is enough on a slow connection.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(60);

/// About a hundred times the size of the document. A larger body is something else.
const MAX_BYTES: u64 = 64 << 20;

/// Enough for a move to another host and a sign-in. More redirects are a loop.
const MAX_REDIRECTS: usize = 5;

const USER_AGENT: &str = concat!("fullscript-rs-xtask/", env!("CARGO_PKG_VERSION"));

const EXPECTED: &str = "status 200 with Fullscript's OpenAPI document";
const SAVE_MANUALLY: &str = "save the document with a browser and pass the file with --from";

/// The source of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A URL.
    Url(Url),
    /// A file on this machine.
    File(PathBuf),
}

/// The limits of time and size of one download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The maximum time until the connection is established.
    pub connect: Duration,
    /// The maximum time until the last byte is received, including redirects.
    pub total: Duration,
    /// The maximum size of the document.
    pub bytes: u64,
}

/// The response of the server.
#[derive(Debug)]
pub enum Fetched {
    /// The document has not changed since it was recorded.
    Unchanged,
    /// A document, not yet validated.
    Document(Received),
}

/// The received bytes and the headers that describe them.
#[derive(Debug)]
pub struct Received {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The `Content-Type` of the response.
    pub content_type: Option<String>,
    /// The `ETag` of the response.
    pub etag: Option<String>,
    /// The `Last-Modified` of the response.
    pub last_modified: Option<String>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: CONNECT_TIMEOUT,
            total: TOTAL_TIMEOUT,
            bytes: MAX_BYTES,
        }
    }
}

impl Origin {
    /// Parses a URL or a file path.
    ///
    /// # Errors
    /// Returns a [`Refusal`] for a URL whose scheme is neither http nor https.
    pub fn parse(text: &OsStr) -> Result<Self, Refusal> {
        let Some(address) = text.to_str().filter(|text| text.contains("://")) else {
            return Ok(Self::File(text.into()));
        };
        let url = Url::parse(address).map_err(|error| usage(format!("invalid URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            let problem = format!("unsupported URL scheme {}", quote(url.scheme()));
            return Err(refuse(
                problem,
                "an https URL or the path of a file",
                "pass one of these with --from",
            ));
        }
        Ok(Self::Url(url))
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(url) => f.write_str(&without_secrets(url)),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// Downloads the document from a URL, conditionally if `known` is given.
///
/// # Errors
/// Returns a [`Refusal`] if the server is unreachable, the status is not 200, or a limit is
/// exceeded.
pub fn fetch(url: &Url, known: Option<&Source>, limits: &Limits) -> Result<Fetched, Refusal> {
    if !is_trusted(url, true) {
        return Err(refuse_plain_http("plain http URL", url));
    }
    say(format_args!("fetching {}", without_secrets(url)));
    let conditions = known.map(conditions).unwrap_or_default();
    let exchange = Exchange {
        deadline: Instant::now() + limits.total,
        limits,
    };
    let response = exchange
        .ask(url, &conditions)
        .map_err(|error| exchange.refuse_transport(url, &error))?;
    match response.status() {
        StatusCode::OK => exchange.receive(response).map(Fetched::Document),
        StatusCode::NOT_MODIFIED if !conditions.is_empty() => Ok(Fetched::Unchanged),
        status => match response.headers().get(LOCATION) {
            Some(location) if status.is_redirection() => {
                Err(refuse_redirect(response.url(), location))
            }
            _ => Err(refuse_status(status, response.url())),
        },
    }
}

/// Reads a document from a file.
///
/// # Errors
/// Returns a [`Refusal`] if the file does not exist, cannot be read, or is too large.
pub fn read_file(path: &Path, limits: &Limits) -> Result<Received, Refusal> {
    let shown = path.display();
    let refuse_file = |problem: String| {
        refuse(
            problem,
            "a readable file with the document",
            "check the path in --from",
        )
    };
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => refuse_file(format!("no file at {shown}")),
        _ => refuse_file(format!("cannot read the file {shown}: {error}")),
    })?;
    if metadata.is_dir() {
        return Err(refuse_file(format!("{shown} is a directory")));
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limits.bytes + 1).read_to_end(&mut bytes))
        .map_err(|error| refuse_file(format!("cannot read the file {shown}: {error}")))?;
    Received::within(limits, bytes, &HeaderMap::new())
}

impl Received {
    /// Returns an error if a document is larger than the limit.
    fn within(limits: &Limits, bytes: Vec<u8>, headers: &HeaderMap) -> Result<Self, Refusal> {
        if bytes.len() as u64 > limits.bytes {
            return Err(refuse_size(limits));
        }
        let header = |name| Some(headers.get(name)?.to_str().ok()?.to_owned());
        Ok(Self {
            bytes,
            content_type: header(CONTENT_TYPE),
            etag: header(ETAG),
            last_modified: header(LAST_MODIFIED),
        })
    }
}

/// One request, with its redirects and its response.
struct Exchange<'a> {
    deadline: Instant,
    limits: &'a Limits,
}

impl Exchange<'_> {
    /// Follows trusted redirects. An untrusted one is returned as the response, so that the error
    /// can name its target.
    fn ask(&self, url: &Url, conditions: &HeaderMap) -> reqwest::Result<Response> {
        // Fails only if a provider is already installed, which is fine.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let is_local = is_loopback(url);
        let policy = Policy::custom(move |attempt| {
            let is_trusted = is_trusted(attempt.url(), is_local);
            if is_trusted && attempt.previous().len() <= MAX_REDIRECTS {
                attempt.follow()
            } else {
                attempt.stop()
            }
        });
        let mut client = Client::builder()
            .connect_timeout(self.limits.connect)
            .redirect(policy)
            .referer(false)
            // A server may close a connection that a redirect is about to reuse.
            .pool_max_idle_per_host(0)
            .user_agent(USER_AGENT);
        if is_local {
            client = client.no_proxy();
        }
        client
            .build()?
            .get(url.clone())
            .header(
                ACCEPT,
                "application/json, application/yaml;q=0.9, */*;q=0.1",
            )
            .headers(conditions.clone())
            .timeout(self.limits.total)
            .send()
    }

    fn receive(&self, mut response: Response) -> Result<Received, Refusal> {
        let announced = response.content_length();
        if announced.is_some_and(|length| length > self.limits.bytes) {
            return Err(refuse_size(self.limits));
        }
        let bar = progress_bar(announced);
        let mut bytes = Vec::new();
        bar.wrap_read(&mut response)
            .take(self.limits.bytes + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| self.refuse_break(response.url(), &error, bytes.len(), announced))?;
        bar.finish_and_clear();
        say(format_args!("received {} bytes", bytes.len()));
        Received::within(self.limits, bytes, response.headers())
    }

    fn refuse_transport(&self, url: &Url, error: &reqwest::Error) -> Refusal {
        let url = error.url().unwrap_or(url);
        if error.is_timeout() && Instant::now() >= self.deadline {
            return self.refuse_timeout(url, 0);
        }
        let problem = if error.is_timeout() {
            format!(
                "no connection to {} within {} s",
                host(url),
                self.limits.connect.as_secs()
            )
        } else if error.is_connect() {
            format!("no connection to {}: {}", host(url), root_cause(error))
        } else {
            format!("no response from {}: {}", host(url), root_cause(error))
        };
        let help = format!("check the network and the address, or {SAVE_MANUALLY}");
        unreachable(refuse(problem, EXPECTED, help))
    }

    fn refuse_break(
        &self,
        url: &Url,
        error: &io::Error,
        received: usize,
        announced: Option<u64>,
    ) -> Refusal {
        if Instant::now() >= self.deadline {
            return self.refuse_timeout(url, received);
        }
        let of = announced.map_or_else(String::new, |length| format!(" of {length} announced"));
        let problem = format!(
            "connection to {} closed after {received} bytes{of}: {}",
            host(url),
            root_cause(error)
        );
        unreachable(refuse(
            problem,
            EXPECTED,
            format!("run the command again, or {SAVE_MANUALLY}"),
        ))
    }

    fn refuse_timeout(&self, url: &Url, received: usize) -> Refusal {
        let total = self.limits.total.as_secs();
        let problem = format!(
            "timed out after {total} s: received {received} bytes from {}",
            host(url)
        );
        let expected = format!("{EXPECTED}, complete within {total} s");
        let help = format!("run again with a longer --timeout <seconds>, or {SAVE_MANUALLY}");
        unreachable(refuse(problem, expected, help))
    }
}

fn conditions(known: &Source) -> HeaderMap {
    [
        (IF_NONE_MATCH, &known.etag),
        (IF_MODIFIED_SINCE, &known.last_modified),
    ]
    .into_iter()
    // A value that is invalid in a header only costs a full download.
    .filter_map(|(name, value)| Some((name, HeaderValue::from_str(value.as_ref()?).ok()?)))
    .collect()
}

/// Returns whether a URL may be requested. Code is generated from the document, so it must not be
/// modified in transit. Plain http is allowed only on this machine, and only if the first URL is on
/// it too: the client then uses no proxy.
fn is_trusted(url: &Url, began_here: bool) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => began_here && is_loopback(url),
        _ => false,
    }
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

fn refuse_plain_http(what: &str, url: &Url) -> Refusal {
    refuse(
        format!("{what} {}", without_secrets(url)),
        "https, or http on this machine",
        format!("pass an https address with --from, or {SAVE_MANUALLY}"),
    )
}

/// Returns the error of a redirect that was not followed.
fn refuse_redirect(from: &Url, location: &HeaderValue) -> Refusal {
    let next = location.to_str().ok();
    let Some(next) = next.and_then(|location| from.join(location).ok()) else {
        let problem = format!("invalid redirect location from {}", host(from));
        return refuse(problem, EXPECTED, SAVE_MANUALLY);
    };
    if !is_trusted(&next, is_loopback(from)) {
        return refuse_plain_http("redirect to", &next);
    }
    refuse(
        format!(
            "more than {MAX_REDIRECTS} redirects, the last to {}",
            without_secrets(&next)
        ),
        EXPECTED,
        "find the document's URL with a browser and pass it with --from",
    )
}

fn refuse_status(status: StatusCode, url: &Url) -> Refusal {
    let problem = format!("status {status} from {}", without_secrets(url));
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        let help = format!("retry later, or {SAVE_MANUALLY}");
        return unreachable(refuse(problem, EXPECTED, help));
    }
    let help = format!("find the document's new URL and pass it with --from, or {SAVE_MANUALLY}");
    refuse(problem, EXPECTED, help)
}

fn refuse_size(limits: &Limits) -> Refusal {
    let mebibytes = limits.bytes >> 20;
    refuse(
        format!("more than {mebibytes} MiB"),
        format!("a document of at most {mebibytes} MiB"),
        "check that the source is the OpenAPI document and pass the right one with --from",
    )
}

fn host(url: &Url) -> &str {
    url.host_str().unwrap_or("the server")
}

/// Returns the last error of the chain. The outer ones name the layers of the library.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn progress_bar(length: Option<u64>) -> ProgressBar {
    if !is_watched() {
        return ProgressBar::hidden();
    }
    let template = match length {
        Some(_) => "{bar:40} {bytes}/{total_bytes} {bytes_per_sec}",
        None => "{spinner} {bytes} {bytes_per_sec}",
    };
    let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Prints a line if no progress bar is shown.
fn say(line: std::fmt::Arguments<'_>) {
    if !is_watched() {
        eprintln!("{line}");
    }
}

fn is_watched() -> bool {
    io::stderr().is_terminal() && std::env::var_os("CI").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_this_machine_are_trusted() {
        for (address, trusted) in [
            ("https://us.fullscript.com/a", true),
            ("http://us.fullscript.com/a", false),
            ("http://localhost:1/a", true),
            ("http://127.0.0.1:1/a", true),
            ("http://127.9.9.9/a", true),
            ("http://[::1]:1/a", true),
            ("http://localhost.example/a", false),
            ("http://127.0.0.1.example/a", false),
            ("http://localhost@example.com/a", false),
            ("file:///etc/passwd", false),
        ] {
            let url = Url::parse(address).unwrap();
            assert_eq!(is_trusted(&url, true), trusted, "{address}");
            let is_https = url.scheme() == "https";
            assert_eq!(is_trusted(&url, false), is_https, "{address}");
        }
    }

    #[test]
    fn a_url_is_distinguished_from_a_file() {
        assert!(matches!(
            Origin::parse("a.json".as_ref()),
            Ok(Origin::File(_))
        ));
        assert!(matches!(
            Origin::parse("HTTPS://a/b".as_ref()),
            Ok(Origin::Url(_))
        ));
        assert!(Origin::parse("ftp://a/b".as_ref()).is_err());
        assert!(Origin::parse("https://".as_ref()).is_err());
    }
}
