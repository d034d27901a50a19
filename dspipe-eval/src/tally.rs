//! What results add up to, in memory that does not grow with their prompts and outputs.

use std::collections::{BTreeMap, BTreeSet};

use dspipe_runtime::lm::Usage;

use crate::case;
use crate::result::CaseResult;
use crate::stats::{self, Interval};
use crate::unit::Unit;

/// Bars of a histogram.
pub(crate) const BARS: usize = 20;

/// The sum of results, which are added one by one.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub(crate) cases: BTreeMap<String, Outcome>,
    pub(crate) metrics: BTreeMap<String, Distribution>,
    pub(crate) fields: BTreeMap<(String, String), Mean>,
    pub(crate) latencies: Vec<f64>,
    pub(crate) usage: Usage,
    pub(crate) results: u64,
    pub(crate) passed: u64,
    pub(crate) errors: u64,
    pub(crate) cost: f64,
    pub(crate) without_price: u64,
    /// By tag, the runs that have it, how many of them passed, and their score.
    pub(crate) tags: BTreeMap<String, (u64, Mean)>,
    /// The files of all recordings that answered.
    pub(crate) recordings: BTreeSet<String>,
    /// Cases of the suite that have not run as often as they must.
    pub(crate) missing: BTreeSet<String>,
    repeat: u32,
}

/// What came of the runs of one case.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// How often it ran.
    pub tries: u32,
    /// How often it passed.
    pub passes: u32,
    /// How often it ended in an error.
    pub errors: u32,
    /// The sum of the scores.
    pub(crate) sum: f64,
    /// The sum of the scores of each metric.
    pub(crate) sums: BTreeMap<String, f64>,
    pub(crate) cost: f64,
    pub(crate) latency: f64,
    /// Identifies its input and expected output.
    pub(crate) fingerprint: String,
}

impl Outcome {
    /// Whether it passed more often than not.
    pub fn passed(&self) -> bool {
        self.passes * 2 > self.tries
    }

    /// The mean score.
    pub fn score(&self) -> f64 {
        self.mean(self.sum)
    }

    /// The mean score of a metric; an error counts as 0.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        self.sums.get(name).map(|sum| self.mean(*sum))
    }

    fn mean(&self, sum: f64) -> f64 {
        sum / f64::from(self.tries.max(1))
    }
}

/// The scores of a metric.
#[derive(Clone, Debug, Default)]
pub(crate) struct Distribution {
    pub(crate) bars: [u64; BARS],
    pub(crate) mean: Mean,
}

/// A mean that is added up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mean {
    pub(crate) sum: f64,
    pub(crate) count: u64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    pub(crate) fn get(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let count = self.count.max(1) as f64;
        self.sum / count
    }
}

impl Distribution {
    fn add(&mut self, value: Unit) {
        self.mean.add(value.get());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "from 0 to the number of bars"
        )]
        let bar = (value.get() * BARS as f64) as usize;
        self.bars[bar.min(BARS - 1)] += 1;
    }
}

impl Tally {
    /// Nothing yet, of cases that must each run `repeat` times.
    pub fn new<'a>(cases: impl IntoIterator<Item = &'a str>, repeat: u32) -> Self {
        Self {
            missing: cases.into_iter().map(str::to_owned).collect(),
            repeat,
            ..Self::default()
        }
    }

    /// Adds a result.
    pub fn add(&mut self, result: &CaseResult) {
        self.results += 1;
        self.passed += u64::from(result.passed);
        self.errors += u64::from(result.error.is_some());
        self.usage += result.usage;
        self.latencies.push(result.latency);
        for tag in &result.tags {
            let (passed, score) = self.tags.entry(tag.clone()).or_default();
            *passed += u64::from(result.passed);
            score.add(result.score);
        }
        for file in &result.recordings {
            if !self.recordings.contains(file) {
                self.recordings.insert(file.clone());
            }
        }
        match result.cost {
            Some(cost) => self.cost += cost,
            None => self.without_price += 1,
        }
        for (name, score) in &result.scores {
            self.metrics
                .entry(name.clone())
                .or_default()
                .add(score.value);
            for part in &score.parts {
                let key = (name.clone(), part.name.clone());
                self.fields.entry(key).or_default().add(part.value.get());
            }
        }
        let outcome = self.cases.entry(result.id.as_str().to_owned()).or_default();
        if outcome.tries == 0 {
            outcome.fingerprint = case::fingerprint(&result.input, result.expected.as_ref());
        }
        outcome.tries += 1;
        if outcome.tries >= self.repeat {
            self.missing.remove(result.id.as_str());
        }
        outcome.passes += u32::from(result.passed);
        outcome.errors += u32::from(result.error.is_some());
        outcome.sum += result.score;
        outcome.cost += result.cost.unwrap_or(0.0);
        outcome.latency += result.latency;
        for (name, score) in &result.scores {
            *outcome.sums.entry(name.clone()).or_default() += score.value.get();
        }
    }

    /// The share of runs that pass, with its Wilson interval; `None` if nothing ran. The runs of one case
    /// are not independent, so that the interval is as wide as the number of cases makes it.
    pub fn pass_rate(&self, confidence: Unit) -> Option<Interval> {
        let (runs, cases) = (self.results, self.cases.len() as u64);
        let rate = stats::wilson(self.passed, runs, confidence)?.estimate;
        stats::wilson_of_rate(Unit::clamped(rate), cases, confidence)
    }

    /// Every case that ran, by its name.
    pub fn cases(&self) -> &BTreeMap<String, Outcome> {
        &self.cases
    }

    /// The cases that do not always pass, the worst first.
    pub fn worst(&self) -> Vec<&str> {
        let mut failing: Vec<(&String, &Outcome)> = self
            .cases
            .iter()
            .filter(|(_, outcome)| outcome.passes < outcome.tries)
            .collect();
        failing.sort_by(|(_, a), (_, b)| a.score().total_cmp(&b.score()));
        failing.into_iter().map(|(id, _)| id.as_str()).collect()
    }
}
