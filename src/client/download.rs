//! Files that answers point to: results of labs, attachments of plans.

use std::fmt;
use std::sync::Arc;

use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Method, Request, Url};
use tokio::time::Instant;

use super::Client;
use crate::call::Call;
use crate::call::context::{Context, Credentials};
use crate::call::outcome::{Ending, Outcome};
use crate::call::response::{ByteStream, Response, read_bytes};
use crate::error::{Error, RawResponse};
use crate::transport::Calls;
use crate::transport::RateLimit;
use crate::transport::is_loopback;

/// What errors name instead of an operation.
const ID: &str = "download";

/// The largest file that is read, unless told otherwise: 32 MiB.
const LIMIT: usize = 32 << 20;

/// How many redirects are followed.
const REDIRECTS: usize = 5;

/// The vendor's own domains; their subdomains too.
const OWN_DOMAINS: [&str; 2] = ["fullscript.com", "fullscript.io"];

/// What a PDF begins with; readers take it anywhere in the first kibibyte.
const PDF: &[u8] = b"%PDF-";

impl Client {
    /// Starts to download a file whose address came in an answer, such as
    /// `pdf_url` of a lab result or `attachment_url` of a resource.
    ///
    /// The address must be `https`, and its host the vendor's or one that
    /// [`allow_host`](Download::allow_host) names: an answer does not get to
    /// send you anywhere. Redirects are held to the same. The token goes to the
    /// API's own address and to no other.
    ///
    /// ```no_run
    /// # async fn example(client: fullscript::Client, pdf_url: &str) -> Result<(), fullscript::Error> {
    /// let file = client.download(pdf_url).pdf().send().await?.into_inner();
    /// println!("{} bytes", file.bytes.len());
    /// # Ok(())
    /// # }
    /// ```
    pub fn download(&self, url: &str) -> Download {
        Download {
            client: self.clone(),
            url: url.into(),
            hosts: Vec::new(),
            limit: LIMIT,
            pdf: false,
        }
    }
}

/// A download to be made; see [`Client::download`].
#[must_use = "a download does nothing until it is sent"]
pub struct Download {
    client: Client,
    url: String,
    hosts: Vec<String>,
    limit: usize,
    pdf: bool,
}

/// Shows nothing: the address may be good without a token.
impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download").finish_non_exhaustive()
    }
}

/// A file as it came.
#[derive(Clone)]
#[non_exhaustive]
pub struct DownloadedFile {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// What the server says it is.
    pub content_type: Option<String>,
}

/// Shows nothing of the file, which may be somebody's lab results.
impl fmt::Debug for DownloadedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloadedFile")
            .field("length", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl Download {
    /// Takes files from this host too, in full: `files.example.com`. Where the
    /// vendor keeps its files is not documented.
    pub fn allow_host(mut self, host: impl Into<String>) -> Self {
        self.hosts.push(host.into().to_ascii_lowercase());
        self
    }

    /// The largest file to take, in bytes; 32 MiB by default.
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Takes a PDF and nothing else, judged by what the file begins with: a
    /// page that asks to sign in is none.
    pub fn pdf(mut self) -> Self {
        self.pdf = true;
        self
    }

    /// Downloads the file.
    ///
    /// # Errors
    /// [`Error::is_invalid_request`] for an address that is not allowed,
    /// [`Error::is_decode`] for a file that is too large or no PDF, or a redirect
    /// to an address that is not allowed, and
    /// whatever a call can fail with. An address that has expired is refused
    /// by the server: ask for the object again, and take its new one.
    pub async fn send(self) -> Result<Response<DownloadedFile>, Error> {
        let mut url = Url::parse(&self.url).map_err(|_| not_sent("the address is no URL"))?;
        self.check(&url).map_err(not_sent)?;
        let deadline = Instant::now() + self.client.context.options.whole_timeout();
        let mut redirects = 0;
        loop {
            let context = self.context_for(&url);
            let request = Request::new(Method::GET, url.clone());
            let call = Call::new(&context, None, request);
            let ending = call.with_deadline(deadline).make_streaming().await;
            let Some(location) = redirect(&ending) else {
                return self.read(ending).await;
            };
            redirects += 1;
            let next = url
                .join(&location)
                .map_err(|_| "the server redirects to what is no URL");
            let allowed = next.and_then(|next| self.check(&next).map(|()| next));
            url = match allowed {
                Ok(_) if redirects > REDIRECTS => {
                    return Err(unusable(ending, "the server redirects again and again"));
                }
                Ok(next) => next,
                Err(reason) => return Err(unusable(ending, reason)),
            };
        }
    }

    async fn read(self, ending: Ending) -> Result<Response<DownloadedFile>, Error> {
        let at = ending.response().map(|response| response.url().clone());
        let mut answer = read_bytes(ID, ending).await?;
        // A client of the caller's may follow redirects by itself.
        if let Some(Err(reason)) = at.map(|at| self.check(&at)) {
            return Err(refused(&answer, reason.into()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.value_mut().chunk().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > self.limit {
                let limit = self.limit;
                return Err(refused(
                    &answer,
                    format!("the file is larger than {limit} bytes"),
                ));
            }
        }
        let beginning = &bytes[..bytes.len().min(1_024)];
        if self.pdf && !beginning.windows(PDF.len()).any(|window| window == PDF) {
            return Err(refused(&answer, "the file is no PDF".into()));
        }
        let content_type = answer.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| Some(value.to_str().ok()?.to_string()));
        Ok(answer.map(|_| DownloadedFile {
            bytes,
            content_type,
        }))
    }

    /// Refuses an address that an answer should not be able to send us to.
    fn check(&self, url: &Url) -> Result<(), &'static str> {
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(url)) {
            return Err("the address is not https");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the address has a user or a password");
        }
        let host = url.host_str().unwrap_or_default();
        let vendors = OWN_DOMAINS.iter().any(|domain| {
            host.strip_suffix(domain)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        });
        if vendors || self.is_own(url) || self.hosts.iter().any(|allowed| allowed == host) {
            return Ok(());
        }
        Err(
            "the address leads to a host that is not Fullscript's, name it by `allow_host` if you trust it",
        )
    }

    /// Whether the address is the API's own, which gets the token.
    fn is_own(&self, url: &Url) -> bool {
        self.client.context.base.origin() == url.origin()
    }

    fn context_for(&self, url: &Url) -> Context {
        let mut context = Context::clone(&self.client.context);
        if !self.is_own(url) {
            context.credentials = Credentials::NotNeeded;
            // What another host allows and refuses is not the vendor's limit.
            let clock = Arc::clone(&context.calls.clock);
            context.calls = Arc::new(Calls::new(1, RateLimit::off(), clock, None));
        }
        context
    }
}

fn redirect(ending: &Ending) -> Option<String> {
    let response = ending.response()?;
    let location = response.headers().get(LOCATION)?;
    let location = location.to_str().ok().map(String::from);
    location.filter(|_| response.status().is_redirection())
}

fn not_sent(reason: &'static str) -> Error {
    Error::invalid_request(ID, reason.into())
}

/// A redirect that can't be followed.
fn unusable(ending: Ending, reason: &str) -> Error {
    let (response, _) = match ending.outcome {
        Outcome::Response(response, body) => (response, body),
        Outcome::Failed(failure) => return failure.into_error(ID, ending.trace),
    };
    let answer = RawResponse {
        status: response.status(),
        headers: response.headers().clone(),
        body: bytes::Bytes::new(),
    };
    Error::not_as_expected(ID, answer, reason.into()).traced(ending.trace)
}

fn refused(answer: &Response<ByteStream>, reason: String) -> Error {
    let seen = RawResponse {
        status: answer.status(),
        headers: answer.headers().clone(),
        body: bytes::Bytes::new(),
    };
    Error::not_as_expected(ID, seen, reason).traced(answer.trace().clone())
}
