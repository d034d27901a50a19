//! What an optimization would ask, and what that may cost at most.

use std::fmt;

use dspipe_build::Stage;
use dspipe_runtime::lm::{BudgetLimits, Money, Prices, Usage};
use dspipe_runtime::{Map, Value, WorkflowDef};

use crate::error::OptimizeError;
use crate::optimization::Optimization;
use crate::outcome::lines;
use crate::prepare::{Prepared, Purpose};

/// What an optimization would ask. `Display` writes it as a table.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// The workflow.
    pub workflow: &'static str,
    /// The LMs of the steps.
    pub lms: Vec<String>,
    /// The LM that writes instructions.
    pub proposer: String,
    /// How many examples there are: training, validation, held out.
    pub examples: [usize; 3],
    /// Calls to score the program as it is.
    pub baseline_calls: u64,
    /// By optimizer, the most calls that it may make.
    pub search_calls: Vec<(&'static str, u64)>,
    /// Calls to score what is found.
    pub validation_calls: u64,
    /// What all calls may take at most.
    pub limits: BudgetLimits,
    /// What all calls may cost at most, in US dollars; `None` if a price is not known.
    pub money: Option<Money>,
}

impl Plan {
    /// The most calls in all.
    pub fn calls(&self) -> u64 {
        let search: u64 = self.search_calls.iter().map(|(_, calls)| calls).sum();
        let all = self.baseline_calls + search + self.validation_calls;
        self.limits.calls.map_or(all, |limit| all.min(limit))
    }
}

impl Optimization {
    /// What [`run`](Self::run) would ask. Nothing is asked.
    ///
    /// # Errors
    /// Whatever `run` finds wrong before it asks anything.
    pub fn plan(&self) -> Result<Plan, OptimizeError> {
        let prepared = self.prepare(Purpose::Optimize)?;
        let def = self.def();
        let steps = def.steps.len() as u64;
        let lms = def.steps.iter().map(|step| self.runner.lm_name(step));
        let lms: Vec<_> = lms.collect::<Result<_, _>>()?;
        let searched = if self.steps.is_empty() {
            steps
        } else {
            self.steps.len() as u64
        };
        let train = prepared.data.train.len() as u64;
        let validation = match prepared.data.validation.len() as u64 {
            0 => train,
            some => some,
        };
        let search_calls: Vec<_> = prepared
            .stages
            .iter()
            .map(|stage| {
                let size = Size {
                    train,
                    validation,
                    steps: searched,
                };
                // Of several stages each result is evaluated once more.
                let between = if prepared.stages.len() > 1 {
                    2 * validation
                } else {
                    0
                };
                let runs = size.runs(stage) + between;
                // A reply that cannot be used is asked for a second time.
                (stage.optimizer, 2 * steps * runs + size.proposals(stage))
            })
            .collect();
        let held_out = 2 * steps * prepared.data.held_out.len() as u64;
        let mut plan = Plan {
            workflow: def.name,
            lms: lms.iter().map(ToString::to_string).collect(),
            proposer: prepared.proposer.to_string(),
            examples: [
                prepared.data.train.len(),
                prepared.data.validation.len(),
                prepared.data.held_out.len(),
            ],
            baseline_calls: held_out,
            search_calls,
            validation_calls: held_out,
            limits: self.limits,
            money: None,
        };
        plan.lms.dedup();
        let prices = Prices::from_env()?;
        let usage = Usage {
            input_tokens: longest_prompt(def, &prepared),
            output_tokens: def
                .steps
                .iter()
                .map(|step| u64::from(step.max_tokens.unwrap_or(self.limits.reply_tokens)))
                .max()
                .unwrap_or_default(),
            ..Usage::default()
        };
        let dearest = lms
            .iter()
            .chain([&prepared.proposer])
            .map(|lm| prices.cost(lm, &usage))
            .collect::<Option<Vec<Money>>>();
        plan.money = dearest.map(|costs| {
            let call = costs.iter().map(|cost| cost.dollars()).fold(0.0, f64::max);
            #[expect(clippy::cast_precision_loss, reason = "an upper bound, to the cent")]
            let all = Money::from_dollars(call * plan.calls() as f64);
            match self.limits.money {
                Some(limit) if limit.dollars() < all.dollars() => limit,
                _ => all,
            }
        });
        Ok(plan)
    }
}

/// No tokenizer gives more tokens than there are bytes; 16 demos are more than any optimizer shows by default.
fn longest_prompt(def: &WorkflowDef, prepared: &Prepared) -> u64 {
    const DEMOS: u64 = 16;
    let length = |map: &Map<String, Value>| Value::Object(map.clone()).to_string().len() as u64;
    let data = &prepared.data;
    let examples = data
        .train
        .iter()
        .chain(&data.validation)
        .chain(&data.held_out);
    let longest = examples
        .map(|example| {
            let labels: u64 = example.labels.values().map(length).sum();
            length(&example.inputs) + labels
        })
        .max()
        .unwrap_or_default();
    let steps = def.steps.iter().map(|step| {
        let fields = step.inputs.iter().chain(step.outputs);
        let fields: usize = fields
            .map(|field| field.name.len() + field.ty.len() + field.description.len())
            .sum();
        (step.instructions.len() + fields + step.output_schema.len()) as u64
    });
    steps.max().unwrap_or_default() + (DEMOS + 1) * longest
}

/// What a search depends on.
#[derive(Clone, Copy, Debug)]
struct Size {
    train: u64,
    validation: u64,
    steps: u64,
}

impl Size {
    /// The most runs of the workflow, by the defaults of DSPy 3.4 where nothing is set.
    fn runs(self, stage: &Stage) -> u64 {
        let set = |key: &str, default: u64| {
            stage
                .settings
                .get(key)
                .and_then(Value::as_u64)
                .unwrap_or(default)
        };
        let Self {
            train,
            validation,
            steps,
        } = self;
        let auto = stage.settings.get("auto").and_then(Value::as_str);
        match stage.optimizer {
            "bootstrap_few_shot" => train * set("max_rounds", 1),
            "bootstrap_few_shot_with_random_search" => {
                let candidates = set("num_candidate_programs", 16) + 3;
                candidates * (train * set("max_rounds", 1) + validation)
            }
            "copro" => set("breadth", 10) * (set("depth", 3) + 1) * steps * train,
            "mipro_v2" => {
                let candidates = match auto {
                    Some("heavy") => 18,
                    Some("medium") => 12,
                    Some(_) => 6,
                    None => set("num_candidates", 6),
                };
                // `num_trials` of DSPy: 2 · variables · log2(candidates), at least 1.5 · candidates.
                let variables = 2 * steps;
                let log = u64::from(candidates.max(2).ilog2()) + 1;
                let trials = set("num_trials", (2 * variables * log).max(candidates * 3 / 2));
                candidates * train + (trials + trials / 5 + 2) * validation
            }
            "gepa" => {
                let full = train + validation;
                let evaluations = match auto {
                    Some("heavy") => 18,
                    Some("medium") => 12,
                    _ => 6,
                };
                let default = set("max_full_evals", evaluations * 3) * full;
                set("max_metric_calls", default)
            }
            "simba" => {
                let batch = set("bsize", 32).min(train);
                let candidates = set("num_candidates", 6);
                set("max_steps", 8) * batch * candidates * 2 + candidates * train * 2
            }
            "infer_rules" => {
                let candidates = set("num_candidates", 10);
                train * set("max_rounds", 1) + (candidates + 1) * validation
            }
            // `labeled_few_shot` runs nothing, and the compiler knows no other.
            _ => 0,
        }
    }

    /// The most calls of the LM that writes instructions.
    fn proposals(self, stage: &Stage) -> u64 {
        let runs = self.runs(stage);
        match stage.optimizer {
            "copro" | "gepa" | "simba" => runs.min(400),
            "mipro_v2" => 40 * self.steps,
            "infer_rules" => 20 * self.steps,
            _ => 0,
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [train, validation, held_out] = self.examples;
        writeln!(
            f,
            "{}: steps run on {}, instructions are written by {}",
            self.workflow,
            self.lms.join(", "),
            self.proposer
        )?;
        writeln!(
            f,
            "examples: {train} to train with, {validation} to compare candidates by, {held_out} held out\n"
        )?;
        let row = |name: String, calls: u64| [name, format!("at most {calls} calls")];
        let mut rows = vec![row("baseline".to_owned(), self.baseline_calls)];
        for (optimizer, calls) in &self.search_calls {
            rows.push(row((*optimizer).to_owned(), *calls));
        }
        rows.push(row("validation".to_owned(), self.validation_calls));
        rows.push(row("in all".to_owned(), self.calls()));
        write!(f, "{}", lines(&rows))?;
        match self.money {
            Some(money) => writeln!(f, "which cost at most {money}"),
            None => writeln!(
                f,
                "the price of an LM is not known; DSPIPE_PRICES names a file of prices"
            ),
        }
    }
}
