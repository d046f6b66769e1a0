//! Compares the responses of your sandbox with the document that this crate was generated from.
//!
//! ```text
//! FULLSCRIPT_ACCESS_TOKEN=.. FULLSCRIPT_ENVIRONMENT=us-sandbox \
//!     cargo run --example conformance -- --out report.json
//! ```
//!
//! It makes each read operation once or twice with objects of the sandbox, and writes for each
//! operation the status, the differences from the document, declared fields that never came, the
//! names of headers, rate limits, pagination, and the forms of errors. The report has no values of
//! responses, and so no patient data. With `--draft` it also creates a treatment plan as a draft for
//! the first patient and cancels it; without, it changes nothing. `FULLSCRIPT_SCOPES` lists the
//! scopes of the token, separated by spaces, so that other operations are skipped. Without
//! `FULLSCRIPT_ACCESS_TOKEN` it runs against the embedded fake.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "an example prints, and stops if it cannot go on"
)]

mod report;
mod survey;

use fullscript::testing::FakeFullscript;
use fullscript::{AccessToken, Client, Environment};

use survey::Survey;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let out = arguments.iter().position(|it| it == "--out");
    let out = out.and_then(|at| arguments.get(at + 1));
    let scopes = std::env::var("FULLSCRIPT_SCOPES").ok();
    let survey = Survey {
        scopes: scopes.map(|scopes| scopes.split_whitespace().map(String::from).collect()),
        with_draft: arguments.iter().any(|it| it == "--draft"),
    };
    let (_fake, token, builder): (_, _, Box<dyn Fn() -> fullscript::ClientBuilder>) =
        if let Ok(token) = std::env::var("FULLSCRIPT_ACCESS_TOKEN") {
            let environment = environment();
            let new = move || Client::builder(environment);
            (None, AccessToken::new(token), Box::new(new))
        } else {
            println!("FULLSCRIPT_ACCESS_TOKEN is not set: this is the embedded fake\n");
            let fake = FakeFullscript::start().await.unwrap();
            let url = fake.url();
            let new = move || Client::builder(Environment::UsSandbox).base_url(&url);
            let token = fake.access_token();
            (Some(fake), token, Box::new(new))
        };
    let report = survey.run(&builder, token).await;
    let lines = report::lines(&report).into_iter();
    let is_shown = |line: &String| !line.contains(": header: ") && !line.contains(": status: 2");
    for line in lines.filter(is_shown) {
        println!("{line}");
    }
    let text = serde_json::to_string_pretty(&report).unwrap();
    if let Some(out) = out {
        std::fs::write(out, text).unwrap();
        println!("\nwritten to {out}");
    }
}

/// Returns the sandbox. The example is not for production, whose data are of patients.
fn environment() -> Environment {
    match std::env::var("FULLSCRIPT_ENVIRONMENT").as_deref() {
        Ok("ca-sandbox") => Environment::CaSandbox,
        Ok("us-sandbox") | Err(_) => Environment::UsSandbox,
        Ok(_) => panic!("FULLSCRIPT_ENVIRONMENT must be us-sandbox or ca-sandbox"),
    }
}
