//! What gates say of results.

use super::{Evidence, Gate, Verdict};
use crate::result::push;
use crate::stats;
use crate::tally::Outcome;
use crate::unit::{Amount, Unit};

/// The most cases that a message shows in full.
const SHOWN: usize = 3;

/// The most cases that a message names.
const NAMED: usize = 20;

/// Whether the condition holds, and what was found and is wanted.
type Found = (bool, String);

impl Gate {
    /// Holds the results against the condition.
    pub fn judge(&self, evidence: &Evidence<'_>) -> Verdict {
        let (passed, summary, details) = match unusable(evidence) {
            Some(summary) => (false, summary, String::new()),
            None => self.decide(evidence),
        };
        Verdict {
            gate: self.name(),
            passed,
            summary,
            details,
        }
    }

    fn decide(&self, evidence: &Evidence<'_>) -> (bool, String, String) {
        let (passed, summary) = match self {
            Self::Complete => {
                let (cases, runs) = (evidence.tally.cases.len(), evidence.tally.results);
                (true, format!("{cases} cases, {runs} runs"))
            }
            Self::Recordings => return super::recordings::decide(evidence),
            Self::PassRate { min, confidence } => pass_rate(evidence, *min, *confidence),
            Self::Mean {
                metric,
                min,
                confidence,
            } => mean(evidence, metric.as_deref(), *min, *confidence),
            Self::PassAtK { k, min } => {
                let what = format!("the probability that one of {k} runs passes");
                over_cases(evidence, &what, *min, |case| {
                    stats::pass_at_k(case.tries, case.passes, *k)
                })
            }
            Self::PassHatK { k, min } => {
                let what = format!("the probability that all of {k} runs pass");
                over_cases(evidence, &what, *min, |case| {
                    stats::pass_hat_k(case.tries, case.passes, *k)
                })
            }
            Self::Regression(regression) => return regression.decide(evidence),
            Self::Cost { max, per_case } => return cost(evidence, *max, *per_case),
            Self::Latency(limits) => return latency(evidence, limits),
        };
        let details = if passed {
            String::new()
        } else {
            shown("worst cases", &evidence.tally.worst(), evidence)
        };
        (passed, summary, details)
    }
}

/// Why the results say nothing.
fn unusable(evidence: &Evidence<'_>) -> Option<String> {
    let tally = evidence.tally;
    if tally.results == 0 {
        return Some(format!("no case of `{}` has run", evidence.suite));
    }
    if !tally.missing.is_empty() {
        let names: Vec<&str> = tally.missing.iter().map(String::as_str).collect();
        return Some(format!(
            "{} of the cases of `{}` have not run: {}",
            names.len(),
            evidence.suite,
            named(&names)
        ));
    }
    None
}

fn pass_rate(evidence: &Evidence<'_>, min: Unit, confidence: Option<Unit>) -> Found {
    let (passed, runs) = (evidence.tally.passed, evidence.tally.results);
    let Some(rate) = evidence.tally.pass_rate(confidence.unwrap_or(Unit::ZERO)) else {
        return (false, "nothing has run".to_owned());
    };
    let found = format!("{:.3} of the runs pass ({passed} of {runs})", rate.estimate);
    compare(found, rate, min, confidence)
}

fn mean(
    evidence: &Evidence<'_>,
    metric: Option<&str>,
    min: Unit,
    confidence: Option<Unit>,
) -> Found {
    // A case without the metric is one whose runs all ended in errors.
    let value = |case: &Outcome| match metric {
        Some(name) => case.metric(name).unwrap_or(0.0),
        None => case.score(),
    };
    let values: Vec<f64> = evidence.tally.cases.values().map(value).collect();
    let interval = match confidence {
        Some(confidence) => stats::bootstrap_mean(&values, confidence),
        None => stats::mean(&values).map(|estimate| stats::Interval {
            estimate,
            low: estimate,
            high: estimate,
        }),
    };
    let Some(interval) = interval else {
        return (false, "nothing has run".to_owned());
    };
    let what = metric.map_or_else(|| "score".to_owned(), |name| format!("`{name}`"));
    let cases = values.len();
    let found = format!(
        "the mean {what} is {:.3} over {cases} cases",
        interval.estimate
    );
    compare(found, interval, min, confidence)
}

fn compare(
    mut found: String,
    interval: stats::Interval,
    min: Unit,
    confidence: Option<Unit>,
) -> Found {
    let value = match confidence {
        Some(confidence) => {
            let percent = confidence.get() * 100.0;
            push(
                &mut found,
                format_args!(", at least {:.3} with {percent} % confidence", interval.low),
            );
            interval.low
        }
        None => interval.estimate,
    };
    push(&mut found, format_args!("; {:.3} is wanted", min.get()));
    (reaches(value, min), found)
}

/// Whether a value reaches a limit, rounding apart.
fn reaches(value: f64, min: Unit) -> bool {
    value >= min.get() - 1e-9
}

fn over_cases(
    evidence: &Evidence<'_>,
    what: &str,
    min: Unit,
    value: impl Fn(&Outcome) -> Option<Unit>,
) -> Found {
    let values: Option<Vec<f64>> = evidence
        .tally
        .cases
        .values()
        .map(|case| value(case).map(Unit::get))
        .collect();
    match values.and_then(|values| stats::mean(&values)) {
        Some(mean) => (
            reaches(mean, min),
            format!("{what} is {mean:.3}; {:.3} is wanted", min.get()),
        ),
        None => (false, "some cases have not run often enough".to_owned()),
    }
}

fn cost(
    evidence: &Evidence<'_>,
    max: Option<Amount>,
    per_case: Option<Amount>,
) -> (bool, String, String) {
    let tally = evidence.tally;
    if tally.without_price > 0 {
        let summary = format!(
            "the cost of {} runs is not known; give prices of the LMs, by `price` in the workflow or in a file that DSPIPE_PRICES names",
            tally.without_price
        );
        return (false, summary, String::new());
    }
    let mut cases: Vec<(&String, f64)> = tally
        .cases
        .iter()
        .map(|(id, case)| (id, case.cost))
        .collect();
    cases.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let dearest = cases.first().map_or(0.0, |(_, cost)| *cost);
    let mut found = vec![format!("{:.4} USD in all", tally.cost)];
    let mut passed = true;
    if let Some(max) = max {
        passed &= tally.cost <= max.get();
        found.push(format!("at most {} is wanted", max.get()));
    }
    if let Some(limit) = per_case {
        passed &= dearest <= limit.get();
        found.push(format!(
            "the dearest case costs {dearest:.4}, at most {} is wanted",
            limit.get()
        ));
    }
    let details = if passed {
        String::new()
    } else {
        ranked("dearest cases", &cases, "USD")
    };
    (passed, found.join("; "), details)
}

fn latency(evidence: &Evidence<'_>, limits: &[(Unit, Amount)]) -> (bool, String, String) {
    let tally = evidence.tally;
    let mut passed = true;
    let mut found = Vec::new();
    for (q, limit) in limits {
        let value = stats::quantile(&tally.latencies, *q).unwrap_or(f64::INFINITY);
        passed &= value <= limit.get();
        let (percent, limit) = (q.get() * 100.0, limit.get());
        found.push(format!(
            "p{percent:.0} is {value:.3} s, at most {limit} is wanted"
        ));
    }
    let details = if passed {
        String::new()
    } else {
        let mean = |case: &Outcome| case.latency / f64::from(case.tries.max(1));
        let mut cases: Vec<(&String, f64)> = tally
            .cases
            .iter()
            .map(|(id, case)| (id, mean(case)))
            .collect();
        cases.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        ranked("slowest cases", &cases, "s")
    };
    (passed, found.join("; "), details)
}

fn ranked(title: &str, cases: &[(&String, f64)], unit: &str) -> String {
    let mut text = format!("{title}:");
    for (id, value) in cases.iter().take(SHOWN) {
        push(&mut text, format_args!("\n  {id}: {value:.4} {unit}"));
    }
    text
}

/// Cases, the first ones with all that there is to see.
pub(super) fn shown(title: &str, ids: &[&str], evidence: &Evidence<'_>) -> String {
    if ids.is_empty() {
        return String::new();
    }
    let mut text = format!("{title} ({}): {}", ids.len(), named(ids));
    for id in ids.iter().take(SHOWN) {
        if let Some(result) = (evidence.details)(id) {
            text.push('\n');
            text.push_str(&result.details());
        }
    }
    text
}

pub(super) fn named(ids: &[&str]) -> String {
    let more = ids.len().saturating_sub(NAMED);
    let names = ids[..ids.len() - more].join(", ");
    if more > 0 {
        format!("{names} and {more} more")
    } else {
        names
    }
}
