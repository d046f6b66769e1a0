//! The audit of calls: who did what, with which result, without any value.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use fullscript::{Clock, SystemClock};
use serde_json::json;

/// The outcome of a call.
#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    Ok,
    /// A person declined the call, or could not be asked.
    NotConfirmed,
    Failed,
}

/// Writes a line for each call.
pub(crate) struct Audit(Mutex<Box<dyn Write + Send>>);

impl Audit {
    /// Appends to a file, or to standard error, because standard output carries the protocol.
    pub(crate) fn open(path: Option<OsString>) -> io::Result<Self> {
        let output: Box<dyn Write + Send> = match path {
            Some(path) => Box::new(OpenOptions::new().append(true).create(true).open(path)?),
            None => Box::new(io::stderr()),
        };
        Ok(Self(Mutex::new(output)))
    }

    /// Writes the line of a call. `arguments` are names of the schema.
    pub(crate) fn write(
        &self,
        tool: &str,
        arguments: &[&str],
        outcome: Outcome,
        request_id: Option<&str>,
    ) -> io::Result<()> {
        let time = SystemClock.now().duration_since(UNIX_EPOCH);
        let line = json!({
            "time": time.unwrap_or_default().as_secs(),
            "tool": tool,
            "arguments": arguments,
            "outcome": match outcome {
                Outcome::Ok => "ok",
                Outcome::NotConfirmed => "not confirmed",
                Outcome::Failed => "failed",
            },
            "request_id": request_id,
        });
        let mut output = self
            .0
            .lock()
            .map_err(|_| io::Error::other("audit failed"))?;
        writeln!(output, "{line}")?;
        output.flush()
    }
}
