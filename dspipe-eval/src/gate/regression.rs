//! Whether a run is worse than the baseline.

use super::judge::{named, shown};
use super::{Evidence, Regression, Test};
use crate::baseline::{Baseline, BaselineCase};
use crate::stats::{self, McNemar};
use crate::tally::Outcome;
use crate::unit::Unit;

/// The baseline and the run, case by case.
#[derive(Debug, Default)]
pub(crate) struct Comparison<'a> {
    /// Cases with the same content on both sides.
    pub(crate) pairs: Vec<(&'a str, &'a BaselineCase, &'a Outcome)>,
    /// Cases of the baseline that the suite no longer has.
    pub(crate) gone: Vec<&'a str>,
    /// Cases that the baseline does not have, or has with another content.
    pub(crate) new: Vec<&'a str>,
}

impl<'a> Comparison<'a> {
    pub(crate) fn of(baseline: &'a Baseline, evidence: &Evidence<'a>) -> Self {
        let now = &evidence.tally.cases;
        let mut found = Self::default();
        for (id, outcome) in now {
            match baseline.cases.get(id) {
                Some(before) if before.content == outcome.fingerprint => {
                    found.pairs.push((id, before, outcome));
                }
                _ => found.new.push(id),
            }
        }
        // Of a part of the cases, the others are not gone.
        let gone = baseline
            .cases
            .keys()
            .filter(|id| !evidence.is_part && !now.contains_key(*id));
        found.gone = gone.map(String::as_str).collect();
        found
    }

    /// The cases that passed and now fail.
    pub(crate) fn broken(&self) -> Vec<&'a str> {
        let broken =
            |(_, before, now): &&(_, &BaselineCase, &Outcome)| before.passed() && !now.passed();
        self.pairs
            .iter()
            .filter(broken)
            .map(|(id, ..)| *id)
            .collect()
    }

    /// The cases that failed and now pass.
    pub(crate) fn fixed(&self) -> Vec<&'a str> {
        let fixed =
            |(_, before, now): &&(_, &BaselineCase, &Outcome)| !before.passed() && now.passed();
        self.pairs
            .iter()
            .filter(fixed)
            .map(|(id, ..)| *id)
            .collect()
    }
}

impl Regression {
    /// The baseline of the suite.
    pub(crate) fn read(&self, evidence: &Evidence<'_>) -> Result<Baseline, String> {
        let path = evidence.directory.join(&self.baseline);
        Baseline::read(&path, evidence.suite).map_err(|error| error.to_string())
    }

    pub(super) fn decide(&self, evidence: &Evidence<'_>) -> (bool, String, String) {
        if evidence.update_baseline {
            return self.update(evidence);
        }
        let baseline = match self.read(evidence) {
            Ok(baseline) => baseline,
            Err(error) => return (false, error, String::new()),
        };
        let comparison = Comparison::of(&baseline, evidence);
        if !comparison.gone.is_empty() {
            let gone = named(&comparison.gone);
            let summary = format!(
                "{} cases of the baseline are not in the suite any more: {gone}; \
                 DSPIPE_UPDATE_BASELINE=1 writes the baseline anew",
                comparison.gone.len()
            );
            return (false, summary, String::new());
        }
        if comparison.pairs.is_empty() {
            let summary =
                "no case is the same as in the baseline; DSPIPE_UPDATE_BASELINE=1 writes it anew";
            return (false, summary.to_owned(), String::new());
        }
        let (broken, fixed) = (comparison.broken(), comparison.fixed());
        let mut found = vec![format!(
            "{} new failures, {} fixed, of {} cases",
            broken.len(),
            fixed.len(),
            comparison.pairs.len()
        )];
        let mut passed = true;
        if let Some(max) = self.max_new_failures {
            passed &= broken.len() as u64 <= max;
            found.push(format!("at most {max} new failures are wanted"));
        }
        match &self.test {
            None => {}
            Some(Test::McNemar) => {
                let (fixed, broken) = (fixed.len() as u64, broken.len() as u64);
                let p = McNemar { fixed, broken }.worse();
                passed &= p >= self.alpha.get();
                found.push(format!(
                    "p = {p:.4} for the run being no worse (exact McNemar)"
                ));
            }
            Some(Test::Bootstrap { metric }) => {
                let (is_worse, text) = self.bootstrap(metric.as_deref(), &comparison);
                passed &= !is_worse;
                found.push(text);
            }
        }
        if !comparison.new.is_empty() {
            let count = comparison.new.len();
            found.push(format!(
                "{count} cases are new or changed, and not compared"
            ));
        }
        let details = if passed {
            String::new()
        } else {
            shown("new failures", &broken, evidence)
        };
        (passed, found.join("; "), details)
    }

    fn bootstrap(&self, metric: Option<&str>, comparison: &Comparison<'_>) -> (bool, String) {
        let pairs: Vec<(f64, f64)> = comparison
            .pairs
            .iter()
            .map(|(_, before, now)| match metric {
                Some(name) => (
                    before.metrics.get(name).copied().unwrap_or(0.0),
                    now.metric(name).unwrap_or(0.0),
                ),
                None => (before.score, now.score()),
            })
            .collect();
        // One-sided: alpha of the draws lie above the upper bound.
        let confidence = Unit::clamped(1.0 - 2.0 * self.alpha.get());
        let Some(difference) = stats::paired_bootstrap(&pairs, confidence) else {
            return (true, "there is nothing to compare".to_owned());
        };
        let what = metric.unwrap_or("score");
        // The baseline is rounded to four decimals.
        let is_worse = difference.high < -1e-4;
        let text = format!(
            "the mean {what} changed by {:+.4} ({:+.4} to {:+.4}, paired bootstrap)",
            difference.estimate, difference.low, difference.high
        );
        (is_worse, text)
    }

    fn update(&self, evidence: &Evidence<'_>) -> (bool, String, String) {
        if evidence.is_part {
            let summary = "a baseline is of all cases, and DSPIPE_TAGS selects some";
            return (false, summary.to_owned(), String::new());
        }
        let path = evidence.directory.join(&self.baseline);
        let written = Baseline::of(evidence.suite, evidence.tally).write(&path);
        match written {
            Ok(()) => {
                let summary = format!("the baseline is written to {}", path.display());
                (true, summary, String::new())
            }
            Err(error) => (false, error.to_string(), String::new()),
        }
    }
}
