//! Metrics with options.

use std::sync::Arc;

use regex::Regex;
use serde_json::Value;

use super::{Declared, Metric, MetricError, Sample, Score, shown, text_of};
use crate::unit::{Amount, Unit};

/// The options of `numeric`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Numeric {
    pub(super) abs: Amount,
    pub(super) rel: Amount,
}

/// The options of `contains`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contains {
    /// The texts, and whether one is enough; without them, the expected value holds them.
    pub(super) texts: Option<(Vec<String>, bool)>,
    pub(super) case: bool,
}

/// The options of `one_of`.
#[derive(Clone, Debug)]
pub struct OneOf {
    pub(super) values: Option<Vec<Value>>,
    pub(super) metric: Declared,
}

/// A compiled JSON Schema.
#[derive(Clone, Debug)]
pub struct Schema(pub(super) Arc<jsonschema::Validator>);

/// Limits of a length, of which there is at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    pub(super) min: Option<u32>,
    pub(super) max: Option<u32>,
    pub(super) unit: LengthUnit,
}

/// What a length counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LengthUnit {
    /// Unicode characters.
    #[default]
    Chars,
    /// What white space separates.
    Words,
    /// Runs that end in `.`, `!` or `?`.
    Sentences,
    /// Items of a list.
    Items,
}

/// From 1 at `good` down to 0 at `max`, which is more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ramp {
    pub(super) good: f64,
    pub(super) max: f64,
}

impl Numeric {
    pub(super) fn score(&self, expected: &Value, actual: &Value) -> Result<Score, MetricError> {
        let Some(wanted) = expected.as_f64() else {
            return Err(MetricError::Expected {
                metric: "numeric",
                wanted: "a number",
                found: shown(expected),
            });
        };
        let limit = self.abs.get().max(self.rel.get() * wanted.abs());
        let is_near = actual
            .as_f64()
            .is_some_and(|found| (found - wanted).abs() <= limit);
        Ok(Score::equal(is_near, expected, actual))
    }
}

pub(super) fn contains(texts: &[String], any: bool, case: bool, actual: &Value) -> Score {
    let fold = |text: &str| {
        if case {
            text.to_owned()
        } else {
            text.to_lowercase()
        }
    };
    let inside = fold(&text_of(actual));
    let missing: Vec<&String> = texts
        .iter()
        .filter(|text| !inside.contains(&fold(text)))
        .collect();
    let found = texts.len() - missing.len();
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let value = match (any, missing.is_empty()) {
        (_, true) => Unit::ONE,
        (true, _) => Unit::from(found > 0),
        (false, _) => Unit::clamped(found as f64 / texts.len() as f64),
    };
    if value == Unit::ONE {
        return Score::perfect();
    }
    let names: Vec<String> = missing.iter().map(|text| format!("`{text}`")).collect();
    let what = if any {
        "contains none of"
    } else {
        "does not contain"
    };
    Score::with_feedback(
        value,
        format!("{what} {}: {}", names.join(", "), shown(actual)),
    )
}

pub(super) fn regex(pattern: &Regex, actual: &Value) -> Score {
    if pattern.is_match(&text_of(actual)) {
        Score::perfect()
    } else {
        let (actual, pattern) = (shown(actual), pattern.as_str());
        Score::with_feedback(Unit::ZERO, format!("{actual} does not match `{pattern}`"))
    }
}

impl OneOf {
    pub(super) async fn score<'a>(
        &'a self,
        sample: &Sample<'a>,
        expected: impl FnOnce() -> Result<&'a Value, MetricError>,
    ) -> Result<Score, MetricError> {
        let values: &[Value] = match &self.values {
            Some(values) => values,
            None => match expected()? {
                Value::Array(values) => values,
                found => {
                    return Err(MetricError::Expected {
                        metric: "one_of",
                        wanted: "a list of what is right",
                        found: shown(found),
                    });
                }
            },
        };
        let mut best = Score::default();
        for value in values {
            let expected = Some(value);
            let score = self
                .metric
                .score(&Sample {
                    expected,
                    ..*sample
                })
                .await?;
            if score.value > best.value {
                best = score;
            }
        }
        if best.value < Unit::ONE {
            let values: Vec<String> = values.iter().map(shown).collect();
            best.feedback = Some(format!(
                "expected one of {}, got {}",
                values.join(", "),
                shown(sample.actual)
            ));
        }
        Ok(best)
    }
}

impl Schema {
    pub(super) fn score(&self, actual: &Value) -> Score {
        const NAMED: usize = 5;
        let errors: Vec<String> = self
            .0
            .iter_errors(actual)
            .take(NAMED)
            .map(|error| match error.instance_path().to_string().as_str() {
                "" => error.to_string(),
                path => format!("{path}: {error}"),
            })
            .collect();
        if errors.is_empty() {
            Score::perfect()
        } else {
            Score::with_feedback(Unit::ZERO, errors.join("; "))
        }
    }
}

impl Length {
    pub(super) fn score(self, actual: &Value) -> Score {
        let length = self.unit.of(actual);
        let ratio = |a: usize, b: usize| {
            #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
            Unit::clamped(a as f64 / b as f64)
        };
        let unit = self.unit.word();
        let limit = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        match (self.min.map(limit), self.max.map(limit)) {
            (Some(min), _) if length < min => Score::with_feedback(
                ratio(length, min),
                format!("{length} {unit}, at least {min} are wanted"),
            ),
            (_, Some(max)) if length > max => Score::with_feedback(
                ratio(max, length),
                format!("{length} {unit}, at most {max} are wanted"),
            ),
            _ => Score::perfect(),
        }
    }
}

impl LengthUnit {
    fn of(self, value: &Value) -> usize {
        let text = text_of(value);
        match self {
            Self::Chars => text.chars().count(),
            Self::Words => text.split_whitespace().count(),
            Self::Sentences => text
                .split(['.', '!', '?'])
                .filter(|sentence| sentence.chars().any(char::is_alphanumeric))
                .count(),
            Self::Items => match value {
                Value::Array(items) => items.len(),
                Value::Null => 0,
                _ => 1,
            },
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Chars => "characters",
            Self::Words => "words",
            Self::Sentences => "sentences",
            Self::Items => "items",
        }
    }
}

impl Ramp {
    pub(super) fn score(self, verb: &str, unit: &str, found: f64) -> Score {
        if found <= self.good {
            return Score::perfect();
        }
        let value = Unit::clamped((self.max - found) / (self.max - self.good));
        let good = self.good;
        Score::with_feedback(
            value,
            format!("{verb} {found:.4} {unit}, up to {good} is good"),
        )
    }
}
