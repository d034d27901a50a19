//! How good an output is.
//!
//! A metric gives a [`Score`] from 0 to 1, and text that says what cost points; optimizers show it to the
//! LM that writes better instructions. Most metrics are declared in YAML and are variants of [`Declared`];
//! every other one is a Rust function ([`from_fn`]) or a type that implements [`Metric`].
//!
//! ```
//! use dspipe_eval::metric::{Declared, Metric, Registry, Sample};
//! use serde_json::json;
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let metric = json!({"fields": {"complexity": "exact", "patterns": "set_f1"}});
//! let metric = Declared::parse(&metric, &Registry::default()).unwrap();
//! let expected = json!({"complexity": "high", "patterns": ["actor"]});
//! let actual = json!({"complexity": "low", "patterns": ["actor"]});
//! let score = metric.score(&Sample::new(&expected, &actual)).await.unwrap();
//! assert_eq!(score.value.get(), 0.5);
//! assert_eq!(score.feedback.unwrap(), "complexity: expected `high`, got `low`");
//! # });
//! ```

mod collection;
mod declared;
mod form;
mod function;
mod json;
mod judge;
mod options;
mod parse;
mod score;
mod text;

use std::fmt;
use std::time::Duration;

use dspipe_runtime::lm::BoxFuture;
use serde_json::Value;

pub use collection::{ListF1, SetF1};
pub use declared::{Declared, Weighted};
pub use function::{IntoScore, from_fn};
pub use judge::Judge;
pub use options::{Contains, Length, LengthUnit, Numeric, OneOf, Ramp, Schema};
pub use parse::{Registry, SpecError, SpecErrors};
pub(crate) use parse::{parse, suggestion};
pub use score::{Part, Score};

/// What a metric looks at.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// What went in.
    pub input: &'a Value,
    /// What should come out; `None` where the case does not say.
    pub expected: Option<&'a Value>,
    /// What came out.
    pub actual: &'a Value,
    /// How long it took.
    pub latency: Duration,
    /// What it cost, in US dollars; `None` if the price is not known.
    pub cost: Option<f64>,
}

impl<'a> Sample<'a> {
    /// A sample of which only the outputs matter.
    pub fn new(expected: &'a Value, actual: &'a Value) -> Self {
        Self {
            input: &crate::path::NULL,
            expected: Some(expected),
            actual,
            latency: Duration::ZERO,
            cost: None,
        }
    }
}

/// Something that scores outputs.
pub trait Metric: Send + Sync + fmt::Debug {
    /// Scores a sample.
    ///
    /// # Errors
    /// [`MetricError`] if there is no telling; that is a failure of the case, not a score of 0.
    fn score<'a>(&'a self, sample: &'a Sample<'a>) -> BoxFuture<'a, Result<Score, MetricError>>;

    /// Whether a case without an expected output is an error.
    fn needs_expected(&self) -> bool {
        true
    }
}

/// Why there is no score.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// The case does not say what should come out.
    #[error("`{metric}` compares with an expected output, and the case has none")]
    NoExpected {
        /// The metric.
        metric: &'static str,
    },
    /// What should come out is not of the kind that the metric compares.
    #[error("`{metric}` needs {wanted} as the expected value, but it is {found}")]
    Expected {
        /// The metric.
        metric: &'static str,
        /// What it needs.
        wanted: &'static str,
        /// The value.
        found: String,
    },
    /// The price of the LM is not known.
    #[error("`cost` needs the price of every LM of the case, and one is not known")]
    NoCost,
    /// A value does not fit the argument of a Rust function.
    #[error("the metric's function cannot take the {argument}: {reason}")]
    Argument {
        /// `input`, `expected output` or `output`.
        argument: &'static str,
        /// What serde says.
        reason: String,
    },
    /// A Rust function gave a score that is none.
    #[error("the metric's function gave a score that is none: {0}")]
    Range(String),
    /// The judge gave no verdict.
    #[error("the judge gave no verdict: {0}")]
    Judge(String),
    /// What a metric of the user's says.
    #[error("{0}")]
    Other(String),
}

/// A value as messages show it: short, in backticks, `nothing` for null.
pub(crate) fn shown(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = match value {
        Value::Null => return "nothing".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}

/// A value as text metrics see it: texts as they are, nothing for null, everything else as compact JSON.
pub(crate) fn text_of(value: &Value) -> std::borrow::Cow<'_, str> {
    match value {
        Value::Null => "".into(),
        Value::String(text) => text.as_str().into(),
        other => other.to_string().into(),
    }
}

#[cfg(test)]
mod tests;
