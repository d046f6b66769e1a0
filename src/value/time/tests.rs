use super::*;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[track_caller]
fn check(json: &str, instant: Option<&str>, date: Option<&str>) {
    let timestamp: Timestamp = serde_json::from_str(json).unwrap();
    let expected = instant.map(|text| DateTime::parse_from_rfc3339(text).unwrap());
    assert_eq!(timestamp.instant(), expected);
    assert_eq!(timestamp.date(), date.map(day));
    assert_eq!(serde_json::to_string(&timestamp).unwrap(), json);
}

#[test]
fn every_encoding_of_a_timestamp_is_interpreted_and_kept() {
    let midnight = Some("2024-01-01T00:00:00Z");
    let first = Some("2024-01-01");
    for json in [
        r#""2024-01-01T00:00:00.000Z""#,
        r#""2024-01-01T00:00:00Z""#,
        r#""2024-01-01T00:00Z""#,
        r#""2024-01-01T00:00:00+00:00""#,
        r#""2024-01-01T00:00:00+0000""#,
        r#""2024-01-01T00:00:00+00""#,
        r#""2024-01-01 00:00:00 UTC""#,
        r#""2024-01-01 00:00:00.000 UTC""#,
        r#""2024-01-01 00:00:00 +0000""#,
        r#""2024-01-01 00:00:00Z""#,
        r#""1704067200""#,
        r#""1704067200000""#,
        "1704067200",
        "1704067200.0",
        "1704067200000",
    ] {
        check(json, midnight, first);
    }
    check("1704067200.25", Some("2024-01-01T00:00:00.250Z"), first);
    check("-0.5", Some("1969-12-31T23:59:59.5Z"), Some("1969-12-31"));
    check(
        r#""2024-01-01T23:30:00.123-05:00""#,
        Some("2024-01-02T04:30:00.123Z"),
        first,
    );
}

#[test]
fn a_value_that_is_not_a_timestamp_is_none_and_kept() {
    check(r#""2024-01-01""#, None, Some("2024-01-01"));
    check(r#""2024-01-01T10:00:00""#, None, Some("2024-01-01"));
    for json in [
        r#""""#,
        r#""soon""#,
        r#""2024""#,
        r#""20240101""#,
        r#""01-02-03""#,
        r#""01/31/2024""#,
        r#""2024-13-01""#,
        r#""2024-01-01 soon""#,
        r#""2024-01-01 UTC""#,
        "true",
    ] {
        check(json, None, None);
    }
    for beyond_every_calendar in ["1e20", "-1e20", "7e28", "1e300"] {
        let timestamp: Timestamp = serde_json::from_str(beyond_every_calendar).unwrap();
        assert_eq!(timestamp.instant(), None);
    }
}

#[test]
fn a_timestamp_of_the_caller_is_written_as_rfc_3339_with_milliseconds() {
    let instant = DateTime::parse_from_rfc3339("2024-01-01T10:00:00-05:00").unwrap();
    assert_eq!(
        Timestamp::from(instant).as_str(),
        "2024-01-01T10:00:00.000-05:00"
    );
    let utc = Timestamp::from(instant.to_utc());
    assert_eq!(utc.to_string(), "2024-01-01T15:00:00.000Z");
    assert_eq!(utc.instant(), Some(instant));
}

#[test]
fn a_text_that_is_not_a_timestamp_is_rejected() {
    for text in ["", "soon", "2024-13-01", " 2024-01-01"] {
        assert_eq!(Timestamp::try_from(text), Err(InvalidTimestamp));
    }
    assert_eq!(
        Timestamp::try_from("2024-01-01").unwrap().as_str(),
        "2024-01-01"
    );
}

#[test]
fn a_date_is_read_from_dates_and_timestamps() {
    for (json, expected) in [
        (r#""2024-01-31""#, Some("2024-01-31")),
        (r#""2024-01-31T23:30:00-05:00""#, Some("2024-01-31")),
        (r#""2024-01-31 00:00:00 UTC""#, Some("2024-01-31")),
        (r#""""#, None),
        (r#""31/01/2024""#, None),
        ("20240131", None),
    ] {
        let date: Date = serde_json::from_str(json).unwrap();
        assert_eq!(date.date(), expected.map(day), "{json}");
        assert_eq!(serde_json::to_string(&date).unwrap(), json);
    }
}

#[test]
fn only_one_form_of_date_is_accepted() {
    assert_eq!(Date::from(day("2024-01-31")).to_string(), "2024-01-31");
    assert_eq!(
        Date::try_from("2024-01-31").unwrap().date(),
        Some(day("2024-01-31"))
    );
    for text in [
        "",
        "2024-1-31",
        "2024-02-30",
        "2024-01-31T00:00:00Z",
        " 2024-1-31",
        "2024- 1-31",
    ] {
        assert_eq!(Date::try_from(text), Err(InvalidDate));
    }
}
