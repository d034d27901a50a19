//! Types that were not generated: serde reads them, and stops at their first error.

use serde::de::DeserializeOwned;
use serde_json::{Number, Value};
use serde_path_to_error as path;

use super::error::{Errors, FieldErrorKind, Segment};
use super::reader::Source;
use super::{MAX_EXACT, Reader};

/// Reads a value by its type's `Deserialize`.
pub(crate) fn deserialize<T: DeserializeOwned>(from: Reader<'_>) -> Option<T> {
    let (value, errors) = match from.value() {
        Source::Text(json) => return json.value(),
        Source::Value(value, errors) => (value, errors),
    };
    let error = match path::deserialize(&value) {
        Ok(value) => return Some(value),
        Err(error) => error,
    };
    // JSON Schema calls `3.0` an integer, serde does not.
    if let Some(read) = with_integers(&value).and_then(|value| T::deserialize(value).ok()) {
        return Some(read);
    }
    let segments: Vec<&path::Segment> = error.path().iter().collect();
    let reason = error.inner().to_string();
    record(errors, &segments, reason);
    None
}

fn record(errors: &mut Errors, at: &[&path::Segment], reason: String) {
    let (segment, rest) = match at {
        [] => return errors.record(FieldErrorKind::Refused { reason }),
        [path::Segment::Seq { index }, rest @ ..] => (Segment::Index(*index), rest),
        [path::Segment::Map { key }, rest @ ..] => (Segment::Key(key.clone()), rest),
        [path::Segment::Enum { variant }, rest @ ..] => (Segment::Key(variant.clone()), rest),
        [path::Segment::Unknown, rest @ ..] => return record(errors, rest, reason),
    };
    errors.within(segment, |errors| record(errors, rest, reason));
}

/// The value with every whole float in it as an integer; `None` if there is no such float.
fn with_integers(value: &Value) -> Option<Value> {
    let mut changed = value.clone();
    to_integers(&mut changed);
    (changed != *value).then_some(changed)
}

fn to_integers(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => match number.as_f64() {
            Some(float) if float.fract() == 0.0 && float.abs() <= MAX_EXACT => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "whole, and within the range"
                )]
                let integer = float as i64;
                *number = Number::from(integer);
            }
            _ => {}
        },
        Value::Array(items) => items.iter_mut().for_each(to_integers),
        Value::Object(map) => map.values_mut().for_each(to_integers),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use crate::read::{Read, ReadError, Reader, read_value};

    #[derive(Debug, PartialEq, Deserialize)]
    struct Part {
        name: String,
        sizes: Vec<u8>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Foreign(Vec<Part>);

    impl Read for Foreign {
        fn read(from: Reader<'_>) -> Option<Self> {
            super::deserialize(from)
        }
    }

    #[test]
    fn an_error_says_where_it_is() {
        let error = read_value::<Foreign>(json!([{"name": "a", "sizes": [1, 300]}])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`[0].sizes[1]` cannot be taken: invalid value: integer `300`, expected u8"
        );
        let error = read_value::<Foreign>(json!([{"name": "a"}])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`[0]` cannot be taken: missing field `sizes`"
        );
        assert!(matches!(error, ReadError::Fields(fields) if fields.len() == 1));
    }

    #[test]
    fn whole_floats_are_integers() {
        let part = Part {
            name: "a".to_owned(),
            sizes: vec![1, 2],
        };
        let read = read_value::<Foreign>(json!([{"name": "a", "sizes": [1.0, 2]}]));
        assert_eq!(read, Ok(Foreign(vec![part])));
        assert!(read_value::<Foreign>(json!([{"name": "a", "sizes": [1.5]}])).is_err());
    }
}
