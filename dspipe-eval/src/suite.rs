//! What is evaluated, and by what.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dspipe_runtime::lm::BoxFuture;
use serde::Deserialize;
use serde_json::Value;

use crate::case::{Case, CaseId};
use crate::gate::Gate;
use crate::metric::{Metric, Registry, Sample, Score, SpecErrors, parse};
use crate::result::{CaseResult, Execution};
use crate::snapshot::Snapshots;
use crate::unit::{Unit, Weight};

/// A set of cases, what runs them, what scores them, and what they must reach.
pub trait Suite: Send + Sync {
    /// Its name, the first part of the names of its tests.
    fn name(&self) -> &str;

    /// The names of all cases, in their order.
    ///
    /// # Errors
    /// In words, if they cannot be read.
    fn cases(&self) -> Result<Vec<CaseId>, String>;

    /// A case by its position in [`cases`](Self::cases). It is read when it is run, so that a long dataset
    /// need not be in memory.
    ///
    /// # Errors
    /// In words, if it cannot be read.
    fn case(&self, index: usize) -> Result<Case, String>;

    /// Runs a case. What goes wrong is in the [`Execution`]. `repetition` counts the runs of one case from 0.
    fn run<'a>(&'a self, case: &'a Case, repetition: u32) -> BoxFuture<'a, Execution>;

    /// A run of a case has been scored; its result is written down next.
    fn scored(&self, result: &CaseResult) {
        let _ = result;
    }

    /// What scores the outputs.
    fn metrics(&self) -> &Metrics;

    /// What a case can be selected by (`DSPIPE_TAGS`), by its position.
    fn tags(&self, index: usize) -> &[String] {
        let _ = index;
        &[]
    }

    /// The directory of the recordings that answer in this run. Those that no case uses fail the gate `recordings`.
    fn recordings(&self) -> Option<&Path> {
        None
    }

    /// What the snapshots of its cases are, if it has some.
    fn snapshots(&self) -> Option<&Snapshots> {
        None
    }

    /// What the results must reach.
    fn gates(&self) -> &[Gate];

    /// Where the paths in gates start.
    fn directory(&self) -> PathBuf;

    /// Identifies what else results depend on, such as the dataset and the prompts. A live run that was
    /// interrupted is gone on with only if it is the same.
    fn fingerprint(&self) -> String {
        String::new()
    }

    /// How often each case is run; at least once.
    fn repeat(&self) -> u32 {
        1
    }

    /// Whether a case that does not pass is a failed test of its own, besides the gates.
    fn must_pass(&self) -> bool {
        false
    }
}

/// The metrics of a suite; at least one.
#[derive(Clone, Debug)]
pub struct Metrics(Vec<NamedMetric>);

/// A metric of a suite.
#[derive(Clone, Debug)]
pub struct NamedMetric {
    /// Its name in reports.
    pub name: String,
    /// What scores.
    pub metric: Arc<dyn Metric>,
    /// How much it counts in the score of a case.
    pub weight: Weight,
    /// The least score with which a case passes.
    pub pass_at: Unit,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    metric: Value,
    name: Option<String>,
    #[serde(default)]
    weight: Weight,
    pass_at: Option<Unit>,
}

impl Metrics {
    /// Reads a list of metrics, each a metric or
    /// `{metric: .., name: .., weight: .., pass_at: ..}`. A case passes a metric with a score of 1, or of
    /// `pass_at`; 0 makes it count in the score only.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(declaration: &Value, registry: &Registry) -> Result<Self, SpecErrors> {
        let mut errors = SpecErrors::default();
        let entries: &[Value] = match declaration {
            Value::Array(entries) => entries,
            other => std::slice::from_ref(other),
        };
        if entries.is_empty() {
            errors.push("metrics", "there is none; a suite needs one");
        }
        let mut all: Vec<NamedMetric> = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let place = format!("metrics[{index}]");
            let Some(named) = named(entry, &place, registry, &mut errors) else {
                continue;
            };
            if all.iter().any(|known| known.name == named.name) {
                let message = format!("`{}` is there twice; give one a `name`", named.name);
                errors.push(place, message);
            }
            all.push(named);
        }
        errors.or(Some(Self(all)))
    }

    /// A single metric, which passes with a score of 1.
    pub fn one(name: impl Into<String>, metric: impl Metric + 'static) -> Self {
        Self(vec![NamedMetric {
            name: name.into(),
            metric: Arc::new(metric),
            weight: Weight::ONE,
            pass_at: Unit::ONE,
        }])
    }

    /// The metrics in their order.
    pub fn iter(&self) -> impl Iterator<Item = &NamedMetric> {
        self.0.iter()
    }

    /// Puts the scores of an output into its result.
    pub(crate) async fn score(&self, result: &mut CaseResult, actual: &Value) {
        let mut parts: Vec<(Weight, Unit)> = Vec::with_capacity(self.0.len());
        let mut passed = true;
        for named in &self.0 {
            let sample = Sample {
                input: &result.input,
                expected: result.expected.as_ref(),
                actual,
                latency: Duration::try_from_secs_f64(result.latency).unwrap_or_default(),
                cost: result.cost,
            };
            match named.metric.score(&sample).await {
                Ok(score) => {
                    passed &= score.value >= named.pass_at;
                    parts.push((named.weight, score.value));
                    result.scores.insert(named.name.clone(), score);
                }
                Err(error) => {
                    result.error = Some(format!("metric `{}`: {error}", named.name));
                    return;
                }
            }
        }
        result.passed = passed;
        let parts = parts
            .into_iter()
            .map(|(weight, value)| (None, weight, value.into()));
        result.score = Score::mean(parts.collect()).value.get();
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|named| named.name.as_str()).collect();
        f.write_str(&names.join(", "))
    }
}

fn named(
    entry: &Value,
    place: &str,
    registry: &Registry,
    errors: &mut SpecErrors,
) -> Option<NamedMetric> {
    let entry = if entry.get("metric").is_some() {
        match Entry::deserialize(entry) {
            Ok(entry) => entry,
            Err(error) => {
                errors.push(place, error.to_string());
                return None;
            }
        }
    } else {
        Entry {
            metric: entry.clone(),
            name: None,
            weight: Weight::ONE,
            pass_at: None,
        }
    };
    let metric = parse(&entry.metric, place, registry, errors)?;
    Some(NamedMetric {
        name: entry.name.unwrap_or_else(|| metric.name().to_owned()),
        metric: Arc::new(metric),
        weight: entry.weight,
        pass_at: entry.pass_at.unwrap_or(Unit::ONE),
    })
}
