//! What a run came to: for machines (JSON, `JUnit`), for a terminal, and as a page.
//!
//! `docs/eval-report.md` describes the files.

mod html;
mod junit;
mod svg;
mod table;

use std::collections::BTreeMap;
use std::io;

use dspipe_runtime::lm::Usage;
use serde::{Deserialize, Serialize};

use crate::baseline::Baseline;
use crate::gate::{Comparison, Evidence, Verdict};
use crate::result::CaseResult;
use crate::stats::{self, Interval};
use crate::tally::Tally;
use crate::unit::Unit;

pub use html::page;
pub use junit::junit;
pub use table::table;

/// Goes through the results of a run, one at a time, so that they need not be in memory.
pub type EachResult<'a> =
    dyn FnMut(&mut dyn FnMut(CaseResult) -> io::Result<()>) -> io::Result<()> + 'a;

/// What the files say of themselves; it changes when programs that read older ones no longer can.
pub const VERSION: u32 = 1;

/// The most cases that a list in a report names.
const NAMED: usize = 200;

/// What a run of a suite came to: `report.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The version of this form.
    pub version: u32,
    /// The version of dspipe.
    pub dspipe: String,
    /// The suite.
    pub suite: String,
    /// The run.
    pub run: String,
    /// Cases that ran.
    pub cases: u64,
    /// Runs of cases.
    pub results: u64,
    /// Runs that passed.
    pub passed: u64,
    /// Runs that ended in an error.
    pub errors: u64,
    /// Cases that did not run as often as they must, at most 200 of them.
    pub missing: Vec<String>,
    /// The share of runs that pass, with its Wilson interval at 95 % confidence; absent if nothing ran.
    pub pass_rate: Option<Interval>,
    /// The mean score of the cases, with its bootstrap interval at 95 % confidence; absent if nothing ran.
    pub score: Option<Interval>,
    /// Each metric, by its name.
    pub metrics: BTreeMap<String, MetricReport>,
    /// The cases that have a tag, by the tag.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, TagReport>,
    /// The latency of the runs, in seconds; absent if nothing ran.
    pub latency: Option<LatencyReport>,
    /// Tokens of all runs.
    pub usage: Usage,
    /// What it cost.
    pub cost: CostReport,
    /// What the gates say.
    pub gates: Vec<Verdict>,
    /// The committed baseline against this run; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineReport>,
}

/// What a metric came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricReport {
    /// The mean over all runs that have a score.
    pub mean: f64,
    /// How many runs have a score from 0 to 0.05, to 0.1 and so on; the last bar holds 1.
    pub histogram: Vec<u64>,
    /// The mean score of each field, where the metric looks at fields.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, f64>,
}

/// What the cases with a tag came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TagReport {
    /// Runs of them.
    pub results: u64,
    /// Runs that passed.
    pub passed: u64,
    /// The mean score of the runs.
    pub score: f64,
}

/// How long the runs took, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyReport {
    /// The mean.
    pub mean: f64,
    /// The median.
    pub p50: f64,
    /// 95 % are faster.
    pub p95: f64,
    /// The slowest.
    pub max: f64,
}

/// What the runs cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostReport {
    /// In US dollars, as far as it is known.
    pub usd: f64,
    /// Runs whose cost is not known.
    pub unknown: u64,
}

/// The baseline against the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaselineReport {
    /// Cases on both sides, with the same content.
    pub compared: u64,
    /// Their mean score in the baseline.
    pub score_before: f64,
    /// Their mean score now.
    pub score_now: f64,
    /// The mean of each metric over them, in the baseline and now.
    pub metrics: BTreeMap<String, (f64, f64)>,
    /// Cases that passed and now fail, at most 200 of them.
    pub broken: Vec<String>,
    /// Cases that failed and now pass, at most 200 of them.
    pub fixed: Vec<String>,
}

impl Report {
    /// Sums up a run. `baseline` is the committed one, if there is one.
    pub fn new(
        run: &str,
        evidence: &Evidence<'_>,
        gates: Vec<Verdict>,
        baseline: Option<&Baseline>,
    ) -> Self {
        let tally = evidence.tally;
        let confidence = Unit::clamped(0.95);
        let scores: Vec<f64> = tally.cases.values().map(crate::Outcome::score).collect();
        Self {
            version: VERSION,
            dspipe: env!("CARGO_PKG_VERSION").to_owned(),
            suite: evidence.suite.to_owned(),
            run: run.to_owned(),
            cases: tally.cases.len() as u64,
            results: tally.results,
            passed: tally.passed,
            errors: tally.errors,
            missing: tally.missing.iter().take(NAMED).cloned().collect(),
            pass_rate: tally.pass_rate(confidence),
            score: stats::bootstrap_mean(&scores, confidence),
            metrics: metrics(tally),
            tags: tags(tally),
            latency: latency(tally),
            usage: tally.usage,
            cost: CostReport {
                usd: tally.cost,
                unknown: tally.without_price,
            },
            gates,
            baseline: baseline.map(|baseline| against(baseline, evidence)),
        }
    }

    /// The report as JSON.
    pub fn json(&self) -> String {
        // Strings and numbers always serialize.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Whether all gates pass.
    pub fn passed(&self) -> bool {
        self.gates.iter().all(|gate| gate.passed)
    }
}

fn metrics(tally: &Tally) -> BTreeMap<String, MetricReport> {
    let report = |name: &String| {
        let of_metric = tally
            .fields
            .iter()
            .filter(|((metric, _), _)| metric == name);
        of_metric
            .map(|((_, field), mean)| (field.clone(), mean.get()))
            .collect()
    };
    let metrics = tally.metrics.iter().map(|(name, distribution)| {
        let metric = MetricReport {
            mean: distribution.mean.get(),
            histogram: distribution.bars.to_vec(),
            fields: report(name),
        };
        (name.clone(), metric)
    });
    metrics.collect()
}

fn tags(tally: &Tally) -> BTreeMap<String, TagReport> {
    let tags = tally.tags.iter().map(|(tag, (passed, score))| {
        let report = TagReport {
            results: score.count,
            passed: *passed,
            score: score.get(),
        };
        (tag.clone(), report)
    });
    tags.collect()
}

fn latency(tally: &Tally) -> Option<LatencyReport> {
    let at = |q: f64| stats::quantile(&tally.latencies, Unit::clamped(q));
    Some(LatencyReport {
        mean: stats::mean(&tally.latencies)?,
        p50: at(0.5)?,
        p95: at(0.95)?,
        max: at(1.0)?,
    })
}

fn against(baseline: &Baseline, evidence: &Evidence<'_>) -> BaselineReport {
    let comparison = Comparison::of(baseline, evidence);
    let mean = |values: Vec<f64>| stats::mean(&values).unwrap_or(0.0);
    let pairs = &comparison.pairs;
    let metrics = evidence.tally.metrics.keys().map(|name| {
        let before = pairs
            .iter()
            .filter_map(|(_, before, _)| before.metrics.get(name).copied());
        let now = pairs.iter().filter_map(|(_, _, now)| now.metric(name));
        (name.clone(), (mean(before.collect()), mean(now.collect())))
    });
    let names = |ids: Vec<&str>| ids.into_iter().take(NAMED).map(str::to_owned).collect();
    BaselineReport {
        compared: pairs.len() as u64,
        score_before: mean(pairs.iter().map(|(_, before, _)| before.score).collect()),
        score_now: mean(pairs.iter().map(|(_, _, now)| now.score()).collect()),
        metrics: metrics.collect(),
        broken: names(comparison.broken()),
        fixed: names(comparison.fixed()),
    }
}

/// A text within HTML or XML, also within double quotes. Characters that XML forbids are replaced.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\t' | '\n' | '\r' => safe.push(c),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests;
