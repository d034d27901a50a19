//! How far an optimization is: a bar on a terminal, lines elsewhere.

use std::io::{self, IsTerminal as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dspipe_runtime::lm::Budget;
use indicatif::{ProgressBar, ProgressStyle};

use crate::bridge::Progress;
use crate::outcome::Spending;

/// Tells people how far an optimization is.
#[derive(Debug)]
pub(crate) struct Reporter {
    kind: Kind,
    state: Mutex<State>,
}

#[derive(Debug)]
enum Kind {
    Silent,
    Bar(ProgressBar),
    Lines,
}

#[derive(Debug, Default)]
struct State {
    /// What is going on, as in `mipro_v2`.
    phase: String,
    best: Option<f64>,
    trials: u64,
    /// What the phases before spent.
    earlier: Spending,
    /// Of the phase.
    budget: Option<Budget>,
    /// Of an evaluation: done, all, sum of scores.
    cases: (usize, usize, f64),
}

impl Reporter {
    pub(crate) fn new(shown: bool) -> Self {
        let kind = if !shown {
            Kind::Silent
        } else if io::stderr().is_terminal() {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) =
                ProgressStyle::with_template("{spinner} {elapsed_precise} {wide_msg}")
            {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            Kind::Bar(bar)
        } else {
            Kind::Lines
        };
        Self {
            kind,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that runs under the lock can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something else begins; what it spends beside what was spent is counted by the budget.
    pub(crate) fn phase(&self, name: &str, cases: usize, spent: Spending, budget: &Budget) {
        let mut state = self.state();
        name.clone_into(&mut state.phase);
        state.earlier = spent;
        state.budget = Some(budget.clone());
        state.cases = (0, cases, 0.0);
        drop(state);
        self.show(true);
    }

    /// A case of an evaluation has its score.
    pub(crate) fn case(&self, score: f64) {
        let mut state = self.state();
        state.cases.0 += 1;
        state.cases.2 += score;
        let (done, all, _) = state.cases;
        drop(state);
        // Ten lines of each evaluation.
        let tenth = all > 0 && done * 10 / all != (done - 1) * 10 / all;
        self.show(tenth);
    }

    /// What the bridge tells.
    pub(crate) fn progress(&self, progress: &Progress) {
        let mut state = self.state();
        let told = match progress {
            Progress::Stage { optimizer, .. } => {
                state.phase.clone_from(optimizer);
                state.best = None;
                state.trials = 0;
                true
            }
            Progress::Evaluating { .. } => false,
            Progress::Scored { best, .. } => {
                state.best = Some(*best);
                state.trials += 1;
                true
            }
        };
        drop(state);
        self.show(told);
    }

    /// A line that stays.
    pub(crate) fn line(&self, text: &str) {
        match &self.kind {
            Kind::Silent => {}
            Kind::Bar(bar) => bar.suspend(|| eprintln!("{text}")),
            Kind::Lines => eprintln!("{text}"),
        }
    }

    pub(crate) fn end(&self) {
        if let Kind::Bar(bar) = &self.kind {
            bar.finish_and_clear();
        }
    }

    fn show(&self, line: bool) {
        let text = match &self.kind {
            Kind::Silent => return,
            Kind::Lines if !line => return,
            Kind::Bar(_) | Kind::Lines => self.state().text(),
        };
        match &self.kind {
            Kind::Silent => {}
            Kind::Bar(bar) => bar.set_message(text),
            Kind::Lines => eprintln!("{text}"),
        }
    }
}

impl State {
    fn text(&self) -> String {
        let mut parts = vec![self.phase.clone()];
        let (done, all, sum) = self.cases;
        if all > 0 {
            parts.push(format!("{done}/{all}"));
            if done > 0 {
                #[expect(clippy::cast_precision_loss, reason = "examples are few")]
                parts.push(format!("score {:.3}", sum / done as f64));
            }
        }
        if let Some(best) = self.best {
            parts.push(format!("best {best:.3} of {} trials", self.trials));
        }
        if let Some(budget) = &self.budget {
            let mut spent = self.earlier;
            spent.add(budget);
            parts.push(format!("{} calls, {} tokens", spent.calls, spent.tokens));
            if spent.money.dollars() > 0.0 {
                parts.push(spent.money.to_string());
            }
        }
        parts.join("  ")
    }
}

#[cfg(test)]
mod tests {
    use dspipe_runtime::lm::{BudgetLimits, Money, Prices};

    use super::*;

    #[test]
    fn a_line_has_scores_trials_calls_tokens_and_money() {
        let budget = Budget::new(BudgetLimits::default(), Prices::builtin());
        let mut state = State {
            phase: "baseline".to_owned(),
            cases: (2, 4, 1.0),
            budget: Some(budget.clone()),
            ..State::default()
        };
        assert_eq!(
            state.text(),
            "baseline  2/4  score 0.500  0 calls, 0 tokens"
        );
        state = State {
            phase: "copro".to_owned(),
            best: Some(0.75),
            trials: 3,
            earlier: Spending {
                calls: 4,
                tokens: 120,
                money: Money::from_dollars(0.25),
            },
            budget: Some(budget),
            ..State::default()
        };
        let text = state.text();
        assert!(
            text.starts_with("copro  best 0.750 of 3 trials  4 calls, 120 tokens  "),
            "{text}"
        );
        assert!(text.contains("0.25"), "{text}");
    }
}
