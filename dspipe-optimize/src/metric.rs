//! The metric where none is named.

use dspipe_eval::Unit;
use dspipe_eval::metric::{Metric, MetricError, Part, Sample, Score};
use dspipe_runtime::Value;
use dspipe_runtime::lm::BoxFuture;

/// The share of labelled fields that are right: numbers are compared as numbers, everything else exactly.
///
/// Expected and actual outputs are by step, then by field; fields without a label do not count.
#[derive(Clone, Copy, Debug, Default)]
pub struct LabelledFields;

impl Metric for LabelledFields {
    fn score<'a>(&'a self, sample: &'a Sample<'a>) -> BoxFuture<'a, Result<Score, MetricError>> {
        Box::pin(std::future::ready(score(sample)))
    }
}

fn score(sample: &Sample<'_>) -> Result<Score, MetricError> {
    let Some(Value::Object(steps)) = sample.expected else {
        return Err(MetricError::NoExpected {
            metric: "labelled fields",
        });
    };
    let mut parts = Vec::new();
    let mut feedback = Vec::new();
    for (step, fields) in steps {
        for (field, expected) in fields.as_object().into_iter().flatten() {
            let actual = sample.actual.get(step).and_then(|step| step.get(field));
            let actual = actual.unwrap_or(&Value::Null);
            let name = format!("{step}.{field}");
            let right = equal(expected, actual);
            if !right {
                feedback.push(format!("{name}: expected {expected}, got {actual}"));
            }
            parts.push(Part {
                name,
                value: Unit::from(right),
            });
        }
    }
    if parts.is_empty() {
        return Err(MetricError::NoExpected {
            metric: "labelled fields",
        });
    }
    let right = parts.iter().filter(|part| part.value == Unit::ONE).count();
    #[expect(clippy::cast_precision_loss, reason = "few fields")]
    let value = Unit::clamped(right as f64 / parts.len() as f64);
    Ok(Score {
        value,
        feedback: (!feedback.is_empty()).then(|| feedback.join("\n")),
        parts,
    })
}

/// Whether two values are the same; `1` is `1.0`.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_labelled_fields_count() {
        let expected = json!({"sort": {"team": "billing", "urgency": 2}});
        let actual = json!({"sort": {"team": "other", "urgency": 2.0, "why": "x"}, "answer": {}});
        let score = score(&Sample::new(&expected, &actual)).unwrap_or_default();
        assert!((score.value.get() - 0.5).abs() < 1e-9);
        assert_eq!(
            score.feedback.as_deref(),
            Some("sort.team: expected \"billing\", got \"other\"")
        );
    }

    #[test]
    fn without_labels_there_is_no_score() {
        let nothing = json!({"sort": {}});
        assert!(score(&Sample::new(&nothing, &json!({}))).is_err());
    }
}
