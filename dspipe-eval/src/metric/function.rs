//! Rust functions as metrics.

use std::fmt;
use std::marker::PhantomData;

use dspipe_runtime::lm::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Metric, MetricError, Sample, Score};
use crate::path::NULL;
use crate::unit::Unit;

/// What a function may give as a score: a [`Score`], a [`Unit`], a `bool`, a number from 0 to 1, or a
/// `Result` of any of them with an error that can be shown.
pub trait IntoScore {
    /// The score.
    ///
    /// # Errors
    /// If it is none.
    fn into_score(self) -> Result<Score, MetricError>;
}

impl IntoScore for Score {
    fn into_score(self) -> Result<Score, MetricError> {
        Ok(self)
    }
}

impl IntoScore for Unit {
    fn into_score(self) -> Result<Score, MetricError> {
        Ok(self.into())
    }
}

impl IntoScore for bool {
    fn into_score(self) -> Result<Score, MetricError> {
        Ok(Unit::from(self).into())
    }
}

impl IntoScore for f64 {
    fn into_score(self) -> Result<Score, MetricError> {
        match Unit::new(self) {
            Ok(value) => Ok(value.into()),
            Err(error) => Err(MetricError::Range(error.to_string())),
        }
    }
}

impl<S: IntoScore, E: fmt::Display> IntoScore for Result<S, E> {
    fn into_score(self) -> Result<Score, MetricError> {
        match self {
            Ok(score) => score.into_score(),
            Err(error) => Err(MetricError::Other(error.to_string())),
        }
    }
}

/// A Rust function as a metric. Its arguments are the input, the expected output and the output, of any
/// types that can be deserialized from them; `serde_json::Value` takes them as they are, and `Option` for
/// the expected output takes cases that have none.
///
/// ```
/// # use dspipe_eval::metric::from_fn;
/// #[derive(serde::Deserialize)]
/// struct Answer {
///     text: String,
/// }
/// let shorter = from_fn(|_: serde_json::Value, expected: Answer, actual: Answer| {
///     actual.text.len() <= expected.text.len()
/// });
/// ```
pub fn from_fn<I, E, A, S, F>(function: F) -> impl Metric
where
    F: Fn(I, E, A) -> S + Send + Sync,
    I: DeserializeOwned,
    E: DeserializeOwned,
    A: DeserializeOwned,
    S: IntoScore,
{
    Function {
        function,
        types: PhantomData,
    }
}

struct Function<I, E, A, S, F> {
    function: F,
    types: PhantomData<fn(I, E, A) -> S>,
}

impl<I, E, A, S, F> fmt::Debug for Function<I, E, A, S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Rust function")
    }
}

impl<I, E, A, S, F> Metric for Function<I, E, A, S, F>
where
    F: Fn(I, E, A) -> S + Send + Sync,
    I: DeserializeOwned,
    E: DeserializeOwned,
    A: DeserializeOwned,
    S: IntoScore,
{
    fn score<'a>(&'a self, sample: &'a Sample<'a>) -> BoxFuture<'a, Result<Score, MetricError>> {
        let score = || {
            let input = argument("input", sample.input)?;
            let expected = argument("expected output", sample.expected.unwrap_or(&NULL))?;
            let actual = argument("output", sample.actual)?;
            (self.function)(input, expected, actual).into_score()
        };
        Box::pin(std::future::ready(score()))
    }

    fn needs_expected(&self) -> bool {
        // A function that wants one cannot be given null; one that does not takes an `Option`.
        false
    }
}

fn argument<T: DeserializeOwned>(argument: &'static str, value: &Value) -> Result<T, MetricError> {
    T::deserialize(value).map_err(|error| MetricError::Argument {
        argument,
        reason: error.to_string(),
    })
}
