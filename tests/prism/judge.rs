//! Prism as a child process for one test.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use fullscript::{AccessToken, Client, Environment};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A server that validates requests; stops when dropped.
pub(crate) struct Judge {
    process: Child,
    output: BufReader<ChildStdout>,
    url: String,
}

/// The result for one request.
#[derive(Debug, Deserialize)]
pub(crate) struct Judgement {
    pub(crate) method: String,
    pub(crate) path: String,
    /// The id, if the document has an operation at the path.
    pub(crate) operation: Option<String>,
    /// Empty if the document allows the request.
    pub(crate) complaints: Vec<String>,
    /// The names of the query parameters.
    pub(crate) query: Vec<String>,
    pub(crate) headers: Map<String, Value>,
    #[serde(default)]
    pub(crate) body: Value,
}

impl Judge {
    /// Starts Prism, if it is installed.
    #[allow(clippy::print_stdout, reason = "says what was not tested")]
    pub(crate) fn start() -> Option<Self> {
        let Some(modules) = std::env::var_os("FULLSCRIPT_PRISM") else {
            println!("skipped: FULLSCRIPT_PRISM is not set; `.ci/run` installs Prism and sets it");
            return None;
        };
        let mut process = Command::new("node")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/prism/judge.cjs"))
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../spec/openapi.normalized.json"
            ))
            .env("NODE_PATH", modules)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut url = String::new();
        output.read_line(&mut url).unwrap();
        Some(Self {
            process,
            output,
            url: url.trim_end().into(),
        })
    }

    pub(crate) fn client(&self) -> Client {
        Client::builder(Environment::UsSandbox)
            .base_url(&self.url)
            .access_token(AccessToken::new("token"))
            .build()
            .unwrap()
    }

    /// Returns the results of all requests in order.
    pub(crate) fn judgements(mut self) -> Vec<Judgement> {
        drop(self.process.stdin.take());
        let mut report = String::new();
        self.output.read_to_string(&mut report).unwrap();
        serde_json::from_str(&report).unwrap()
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, .. } = self;
        write!(f, "{method} {path} {:?} {}", self.query, self.body)
    }
}
