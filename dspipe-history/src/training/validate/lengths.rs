//! Lengths, and which of them are unusual.

use serde_json::{Map, Value};

use crate::training::tokens::ratio;

/// Fewer examples have no usual length.
const ENOUGH: usize = 10;

/// The modified z-score from which on a length is unusual.
const UNUSUAL: f64 = 3.5;

/// The median absolute deviation of a normal distribution, by its standard deviation.
const MAD: f64 = 1.4826;

/// Lengths within a tenth of each other are never unusual.
const LEAST_SPREAD: f64 = 0.1;

/// The logarithm of the characters in all values.
pub(super) fn length(fields: &Map<String, Value>) -> f64 {
    let characters: usize = fields.values().map(characters).sum();
    ratio(characters + 1, 1).ln()
}

fn characters(value: &Value) -> usize {
    match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.iter().map(characters).sum(),
        Value::Object(fields) => fields.values().map(characters).sum(),
        other => other.to_string().len(),
    }
}

/// The usual length, as a logarithm.
pub(super) struct Usual {
    median: f64,
    spread: f64,
}

impl Usual {
    pub(super) fn of(lengths: impl Iterator<Item = f64>) -> Option<Self> {
        let mut lengths: Vec<f64> = lengths.collect();
        if lengths.len() < ENOUGH {
            return None;
        }
        let median = median(&mut lengths);
        let mut distances: Vec<f64> = lengths.iter().map(|one| (one - median).abs()).collect();
        let spread = (MAD * self::median(&mut distances)).max(LEAST_SPREAD);
        Some(Self { median, spread })
    }

    pub(super) fn complaint(&self, length: f64) -> Option<String> {
        let score = (length - self.median) / self.spread;
        if score.abs() <= UNUSUAL {
            return None;
        }
        let how = if score > 0.0 { "long" } else { "short" };
        Some(format!(
            "unusually {how}: {:.0} characters, where {:.0} are usual",
            length.exp() - 1.0,
            self.median.exp() - 1.0
        ))
    }
}

/// The upper median.
fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    if values.is_empty() {
        return 0.0;
    }
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}
