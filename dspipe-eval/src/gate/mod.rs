//! What results must reach for a suite to pass.
//!
//! A case that ends in an error counts as one that fails, with a score of 0. No gate passes if nothing ran,
//! or if a case of the suite has no result.

mod judge;
mod parse;
mod recordings;
mod regression;

pub(crate) use regression::Comparison;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::result::CaseResult;
use crate::tally::Tally;
use crate::unit::{Amount, Unit};

/// A condition on the results of a suite.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Gate {
    /// Every case has run as often as it must. Every suite has this gate, whether it says so or not.
    Complete,
    /// Every recording of the suite is used. A suite that is answered from recordings has this gate.
    Recordings,
    /// `pass_rate: {min: 0.9, confidence: 0.95}`: the share of passing runs; with a confidence, the lower
    /// bound of its Wilson interval, for which several runs of a case count as one.
    PassRate {
        /// The least rate.
        min: Unit,
        /// The confidence of the two-sided interval whose lower bound counts.
        confidence: Option<Unit>,
    },
    /// `mean: {metric: fields, min: 0.8, confidence: 0.95}`: the mean over cases of their score, or of one
    /// metric; with a confidence, the lower bound of its bootstrap interval.
    Mean {
        /// The metric; `None` is the score of the case.
        metric: Option<String>,
        /// The least mean.
        min: Unit,
        /// The confidence of the two-sided interval whose lower bound counts.
        confidence: Option<Unit>,
    },
    /// `pass_at_k: {k: 3, min: 0.9}`: the mean over cases of the probability that one of k runs passes.
    PassAtK {
        /// How many runs.
        k: u32,
        /// The least mean.
        min: Unit,
    },
    /// `pass_hat_k: {k: 3, min: 0.7}`: the mean over cases of the probability that all of k runs pass.
    PassHatK {
        /// How many runs.
        k: u32,
        /// The least mean.
        min: Unit,
    },
    /// `regression: {baseline: baselines/triage.json, test: mcnemar, alpha: 0.05, max_new_failures: 0}`: the
    /// run is not worse than the committed baseline.
    Regression(Regression),
    /// `cost: {max: 0.5, per_case: 0.01}`: in US dollars; an unknown price fails.
    Cost {
        /// The most that all cases may cost.
        max: Option<Amount>,
        /// The most that one case may cost, all its runs together.
        per_case: Option<Amount>,
    },
    /// `latency: {p50: 1.0, p95: 4.0}`: the most that quantiles of the latency may be, in seconds.
    Latency(Vec<(Unit, Amount)>),
}

/// How a run is held against a baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Regression {
    /// The file, from the suite's directory.
    pub baseline: PathBuf,
    /// What decides; `None` leaves it to the number of new failures.
    pub test: Option<Test>,
    /// How probable a difference may be by chance and still count.
    pub alpha: Unit,
    /// The most cases that passed and now fail.
    pub max_new_failures: Option<u64>,
}

/// A test of whether a run is worse than the baseline; each is one-sided and paired by case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// Of passing and failing: `McNemar`'s exact test.
    McNemar,
    /// Of scores: the bootstrap interval of the mean difference.
    Bootstrap {
        /// The metric; `None` is the score of the case.
        metric: Option<String>,
    },
}

/// What gates look at.
pub struct Evidence<'a> {
    /// The suite's name.
    pub suite: &'a str,
    /// Where paths of baselines start.
    pub directory: &'a Path,
    /// The results.
    pub tally: &'a Tally,
    /// Finds the worst result of a case, for messages.
    pub details: &'a dyn Fn(&str) -> Option<CaseResult>,
    /// Whether to write the results as the new baseline, instead of comparing them with the old one.
    pub update_baseline: bool,
    /// Whether only a part of the suite's cases was selected.
    pub is_part: bool,
    /// The directory of its recordings, if it is answered from some.
    pub recordings: Option<&'a Path>,
    /// Whether to remove recordings that nothing uses, instead of complaining of them.
    pub prune: bool,
}

impl fmt::Debug for Evidence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evidence")
            .field("suite", &self.suite)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// What a gate says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Verdict {
    /// The gate's name.
    pub gate: String,
    /// Whether the results reach it.
    pub passed: bool,
    /// What was found and what is wanted, on one line.
    pub summary: String,
    /// The cases to look at, if it did not pass; lines.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary)?;
        if self.details.is_empty() {
            Ok(())
        } else {
            write!(f, "\n{}", self.details)
        }
    }
}

impl Gate {
    /// Its name in tests and reports, which tells apart gates of one kind.
    pub fn name(&self) -> String {
        match self {
            Self::Complete => "complete".to_owned(),
            Self::Recordings => "recordings".to_owned(),
            Self::PassRate { .. } => "pass_rate".to_owned(),
            Self::Mean { metric: None, .. } => "mean".to_owned(),
            Self::Mean {
                metric: Some(metric),
                ..
            } => format!("mean({metric})"),
            Self::PassAtK { k, .. } => format!("pass_at_{k}"),
            Self::PassHatK { k, .. } => format!("pass_hat_{k}"),
            Self::Regression(regression) => match &regression.test {
                None => "regression".to_owned(),
                Some(Test::McNemar) => "regression(mcnemar)".to_owned(),
                Some(Test::Bootstrap { metric: None }) => "regression(score)".to_owned(),
                Some(Test::Bootstrap {
                    metric: Some(metric),
                }) => format!("regression({metric})"),
            },
            Self::Cost { .. } => "cost".to_owned(),
            Self::Latency(_) => "latency".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
