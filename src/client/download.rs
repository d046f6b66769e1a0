//! Downloads of files that responses link to: lab results, attachments of treatment plans.

use std::fmt;
use std::sync::Arc;

use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Method, Request, Url};
use tokio::time::{Instant, sleep};

use super::Client;
use crate::call::Call;
use crate::call::context::{Context, Credentials};
use crate::call::outcome::{Ending, Outcome};
use crate::call::response::{ByteStream, Response, read_bytes};
use crate::error::{DOWNLOAD as ID, Error, RawResponse};
use crate::transport::retry::{Backoff, Reason};
use crate::transport::{Calls, RateLimit, is_loopback, is_vendor_host};

/// Default size limit: 32 MiB.
const DEFAULT_LIMIT: usize = 32 << 20;

/// The number of redirects that are followed.
const MAX_REDIRECTS: usize = 5;

/// The advice for a redirect that is not followed.
const NOT_ALLOWED: &str = "request the object that contains the address again, or allow the host";

/// The first bytes of a PDF.
const PDF: &[u8] = b"%PDF-";

/// The last line of a PDF, in the last 1,024 bytes.
const PDF_END: &[u8] = b"%%EOF";

impl Client {
    /// Creates a download of a file whose address came in a response, such as `pdf_url` of a lab
    /// result or `attachment_url` of a resource.
    ///
    /// The address must be `https`, and its host must be Fullscript's or one that
    /// [`allow_host`](Download::allow_host) names, so that a response cannot direct the client to
    /// an arbitrary host. The same rules apply to redirects. The access token is sent only to the
    /// API's own address.
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
            limit: DEFAULT_LIMIT,
            pdf: false,
        }
    }
}

/// A request for a file; see [`Client::download`].
#[must_use = "a download does nothing until it is sent"]
pub struct Download {
    client: Client,
    url: String,
    hosts: Vec<String>,
    limit: usize,
    pdf: bool,
}

/// Shows only the type name, because the address may work without a token.
impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download").finish_non_exhaustive()
    }
}

/// A downloaded file.
#[derive(Clone)]
#[non_exhaustive]
pub struct DownloadedFile {
    /// The content of the file.
    pub bytes: Vec<u8>,
    /// The type of the file: `application/pdf` if [`Download::pdf`] was set, or else the
    /// `Content-Type` header of the response.
    pub content_type: Option<String>,
}

/// Shows only the length, because the file may contain lab results.
impl fmt::Debug for DownloadedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloadedFile")
            .field("length", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl Download {
    /// Allows files from this host, given by its full name: `files.example.com`.
    ///
    /// Fullscript does not document where it stores its files.
    pub fn allow_host(mut self, host: impl Into<String>) -> Self {
        self.hosts.push(host.into().to_ascii_lowercase());
        self
    }

    /// Sets the maximum file size in bytes. Default: 32 MiB.
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Accepts only PDF files, which begin with `%PDF-`.
    ///
    /// Other content, such as a sign-in page, is an error, whatever `Content-Type` it has.
    pub fn pdf(mut self) -> Self {
        self.pdf = true;
        self
    }

    /// Downloads the file.
    ///
    /// If the connection is lost within the file, the download starts again, within the deadline,
    /// the attempts and the retry budget of the client's calls.
    ///
    /// # Errors
    /// - [`Error::is_invalid_request`] if the address is not allowed.
    /// - [`Error::is_decode`] if the file is too large, if it is not a PDF, or if the server
    ///   redirects to an address that is not allowed.
    /// - Any error that a call can return. A server rejects an expired address with 400, 403, 404
    ///   or 410; the message then says so. Request the object again to get a new address.
    pub async fn send(self) -> Result<Response<DownloadedFile>, Error> {
        let mut url = Url::parse(&self.url).map_err(|_| not_sent("the address is not a URL"))?;
        self.check(&url).map_err(not_sent)?;
        // The limiter of another host is not the one that a shutdown closes.
        if self.client.context.calls.limiter.is_closed() {
            return Err(not_sent("the client was shut down"));
        }
        let options = &self.client.context.options;
        let deadline = Instant::now() + options.whole_timeout();
        let (mut redirects, mut attempts, mut paid) = (0, 0, 0);
        loop {
            let context = self.context_for(&url);
            let request = Request::new(Method::GET, url.clone());
            let call = Call::new(&context, None, request).with_deadline(deadline);
            let mut call = call.after_attempts(attempts);
            let ending = call.make_streaming().await;
            let Some(location) = redirect(&ending) else {
                attempts = ending.trace.attempts;
                let budget = &context.calls.retry_budget;
                let read = call.end(self.read(ending).await);
                let is_cut = |error: &Error| error.is_transport() && error.status().is_some();
                if !read.as_ref().is_err_and(is_cut) {
                    budget.refund(paid);
                    return read;
                }
                let delay = Backoff::delay_for(Reason::Failure, attempts);
                if attempts >= options.number_of_attempts() || Instant::now() + delay >= deadline {
                    return read;
                }
                sleep(delay).await;
                let Some(cost) = budget.pay(Reason::Failure) else {
                    return read;
                };
                paid = cost.saturating_add(paid);
                continue;
            };
            redirects += 1;
            attempts = 0;
            let next = url
                .join(&location)
                .map_err(|_| "the server redirects to an invalid URL");
            let allowed = next.and_then(|next| self.check(&next).map(|()| next));
            url = call.end(match allowed {
                Ok(_) if redirects > MAX_REDIRECTS => {
                    Err(redirect_error(ending, "too many redirects (limit 5)"))
                }
                Ok(next) => Ok(next),
                Err(reason) => Err(redirect_error(ending, reason)),
            })?;
        }
    }

    async fn read(&self, ending: Ending) -> Result<Response<DownloadedFile>, Error> {
        let at = ending.response().map(|response| response.url().clone());
        // The call keeps its slot.
        let mut response = read_bytes(ID, ending, None).await?;
        // A custom HTTP client may follow redirects itself.
        if let Some(Err(reason)) = at.map(|at| self.check(&at)) {
            return Err(refused(&response, reason.into(), NOT_ALLOWED));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.value_mut().chunk().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > self.limit {
                let limit = self.limit;
                return Err(refused(
                    &response,
                    format!("the file is larger than the limit of {limit} bytes"),
                    "set a larger `limit`",
                ));
            }
        }
        if self.pdf && response.ends_with_connection() && is_cut_pdf(&bytes) {
            return Err(response.incomplete(None));
        }
        let content_type = if !self.pdf {
            let header = response.headers().get(CONTENT_TYPE);
            header.and_then(|value| Some(value.to_str().ok()?.to_string()))
        } else if bytes.starts_with(PDF) {
            Some("application/pdf".into())
        } else {
            let reason = "the file is not a PDF: it does not begin with `%PDF-`";
            let advice = "request the object that contains the address again";
            return Err(refused(&response, reason.into(), advice));
        };
        Ok(response.map(|_| DownloadedFile {
            bytes,
            content_type,
        }))
    }

    /// Rejects an address that a response must not be able to direct the client to.
    fn check(&self, url: &Url) -> Result<(), &'static str> {
        // A client for another machine may send requests through a proxy.
        let is_test = is_loopback(url) && is_loopback(&self.client.context.base);
        let may_be_http = is_test || self.is_own(url);
        if url.scheme() != "https" && !(url.scheme() == "http" && may_be_http) {
            return Err("the address is not https");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the address contains a user name or password");
        }
        let host = url.host_str().unwrap_or_default();
        if is_vendor_host(host)
            || self.is_own(url)
            || self.hosts.iter().any(|allowed| allowed == host)
        {
            return Ok(());
        }
        Err("the host is not Fullscript's; call `allow_host` if you trust it")
    }

    /// Returns whether the address is the API's own, which receives the token.
    fn is_own(&self, url: &Url) -> bool {
        self.client.context.base.origin() == url.origin()
    }

    fn context_for(&self, url: &Url) -> Context {
        let mut context = Context::clone(&self.client.context);
        if !self.is_own(url) {
            context.credentials = Credentials::NotNeeded;
            // Another host has its own rate limit, independent of Fullscript's.
            let clock = Arc::clone(&context.calls.clock);
            context.calls = Arc::new(Calls::new(1, &RateLimit::off(), "", clock, None, None));
        }
        context
    }
}

/// Returns whether a file that ended with its connection is only the beginning of a PDF.
fn is_cut_pdf(bytes: &[u8]) -> bool {
    let end = &bytes[bytes.len().saturating_sub(1_024)..];
    let has_end = end.windows(PDF_END.len()).any(|window| window == PDF_END);
    PDF.starts_with(bytes) || bytes.starts_with(PDF) && !has_end
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

/// Returns the error for a redirect that cannot be followed.
fn redirect_error(ending: Ending, reason: &str) -> Error {
    let (response, _) = match ending.outcome {
        Outcome::Response(response, body) => (response, body),
        Outcome::Failed(failure) => return failure.into_error(ID, ending.trace),
    };
    let answer = RawResponse::without_body(response.status(), response.headers());
    Error::not_as_expected(ID, answer, reason.into(), NOT_ALLOWED).traced(ending.trace)
}

fn refused(response: &Response<ByteStream>, reason: String, advice: &'static str) -> Error {
    let seen = RawResponse::without_body(response.status(), response.headers());
    Error::not_as_expected(ID, seen, reason, advice).traced(response.trace().clone())
}
