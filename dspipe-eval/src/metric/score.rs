//! What a metric gives.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::shown;
use crate::unit::{Unit, Weight};

/// A score, what cost points, and the scores of its parts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// From 0 (worst) to 1 (best).
    pub value: Unit,
    /// What cost points, for people and for optimizers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<String>,
    /// The scores of fields, by path, where the metric looks at fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
}

/// The score of a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Its path.
    pub name: String,
    /// Its score.
    pub value: Unit,
}

impl Score {
    /// All is as it should be.
    pub fn perfect() -> Self {
        Self::from(Unit::ONE)
    }

    /// A score with what cost points.
    pub fn with_feedback(value: Unit, feedback: impl Into<String>) -> Self {
        Self {
            value,
            feedback: Some(feedback.into()),
            parts: Vec::new(),
        }
    }

    /// 1, or 0 with what was expected and what came.
    pub(super) fn equal(is_equal: bool, expected: &Value, actual: &Value) -> Self {
        Self::compared(Unit::from(is_equal), expected, actual)
    }

    /// A score, and below 1 what was expected and what came.
    pub(super) fn compared(value: Unit, expected: &Value, actual: &Value) -> Self {
        if value == Unit::ONE {
            return Self::perfect();
        }
        let (expected, actual) = (shown(expected), shown(actual));
        Self::with_feedback(value, format!("expected {expected}, got {actual}"))
    }

    /// The weighted mean; the feedback is that of the parts, each behind its name.
    pub(crate) fn mean(parts: Vec<(Option<String>, Weight, Self)>) -> Self {
        let total: f64 = parts.iter().map(|(_, weight, _)| weight.get()).sum();
        let sum: f64 = parts
            .iter()
            .map(|(_, weight, score)| weight.get() * score.value.get())
            .sum();
        // Rounding must not keep a mean of ones from being 1.
        let value = if parts.iter().all(|(_, _, score)| score.value == Unit::ONE) {
            Unit::ONE
        } else {
            Unit::clamped(sum / total)
        };
        Self::joined(
            value,
            parts.into_iter().map(|(name, _, score)| (name, score)),
        )
    }

    /// A value with the feedback and the parts of others.
    pub(super) fn joined(
        value: Unit,
        scores: impl Iterator<Item = (Option<String>, Self)>,
    ) -> Self {
        let mut feedback = Vec::new();
        let mut parts = Vec::new();
        for (name, score) in scores {
            match (&name, score.feedback) {
                (Some(name), Some(text)) => feedback.push(format!("{name}: {text}")),
                (None, Some(text)) => feedback.push(text),
                (_, None) => {}
            }
            match name {
                Some(name) => {
                    let below = score.parts.into_iter().map(|part| Part {
                        name: format!("{name}.{}", part.name),
                        ..part
                    });
                    let nested: Vec<Part> = below.collect();
                    parts.push(Part {
                        name,
                        value: score.value,
                    });
                    parts.extend(nested);
                }
                None => parts.extend(score.parts),
            }
        }
        Self {
            value,
            feedback: (!feedback.is_empty()).then(|| feedback.join("; ")),
            parts,
        }
    }
}

impl From<Unit> for Score {
    fn from(value: Unit) -> Self {
        Self {
            value,
            ..Self::default()
        }
    }
}
