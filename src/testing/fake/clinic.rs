//! One of the clinics of a fake.

use std::fmt;
use std::sync::Mutex;

use serde_json::Value;
use url::Url;

use super::FakeFullscript;
use crate::auth::UserKey;
use crate::lock::lock;
use crate::testing::fake::web_app::WebApp;
use crate::testing::state::State;
use crate::types::ClinicId;
use crate::webhook::Event;

/// One of the clinics of a fake; returned by [`FakeFullscript::clinic`].
///
/// The methods of [`FakeFullscript`] with the same names are those of the first clinic.
#[derive(Clone, Copy)]
pub struct FakeClinic<'f> {
    fake: &'f FakeFullscript,
    state: &'f Mutex<State>,
}

impl FakeFullscript {
    /// Returns one of the clinics; the first one has the index 0.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use fullscript::testing::FakeFullscript;
    ///
    /// let fake = FakeFullscript::builder().clinics(2).patients(3).start().await?;
    /// let app = fake.app_builder().build()?;
    /// let request = app.authorize();
    /// let callback = fake.clinic(1).approve(request.url(), "practitioner-b");
    /// let user = app.exchange(app.callback(&callback, request.state())?).await?;
    ///
    /// // A user reads the patients of their own clinic, and no others.
    /// let client = app.client(user.key());
    /// let own = client.list_patients().items().collect_all().await?;
    /// assert_eq!(own.len(), 3);
    /// let other = fake.patients()[0]["id"].as_str().unwrap().to_owned();
    /// assert!(client.get_patient().id(other).await.unwrap_err().is_not_found());
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Panics
    /// Panics if the fake has no clinic with this index; see
    /// [`FakeBuilder::clinics`](crate::testing::FakeBuilder::clinics).
    #[must_use]
    pub fn clinic(&self, index: usize) -> FakeClinic<'_> {
        let clinics = &self.shared.clinics;
        let state = clinics.get(index).unwrap_or_else(|| {
            let count = clinics.len();
            panic!("the fake has {count} clinics, and none with the index {index}")
        });
        FakeClinic { fake: self, state }
    }

    /// Returns the number of clinics.
    #[must_use]
    pub fn clinics(&self) -> usize {
        self.shared.clinics.len()
    }
}

impl<'f> FakeClinic<'f> {
    /// Returns the id of the clinic, which its events contain.
    #[must_use]
    pub fn id(&self) -> ClinicId {
        ClinicId::new(lock(self.state).id())
    }

    /// Approves an authorization request as a user of this clinic; see
    /// [`FakeFullscript::approve`].
    ///
    /// # Panics
    /// Panics if the URL was not created by [`OAuthApp::authorize`](crate::auth::OAuthApp::authorize),
    /// or if the user works at another clinic.
    #[must_use]
    pub fn approve(&self, authorize_url: &Url, user: &str) -> String {
        let key = UserKey::from(user);
        let clinics = self.fake.shared.clinics.iter();
        let mut others = clinics.filter(|clinic| !std::ptr::eq(*clinic, self.state));
        let is_elsewhere = others.any(|clinic| lock(clinic).employs(key.id()));
        assert!(
            !is_elsewhere,
            "the user works at another clinic of the fake"
        );
        lock(self.state).add_connected_practitioner(key.id());
        self.fake.approve(authorize_url, user)
    }

    /// Returns the changes that people can make in the vendor's own web app.
    #[must_use]
    pub fn web_app(&self) -> WebApp<'f> {
        WebApp(self.state)
    }

    /// Returns all patients of the clinic as the API shows them.
    #[must_use]
    pub fn patients(&self) -> Vec<Value> {
        lock(self.state).patients()
    }

    /// Returns all treatment plans of the clinic as the API shows them.
    #[must_use]
    pub fn treatment_plans(&self) -> Vec<Value> {
        lock(self.state).treatment_plans()
    }

    /// Returns all orders of the clinic as the API shows them.
    #[must_use]
    pub fn orders(&self) -> Vec<Value> {
        lock(self.state).orders()
    }

    /// Sends an event of the given type and data; see [`FakeFullscript::send_event`].
    pub fn send_event(&self, event_type: &str, data: Value) -> Event {
        Event::from_json(lock(self.state).emit(event_type, data))
    }
}

impl fmt::Debug for FakeClinic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeClinic").finish_non_exhaustive()
    }
}
