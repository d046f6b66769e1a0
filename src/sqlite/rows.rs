//! Reads and writes the tables inside a transaction.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension, Row, params};
use zeroize::Zeroizing;

use super::cipher::{self, Cipher, Location};
use super::error::{Failure, Kind};
use crate::auth::{AccessToken, Owner, RefreshToken, Scope, TokenSet};
use crate::auth::{Lease, Swap};

/// The rows, with the cipher of their tokens.
#[derive(Clone, Copy)]
pub(super) struct Rows<'d> {
    pub(super) connection: &'d Connection,
    pub(super) cipher: Option<&'d Cipher>,
}

impl Rows<'_> {
    pub(super) fn load(self, user: &str) -> Result<Option<TokenSet>, Failure> {
        let sql = "SELECT access_token, refresh_token, owner_id, owner_kind, scopes, issuer, \
                   issued_at, lifetime, generation, needs_reconnect, replaced_access_token \
                   FROM tokens WHERE user = ?1";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([user])?;
        rows.next()?.map(|row| self.read(user, row)).transpose()
    }

    pub(super) fn swap(
        self,
        user: &str,
        expected: Option<u64>,
        new: &TokenSet,
    ) -> Result<Swap, Failure> {
        let generation: Option<i64> = self
            .connection
            .query_row(
                "SELECT generation FROM tokens WHERE user = ?1",
                [user],
                |row| row.get(0),
            )
            .optional()?;
        if generation.map(i64::cast_unsigned) == expected {
            self.write(user, new)?;
            return Ok(Swap::Done);
        }
        Ok(Swap::Lost(self.load(user)?))
    }

    pub(super) fn delete(self, user: &str, expected: Option<u64>) -> Result<Swap, Failure> {
        let deleted = self.connection.execute(
            "DELETE FROM tokens WHERE user = ?1 AND (?2 IS NULL OR generation = ?2)",
            params![user, expected.map(u64::cast_signed)],
        )?;
        if deleted > 0 {
            return Ok(Swap::Done);
        }
        Ok(Swap::Lost(self.load(user)?))
    }

    pub(super) fn lease(
        self,
        user: &str,
        owner: &str,
        now: SystemTime,
        ttl: Duration,
    ) -> Result<Lease, Failure> {
        let held: Option<(String, i64)> = self
            .connection
            .query_row(
                "SELECT owner, until FROM leases WHERE user = ?1",
                [user],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        if let Some((holder, until)) = held
            && holder != owner
            && let Ok(remaining) = from_nanos(until).duration_since(now)
            && !remaining.is_zero()
        {
            return Ok(Lease::Held { remaining });
        }
        self.connection.execute(
            "INSERT OR REPLACE INTO leases (user, owner, until) VALUES (?1, ?2, ?3)",
            params![user, owner, to_nanos(now + ttl)],
        )?;
        Ok(Lease::Granted)
    }

    pub(super) fn release(self, user: &str, owner: &str) -> Result<(), Failure> {
        self.connection.execute(
            "DELETE FROM leases WHERE user = ?1 AND owner = ?2",
            [user, owner],
        )?;
        Ok(())
    }

    /// Returns all users with tokens.
    pub(super) fn users(self) -> Result<Vec<String>, Failure> {
        let mut statement = self.connection.prepare("SELECT user FROM tokens")?;
        let users = statement.query_map([], |row| row.get(0))?;
        Ok(users.collect::<Result<_, _>>()?)
    }

    pub(super) fn write(self, user: &str, new: &TokenSet) -> Result<(), Failure> {
        let seal = |column, text: &str| {
            let location = Location {
                column,
                user,
                issuer: &new.issuer,
            };
            let bytes = match self.cipher {
                Some(cipher) => cipher.seal(text, location)?,
                None => text.as_bytes().to_vec(),
            };
            Ok::<_, Failure>(Zeroizing::new(bytes))
        };
        let access_token = seal("access_token", new.access_token.expose())?;
        let refresh_token = match &new.refresh_token {
            Some(token) => Some(seal("refresh_token", token.expose())?),
            None => None,
        };
        let replaced = match &new.replaced_access_token {
            Some(token) => Some(seal("replaced_access_token", token.expose())?),
            None => None,
        };
        let scopes: serde_json::Value = new.scopes.iter().map(Scope::as_str).collect();
        self.connection.execute(
            "INSERT OR REPLACE INTO tokens (user, access_token, refresh_token, owner_id, \
             owner_kind, scopes, issuer, issued_at, lifetime, generation, needs_reconnect, \
             replaced_access_token) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            params![
                user,
                *access_token,
                refresh_token.as_deref(),
                new.owner.id,
                new.owner.kind,
                scopes.to_string(),
                new.issuer,
                to_nanos(new.issued_at),
                i64::try_from(new.lifetime.as_nanos()).unwrap_or(i64::MAX),
                new.generation.cast_signed(),
                new.needs_reconnect,
                replaced.as_deref(),
            ],
        )?;
        Ok(())
    }

    fn read(self, user: &str, row: &Row<'_>) -> Result<TokenSet, Failure> {
        let damaged = || Failure::new(Kind::DamagedTokens);
        let issuer: String = row.get("issuer")?;
        let open = |column, bytes: Vec<u8>| {
            let location = Location {
                column,
                user,
                issuer: &issuer,
            };
            let text = match self.cipher {
                Some(cipher) => cipher.open(&bytes, location),
                None => cipher::text(bytes),
            };
            text.ok_or_else(damaged)
        };
        let access_token = open("access_token", row.get("access_token")?)?;
        let refresh_token: Option<Vec<u8>> = row.get("refresh_token")?;
        let refresh_token = refresh_token
            .map(|bytes| open("refresh_token", bytes))
            .transpose()?;
        let replaced: Option<Vec<u8>> = row.get("replaced_access_token")?;
        let replaced = replaced
            .map(|bytes| open("replaced_access_token", bytes))
            .transpose()?;
        let scopes: String = row.get("scopes")?;
        let scopes: Vec<String> = serde_json::from_str(&scopes).map_err(|_| damaged())?;
        let lifetime: i64 = row.get("lifetime")?;
        let generation: i64 = row.get("generation")?;
        Ok(TokenSet {
            access_token: AccessToken::new(access_token),
            refresh_token: refresh_token.map(RefreshToken::new),
            owner: Owner {
                id: row.get("owner_id")?,
                kind: row.get("owner_kind")?,
            },
            scopes: scopes.iter().map(Scope::new).collect(),
            issued_at: from_nanos(row.get("issued_at")?),
            lifetime: Duration::from_nanos(lifetime.unsigned_abs()),
            generation: generation.cast_unsigned(),
            needs_reconnect: row.get("needs_reconnect")?,
            replaced_access_token: replaced.map(AccessToken::new),
            issuer,
        })
    }
}

/// Converts to nanoseconds since 1970, negative before it; times outside the years 1677 to 2262 are
/// clamped.
pub(super) fn to_nanos(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
    }
}

pub(super) fn from_nanos(nanos: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanos.unsigned_abs());
    if nanos < 0 {
        SystemTime::UNIX_EPOCH - distance
    } else {
        SystemTime::UNIX_EPOCH + distance
    }
}
