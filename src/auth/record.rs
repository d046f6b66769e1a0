//! Connections as a store saves them: a table row with an opaque encoding of the token set.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::token::{
    AccessToken, NeedsReconnect, RefreshFailure, RefreshToken, Scope, TokenSet, expires_at,
};
use super::user::UserKey;

/// The first byte of encrypted data. That of plain data is `{`.
pub(crate) const SEALED: u8 = 2;

/// The version of the encoding. A later version may add fields, which this one keeps.
const VERSION: u32 = 1;

/// A connection as a [`TokenStore`](super::TokenStore) saves it.
///
/// A store saves every field unchanged, and returns it as it was saved.
/// [`data`](Self::data) contains the whole token set; all other fields repeat a part of it, so that
/// a database can find and sort records.
/// A record whose fields contradict its data counts as damaged.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionRecord {
    /// The primary key: app, kind of user and id of the user, separated by `/`.
    ///
    /// Compared and sorted byte by byte.
    pub key: String,
    /// The version number of the record, which a compare-and-swap compares.
    pub generation: u64,
    /// The app: the [name](crate::Environment::name) of the environment, a slash, and the client
    /// id.
    pub app: String,
    /// The application's own reference, for example the id of a clinic or tenant.
    pub tenant: Option<String>,
    /// The scopes of the tokens, separated by spaces.
    pub scopes: String,
    /// The time at which the access token expires, in milliseconds since 1970.
    pub expires_at: i64,
    /// The time of the last known use, in milliseconds since 1970.
    pub used_at: i64,
    /// Whether the user must reconnect.
    pub needs_reconnect: bool,
    /// Whether the last token refresh failed.
    pub is_failing: bool,
    /// The encoded token set, which contains tokens.
    pub data: RecordData,
}

impl ConnectionRecord {
    /// Creates a record from its primary key, its generation and its data.
    ///
    /// A store that reads a record from its own columns sets all other fields.
    #[must_use]
    pub fn new(key: impl Into<String>, generation: u64, data: RecordData) -> Self {
        Self {
            key: key.into(),
            generation,
            app: String::new(),
            tenant: None,
            scopes: String::new(),
            expires_at: 0,
            used_at: 0,
            needs_reconnect: false,
            is_failing: false,
            data,
        }
    }
}

/// Shows no token, no id and no reference.
impl fmt::Debug for ConnectionRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionRecord")
            .field("generation", &self.generation)
            .field("needs_reconnect", &self.needs_reconnect)
            .finish_non_exhaustive()
    }
}

/// The encoded token set of a record: opaque bytes, which are wiped on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordData(Zeroizing<Vec<u8>>);

impl RecordData {
    /// Wraps bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Returns whether the data is encrypted.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.0.first() == Some(&SEALED)
    }

    /// Returns the bytes, which contain tokens unless the record is encrypted.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for RecordData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordData(***)")
    }
}

/// A record that cannot be decoded.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordError {
    /// The data is not an encoded token set.
    Damaged,
    /// The data has a version that this version of the crate does not support.
    Newer,
    /// The fields of the record contradict its data.
    Contradiction,
    /// The data is encrypted, and the store was opened without its key.
    Encrypted,
    /// The data is not encrypted, and the store accepts only encrypted records.
    NotEncrypted,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Damaged => {
                "token record: damaged; restore it, or delete it and let the user reconnect"
            }
            Self::Newer => "token record: written by a newer version of this crate; update it",
            Self::Contradiction => {
                "token record: changed outside of this crate (its columns contradict its data); \
                 restore it, or delete it and let the user reconnect"
            }
            Self::Encrypted => {
                "token record: encrypted with a key that is not in the key ring; add the key"
            }
            Self::NotEncrypted => {
                "token record: not encrypted, although the store is; if the store is being \
                 migrated, accept plain records, otherwise find out who wrote it"
            }
        })
    }
}

impl fmt::Debug for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordError({self})")
    }
}

impl std::error::Error for RecordError {}

/// The encoding of a token set. Absent fields have their defaults, and unknown ones are kept.
#[derive(Serialize, Deserialize)]
struct Encoded {
    version: u32,
    app: String,
    user: String,
    access_token: Zeroizing<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_token: Option<Zeroizing<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaced_access_token: Option<Zeroizing<String>>,
    #[serde(default)]
    scopes: Vec<String>,
    issued_at: i64,
    lifetime: u64,
    generation: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    connection: String,
    #[serde(default)]
    used_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    needs_reconnect: Option<NeedsReconnect>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<RefreshFailure>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    imported: Option<Box<str>>,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

impl TokenSet {
    /// Encodes the token set as a record.
    ///
    /// Times are kept to the millisecond.
    #[must_use]
    pub fn to_record(&self) -> ConnectionRecord {
        let text = |token: &str| Zeroizing::new(token.to_owned());
        let encoded = Encoded {
            version: VERSION,
            app: self.issuer.clone(),
            user: self.user.as_str().to_owned(),
            access_token: text(self.access_token.expose()),
            refresh_token: self
                .refresh_token
                .as_ref()
                .map(|token| text(token.expose())),
            replaced_access_token: self
                .replaced_access_token
                .as_ref()
                .map(|token| text(token.expose())),
            scopes: self
                .scopes
                .iter()
                .map(|it| it.as_str().to_owned())
                .collect(),
            issued_at: to_millis(self.issued_at),
            lifetime: u64::try_from(self.lifetime.as_millis()).unwrap_or(u64::MAX),
            generation: self.generation,
            connection: self.connection.clone(),
            used_at: to_millis(self.used_at),
            tenant: self.tenant.clone(),
            needs_reconnect: self.needs_reconnect.clone(),
            failure: self.failure.clone(),
            imported: self.imported.clone(),
            unknown: self.unknown.clone(),
        };
        // Texts and numbers can always be written as JSON.
        let data = serde_json::to_vec(&encoded).unwrap_or_default();
        ConnectionRecord {
            key: record_key(&self.issuer, &self.user),
            generation: self.generation,
            app: encoded.app,
            tenant: encoded.tenant,
            scopes: encoded.scopes.join(" "),
            // Of the encoded times, because a sum of rounded times is not the rounded sum.
            expires_at: to_millis(expires_at(
                from_millis(encoded.issued_at),
                Duration::from_millis(encoded.lifetime),
            )),
            used_at: encoded.used_at,
            needs_reconnect: self.needs_reconnect.is_some(),
            is_failing: self.failure.is_some(),
            data: RecordData::new(data),
        }
    }

    /// Decodes a record.
    ///
    /// # Errors
    ///
    /// Returns an error if the data is damaged, encrypted or written by a newer version of this
    /// crate, or if a field of the record contradicts the data.
    pub fn from_record(record: &ConnectionRecord) -> Result<Self, RecordError> {
        if record.data.is_sealed() {
            return Err(RecordError::Encrypted);
        }
        let encoded: Encoded = serde_json::from_slice(record.data.expose()).map_err(|_| {
            // A later version may have changed any field but this one.
            let value = serde_json::from_slice::<Value>(record.data.expose());
            if value.is_ok_and(|value| value["version"].as_u64() > Some(VERSION.into())) {
                RecordError::Newer
            } else {
                RecordError::Damaged
            }
        })?;
        if encoded.version > VERSION {
            return Err(RecordError::Newer);
        }
        let tokens = Self {
            access_token: AccessToken::new(take(encoded.access_token)),
            refresh_token: encoded.refresh_token.map(|it| RefreshToken::new(take(it))),
            user: UserKey::from(encoded.user),
            scopes: encoded.scopes.iter().map(Scope::new).collect(),
            issuer: encoded.app,
            issued_at: from_millis(encoded.issued_at),
            lifetime: Duration::from_millis(encoded.lifetime),
            generation: encoded.generation,
            connection: encoded.connection,
            used_at: from_millis(encoded.used_at),
            tenant: encoded.tenant,
            needs_reconnect: encoded.needs_reconnect,
            failure: encoded.failure,
            replaced_access_token: encoded
                .replaced_access_token
                .map(|it| AccessToken::new(take(it))),
            imported: encoded.imported,
            unknown: encoded.unknown,
        };
        let mut expected = tokens.to_record();
        expected.data = record.data.clone();
        if expected == *record {
            Ok(tokens)
        } else {
            Err(RecordError::Contradiction)
        }
    }
}

/// Moves a text out of its wrapper without a copy.
fn take(mut text: Zeroizing<String>) -> String {
    std::mem::take(&mut *text)
}

/// Returns the primary key of a user of an app.
///
/// A `/` in the client id is encoded, so that no two users of any two apps share a key.
pub(super) fn record_key(issuer: &str, user: &UserKey) -> String {
    let (environment, client_id) = issuer.split_once('/').unwrap_or((issuer, ""));
    let client_id = client_id.replace('%', "%25").replace('/', "%2F");
    format!("{environment}/{client_id}/{user}")
}

/// Converts to milliseconds since 1970, negative before it; a time out of range is clamped.
pub(crate) fn to_millis(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
}

/// Converts from milliseconds since 1970; a time that the system cannot represent becomes 1970.
pub(crate) fn from_millis(millis: i64) -> SystemTime {
    let distance = Duration::from_millis(millis.unsigned_abs());
    let time = if millis < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Times as milliseconds since 1970, for serde.
pub(super) mod millis {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(super::to_millis(*time))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        i64::deserialize(from).map(super::from_millis)
    }
}
