//! From JSON to types, with every bad field reported.
//!
//! The compiler writes an implementation of [`Read`] for each generated type. A reader goes
//! on after an error, so that one pass finds all of them and the LM can be told all at once.

mod candidates;
mod checks;
mod coerce;
#[cfg(feature = "tools")]
mod deserialize;
mod embedded;
mod error;
mod fold;
mod json;
mod label;
mod layout;
mod number;
mod parse;
mod reader;
mod rehang;
mod repair;
mod reply;
mod scan;
mod schema;
mod tree;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub(crate) use candidates::THINKING;
pub use checks::{Checks, Number};
#[cfg(feature = "tools")]
pub(crate) use deserialize::deserialize;
pub use error::{FieldError, FieldErrorKind, ReadError};
#[cfg(feature = "http")]
pub(crate) use json::{plain_end, unescaped};
pub(crate) use parse::schema_of;
pub use parse::{Parsed, Strictness, parse};
pub use reader::{Alternative, ObjectReader, Reader};
pub use repair::{Repair, RepairKind};
pub(crate) use reply::read_reply;
pub use schema::{Ignored, Schema, SchemaError};

use error::Kind;
use reader::Source;

/// A type that can be read from JSON.
pub trait Read: Sized {
    /// Reads a value. `None` means that at least one error was recorded.
    fn read(from: Reader<'_>) -> Option<Self>;
}

/// Reads a JSON text.
///
/// # Errors
/// [`ReadError::Syntax`] if it is not JSON, [`ReadError::Fields`] with every field that is missing, of
/// another type, or out of its limits.
pub fn read_json<T: Read>(text: &str) -> Result<T, ReadError> {
    match read_clean(text) {
        Some(value) => Ok(value),
        None => read_value(serde_json::from_str(text).map_err(|error| ReadError::syntax(&error))?),
    }
}

/// Reads a JSON text that is right as it is, at once into the type. `None` tells only that it is not, or
/// that an object in it has a key twice.
pub(crate) fn read_clean<T: Read>(text: &str) -> Option<T> {
    let mut errors = error::Errors::default();
    errors.json = json::Json::new(text);
    let value = T::read(Reader::of_text(&mut errors))?;
    (errors.json.is_complete() && errors.found().is_empty()).then_some(value)
}

/// Reads a JSON value.
///
/// # Errors
/// As [`read_json`].
pub fn read_value<T: Read>(value: Value) -> Result<T, ReadError> {
    let mut errors = error::Errors::default();
    let read = T::read(Reader::new(value, &mut errors));
    match (read, errors.into_found()) {
        (Some(value), found) if found.is_empty() => Ok(value),
        (_, found) => Err(ReadError::Fields(found)),
    }
}

impl Read for String {
    #[inline]
    fn read(from: Reader<'_>) -> Option<Self> {
        match from.value() {
            Source::Text(json) => json.text(),
            Source::Value(Value::String(text), _) => Some(text),
            Source::Value(other, errors) => errors.wrong_kind(Kind::String, &other),
        }
    }
}

impl Read for bool {
    #[inline]
    fn read(from: Reader<'_>) -> Option<Self> {
        match from.value() {
            Source::Text(json) => json.boolean(),
            Source::Value(Value::Bool(value), _) => Some(value),
            Source::Value(other, errors) => errors.wrong_kind(Kind::Boolean, &other),
        }
    }
}

impl Read for i64 {
    /// Takes `3` and, as JSON Schema does, `3.0`.
    #[inline]
    fn read(from: Reader<'_>) -> Option<Self> {
        let (value, errors) = match from.value() {
            Source::Text(json) => return json.integer(),
            Source::Value(value, errors) => (value, errors),
        };
        let Value::Number(number) = &value else {
            return errors.wrong_kind(Kind::Integer, &value);
        };
        if let Some(integer) = number.as_i64() {
            return Some(integer);
        }
        match number.as_f64() {
            Some(float) if float.fract() == 0.0 && float.abs() <= MAX_EXACT => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "whole, and within the range"
                )]
                let integer = float as Self;
                Some(integer)
            }
            _ => errors.wrong_kind(Kind::Integer, &value),
        }
    }
}

/// Up to here a 64-bit float holds every whole number.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

impl Read for f64 {
    #[inline]
    fn read(from: Reader<'_>) -> Option<Self> {
        match from.value() {
            Source::Text(json) => json.float(),
            Source::Value(value, errors) => match value.as_f64() {
                Some(number) => Some(number),
                None => errors.wrong_kind(Kind::Number, &value),
            },
        }
    }
}

impl Read for Value {
    fn read(from: Reader<'_>) -> Option<Self> {
        match from.value() {
            Source::Text(json) => json.value(),
            Source::Value(value, _) => Some(value),
        }
    }
}

impl Read for Map<String, Value> {
    fn read(from: Reader<'_>) -> Option<Self> {
        match from.value() {
            Source::Text(json) => json.value(),
            Source::Value(Value::Object(map), _) => Some(map),
            Source::Value(other, errors) => errors.wrong_kind(Kind::Object, &other),
        }
    }
}

impl<T: Read> Read for Option<T> {
    fn read(mut from: Reader<'_>) -> Option<Self> {
        if from.is_null() {
            Some(None)
        } else {
            T::read(from).map(Some)
        }
    }
}

impl<T: Read> Read for Box<T> {
    fn read(from: Reader<'_>) -> Option<Self> {
        T::read(from).map(Self::new)
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(from: Reader<'_>) -> Option<Self> {
        from.items()
    }
}

impl<T: Read> Read for BTreeMap<String, T> {
    fn read(from: Reader<'_>) -> Option<Self> {
        from.entries()
    }
}

#[cfg(test)]
mod damage;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
