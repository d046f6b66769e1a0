//! The example `connect` in a real browser: Chromium, driven by ChromeDriver.
//!
//! Where these are not installed the tests say so and pass; in CI they fail.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that can't go on says so by panicking"
)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::{Client, ClientBuilder, Locator};
use fullscript::auth::{Clock, SystemClock};
use fullscript::webhook::sign;
use serde_json::json;

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

struct Site {
    url: String,
    browser: Client,
    _processes: [Running; 2],
}

/// Starts a program and waits for a line that names what is wanted.
fn start(command: &mut Command, wanted: impl Fn(&str) -> Option<String>) -> (Running, String) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let found = lines.by_ref().find_map(|line| wanted(&line.unwrap()));
    // So that the program does not find its output closed.
    std::thread::spawn(move || lines.for_each(drop));
    (Running(child), found.expect("the program says so"))
}

/// The example, which cargo builds with the tests.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let debug = test.parent().and_then(Path::parent).unwrap();
    debug.join("examples/connect")
}

impl Site {
    /// The site with a browser in front of it, if this machine has one.
    async fn open() -> Option<Self> {
        let has = |program: &str| Command::new(program).arg("--version").output().is_ok();
        if !(has("chromedriver") && has("chromium")) {
            assert!(std::env::var_os("CI").is_none(), "no Chromium in CI");
            println!("skipped: no Chromium with ChromeDriver on this machine");
            return None;
        }
        let (site, url) = start(Command::new(example()).env("PORT", "0"), |line| {
            line.split_once("open ").map(|(_, url)| url.to_string())
        });
        let (driver, port) = start(Command::new("chromedriver").arg("--port=0"), |line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            Some(port.trim_end_matches('.').to_string())
        });
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=900,700",
        ];
        let options = json!({"goog:chromeOptions": {"args": arguments}});
        let browser = ClientBuilder::new(fantoccini_connector())
            .capabilities(options.as_object().unwrap().clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        Some(Self {
            url,
            browser,
            _processes: [site, driver],
        })
    }

    async fn go(&self, path: &str) {
        self.browser.goto(&format!("{}{path}", self.url)).await.unwrap();
    }

    async fn click(&self, css: &str) {
        let element = self.wait_for(css).await;
        element.click().await.unwrap();
    }

    async fn wait_for(&self, css: &str) -> fantoccini::elements::Element {
        let wait = self.browser.wait().at_most(Duration::from_secs(20));
        wait.for_element(Locator::Css(css)).await.unwrap()
    }

    async fn text(&self, css: &str) -> String {
        self.wait_for(css).await.text().await.unwrap()
    }
}
