//! Metrics as data.

use std::sync::Arc;

use dspipe_runtime::lm::BoxFuture;
use regex::Regex;
use serde_json::Value;

use super::options::{Contains, Length, Numeric, OneOf, Ramp, Schema, contains, regex};
use super::{Judge, ListF1, Metric, MetricError, Sample, Score, SetF1, json, text, text_of};
use crate::path::Path;
use crate::unit::{Unit, Weight};

/// A metric that a YAML file declares. [`parse`](Self::parse) makes it; what exists can be run.
///
/// `expected` and `actual` are JSON values. A field that is missing is null. Metrics that compare texts
/// take a text as it is, null as the empty text, and everything else as compact JSON. Unless said
/// otherwise a metric needs an expected output, gives 1 where both values are the same, and is symmetric.
#[derive(Clone, Debug)]
pub enum Declared {
    /// `exact`: 1 if the values are equal, otherwise 0. `1` equals `1.0`; the order of keys does not count.
    Exact,
    /// `normalized`: 1 if the texts are equal in `SQuAD`'s normal form (lower case, no ASCII punctuation, no
    /// articles, single spaces; Rajpurkar et al. 2016, DSPy's `normalize_text`), otherwise 0.
    Normalized,
    /// `numeric: {abs: 0.5, rel: 0.01}`: 1 if |actual - expected| ≤ max(abs, rel · |expected|), otherwise
    /// 0; also where the actual value is no number. `rel` is not symmetric.
    Numeric(Numeric),
    /// `contains`, `contains: {any: [..]}`, `contains: {all: [..], case: false}`: whether the actual text
    /// contains the texts, without one of the lists the expected text, or each of the expected list. `any`
    /// gives 1 or 0, all else the share that is found. Not symmetric.
    Contains(Contains),
    /// `regex: '^[A-Z]'`: 1 if the pattern matches somewhere in the actual text, otherwise 0. Needs no
    /// expected output.
    Regex(Regex),
    /// `one_of: {metric: normalized}`: the best score over the expected list; `values: [..]` is a list of
    /// its own. `metric` is `exact` where nothing is said. An empty list gives 0. Not symmetric.
    OneOf(Box<OneOf>),
    /// `set_f1`, `set_f1: {key: name, normalize: true}`: 2 · common / (expected + actual) over the distinct
    /// items; 1 if both are empty. Null is an empty list, another value a list of one. With a `key`,
    /// objects are the same if that field is.
    SetF1(SetF1),
    /// `list_f1`, `list_f1: {key: id, ordered: true}`: as `set_f1`, but an item counts as often as it
    /// occurs; if `ordered`, `common` is the length of the longest common subsequence.
    ListF1(ListF1),
    /// `token_f1`: F1 over the words of the normalized texts, as in `SQuAD`. Without words on one side 0, on
    /// both sides 1 (`SQuAD` 2.0; DSPy gives 0).
    TokenF1,
    /// `rouge_l`: F1 over the longest common subsequence of words (Lin 2004, β = 1). Words are runs of
    /// letters and digits, in lower case. Without words as `token_f1`.
    RougeL,
    /// `edit`: 1 - (Levenshtein distance / characters of the longer text); 1 of two empty texts.
    Edit,
    /// `json_diff`: how alike the values are, part by part. Objects: the mean over all keys of either; lists:
    /// the mean over the positions of the longer one; texts: as `edit`; numbers: 1 - |a - b| / (|a| + |b|);
    /// all else 1 or 0. Two empty objects or lists give 1. (`JSONDiff` of autoevals.)
    JsonDiff,
    /// `schema: {..}`: 1 if the actual value complies with the JSON Schema, otherwise 0. Needs no expected
    /// output.
    Schema(Schema),
    /// `length: {min: 10, max: 200, unit: chars}`: 1 within the limits, `length / min` below, `max / length`
    /// above. Units: `chars`, `words`, `sentences`, `items` (of a list). Needs no expected output.
    Length(Length),
    /// `latency: {good: 1.0, max: 5.0}`: in seconds; 1 up to `good`, 0 from `max` on, linear in between.
    /// Needs no expected output.
    Latency(Ramp),
    /// `cost: {good: 0.001, max: 0.01}`: in US dollars, as `latency`. An unknown price is an error.
    Cost(Ramp),
    /// `judge: {rubric: .., lm: provider/model}`: an LM scores the output and gives its reason. Needs no
    /// expected output, and shows it if there is one.
    Judge(Box<Judge>),
    /// `at: {path: a.b, metric: ..}`: the metric on a place in both values.
    At(Path, Box<Declared>),
    /// `fields: {a: exact, b.c: {metric: set_f1, weight: 2}}`: the weighted mean over fields, whose scores
    /// are reported too.
    Fields(Vec<(Path, Weighted)>),
    /// `weighted: [{metric: .., weight: 2}, ..]`: the weighted mean.
    Weighted(Vec<Weighted>),
    /// `all: [..]`: the lowest score.
    All(Vec<Declared>),
    /// `any: [..]`: the highest score, with the feedback of that metric.
    Any(Vec<Declared>),
    /// `threshold: {metric: .., at_least: 0.8}`: 1 if the score reaches the limit, otherwise 0.
    Threshold(Box<Declared>, Unit),
    /// `rust: name`: a Rust function of the [`Registry`](super::Registry).
    Rust(Arc<dyn Metric>),
}

/// A metric that is part of a mean.
#[derive(Clone, Debug)]
pub struct Weighted {
    pub(super) metric: Declared,
    pub(super) weight: Weight,
}

impl Declared {
    /// Its name in YAML.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Normalized => "normalized",
            Self::Numeric(_) => "numeric",
            Self::Contains(_) => "contains",
            Self::Regex(_) => "regex",
            Self::OneOf(_) => "one_of",
            Self::SetF1(_) => "set_f1",
            Self::ListF1(_) => "list_f1",
            Self::TokenF1 => "token_f1",
            Self::RougeL => "rouge_l",
            Self::Edit => "edit",
            Self::JsonDiff => "json_diff",
            Self::Schema(_) => "schema",
            Self::Length(_) => "length",
            Self::Latency(_) => "latency",
            Self::Cost(_) => "cost",
            Self::Judge(_) => "judge",
            Self::At(..) => "at",
            Self::Fields(_) => "fields",
            Self::Weighted(_) => "weighted",
            Self::All(_) => "all",
            Self::Any(_) => "any",
            Self::Threshold(..) => "threshold",
            Self::Rust(_) => "rust",
        }
    }

    /// Scores two values by a metric that needs nothing else; `None` for the others.
    fn compare(&self, expected: &Value, actual: &Value) -> Option<Result<Score, MetricError>> {
        let texts = |by: fn(&str, &str) -> Unit| {
            let value = by(&text_of(expected), &text_of(actual));
            Score::compared(value, expected, actual)
        };
        Some(Ok(match self {
            Self::Exact => Score::equal(json::same(expected, actual), expected, actual),
            Self::Normalized => texts(|a, b| (text::normalized(a) == text::normalized(b)).into()),
            Self::TokenF1 => texts(text::token_f1),
            Self::RougeL => texts(text::rouge_l),
            Self::Edit => texts(text::edit),
            Self::JsonDiff => json::diff(expected, actual),
            Self::SetF1(options) => options.score(expected, actual),
            Self::ListF1(options) => options.score(expected, actual),
            Self::Numeric(options) => return Some(options.score(expected, actual)),
            _ => return None,
        }))
    }

    async fn run(&self, sample: &Sample<'_>) -> Result<Score, MetricError> {
        let expected = || {
            let metric = self.name();
            sample.expected.ok_or(MetricError::NoExpected { metric })
        };
        match self {
            Self::Contains(Contains {
                texts: Some((texts, any)),
                case,
            }) => Ok(contains(texts, *any, *case, sample.actual)),
            Self::Contains(Contains { texts: None, case }) => {
                let texts = match expected()? {
                    Value::Array(items) => items.iter().map(|item| text_of(item).into()).collect(),
                    other => vec![text_of(other).into()],
                };
                Ok(contains(&texts, false, *case, sample.actual))
            }
            Self::Regex(pattern) => Ok(regex(pattern, sample.actual)),
            Self::OneOf(options) => options.score(sample, expected).await,
            Self::Schema(schema) => Ok(schema.score(sample.actual)),
            Self::Length(length) => Ok(length.score(sample.actual)),
            Self::Latency(ramp) => Ok(ramp.score("took", "s", sample.latency.as_secs_f64())),
            Self::Cost(ramp) => {
                let cost = sample.cost.ok_or(MetricError::NoCost)?;
                Ok(ramp.score("cost", "USD", cost))
            }
            Self::Judge(judge) => judge.score(sample).await,
            Self::At(path, metric) => {
                let score = metric.score(&at(path, sample)).await?;
                Ok(Score::joined(
                    score.value,
                    std::iter::once((Some(path.to_string()), score)),
                ))
            }
            Self::Fields(fields) => {
                let mut parts = Vec::with_capacity(fields.len());
                for (path, field) in fields {
                    let score = field.metric.score(&at(path, sample)).await?;
                    parts.push((Some(path.to_string()), field.weight, score));
                }
                Ok(Score::mean(parts))
            }
            Self::Weighted(metrics) => {
                let mut parts = Vec::with_capacity(metrics.len());
                for part in metrics {
                    parts.push((None, part.weight, part.metric.score(sample).await?));
                }
                Ok(Score::mean(parts))
            }
            Self::All(metrics) => {
                let mut scores = Vec::with_capacity(metrics.len());
                for metric in metrics {
                    scores.push((None, metric.score(sample).await?));
                }
                let lowest = scores.iter().map(|(_, score)| score.value.get());
                let lowest = Unit::clamped(lowest.fold(1.0, f64::min));
                Ok(Score::joined(lowest, scores.into_iter()))
            }
            Self::Any(metrics) => {
                let mut best: Option<Score> = None;
                for metric in metrics {
                    let score = metric.score(sample).await?;
                    if best.as_ref().is_none_or(|best| best.value < score.value) {
                        best = Some(score);
                    }
                }
                Ok(best.unwrap_or_default())
            }
            Self::Threshold(metric, limit) => {
                let score = metric.score(sample).await?;
                let value = Unit::from(score.value >= *limit);
                // What did not matter need not be told.
                let feedback = score.feedback.filter(|_| value == Unit::ZERO);
                Ok(Score {
                    value,
                    feedback,
                    ..score
                })
            }
            Self::Rust(metric) => metric.score(sample).await,
            _ => self
                .compare(expected()?, sample.actual)
                .unwrap_or_else(|| Ok(Score::default())),
        }
    }
}

impl Metric for Declared {
    fn score<'a>(&'a self, sample: &'a Sample<'a>) -> BoxFuture<'a, Result<Score, MetricError>> {
        Box::pin(self.run(sample))
    }

    fn needs_expected(&self) -> bool {
        match self {
            Self::Regex(_)
            | Self::Schema(_)
            | Self::Length(_)
            | Self::Latency(_)
            | Self::Cost(_)
            | Self::Judge(_) => false,
            Self::Contains(options) => options.texts.is_none(),
            Self::OneOf(options) => options.values.is_none(),
            Self::At(_, metric) | Self::Threshold(metric, _) => metric.needs_expected(),
            Self::Fields(fields) => fields.iter().any(|(_, part)| part.metric.needs_expected()),
            Self::Weighted(parts) => parts.iter().any(|part| part.metric.needs_expected()),
            Self::All(metrics) | Self::Any(metrics) => metrics.iter().any(Self::needs_expected),
            Self::Rust(metric) => metric.needs_expected(),
            _ => true,
        }
    }
}

fn at<'a>(path: &Path, sample: &Sample<'a>) -> Sample<'a> {
    Sample {
        expected: sample.expected.map(|expected| path.get(expected)),
        actual: path.get(sample.actual),
        ..*sample
    }
}
