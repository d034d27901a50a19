//! What came of an optimization, for people and programs.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use dspipe_eval::Unit;
use dspipe_eval::stats::Interval;
use dspipe_runtime::lm::{Budget, BudgetLimits, Money};

use crate::bridge::Prompts;
use crate::diff::diff;
use crate::optimization::shown;
use crate::validate::{Comparison, Evaluation};

/// What came of an optimization. `Display` writes the table and the changes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The workflow.
    pub workflow: &'static str,
    /// Whether the prompts are in use from now on.
    pub adoption: Adoption,
    /// Both programs on the held-out examples; `None` if the search found nothing.
    pub comparison: Option<Comparison>,
    /// The program as it was, on the held-out examples.
    pub baseline: Evaluation,
    /// The program with the optimized prompts that are compiled in, on the held-out examples, where the search began
    /// [from scratch](crate::Optimization::from_scratch) and not with them.
    pub in_use: Option<Evaluation>,
    /// The program with the prompts that were found, on the held-out examples.
    pub optimized: Evaluation,
    /// The prompts as they were.
    pub before: Prompts,
    /// The prompts that were found.
    pub after: Prompts,
    /// Their mean score on the examples that the search decided by.
    pub search_score: Option<f64>,
    /// The workflow file if the prompts were written into it, or why they were not; `None` if that was not asked
    /// for, or nothing was adopted.
    pub write_back: Option<Result<PathBuf, String>>,
    /// Why the search ended before its end, if it did.
    pub cut_short: Option<String>,
    /// What was spent; answers from the record cost nothing.
    pub spending: Spending,
    /// How long all of it took.
    pub took: Duration,
}

/// Whether prompts are in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Adoption {
    /// They are in this file, and the next build compiles them in.
    Written(PathBuf),
    /// They are not, and why. What was in use stays.
    Refused(String),
}

/// What was spent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Spending {
    /// Calls of LMs.
    pub calls: u64,
    /// Tokens, those in and those out.
    pub tokens: u64,
    /// Money, as far as prices are known.
    pub money: Money,
}

impl Spending {
    pub(crate) fn new(budget: &Budget) -> Self {
        let mut spending = Self::default();
        spending.add(budget);
        spending
    }

    pub(crate) fn add(&mut self, budget: &Budget) {
        let spent = budget.spent();
        self.calls += spent.calls;
        self.tokens += spent.tokens;
        self.money += spent.money;
    }

    /// What is left of limits.
    pub(crate) fn left(&self, limits: BudgetLimits) -> BudgetLimits {
        let money = |limit: Money| (limit.dollars() - self.money.dollars()).max(0.0);
        BudgetLimits {
            calls: limits.calls.map(|limit| limit.saturating_sub(self.calls)),
            tokens: limits.tokens.map(|limit| limit.saturating_sub(self.tokens)),
            money: limits.money.map(|limit| Money::from_dollars(money(limit))),
            ..limits
        }
    }
}

impl Outcome {
    /// Whether the prompts are in use from now on.
    pub fn is_adopted(&self) -> bool {
        matches!(self.adoption, Adoption::Written(_))
    }

    /// The scores side by side, in lines; the same for the same replies. Empty if the search found nothing.
    pub fn table(&self) -> String {
        let comparison = self.comparison.as_ref();
        comparison.map_or_else(String::new, |comparison| table(self, comparison))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.table())?;
        if let Some(score) = self.search_score {
            writeln!(f, "the search itself saw a score of {score:.3}")?;
        }
        if let Some(reason) = &self.cut_short {
            writeln!(f, "the search ended early: {reason}")?;
        }
        let spent = self.spending;
        write!(
            f,
            "asked LMs for {} replies, {} tokens",
            spent.calls, spent.tokens
        )?;
        if spent.money.dollars() > 0.0 {
            write!(f, ", {}", spent.money)?;
        }
        writeln!(f, "; it took {}\n", duration(self.took))?;
        if self.before != self.after {
            writeln!(f, "{}", diff(&self.before, &self.after))?;
        }
        match &self.adoption {
            Adoption::Written(path) => writeln!(
                f,
                "adopted: {} is written; commit it, and the next build compiles it in",
                shown(path)
            )?,
            Adoption::Refused(reason) => {
                writeln!(f, "not adopted: {reason}; the prompts stay as they were")?;
            }
        }
        match &self.write_back {
            Some(Ok(path)) => writeln!(f, "{} has the same prompts now", shown(path)),
            Some(Err(reason)) => writeln!(f, "the workflow file stays as it was: {reason}"),
            None => Ok(()),
        }
    }
}

fn table(outcome: &Outcome, comparison: &Comparison) -> String {
    let interval = |it: &Interval| format!("{:.3} to {:.3}", it.low, it.high);
    let percent = |it: f64| format!("{:+.0} %", it * 100.0);
    let failures = |evaluation: &Evaluation| match evaluation.failures() {
        0 => String::new(),
        failures => format!("{failures} runs failed"),
    };
    let mut rows = vec![
        [
            format!(
                "{} on {} held-out examples",
                outcome.workflow, comparison.examples
            ),
            "score".to_owned(),
            "95 % interval".to_owned(),
            String::new(),
        ],
        [
            "baseline".to_owned(),
            format!("{:.3}", comparison.baseline.estimate),
            interval(&comparison.baseline),
            failures(&outcome.baseline),
        ],
    ];
    let in_use = outcome.in_use.as_ref();
    if let Some((evaluation, score)) =
        in_use.and_then(|it| Some((it, it.score(Unit::clamped(0.95))?)))
    {
        rows.push([
            "in use".to_owned(),
            format!("{:.3}", score.estimate),
            interval(&score),
            failures(evaluation),
        ]);
    }
    rows.push([
        "optimized".to_owned(),
        format!("{:.3}", comparison.optimized.estimate),
        interval(&comparison.optimized),
        failures(&outcome.optimized),
    ]);
    let p_value = comparison.p_value.map(p_shown);
    rows.push([
        "gain, paired".to_owned(),
        format!("{:+.3}", comparison.gain.estimate),
        interval(&comparison.gain),
        p_value.map(|p| format!("McNemar {p}")).unwrap_or_default(),
    ]);
    if let Some(extra) = comparison.extra_cost {
        rows.push([
            "cost of a run".to_owned(),
            percent(extra),
            String::new(),
            String::new(),
        ]);
    }
    lines(&rows)
}

/// A p-value as papers write it.
pub(crate) fn p_shown(p: f64) -> String {
    if p < 0.001 {
        "p < 0.001".to_owned()
    } else {
        format!("p = {p:.3}")
    }
}

/// A time as people say it.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 60, seconds % 60) {
        (0, _) => format!("{:.1} s", time.as_secs_f64()),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

/// Rows with their columns below each other.
pub(crate) fn lines<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}
