//! The settings of a fake.

use std::sync::Arc;

use crate::testing::clock::ManualClock;
use crate::testing::fake::FakeFullscript;
use crate::testing::seed::Seed;
use crate::testing::settings::{Settings, joined};
use crate::testing::shared::Shared;
use crate::testing::state::{Outside, State};

/// A builder of [`FakeFullscript`], created by [`FakeFullscript::builder`].
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
    clinics: usize,
    patients: usize,
    products: usize,
    clock: ManualClock,
    settings: Settings,
}

impl FakeFullscript {
    /// Starts a fake with the default settings: the clinic of the examples in the vendor's
    /// document.
    ///
    /// # Errors
    /// Returns an error if no port can be opened.
    pub async fn start() -> std::io::Result<Self> {
        Self::builder().start().await
    }

    /// Returns a builder that configures the fake.
    pub fn builder() -> FakeBuilder {
        FakeBuilder::new()
    }
}

impl FakeBuilder {
    pub(in crate::testing) fn new() -> Self {
        Self {
            seed: Seed::default(),
            clinics: 1,
            patients: 1,
            products: 1,
            clock: ManualClock::running(),
            settings: Settings::default(),
        }
    }

    /// Sets the seed of generated ids, names and dates. Default: 0.
    ///
    /// The same seed generates the same clinic.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Seed(seed);
        self
    }

    /// Sets the number of clinics. Default and minimum: 1.
    ///
    /// The first clinic is the recorded example; the others are generated from the seed and have the
    /// same catalog. A user, a patient and an event belong to one clinic, and a token reads and
    /// changes only the clinic of its user; see [`FakeFullscript::clinic`].
    pub fn clinics(mut self, clinics: usize) -> Self {
        self.clinics = clinics;
        self
    }

    /// Sets the number of patients of each clinic. Default and minimum: 1.
    ///
    /// The first patient is the recorded example; the rest are generated from the seed. Of these,
    /// every tenth is a dependent, every fourth has a treatment plan, and every eighth has an
    /// order.
    pub fn patients(mut self, patients: usize) -> Self {
        self.patients = patients;
        self
    }

    /// Sets the number of products. Default and minimum: 1.
    ///
    /// The first product is the recorded example. Each generated product has two variants.
    pub fn products(mut self, products: usize) -> Self {
        self.products = products;
        self
    }

    /// Sets the clock of the fake, its apps and its clients.
    ///
    /// The default clock starts at the machine's time and runs. With a stopped clock, all times are
    /// the same in each run.
    pub fn clock(mut self, clock: ManualClock) -> Self {
        self.clock = clock;
        self
    }

    /// Responds to each call with the recorded example, regardless of arguments and earlier calls.
    ///
    /// Scopes, approval and validity of requests are not checked either.
    pub fn stateless(mut self) -> Self {
        self.settings.stateless = true;
        self
    }

    /// Accepts calls that do not match the document.
    ///
    /// By default such a call is rejected with 422 and a message that states the mismatch. Use this
    /// where the document of this crate is older than the vendor's API.
    pub fn lenient(mut self) -> Self {
        self.settings.lenient = true;
        self
    }

    /// Sets the scopes that the app has in the vendor's dashboard, and therefore the scopes of new
    /// tokens. Default: all documented scopes.
    ///
    /// An operation is rejected with 403 if the token lacks a required scope.
    pub fn scopes<S: AsRef<str>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.settings.scope = joined(scopes);
        self
    }

    /// Marks the app as not approved by the vendor: operations that require commercial approval are
    /// rejected with 403.
    pub fn not_approved(mut self) -> Self {
        self.settings.approved = false;
        self
    }

    /// Starts the fake on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Returns an error if no port can be opened.
    pub async fn start(self) -> std::io::Result<FakeFullscript> {
        let outside = Outside {
            clock: self.clock,
            files: Arc::default(),
            webhooks: Arc::default(),
        };
        let mut first = State::new(self.seed, outside.clone());
        first.generate_products(self.products);
        let others: Vec<_> = (2..=self.clinics)
            .map(|number| first.another(number))
            .collect();
        let mut clinics = vec![first];
        clinics.extend(others);
        for clinic in &mut clinics {
            clinic.generate_patients(self.patients.max(1));
        }
        FakeFullscript::serving(Shared::new(clinics, outside, self.settings)).await
    }
}
