//! The key that identifies a user of an app.

use std::fmt;
use std::sync::Arc;

/// The kind that an id without a kind belongs to.
const DEFAULT_KIND: &str = "Practitioner";

/// The known kinds, whose case is ignored.
const KINDS: [&str; 3] = [DEFAULT_KIND, "Staff", "Clinic"];

/// The key of a user: the kind of user and the vendor's id. Clones share the text.
///
/// Both are needed, because a practitioner and a member of staff may have the same id.
/// The text form is `<kind>/<id>`, for example `Practitioner/7f3d0c1e`; store it beside the user in
/// your own database.
/// A text without `/` is the id of a practitioner.
/// Cheap to clone.
///
/// ```
/// use fullscript::auth::UserKey;
///
/// let staff = UserKey::new("Staff", "42");
/// assert_eq!(staff.as_str(), "Staff/42");
/// assert_eq!(UserKey::from("Staff/42"), staff);
/// assert_eq!(UserKey::from("42"), UserKey::new("Practitioner", "42"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserKey(Arc<str>);

impl UserKey {
    /// Creates a key from the kind of user (`Practitioner`, `Staff` or `Clinic`) and the vendor's
    /// id.
    ///
    /// The case of these three is ignored. A `/` in another kind is replaced with `_`, and an
    /// empty kind is `Practitioner`.
    #[must_use]
    pub fn new(kind: impl AsRef<str>, id: impl AsRef<str>) -> Self {
        let (kind, id) = (kind.as_ref(), id.as_ref());
        let known = KINDS.iter().find(|known| known.eq_ignore_ascii_case(kind));
        let text = match known {
            Some(known) => format!("{known}/{id}"),
            None if kind.is_empty() => format!("{DEFAULT_KIND}/{id}"),
            None => format!("{}/{id}", kind.replace('/', "_")),
        };
        Self(text.into())
    }

    /// Returns the kind of user: `Practitioner`, `Staff`, or `Clinic` for apps older than August
    /// 2021.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.parts().0
    }

    /// Returns the vendor's id of the user.
    #[must_use]
    pub fn id(&self) -> &str {
        self.parts().1
    }

    /// Returns the text form, `<kind>/<id>`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> (&str, &str) {
        self.0.split_once('/').unwrap_or((DEFAULT_KIND, &self.0))
    }
}

impl<T: AsRef<str> + ?Sized> From<&T> for UserKey {
    fn from(text: &T) -> Self {
        let text = text.as_ref();
        let (kind, id) = text.split_once('/').unwrap_or((DEFAULT_KIND, text));
        Self::new(kind, id)
    }
}

impl From<String> for UserKey {
    fn from(text: String) -> Self {
        Self::from(&text)
    }
}

impl AsRef<str> for UserKey {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserKey({})", self.0)
    }
}
