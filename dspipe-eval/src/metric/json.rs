//! Comparing JSON values.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Number, Value};

use super::{Score, shown, text};
use crate::path::NULL;
use crate::unit::Unit;

/// The most differences that a feedback names.
const NAMED: usize = 5;

/// Whether two values are the same: `1` and `1.0` are, and the order of keys does not count.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => same_number(a, b),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

fn same_number(a: &Number, b: &Number) -> bool {
    a == b || (a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64()
}

/// A text that two values share if and only if they are the [`same`].
pub(super) fn canonical(value: &Value) -> String {
    match value {
        Value::Number(number) => match number.as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "whole, and in range")]
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 => {
                (float as i64).to_string()
            }
            _ => number.to_string(),
        },
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            let fields: Vec<String> = sorted
                .into_iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        other => other.to_string(),
    }
}

/// How alike two values are, part by part. Objects: the mean over all keys of either. Lists: the mean
/// over the positions of the longer one. Texts: edit similarity. Numbers: 1 - |a - b| / (|a| + |b|), at
/// least 0. All else: 1 if equal, otherwise 0. (As `JSONDiff` of autoevals, which it follows.)
pub(super) fn diff(expected: &Value, actual: &Value) -> Score {
    let mut differences = Vec::new();
    let value = compare(expected, actual, "", &mut differences);
    if differences.is_empty() {
        return Score::perfect();
    }
    let more = differences.len().saturating_sub(NAMED);
    differences.truncate(NAMED);
    let mut feedback = differences.join("; ");
    if more > 0 {
        // Writing to a string does not fail.
        let _ = write!(feedback, "; and {more} more");
    }
    Score::with_feedback(value, feedback)
}

fn compare(expected: &Value, actual: &Value, path: &str, differences: &mut Vec<String>) -> Unit {
    match (expected, actual) {
        (Value::Object(a), Value::Object(b)) => {
            let added = b.iter().filter(|(key, _)| !a.contains_key(*key));
            let keys = a.keys().chain(added.map(|(key, _)| key));
            mean(keys.map(|key| {
                let dot = if path.is_empty() { "" } else { "." };
                let (a, b) = (a.get(key).unwrap_or(&NULL), b.get(key).unwrap_or(&NULL));
                compare(a, b, &format!("{path}{dot}{key}"), differences)
            }))
        }
        (Value::Array(a), Value::Array(b)) => mean((0..a.len().max(b.len())).map(|index| {
            let (a, b) = (a.get(index).unwrap_or(&NULL), b.get(index).unwrap_or(&NULL));
            compare(a, b, &format!("{path}[{index}]"), differences)
        })),
        (a, b) if same(a, b) => Unit::ONE,
        (a, b) => {
            let place = if path.is_empty() {
                String::new()
            } else {
                format!("{path}: ")
            };
            differences.push(format!("{place}expected {}, got {}", shown(a), shown(b)));
            leaf(a, b)
        }
    }
}

fn leaf(a: &Value, b: &Value) -> Unit {
    match (a, b) {
        (Value::String(a), Value::String(b)) => text::edit(a, b),
        (Value::Number(a), Value::Number(b)) => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) if a.abs() + b.abs() > 0.0 => {
                Unit::clamped(1.0 - (a - b).abs() / (a.abs() + b.abs()))
            }
            _ => Unit::ZERO,
        },
        _ => Unit::ZERO,
    }
}

/// The mean; 1 of nothing, because two empty objects are equal.
fn mean(scores: impl Iterator<Item = Unit>) -> Unit {
    let (mut sum, mut count) = (0.0, 0_u32);
    for score in scores {
        sum += score.get();
        count += 1;
    }
    if count == 0 {
        Unit::ONE
    } else {
        Unit::clamped(sum / f64::from(count))
    }
}
