//! Whether prompts are better: both sides on examples that no optimizer saw, and a rule that decides.

use std::fmt;

use dspipe_eval::Unit;
use dspipe_eval::stats::{self, Interval, McNemar};
use dspipe_runtime::Value;
use dspipe_runtime::lm::Money;
use serde_json::json;

/// What a program did on each example of a set, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// One for each example.
    pub cases: Vec<EvaluatedCase>,
}

/// What a program did on one example.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluatedCase {
    /// The example's [`id`](crate::Example::id).
    pub example: String,
    /// From 0 to 1; 0 if the run failed.
    pub score: f64,
    /// What the metric says about it.
    pub feedback: Option<String>,
    /// The outputs by step, or why there are none.
    pub outputs: Result<Value, String>,
    /// What it cost; `None` if a price is not known.
    pub cost: Option<Money>,
    /// How long it took, in seconds.
    pub latency: f64,
}

impl Evaluation {
    /// The mean score with its bootstrap interval; `None` of nothing.
    pub fn score(&self, confidence: Unit) -> Option<Interval> {
        stats::bootstrap_mean(&self.scores(), confidence)
    }

    /// How many runs failed.
    pub fn failures(&self) -> usize {
        self.cases
            .iter()
            .filter(|case| case.outputs.is_err())
            .count()
    }

    /// The mean cost of a run, in US dollars; `None` if a price is not known.
    pub fn cost(&self) -> Option<f64> {
        let costs: Option<Vec<f64>> = self
            .cases
            .iter()
            .map(|case| case.cost.map(Money::dollars))
            .collect();
        stats::mean(&costs?)
    }

    /// All cases as JSON.
    pub fn to_json(&self) -> Value {
        let interval = self.score(Unit::clamped(0.95));
        let cases = self.cases.iter().map(|case| {
            json!({
                "example": case.example,
                "score": case.score,
                "feedback": case.feedback,
                "outputs": case.outputs.as_ref().ok(),
                "error": case.outputs.as_ref().err(),
                "cost": case.cost.map(Money::dollars),
                "latency": case.latency,
            })
        });
        json!({
            "score": interval.map(|it| json!({"mean": it.estimate, "low": it.low, "high": it.high})),
            "failures": self.failures(),
            "cases": cases.collect::<Vec<_>>(),
        })
    }

    fn scores(&self) -> Vec<f64> {
        self.cases.iter().map(|case| case.score).collect()
    }
}

/// The score and the worst cases.
impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WORST: usize = 5;
        let Some(score) = self.score(Unit::clamped(0.95)) else {
            return writeln!(f, "no cases");
        };
        writeln!(
            f,
            "score {:.3} on {} examples, 95 % interval {:.3} to {:.3}; {} failed",
            score.estimate,
            self.cases.len(),
            score.low,
            score.high,
            self.failures()
        )?;
        let mut worst: Vec<&EvaluatedCase> =
            self.cases.iter().filter(|case| case.score < 1.0).collect();
        worst.sort_by(|a, b| a.score.total_cmp(&b.score));
        for case in worst.into_iter().take(WORST) {
            let why = match (&case.outputs, &case.feedback) {
                (Err(error), _) => error.as_str(),
                (Ok(_), feedback) => feedback.as_deref().unwrap_or_default(),
            };
            writeln!(f, "  {:.3}  {}  {why}", case.score, case.example)?;
        }
        Ok(())
    }
}

/// When new prompts are adopted. All that is set must hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// The least gain of the mean score, more than 0 in any case.
    pub min_gain: f64,
    /// The gain must be significant at this level: the interval of the mean difference lies above 0.
    pub significance: Option<f64>,
    /// The most that a run may cost more, as a share of what it cost: 0.5 is half as much again.
    pub max_extra_cost: Option<f64>,
}

impl Default for Rule {
    /// Any gain, whatever it costs.
    fn default() -> Self {
        Self {
            min_gain: 0.0,
            significance: None,
            max_extra_cost: None,
        }
    }
}

/// Two programs on the same examples.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// How many examples.
    pub examples: usize,
    /// The mean score before, with its 95 % interval.
    pub baseline: Interval,
    /// The mean score after, with its 95 % interval.
    pub optimized: Interval,
    /// The mean of the differences, with its interval over pairs: 95 %, or what the rule's significance asks.
    pub gain: Interval,
    /// The exact p-value of `McNemar`'s test, two-sided, where every score is 0 or 1.
    pub p_value: Option<f64>,
    /// What a run costs more, as a share; `None` if a price is not known or nothing cost anything.
    pub extra_cost: Option<f64>,
}

impl Comparison {
    /// Compares on the examples that both have; `None` of nothing.
    pub fn new(baseline: &Evaluation, optimized: &Evaluation, rule: &Rule) -> Option<Self> {
        let level = Unit::clamped(0.95);
        let gain_level = Unit::clamped(1.0 - rule.significance.unwrap_or(0.05));
        let pairs: Vec<(f64, f64)> = baseline
            .scores()
            .into_iter()
            .zip(optimized.scores())
            .collect();
        let extra_cost = match (baseline.cost(), optimized.cost()) {
            (Some(before), Some(after)) if before > 0.0 => Some(after / before - 1.0),
            _ => None,
        };
        Some(Self {
            examples: pairs.len(),
            baseline: baseline.score(level)?,
            optimized: optimized.score(level)?,
            gain: stats::paired_bootstrap(&pairs, gain_level)?,
            p_value: mcnemar(&pairs),
            extra_cost,
        })
    }

    /// Whether the rule adopts, and if not, why.
    ///
    /// # Errors
    /// In words, why not.
    pub fn verdict(&self, rule: &Rule) -> Result<(), String> {
        let gain = self.gain.estimate;
        if gain <= 0.0 {
            return Err(format!(
                "it is no better on the held-out examples ({gain:+.3})"
            ));
        }
        if gain < rule.min_gain {
            return Err(format!(
                "it gains {gain:.3} on the held-out examples, and {:.3} are asked for",
                rule.min_gain
            ));
        }
        if let Some(level) = rule.significance
            && self.gain.low <= 0.0
        {
            return Err(format!(
                "the gain of {gain:.3} is not significant at {level}: it may be {:.3}",
                self.gain.low
            ));
        }
        match (rule.max_extra_cost, self.extra_cost) {
            (Some(most), Some(extra)) if extra > most => Err(format!(
                "a run costs {:.0} % more, and {:.0} % are allowed",
                extra * 100.0,
                most * 100.0
            )),
            _ => Ok(()),
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let interval = |it: &Interval| json!({"mean": round(it.estimate), "low": round(it.low), "high": round(it.high)});
        let mut scores = json!({
            "examples": self.examples,
            "baseline": interval(&self.baseline),
            "optimized": interval(&self.optimized),
            "gain": interval(&self.gain),
        });
        if let Some(p) = self.p_value {
            scores["p_value"] = significant(p).into();
        }
        scores
    }
}

/// Four places: more would only show rounding.
fn round(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

/// Two significant digits: small p-values are not none.
fn significant(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

fn mcnemar(pairs: &[(f64, f64)]) -> Option<f64> {
    let passed = |score: f64| match score {
        score if score <= 0.0 => Some(false),
        score if score >= 1.0 => Some(true),
        _ => None,
    };
    let mut counts = McNemar {
        fixed: 0,
        broken: 0,
    };
    for (before, after) in pairs {
        match (passed(*before)?, passed(*after)?) {
            (false, true) => counts.fixed += 1,
            (true, false) => counts.broken += 1,
            _ => {}
        }
    }
    Some(counts.two_sided())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation(scores: &[f64], cost: f64) -> Evaluation {
        let cases = scores.iter().enumerate();
        Evaluation {
            cases: cases
                .map(|(at, score)| EvaluatedCase {
                    example: format!("test-{at}"),
                    score: *score,
                    feedback: None,
                    outputs: Ok(Value::Null),
                    cost: Some(Money::from_dollars(cost)),
                    latency: 0.1,
                })
                .collect(),
        }
    }

    fn compared(before: &[f64], after: &[f64], rule: &Rule) -> Comparison {
        Comparison::new(&evaluation(before, 1.0), &evaluation(after, 1.8), rule).unwrap()
    }

    #[test]
    fn what_is_no_better_is_not_adopted() {
        let rule = Rule::default();
        let same = compared(&[1.0, 0.0], &[0.0, 1.0], &rule);
        assert!(same.verdict(&rule).is_err());
        let better = compared(&[0.0, 0.0, 1.0], &[1.0, 0.0, 1.0], &rule);
        assert_eq!(better.verdict(&rule), Ok(()));
        assert!(better.p_value.is_some_and(|p| (p - 1.0).abs() < 1e-9));
    }

    #[test]
    fn each_part_of_the_rule_can_refuse() {
        let (before, after) = (vec![0.0; 20], [vec![1.0; 2], vec![0.0; 18]].concat());
        let rule = |rule: Rule| compared(&before, &after, &rule).verdict(&rule);
        let base = Rule::default();
        assert_eq!(rule(base), Ok(()));
        let min_gain = rule(Rule {
            min_gain: 0.2,
            ..base
        });
        assert!(min_gain.unwrap_err().contains("asked for"));
        let significance = Some(0.05);
        let uncertain = rule(Rule {
            significance,
            ..base
        });
        assert!(uncertain.unwrap_err().contains("not significant"));
        let max_extra_cost = Some(0.5);
        let dear = rule(Rule {
            max_extra_cost,
            ..base
        });
        assert!(dear.unwrap_err().contains("80 % more"));
    }

    #[test]
    fn scores_that_are_no_passes_have_no_p_value() {
        let rule = Rule::default();
        assert_eq!(compared(&[0.5], &[1.0], &rule).p_value, None);
    }
}
