//! The patient that an embedded page opens with.

use std::fmt;

use serde_json::{Value, json};

/// The patient that the embedded page opens with.
///
/// Every field is optional. With an `id`, the others are not needed.
///
/// ```
/// use fullscript::embed::EmbedPatient;
///
/// let patient = EmbedPatient::new().first_name("Ana").email("ana@example.com");
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct EmbedPatient {
    /// Fullscript's patient id.
    pub id: Option<String>,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Mobile phone number.
    pub mobile_number: Option<String>,
    /// Date of birth, `yyyy-mm-dd`.
    pub date_of_birth: Option<String>,
    /// Gender.
    pub gender: Option<String>,
    /// Biological sex.
    pub biological_sex: Option<BiologicalSex>,
    /// Discount in percent.
    pub discount: Option<f64>,
}

/// The biological sex of a patient, as the vendor's script accepts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BiologicalSex {
    /// `male`
    Male,
    /// `female`
    Female,
    /// `prefer not to say`
    PreferNotToSay,
}

/// Does not show patient data.
impl fmt::Debug for EmbedPatient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbedPatient").finish_non_exhaustive()
    }
}

impl EmbedPatient {
    /// Creates a patient with no fields set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets Fullscript's patient id.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets the first name.
    #[must_use]
    pub fn first_name(mut self, first_name: impl Into<String>) -> Self {
        self.first_name = Some(first_name.into());
        self
    }

    /// Sets the last name.
    #[must_use]
    pub fn last_name(mut self, last_name: impl Into<String>) -> Self {
        self.last_name = Some(last_name.into());
        self
    }

    /// Sets the e-mail address.
    #[must_use]
    pub fn email(mut self, email: impl Into<String>) -> Self {
        self.email = Some(email.into());
        self
    }

    /// Sets the mobile phone number.
    #[must_use]
    pub fn mobile_number(mut self, mobile_number: impl Into<String>) -> Self {
        self.mobile_number = Some(mobile_number.into());
        self
    }

    /// Sets the date of birth, `yyyy-mm-dd`.
    #[must_use]
    pub fn date_of_birth(mut self, date_of_birth: impl Into<String>) -> Self {
        self.date_of_birth = Some(date_of_birth.into());
        self
    }

    /// Sets the gender.
    #[must_use]
    pub fn gender(mut self, gender: impl Into<String>) -> Self {
        self.gender = Some(gender.into());
        self
    }

    /// Sets the biological sex.
    #[must_use]
    pub fn biological_sex(mut self, biological_sex: BiologicalSex) -> Self {
        self.biological_sex = Some(biological_sex);
        self
    }

    /// Sets the discount in percent.
    #[must_use]
    pub fn discount(mut self, percent: f64) -> Self {
        self.discount = Some(percent);
        self
    }

    /// Returns the patient as the argument of the vendor's script.
    pub(super) fn options(&self) -> Value {
        let fields = [
            ("id", &self.id),
            ("firstName", &self.first_name),
            ("lastName", &self.last_name),
            ("email", &self.email),
            ("mobileNumber", &self.mobile_number),
            ("dateOfBirth", &self.date_of_birth),
            ("gender", &self.gender),
        ];
        let given = fields.into_iter().filter_map(|(name, value)| {
            let value = value.as_ref()?;
            Some((name.to_string(), json!(value)))
        });
        let mut options = Value::Object(given.collect());
        if let Some(biological_sex) = self.biological_sex {
            options["biologicalSex"] = json!(match biological_sex {
                BiologicalSex::Male => "male",
                BiologicalSex::Female => "female",
                BiologicalSex::PreferNotToSay => "prefer not to say",
            });
        }
        if let Some(discount) = self.discount {
            options["discount"] = json!(discount);
        }
        options
    }
}
