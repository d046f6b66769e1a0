//! Timestamps and calendar dates as the server writes them.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Serialize};

use super::decimal;
use super::refusal::refusal;
use super::scalar::Scalar;

/// Unix times from this value on count milliseconds: as seconds they would be after the year 5138.
const MIN_MILLISECONDS: i64 = 100_000_000_000;

/// Minimum number of digits of a Unix time in a string; a shorter number may be a year, or a date
/// without hyphens.
const MIN_UNIX_DIGITS: usize = 10;

/// A point in time as it was received.
///
/// Accepted are ISO 8601 with an offset or `Z`, `2024-01-01 00:00:00 UTC`, and Unix times; every
/// other scalar also decodes and serializes unchanged. Two timestamps are equal if their texts are
/// equal: compare [`instant`](Self::instant) to compare times.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(Scalar);

/// A calendar date as it was received.
///
/// Every scalar decodes and serializes unchanged. Two dates are equal if their texts are equal:
/// compare [`date`](Self::date) to compare days.
///
/// `Debug` does not show the date, because the dates of the API are dates of birth; `Display` does.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Date(Scalar);

refusal! {
    /// The error of parsing a text that is neither a timestamp nor a date.
    pub struct InvalidTimestamp for Timestamp: "invalid timestamp: neither a timestamp nor a date"
}

refusal! {
    /// The error of parsing a text that is not a date.
    pub struct InvalidDate for Date: "invalid date: not of the form YYYY-MM-DD"
}

impl Timestamp {
    /// Returns the text as it was received, even if it is not a timestamp.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns the point in time, with the offset that was received.
    ///
    /// `None` if the text is empty, invalid, only a date, or a time without an offset, which is
    /// ambiguous by up to 26 hours.
    #[must_use]
    pub fn instant(&self) -> Option<DateTime<FixedOffset>> {
        match &self.0 {
            Scalar::Number(number) => unix_time(number.as_str()),
            Scalar::Text(text) => instant(text.trim()),
            Scalar::Boolean(_) => None,
        }
    }

    /// Returns the date as it was written, in the offset that was received.
    #[must_use]
    pub fn date(&self) -> Option<NaiveDate> {
        match self.instant() {
            Some(instant) => Some(instant.date_naive()),
            None => date(self.as_str()),
        }
    }
}

impl Date {
    /// Returns the text as it was received, even if it is not a date.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns the date; for a full timestamp, the date as written.
    #[must_use]
    pub fn date(&self) -> Option<NaiveDate> {
        date(self.as_str())
    }
}

impl AsRef<str> for Timestamp {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Date(..)")
    }
}

impl AsRef<str> for Date {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    /// Parses every text that contains a timestamp or a date.
    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let timestamp = Self(Scalar::Text(text.into()));
        if text.trim() != text || timestamp.date().is_none() {
            return Err(InvalidTimestamp);
        }
        Ok(timestamp)
    }
}

impl FromStr for Date {
    type Err = InvalidDate;

    /// Parses `YYYY-MM-DD` and nothing else.
    fn from_str(text: &str) -> Result<Self, InvalidDate> {
        // The parser accepts spaces and missing zeros, so the text is compared with the formatted
        // date.
        if date(text).is_none_or(|date| date.to_string() != text) {
            return Err(InvalidDate);
        }
        Ok(Self(Scalar::Text(text.into())))
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(instant: DateTime<Utc>) -> Self {
        instant.fixed_offset().into()
    }
}

/// Formats as RFC 3339 with milliseconds, and `Z` for an offset of zero.
impl From<DateTime<FixedOffset>> for Timestamp {
    fn from(instant: DateTime<FixedOffset>) -> Self {
        Self(Scalar::Text(
            instant.to_rfc3339_opts(SecondsFormat::Millis, true).into(),
        ))
    }
}

impl From<NaiveDate> for Date {
    fn from(date: NaiveDate) -> Self {
        Self(Scalar::Text(date.to_string().into()))
    }
}

#[cfg(feature = "schemars")]
impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        concat!(module_path!(), "::Timestamp").into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

#[cfg(feature = "schemars")]
impl schemars::JsonSchema for Date {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Date".into()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        concat!(module_path!(), "::Date").into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date" })
    }
}

fn instant(text: &str) -> Option<DateTime<FixedOffset>> {
    if text.len() >= MIN_UNIX_DIGITS && text.bytes().all(|b| b.is_ascii_digit()) {
        return unix_time(text);
    }
    if !begins_with_year(text) {
        return None;
    }
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Some(instant);
    }
    if let Some(utc) = text.strip_suffix("UTC").or_else(|| text.strip_suffix('Z')) {
        return Some(civil_time(utc.trim_end())?.and_utc().fixed_offset());
    }
    [
        "%Y-%m-%dT%H:%M:%S%.f%#z",
        "%Y-%m-%d %H:%M:%S%.f %#z",
        "%Y-%m-%dT%H:%M%#z",
    ]
    .iter()
    .find_map(|format| DateTime::parse_from_str(text, format).ok())
}

fn date(text: &str) -> Option<NaiveDate> {
    let text = text.trim();
    if !begins_with_year(text) {
        return None;
    }
    let bare = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    let local = || civil_time(text).map(|time| time.date());
    bare()
        .or_else(local)
        .or_else(|| instant(text).map(|instant| instant.date_naive()))
}

fn civil_time(text: &str) -> Option<NaiveDateTime> {
    [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
    ]
    .iter()
    .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
}

/// Returns whether the text begins with a four-digit year, so that `01-02-03` is not read as the
/// year 1.
fn begins_with_year(text: &str) -> bool {
    text.split_once('-')
        .is_some_and(|(year, _)| year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit()))
}

fn unix_time(text: &str) -> Option<DateTime<FixedOffset>> {
    let mut seconds = decimal::parse(text)?;
    if seconds.abs() >= MIN_MILLISECONDS.into() {
        seconds /= rust_decimal::Decimal::ONE_THOUSAND;
    }
    let whole = seconds.floor();
    let nanoseconds = (seconds - whole) * rust_decimal::Decimal::from(1_000_000_000);
    let instant = DateTime::from_timestamp(whole.to_i64()?, nanoseconds.to_u32()?)?;
    Some(instant.fixed_offset())
}

#[cfg(test)]
mod tests;
