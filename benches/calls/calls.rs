//! The same call in three ways: handwritten, by a client with a token, and by a user's client.

use std::time::{Duration, Instant, SystemTime};

use fullscript::auth::{
    AccessToken, MemoryStore, OAuthApp, RefreshToken, Scope, TokenSet, TokenStore,
};
use fullscript::{Client, Environment, RateLimit};

use crate::by_hand::ByHand;
use crate::samples::{Effort, Samples};
use crate::server::WHOLE;

/// As long as those in the vendor's guides.
const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The caller of the same operation.
pub(crate) struct Callers {
    by_hand: ByHand,
    /// A client with a fixed token.
    pub(crate) fixed: Client,
    /// A client with the cached, valid token of a user.
    pub(crate) user: Client,
}

impl Callers {
    pub(crate) async fn of(base_url: &str, limit: RateLimit) -> Self {
        let http = http_client();
        let fixed = Client::builder(Environment::UsSandbox)
            .base_url(base_url)
            .http_client(http.clone())
            .rate_limit(limit.clone())
            .access_token(AccessToken::new(TOKEN))
            .build()
            .unwrap();
        let store = MemoryStore::new();
        let swap = store.compare_and_swap(None, tokens().to_record());
        swap.await.unwrap();
        let app = OAuthApp::builder(Environment::UsSandbox)
            .base_url(base_url)
            .http_client(http.clone())
            .rate_limit(limit)
            .client_id("id")
            .client_secret("secret")
            .redirect_uri("https://ehr.example/fullscript/callback")
            .store(store)
            .build()
            .unwrap();
        Self {
            by_hand: ByHand {
                http,
                base_url: base_url.into(),
                token: TOKEN.into(),
            },
            fixed,
            user: app.client("user"),
        }
    }

    /// Makes one call of each kind in the given order; returns the durations in nanoseconds.
    async fn round(&self, order: [usize; 3], size: usize) -> [u64; 3] {
        let mut taken = [0; 3];
        for caller in order {
            let begun = Instant::now();
            let count = match caller {
                0 => self
                    .by_hand
                    .list_patients(size)
                    .await
                    .unwrap()
                    .patients
                    .len(),
                1 => listed(&self.fixed, size).await,
                _ => listed(&self.user, size).await,
            };
            taken[caller] = begun.elapsed().as_nanos() as u64;
            assert_eq!(count, size);
        }
        taken
    }
}

/// All callers share one HTTP client, so that the comparison measures only the work around it, over
/// the same connection.
pub(crate) fn http_client() -> reqwest::Client {
    // Installs the TLS provider of the process, as any application that uses the crate does.
    Client::builder(Environment::UsSandbox).build().unwrap();
    reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

fn tokens() -> TokenSet {
    TokenSet::new(
        "user",
        AccessToken::new(TOKEN),
        format!("{}/id", Environment::UsSandbox.name()),
        SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000),
        Duration::from_secs(7_200),
    )
    .refresh_token(RefreshToken::new(TOKEN))
    .scopes([Scope::new(Scope::PATIENTS_READ)])
}

async fn listed(client: &Client, size: usize) -> usize {
    let call = client.list_patients().page_size(size as i64);
    call.send().await.unwrap().patients.len()
}

/// Compares responses of several sizes, and prints a table.
pub(crate) async fn compare(url: &str, effort: Effort) {
    println!("| Answer | Calls | By hand | Client | Ratio | More | OAuth user | Ratio | More |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut tails = Vec::new();
    for (name, path, size) in [
        ("1 record", "", 1),
        ("25 records", "", 25),
        ("100 records", "", 100),
        ("1,000 records", "", 1_000),
        ("100 records with all fields", WHOLE, 100),
    ] {
        // The rate limiter counts the calls but never delays one.
        let limit = RateLimit::new(1_000_000, Duration::from_secs(1));
        let callers = Callers::of(&format!("{url}{path}"), limit).await;
        let round = async |order| callers.round(order, size).await;
        let samples = effort.spend(round).await;
        let [by_hand, fixed, user] = &samples;
        println!(
            "| {name} | {} | {} | {} | {} |",
            by_hand.count(),
            micros(by_hand.median()),
            beside(fixed, by_hand),
            beside(user, by_hand)
        );
        let tail = samples.map(|samples| micros(samples.quantile(0.99)));
        tails.push(format!("| {name} | {} |", tail.join(" | ")));
    }
    println!("\n| 99th percentile | By hand | Client | OAuth user |");
    println!("|---|---|---|---|");
    println!("{}\n", tails.join("\n"));
}

/// Returns a caller's median as a multiple of the handwritten one, and the difference.
fn beside(client: &Samples, by_hand: &Samples) -> String {
    let ratio = client.median() / by_hand.median();
    let more = client.more_than(by_hand);
    format!(
        "{} | {ratio:.3} | {}",
        micros(client.median()),
        micros(more)
    )
}

fn micros(nanos: f64) -> String {
    format!("{:.1} µs", nanos / 1_000.0)
}
