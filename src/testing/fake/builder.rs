//! What a fake is like, before it starts.

use crate::testing::clock::ManualClock;
use crate::testing::fake::FakeFullscript;
use crate::testing::seed::Seed;
use crate::testing::settings::{Settings, joined};
use crate::testing::shared::Shared;
use crate::testing::state::State;

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

impl FakeFullscript {
    /// Starts the fake as a [`builder`](Self::builder) has it of itself: with
    /// the clinic that the vendor's examples describe.
    ///
    /// # Errors
    /// When no port can be opened.
    pub async fn start() -> std::io::Result<Self> {
        Self::builder().start().await
    }

    /// Says what the fake is like, before it starts.
    pub fn builder() -> FakeBuilder {
        FakeBuilder::new()
    }
}

impl FakeBuilder {
    pub(in crate::testing) fn new() -> Self {
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
