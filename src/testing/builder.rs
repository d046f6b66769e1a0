//! What a fake is like, before it starts.

use super::clock::ManualClock;
use super::fake::FakeFullscript;
use super::permission::all_scopes;
use super::seed::Seed;
use super::server::Shared;
use super::state::State;

/// Builds a [`FakeFullscript`]: made by [`FakeFullscript::builder`].
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use fullscript::testing::FakeFullscript;
///
/// let fake = FakeFullscript::builder().seed(7).patients(1_000).start().await?;
/// let patients = fake.client().list_patients().items().collect_all().await?;
/// assert_eq!(patients.len(), 1_000);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it starts"]
pub struct FakeBuilder {
    seed: Seed,
    patients: usize,
    products: usize,
    clock: ManualClock,
    settings: Settings,
}

/// How a fake answers.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Whether all answers are the recorded ones, whatever is asked.
    pub(super) stateless: bool,
    /// Whether calls are taken that are not as the document has them.
    pub(super) lenient: bool,
    /// The scopes that the app has, as one text.
    pub(super) scope: String,
    /// Whether the vendor has approved the app.
    pub(super) approved: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            stateless: false,
            lenient: false,
            scope: all_scopes(),
            approved: true,
        }
    }
}

impl FakeBuilder {
    pub(super) fn new() -> Self {
        Self {
            seed: Seed::default(),
            patients: 1,
            products: 1,
            clock: ManualClock::running(),
            settings: Settings::default(),
        }
    }

    /// What ids, names and dates are made of: the same seed, the same clinic.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Seed(seed);
        self
    }

    /// So many patients in all: the recorded one, and others that are made up
    /// of the seed, every tenth a dependent, every fourth with a plan and
    /// every eighth with an order. One unless set, and at least.
    pub fn patients(mut self, patients: usize) -> Self {
        self.patients = patients;
        self
    }

    /// So many products in all, each with two variants but the recorded one.
    /// One unless set.
    pub fn products(mut self, products: usize) -> Self {
        self.products = products;
        self
    }

    /// What the fake, its apps and its clients take for now; the machine's time
    /// unless told, which goes on by itself. With a clock that stands still all
    /// times are the same in each run.
    pub fn clock(mut self, clock: ManualClock) -> Self {
        self.clock = clock;
        self
    }

    /// Answers each call with its recorded example, whatever it asks for and
    /// whatever was done before.
    pub fn stateless(mut self) -> Self {
        self.settings.stateless = true;
        self
    }

    /// Takes calls that are not as the document has them, which is otherwise
    /// a refusal (422) that says what is wrong: where this crate's document
    /// is behind the vendor's, say.
    pub fn lenient(mut self) -> Self {
        self.settings.lenient = true;
        self
    }

    /// The scopes that the app has in the vendor's dashboard, and with it each
    /// token; all that are documented unless set. Without one that it needs
    /// an operation is refused (403).
    pub fn scopes<S: AsRef<str>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.settings.scope = joined(scopes);
        self
    }

    /// The vendor has not approved the app: operations that require
    /// commercial approval are refused (403).
    pub fn not_approved(mut self) -> Self {
        self.settings.approved = false;
        self
    }

    /// Starts the fake on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be opened.
    pub async fn start(self) -> std::io::Result<FakeFullscript> {
        let mut state = State::new(self.seed, self.clock);
        state.stock(self.products);
        state.settle(self.patients);
        FakeFullscript::serving(Shared::new(state, self.settings)).await
    }
}

/// Scopes as a token has them.
pub(super) fn joined<S: AsRef<str>>(scopes: impl IntoIterator<Item = S>) -> String {
    let scopes = scopes.into_iter().map(|scope| scope.as_ref().to_string());
    scopes.collect::<Vec<_>>().join(" ")
}
