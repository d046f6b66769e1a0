//! A site with a browser, and the example as a process.

use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use futures_util::FutureExt;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

/// A page loads in tenths of a second; a busy machine takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

const CHROMIUM: [&str; 11] = [
    "--headless",
    // Containers have no user for the sandbox and a small /dev/shm.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    // Blocks every host but this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    "--hide-scrollbars",
    "--window-size=900,800",
];

/// A process that is killed at the end of the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

pub(crate) struct Site {
    pub(crate) url: String,
    pub(crate) browser: Client,
}

/// Runs a test with the site and a browser, if a browser is installed.
pub(crate) async fn visit(test: impl AsyncFnOnce(&Site)) {
    if !has_browser() {
        return;
    }
    let mut example = Command::new(example());
    example.env("PORT", "0").env_remove("FULLSCRIPT_CLIENT_ID");
    let (_example, url) = start(&mut example, |line| {
        line.split_once("open ").map(|(_, url)| url.to_string())
    });
    browse(url, test).await;
}

/// Returns whether a browser is installed.
pub(crate) fn has_browser() -> bool {
    let has = |program: &str| Command::new(program).arg("--version").output().is_ok();
    let is_installed = has("chromedriver") && has("chromium");
    if !is_installed {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI must have Chromium and ChromeDriver"
        );
        println!("skipped: no Chromium with ChromeDriver on this machine");
    }
    is_installed
}

/// Runs a test with a browser for the site at a URL.
pub(crate) async fn browse(url: String, test: impl AsyncFnOnce(&Site)) {
    let (_driver, port) = start(Command::new("chromedriver").arg("--port=0"), |line| {
        let (_, port) = line.split_once("started successfully on port ")?;
        Some(port.trim_end_matches('.').to_string())
    });
    let options = json!({"goog:chromeOptions": {"args": CHROMIUM}});
    let browser = ClientBuilder::new(HttpConnector::new())
        .capabilities(options.as_object().unwrap().clone())
        .connect(&format!("http://127.0.0.1:{port}"))
        .await
        .unwrap();
    let site = Site { url, browser };
    let tested = AssertUnwindSafe(test(&site)).catch_unwind().await;
    // A test that panicked must not leave a Chromium process behind.
    site.browser.close().await.unwrap();
    if let Err(panic) = tested {
        resume_unwind(panic);
    }
}

/// Starts a program and waits for a line with the given text.
fn start(command: &mut Command, wanted: impl Fn(&str) -> Option<String>) -> (Running, String) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let running = Running(child);
    let found = lines.by_ref().find_map(|line| wanted(&line.unwrap()));
    // Reads on, so that the program's output is not closed.
    std::thread::spawn(move || lines.for_each(drop));
    (running, found.expect("the program says so"))
}

/// The example, built from the current source as the tests of the whole workspace build it.
fn example() -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--offline", "--workspace"])
        .args(["--example", "connect"])
        .status();
    assert!(built.unwrap().success());
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    profile.join("examples/connect")
}

impl Site {
    pub(crate) async fn go(&self, path: &str) {
        let url = format!("{}{path}", self.url);
        self.browser.goto(&url).await.unwrap();
    }

    pub(crate) async fn wait_for(&self, css: &str) -> Element {
        let wait = self.browser.wait().at_most(PATIENCE);
        wait.for_element(Locator::Css(css)).await.unwrap()
    }

    pub(crate) async fn wait_for_path(&self, path: &str) {
        let url = format!("{}{path}", self.url).parse().unwrap();
        let wait = self.browser.wait().at_most(PATIENCE);
        wait.for_url(&url).await.unwrap();
    }

    pub(crate) async fn click(&self, css: &str) {
        self.wait_for(css).await.click().await.unwrap();
    }

    pub(crate) async fn text(&self, css: &str) -> String {
        self.wait_for(css).await.text().await.unwrap()
    }

    /// Returns the texts of all matching elements.
    pub(crate) async fn texts(&self, css: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for element in self.browser.find_all(Locator::Css(css)).await.unwrap() {
            texts.push(element.text().await.unwrap());
        }
        texts
    }

    pub(crate) async fn has(&self, css: &str) -> bool {
        let found = self.browser.find_all(Locator::Css(css)).await;
        !found.unwrap().is_empty()
    }

    /// Returns the HTTP status of the page.
    pub(crate) async fn status(&self) -> Value {
        let script = "return performance.getEntriesByType('navigation')[0].responseStatus";
        self.browser.execute(script, Vec::new()).await.unwrap()
    }

    /// Goes from the start page to the first page of patients.
    pub(crate) async fn connect(&self) {
        self.go("/").await;
        self.click("#connect").await;
        self.click("#allow").await;
        self.wait_for("li.patient").await;
    }
}
