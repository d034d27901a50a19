//! From JSON to types, with every bad field reported.
//!
//! The compiler writes an implementation of [`Read`] for each generated type. A reader goes
//! on after an error, so that one pass finds all of them and the LM can be told all at once.

mod candidates;
mod checks;
mod coerce;
mod embedded;
mod error;
mod fold;
mod layout;
mod number;
mod parse;
mod reader;
mod repair;
mod reply;
mod scan;
mod schema;
mod tree;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub use checks::{Checks, Number};
pub use error::{FieldError, FieldErrorKind, ReadError};
pub use parse::{Parsed, Strictness, parse};
pub use reader::{ObjectReader, Reader};
pub use repair::{Repair, RepairKind};
pub(crate) use reply::read_reply;
pub use schema::{Schema, SchemaError};

use error::Kind;

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
    read_value(serde_json::from_str(text).map_err(|error| ReadError::syntax(&error))?)
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
    fn read(from: Reader<'_>) -> Option<Self> {
        match from.value() {
            (Value::String(text), _) => Some(text),
            (other, errors) => errors.wrong_kind(Kind::String, &other),
        }
    }
}

impl Read for bool {
    fn read(from: Reader<'_>) -> Option<Self> {
        match from.value() {
            (Value::Bool(value), _) => Some(value),
            (other, errors) => errors.wrong_kind(Kind::Boolean, &other),
        }
    }
}

impl Read for i64 {
    /// Takes `3` and, as JSON Schema does, `3.0`.
    fn read(from: Reader<'_>) -> Option<Self> {
        let (value, errors) = from.value();
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
    fn read(from: Reader<'_>) -> Option<Self> {
        let (value, errors) = from.value();
        match value.as_f64() {
            Some(number) => Some(number),
            None => errors.wrong_kind(Kind::Number, &value),
        }
    }
}

impl Read for Value {
    fn read(from: Reader<'_>) -> Option<Self> {
        Some(from.value().0)
    }
}

impl Read for Map<String, Value> {
    fn read(from: Reader<'_>) -> Option<Self> {
        match from.value() {
            (Value::Object(map), _) => Some(map),
            (other, errors) => errors.wrong_kind(Kind::Object, &other),
        }
    }
}

impl<T: Read> Read for Option<T> {
    fn read(from: Reader<'_>) -> Option<Self> {
        if from.is_null() {
            Some(None)
        } else {
            T::read(from).map(Some)
        }
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
mod properties;
#[cfg(test)]
mod tests;
