//! The same optimization with several seeds: how much of a gain is luck.

use std::fmt;

use dspipe_eval::stats::{self, Interval};

use crate::error::OptimizeError;
use crate::optimization::Optimization;
use crate::outcome::{Outcome, duration, lines, p_shown};

/// What came of the same optimization with several seeds. `Display` writes it as a table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Study {
    /// The workflow.
    pub workflow: &'static str,
    /// Each seed with what came of it, in the order in which they ran.
    pub outcomes: Vec<(u64, Outcome)>,
}

impl Optimization {
    /// Runs it once with each seed, one after the other, and adopts nothing: the best of several on the held-out
    /// examples would look better than it is.
    ///
    /// # Errors
    /// As [`Self::run`]; what was answered until then is kept.
    pub async fn study(
        &self,
        seeds: impl IntoIterator<Item = u64>,
    ) -> Result<Study, OptimizeError> {
        let mut outcomes = Vec::new();
        for seed in seeds {
            let mut one = self.clone().seed(seed);
            one.adopts = false;
            outcomes.push((seed, one.run().await?));
        }
        Ok(Study {
            workflow: self.def().name,
            outcomes,
        })
    }
}

impl fmt::Display for Study {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = [
            "seed",
            "baseline",
            "optimized",
            "95 % interval",
            "gain",
            "95 % interval",
            "McNemar",
            "calls",
            "time",
        ];
        let mut rows = vec![heads.map(str::to_owned)];
        let interval = |it: &Interval| format!("{:.3} to {:.3}", it.low, it.high);
        for (seed, outcome) in &self.outcomes {
            let mut row: [String; 9] = Default::default();
            row[0] = seed.to_string();
            match &outcome.comparison {
                Some(it) => {
                    row[1] = format!("{:.3}", it.baseline.estimate);
                    row[2] = format!("{:.3}", it.optimized.estimate);
                    row[3] = interval(&it.optimized);
                    row[4] = format!("{:+.3}", it.gain.estimate);
                    row[5] = interval(&it.gain);
                    row[6] = it.p_value.map(p_shown).unwrap_or_default();
                }
                None => "nothing found".clone_into(&mut row[2]),
            }
            row[7] = outcome.spending.calls.to_string();
            row[8] = duration(outcome.took);
            rows.push(row);
        }
        let compared: Vec<_> = self
            .outcomes
            .iter()
            .filter_map(|(_, outcome)| outcome.comparison.as_ref())
            .collect();
        let mean = |of: &dyn Fn(&crate::Comparison) -> f64| {
            stats::mean(&compared.iter().map(|it| of(it)).collect::<Vec<_>>())
        };
        let mut row: [String; 9] = Default::default();
        "mean".clone_into(&mut row[0]);
        let three = |value: Option<f64>| value.map(|it| format!("{it:.3}")).unwrap_or_default();
        row[1] = three(mean(&|it| it.baseline.estimate));
        row[2] = three(mean(&|it| it.optimized.estimate));
        row[4] = mean(&|it| it.gain.estimate)
            .map(|it| format!("{it:+.3}"))
            .unwrap_or_default();
        rows.push(row);
        let held_out = compared
            .iter()
            .map(|it| it.examples)
            .max()
            .unwrap_or_default();
        writeln!(
            f,
            "{} with {} seeds, {held_out} held-out examples",
            self.workflow,
            self.outcomes.len()
        )?;
        write!(f, "{}", lines(&rows))
    }
}
