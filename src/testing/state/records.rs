//! Records of one type, by id.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::testing::server::call::Refusal;

/// Records of one type, in the order of creation.
#[derive(Clone, Default)]
pub(super) struct Records {
    all: Vec<Value>,
    places: HashMap<String, usize>,
}

impl Records {
    /// Adds a record, or replaces the one with the same id.
    pub(super) fn insert(&mut self, record: Value) {
        let id = id_of(&record).to_string();
        match self.places.get(&id) {
            Some(place) => self.all[*place] = record,
            None => {
                self.places.insert(id, self.all.len());
                self.all.push(record);
            }
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<&Value> {
        self.places.get(id).map(|place| &self.all[*place])
    }

    /// Returns the record that a call names, or a 404.
    pub(super) fn find(&self, id: &str) -> Result<&Value, Refusal> {
        self.get(id).ok_or_else(Refusal::not_found)
    }

    pub(super) fn find_mut(&mut self, id: &str) -> Result<&mut Value, Refusal> {
        let place = self.places.get(id).ok_or_else(Refusal::not_found)?;
        Ok(&mut self.all[*place])
    }

    pub(super) fn remove(&mut self, id: &str) -> Result<Value, Refusal> {
        let place = self.places.remove(id).ok_or_else(Refusal::not_found)?;
        let later = self.places.values_mut().filter(|other| **other > place);
        later.for_each(|other| *other -= 1);
        Ok(self.all.remove(place))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Value> {
        self.all.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Returns whether another record has the value in a field.
    pub(super) fn has_another(&self, id: &str, field: &str, value: &str) -> bool {
        let same = |record: &Value| {
            let own = record[field].as_str();
            own.is_some_and(|own| own.eq_ignore_ascii_case(value)) && id_of(record) != id
        };
        self.all.iter().any(same)
    }
}

impl FromIterator<Value> for Records {
    fn from_iter<I: IntoIterator<Item = Value>>(records: I) -> Self {
        let mut own = Self::default();
        records.into_iter().for_each(|record| own.insert(record));
        own
    }
}

/// Returns the id of a record.
pub(super) fn id_of(record: &Value) -> &str {
    record["id"].as_str().unwrap_or_default()
}

/// Sets the given fields if the record has them.
///
/// Requests contain flags and numbers as text where responses contain booleans and numbers.
pub(super) fn change(record: &mut Value, given: &Value) {
    let (Some(record), Some(given)) = (record.as_object_mut(), given.as_object()) else {
        return;
    };
    for (name, value) in given {
        if let Some(own) = record.get_mut(name) {
            *own = in_kind_of(own, value);
        }
    }
}

/// Sets the given fields, also those that the record does not have yet.
pub(super) fn fill(mut record: Value, given: &Value) -> Value {
    change(&mut record, given);
    if let (Some(record), Some(given)) = (record.as_object_mut(), given.as_object()) {
        for (name, value) in given {
            record.entry(name).or_insert_with(|| value.clone());
        }
    }
    record
}

/// Converts a value to the type of the old one: boolean or number.
pub(super) fn in_kind_of(old: &Value, value: &Value) -> Value {
    let read = match (old, value) {
        (Value::Bool(_), Value::String(text)) => Some((text == "true" || text == "1").into()),
        (Value::Bool(_), Value::Number(number)) => Some((number.as_i64() == Some(1)).into()),
        (Value::Number(_), Value::String(text)) => number(text),
        _ => None,
    };
    read.unwrap_or_else(|| value.clone())
}

/// Converts decimal text to a JSON number.
fn number(text: &str) -> Option<Value> {
    let whole = text.parse::<i64>().map(Value::from).ok();
    whole.or_else(|| text.parse::<f64>().ok().map(Value::from))
}

/// Returns an object with one field.
pub(super) fn wrapped(name: &str, record: &Value) -> Value {
    let mut object = Map::new();
    object.insert(name.into(), record.clone());
    Value::Object(object)
}
