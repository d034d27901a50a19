//! The command line.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use dspipe_eval::from_yaml;
use dspipe_eval::metric::{Declared, Metric, Registry};
use dspipe_history::training::Shares;
use dspipe_runtime::LmName;
use dspipe_runtime::lm::{BudgetLimits, Money};

use crate::error::OptimizeError;
use crate::optimization::Optimization;
use crate::validate::Rule;

/// Optimize and evaluate the workflows of this program.
#[derive(Parser)]
#[command(version = env!("CARGO_PKG_VERSION"))]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Look for better prompts with DSPy's optimizers, and adopt them if they are better on held-out examples.
    Optimize(Box<OptimizeArguments>),
    /// Score the workflow, with the prompts that are compiled in, on examples that no optimizer saw.
    Evaluate(EvaluateArguments),
    /// Write the compiled prompts as a program that Python DSPy loads.
    Export(ExportArguments),
    /// Take the prompts of a program that Python DSPy saved.
    Import(ImportArguments),
}

/// What every run needs.
#[derive(Args)]
pub(super) struct Common {
    /// Files of examples (.jsonl, .json, .csv, .yaml), in place of those that the workflow names.
    #[arg(long, value_name = "FILE")]
    train: Vec<PathBuf>,
    /// Files of examples that decide in the end, and that no optimizer sees.
    #[arg(long, value_name = "FILE")]
    test: Vec<PathBuf>,
    /// How examples are split where no files are: training, validation, held out.
    #[arg(long, value_name = "SHARES", default_value = "0.5,0.2,0.3")]
    split: Shares,
    /// A metric: its name, or YAML as in a suite.
    #[arg(long)]
    metric: Option<String>,
    /// The LM of every step, as provider/model.
    #[arg(long)]
    lm: Option<LmName>,
    /// Begin with the prompts of the workflow file, not with optimized ones that are compiled in.
    #[arg(long)]
    from_scratch: bool,
    /// How many runs are in flight.
    #[arg(long, default_value_t = 8)]
    threads: usize,
}

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct OptimizeArguments {
    /// The workflow; may be left out where there is only one.
    pub(super) workflow: Option<String>,
    /// An optimizer, or several with commas between them, which run one after the other.
    #[arg(long, value_name = "NAMES")]
    optimizer: Option<String>,
    /// A setting of the optimizer, as in `auto=light`; for one of several, `gepa.auto=light`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    #[command(flatten)]
    common: Common,
    /// Files of examples that candidates are compared by.
    #[arg(long, value_name = "FILE")]
    val: Vec<PathBuf>,
    /// Give only these steps other prompts.
    #[arg(long = "step", value_name = "STEP")]
    steps: Vec<String>,
    /// The LM that writes instructions, as provider/model.
    #[arg(long, value_name = "LM")]
    prompt_lm: Option<LmName>,
    /// Another seed makes another search.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Search once with each of so many seeds, from 0, tell how results differ, and adopt nothing.
    #[arg(long, value_name = "COUNT", conflicts_with_all = ["seed", "write_back", "dry_run"])]
    pub(super) seeds: Option<u64>,
    /// The most calls of LMs.
    #[arg(long, value_name = "CALLS")]
    budget_calls: Option<u64>,
    /// The most tokens, in and out.
    #[arg(long, value_name = "TOKENS")]
    budget_tokens: Option<u64>,
    /// The most money, in US dollars.
    #[arg(long, value_name = "USD")]
    budget_usd: Option<f64>,
    /// The least gain on held-out examples that is adopted.
    #[arg(long, value_name = "GAIN", default_value_t = 0.0)]
    min_gain: f64,
    /// Adopt only a gain that is significant at this level, as 0.05.
    #[arg(long, value_name = "LEVEL")]
    significance: Option<f64>,
    /// The most that a run may cost more, as a share: 0.5 is half as much again.
    #[arg(long, value_name = "SHARE")]
    max_extra_cost: Option<f64>,
    /// Say what would be asked and what it may cost, and ask nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Go on with an optimization that was interrupted; an error if there is none.
    #[arg(long, conflicts_with = "fresh")]
    resume: bool,
    /// Ask everything anew, also what was answered before.
    #[arg(long)]
    fresh: bool,
    /// Put prompts that are adopted into the workflow file, too; its comments stay.
    #[arg(long)]
    write_back: bool,
}

#[derive(Args)]
pub(super) struct EvaluateArguments {
    /// The workflow; may be left out where there is only one.
    pub(super) workflow: Option<String>,
    #[command(flatten)]
    common: Common,
    /// Only this example, as `test-3` or `data/test.jsonl:3`.
    #[arg(long, value_name = "EXAMPLE")]
    pub(super) case: Option<String>,
    /// Print all cases as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args)]
pub(super) struct ExportArguments {
    /// The workflow; may be left out where there is only one.
    #[arg(long)]
    pub(super) workflow: Option<String>,
    /// The file, as for `program.load("….json")`.
    pub(super) output: PathBuf,
}

#[derive(Args)]
pub(super) struct ImportArguments {
    /// The workflow; may be left out where there is only one.
    #[arg(long)]
    pub(super) workflow: Option<String>,
    /// The file that `program.save("….json")` wrote.
    pub(super) file: PathBuf,
    /// The LM that the prompts are for, as provider/model; any without it.
    #[arg(long)]
    pub(super) lm: Option<LmName>,
}

impl Common {
    fn apply(
        &self,
        mut optimization: Optimization,
        metrics: &[(String, Arc<dyn Metric>)],
    ) -> Result<Optimization, OptimizeError> {
        if !self.train.is_empty() {
            optimization = optimization.train(self.train.clone());
        }
        if !self.test.is_empty() {
            optimization = optimization.held_out(self.test.clone());
        }
        if let Some(lm) = &self.lm {
            optimization.runner = optimization.runner.with_lm(lm.clone());
        }
        optimization.known_metrics = metrics.to_vec();
        if let Some(text) = &self.metric {
            let known = metrics.iter().find(|(name, _)| name == text);
            optimization.metric = Some(match known {
                Some(known) => known.clone(),
                None => (text.clone(), declared(text, &optimization)?),
            });
        }
        if self.from_scratch {
            optimization = optimization.from_scratch(true);
        }
        Ok(optimization.shares(self.split).threads(self.threads))
    }
}

fn declared(text: &str, optimization: &Optimization) -> Result<Arc<dyn Metric>, OptimizeError> {
    let wrong = |error: &dyn std::fmt::Display| {
        OptimizeError::Settings(format!("`--metric {text}`: {error}"))
    };
    let value = from_yaml(text).map_err(|error| wrong(&error))?;
    let registry = Registry::new(optimization.runner.clone());
    let metric = Declared::parse(&value, &registry).map_err(|error| wrong(&error))?;
    Ok(Arc::new(metric))
}

impl OptimizeArguments {
    pub(super) fn apply(
        &self,
        optimization: Optimization,
        metrics: &[(String, Arc<dyn Metric>)],
    ) -> Result<Optimization, OptimizeError> {
        let mut optimization = self.common.apply(optimization, metrics)?;
        if let Some(names) = &self.optimizer {
            optimization = optimization
                .optimizers(&list(names), &self.settings_text()?)
                .map_err(|error| OptimizeError::Settings(error.to_string()))?;
        } else if !self.settings.is_empty() {
            let message = "--set without --optimizer: settings of which optimizer?";
            return Err(OptimizeError::Settings(message.to_owned()));
        }
        if !self.val.is_empty() {
            optimization = optimization.validation(self.val.clone());
        }
        if let Some(lm) = &self.prompt_lm {
            optimization = optimization.proposer(lm.clone());
        }
        let limits = BudgetLimits {
            calls: self.budget_calls,
            tokens: self.budget_tokens,
            money: self.budget_usd.map(Money::from_dollars),
            ..BudgetLimits::default()
        };
        let rule = Rule {
            min_gain: self.min_gain,
            significance: self.significance,
            max_extra_cost: self.max_extra_cost,
        };
        Ok(optimization
            .steps(self.steps.clone())
            .seed(self.seed)
            .budget(limits)
            .rule(rule)
            .resume(self.resume)
            .fresh(self.fresh)
            .write_back(self.write_back))
    }

    /// `--set` as a block of YAML; keys with a point belong to one optimizer of several.
    fn settings_text(&self) -> Result<String, OptimizeError> {
        let mut lines: Vec<String> = Vec::new();
        let mut blocks: Vec<(&str, Vec<String>)> = Vec::new();
        for setting in &self.settings {
            let Some((key, value)) = setting.split_once('=') else {
                let message = format!("`--set {setting}` must be KEY=VALUE");
                return Err(OptimizeError::Settings(message));
            };
            match key.split_once('.') {
                None => lines.push(format!("{key}: {value}")),
                Some((optimizer, key)) => {
                    let line = format!("  {key}: {value}");
                    match blocks.iter_mut().find(|(name, _)| *name == optimizer) {
                        Some((_, lines)) => lines.push(line),
                        None => blocks.push((optimizer, vec![line])),
                    }
                }
            }
        }
        for (optimizer, block) in blocks {
            lines.push(format!("{optimizer}:"));
            lines.extend(block);
        }
        Ok(lines.join("\n"))
    }
}

impl EvaluateArguments {
    pub(super) fn apply(
        &self,
        optimization: Optimization,
        metrics: &[(String, Arc<dyn Metric>)],
    ) -> Result<Optimization, OptimizeError> {
        self.common.apply(optimization, metrics)
    }
}

/// Names with commas between them as a list in YAML.
fn list(names: &str) -> String {
    if names.contains(',') {
        format!("[{names}]")
    } else {
        names.to_owned()
    }
}
