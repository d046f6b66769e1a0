//! Lists: filters, sorting and pagination.

use chrono::NaiveDate;
use serde_json::{Map, Value, json};

use crate::testing::server::call::{Answer, Call, Refusal};
use crate::testing::server::recorded::example;

/// The page size if the call has none. The vendor does not document its default.
const PAGE_SIZE: usize = 25;
/// The maximum page size of the vendor.
const MAX_PAGE_SIZE: usize = 100;

/// Returns the requested page; `name` is the key of the records.
pub(in crate::testing) fn page(call: &Call<'_>, name: &str, mut records: Vec<&Value>) -> Answer {
    sort(call, &mut records);
    let number = count(call, "page[number]")?.unwrap_or(1);
    let size = count(call, "page[size]")?.unwrap_or(PAGE_SIZE);
    let size = size.min(MAX_PAGE_SIZE);
    let pages = records.len().div_ceil(size);
    let first = (number - 1).saturating_mul(size);
    let shown = records.iter().skip(first).take(size);
    let shown: Vec<Value> = shown.map(|record| summary(call, name, record)).collect();
    let meta = json!({
        "current_page": number,
        "next_page": (number < pages).then_some(number + 1),
        "prev_page": (number > 1).then(|| number - 1),
        "total_pages": pages,
        "total_count": records.len(),
    });
    Ok((200, json!({name: shown, "meta": meta})))
}

/// Returns whether a time is within a date filter: `2026-01-31`, `<2026-01-31`, `>2026-01-31`, or
/// `2026-01-01..2026-01-31`, inclusive.
pub(in crate::testing) fn is_on_days(
    call: &Call<'_>,
    argument: &str,
    time: &Value,
) -> Result<bool, Refusal> {
    let Some(filter) = call.argument(argument) else {
        return Ok(true);
    };
    let day = |text: &str| {
        text.parse::<NaiveDate>().map_err(|_| {
            Refusal::unprocessable(&[format!(
                "`{argument}` must be a day such as 2026-01-31, with `<` or `>` before it or `..` and \
                 another day after it"
            )])
        })
    };
    let time = time.as_str().and_then(|time| time.get(..10));
    let time = time.and_then(|time| time.parse::<NaiveDate>().ok());
    let is_on = if let Some((from, to)) = filter.split_once("..") {
        let (from, to) = (day(from)?, day(to)?);
        time.is_some_and(|time| (from..=to).contains(&time))
    } else if let Some(end) = filter.strip_prefix('<') {
        let end = day(end)?;
        time.is_some_and(|time| time < end)
    } else if let Some(start) = filter.strip_prefix('>') {
        let start = day(start)?;
        time.is_some_and(|time| time > start)
    } else {
        time == Some(day(filter)?)
    };
    Ok(is_on)
}

/// Sorts by `sort_by` and `order_by`. The sort is stable.
fn sort(call: &Call<'_>, records: &mut [&Value]) {
    let Some(by) = call.argument("sort_by") else {
        if call.argument("order_by") == Some("DESC") {
            records.reverse();
        }
        return;
    };
    // Some arguments differ from the names of their fields.
    let field = |record: &Value| match by {
        "event_type" => record["type"].clone(),
        "treatment_plan_id" => record["treatment_plan_ids"][0].clone(),
        "event_id" => record["event_payload"]["event"]["id"].clone(),
        by => record[by].clone(),
    };
    let key = |record: &Value| field(record).as_str().unwrap_or_default().to_string();
    records.sort_by_cached_key(|record| key(record));
    if call.argument("order_by") == Some("DESC") {
        records.reverse();
    }
}

/// Returns the fields of a record that lists show: those of the recorded example.
fn summary(call: &Call<'_>, name: &str, record: &Value) -> Value {
    let (Some(shown), Some(own)) = (
        example(call.operation.id)[name][0].as_object(),
        record.as_object(),
    ) else {
        return record.clone();
    };
    let fields = own.iter().filter(|(name, _)| shown.contains_key(*name));
    let fields = fields.map(|(name, value)| (name.clone(), value.clone()));
    Value::Object(fields.collect::<Map<_, _>>())
}

/// Returns an argument that is a number of at least 1.
fn count(call: &Call<'_>, name: &str) -> Result<Option<usize>, Refusal> {
    let given = call.argument(name).map(|given| {
        let number = given.parse().ok().filter(|number| *number > 0);
        number.ok_or_else(|| {
            Refusal::unprocessable(&[format!("`{name}` must be an integer of at least 1")])
        })
    });
    given.transpose()
}
