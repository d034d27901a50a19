//! One optimization, from the data to the file.

use std::sync::Arc;
use std::time::Instant;

use dspipe_runtime::lm::{Budget, BudgetLimits, Money, Prices};
use sha2::{Digest as _, Sha256};

use crate::artifact::{self, Origin};
use crate::bridge::{
    Bridge, BridgeError, BridgeSettings, ErrorClass, Optimize, Optimized, Prompts,
};
use crate::data::{Data, Example, hex};
use crate::engine::{Engine, compiled_prompts, written_prompts};
use crate::error::OptimizeError;
use crate::host::Searching;
use crate::optimization::Optimization;
use crate::outcome::{Adoption, Outcome, Spending};
use crate::prepare::Prepared;
use crate::progress::Reporter;
use crate::record::{Record, State};
use crate::request;
use crate::validate::{Comparison, Evaluation};
use crate::write_back::write_back;

/// How often a bridge that died is started again in one optimization.
const RESTARTS: u32 = 2;

impl Optimization {
    pub(crate) async fn search_and_validate(
        &self,
        prepared: &Prepared,
        reporter: &Arc<Reporter>,
    ) -> Result<Outcome, OptimizeError> {
        for warning in &prepared.warnings {
            reporter.line(warning);
        }
        let record = self.record(prepared)?;
        let prices = Prices::from_env()?;
        let started = Instant::now();
        let before = self.prompts_before();
        let held_out = &prepared.data.held_out;

        let budget = Budget::new(self.limits, prices.clone());
        let engine = self.engine(prepared, &record, &budget);
        let none = Spending::default();
        reporter.phase("baseline", held_out.len(), none, &budget);
        let prompts = self.from_scratch.then_some(&before);
        let baseline = self
            .evaluate_with(&engine, held_out, prompts, reporter)
            .await?;
        let replaces = artifact::path_of(&prepared.workflow_file).exists();
        let compiled = compiled_prompts(self.def(), &self.runner);
        let in_use = if self.adopts && replaces && before != compiled {
            reporter.phase("prompts in use", held_out.len(), none, &budget);
            let evaluation = self.evaluate_with(&engine, held_out, None, reporter).await;
            Some(evaluation?)
        } else {
            None
        };
        let mut spending = Spending::new(&budget);

        let limits = self.limits_of_search(&spending, &baseline)?;
        let budget = Budget::new(limits, prices.clone());
        let engine = self.engine(prepared, &record, &budget);
        reporter.phase("starting Python", 0, spending, &budget);
        let (found, cut_short) = self.search(prepared, engine, &before, reporter).await?;
        spending.add(&budget);

        let Some((prompts, score)) = found else {
            return Ok(Outcome {
                workflow: self.def().name,
                adoption: Adoption::Refused("no candidate was evaluated before the end".to_owned()),
                comparison: None,
                baseline,
                in_use,
                optimized: Evaluation::default(),
                before: before.clone(),
                after: before,
                search_score: None,
                write_back: None,
                cut_short,
                spending,
                took: started.elapsed(),
            });
        };
        let after = merged(&before, prompts);
        let budget = Budget::new(spending.left(self.limits), prices);
        let engine = self.engine(prepared, &record, &budget);
        reporter.phase("validating", held_out.len(), spending, &budget);
        let optimized = self
            .evaluate_with(&engine, held_out, Some(&after), reporter)
            .await?;
        spending.add(&budget);

        let comparison = Comparison::new(&baseline, &optimized, &self.rule);
        let over_used = in_use.as_ref();
        let over_used = over_used.and_then(|it| Comparison::new(it, &optimized, &self.rule));
        let verdict = self.verdict(&before, &after, comparison.as_ref(), over_used.as_ref());
        let adoption = match verdict {
            Ok(comparison) => self.adopt(prepared, &after, comparison)?,
            Err(reason) => Adoption::Refused(reason),
        };
        record.finish()?;
        // After the end: the file may be a part of what identifies the record, which is not to be begun anew.
        let write_back =
            (self.written_back && matches!(adoption, Adoption::Written(_))).then(|| {
                let file = prepared.workflow_file.clone();
                match write_back(&file, self.def(), &before, &after) {
                    Ok(()) => Ok(file),
                    Err(error) => Err(error.to_string()),
                }
            });
        Ok(Outcome {
            workflow: self.def().name,
            adoption,
            comparison,
            baseline,
            in_use,
            optimized,
            before,
            after,
            search_score: score,
            write_back,
            cut_short,
            spending,
            took: started.elapsed(),
        })
    }

    /// Where the search begins.
    fn prompts_before(&self) -> Prompts {
        if self.from_scratch {
            written_prompts(self.def())
        } else {
            compiled_prompts(self.def(), &self.runner)
        }
    }

    /// What speaks for adopting `after`, or in words why not to.
    fn verdict<'c>(
        &self,
        before: &Prompts,
        after: &Prompts,
        comparison: Option<&'c Comparison>,
        over_used: Option<&Comparison>,
    ) -> Result<&'c Comparison, String> {
        if !self.adopts {
            return Err("it was only tried".to_owned());
        }
        let comparison = comparison.ok_or("nothing was held out")?;
        if before == after {
            return Err("the search found nothing better than the prompts in use".to_owned());
        }
        comparison.verdict(&self.rule)?;
        if let Some(over_used) = over_used {
            let than_used = |reason| format!("beside the prompts in use, {reason}");
            over_used.verdict(&self.rule).map_err(than_used)?;
        }
        Ok(comparison)
    }

    fn adopt(
        &self,
        prepared: &Prepared,
        after: &Prompts,
        comparison: &Comparison,
    ) -> Result<Adoption, OptimizeError> {
        let path = artifact::path_of(&prepared.workflow_file);
        let origin = Origin {
            lm: prepared.lm.as_ref(),
            stages: &prepared.stages,
            seed: self.seed,
            metric: &prepared.metric.0,
            data: &prepared.data,
            comparison,
        };
        artifact::write(&path, self.def(), after, &origin)?;
        Ok(Adoption::Written(path))
    }

    /// What runs the program: with recorded answers, on a budget.
    fn engine(&self, prepared: &Prepared, record: &Record, budget: &Budget) -> Engine {
        Engine {
            program: Arc::clone(&self.program),
            runner: self
                .runner
                .clone()
                .with_budget(budget.clone())
                .with_cassettes(record.answers()),
            metric: Arc::clone(&prepared.metric.1),
        }
    }

    pub(crate) async fn evaluate_with(
        &self,
        engine: &Engine,
        examples: &[Example],
        prompts: Option<&Prompts>,
        reporter: &Arc<Reporter>,
    ) -> Result<Evaluation, OptimizeError> {
        let reporter = Arc::clone(reporter);
        let done = move |score: f64| reporter.case(score);
        engine
            .evaluate(examples, prompts, self.threads, &done)
            .await
    }

    /// What the search may take, so that enough is left to validate what it finds.
    fn limits_of_search(
        &self,
        spent: &Spending,
        baseline: &Evaluation,
    ) -> Result<BudgetLimits, OptimizeError> {
        let left = spent.left(self.limits);
        let cases = baseline.cases.len() as u64;
        let calls = cases * self.def().steps.len() as u64;
        // Better prompts are longer.
        let tokens = spent.tokens.saturating_mul(2);
        let money = baseline.cost().unwrap_or_default() * 2.0;
        #[expect(clippy::cast_precision_loss, reason = "examples are few")]
        let money = Money::from_dollars(money * cases as f64);
        let search = BudgetLimits {
            calls: left.calls.map(|left| left.saturating_sub(calls)),
            tokens: left.tokens.map(|left| left.saturating_sub(tokens)),
            money: left
                .money
                .map(|left| Money::from_dollars((left.dollars() - money.dollars()).max(0.0))),
            ..left
        };
        let nothing = search.calls == Some(0)
            || search.tokens == Some(0)
            || search.money.is_some_and(|money| money.dollars() <= 0.0);
        if nothing {
            return Err(OptimizeError::Settings(format!(
                "the budget is too small: {calls} calls for the baseline and {calls} to validate leave none to \
                 search with; raise it, or hold out fewer than {cases} examples"
            )));
        }
        Ok(search)
    }

    /// The best prompts with their score, and why the search ended before its end, if it did.
    async fn search(
        &self,
        prepared: &Prepared,
        engine: Engine,
        before: &Prompts,
        reporter: &Arc<Reporter>,
    ) -> Result<(Option<(Prompts, Option<f64>)>, Option<String>), OptimizeError> {
        let params = request::optimize(self, prepared, before);
        let data = &prepared.data;
        let examples = data.train.iter().chain(&data.validation).cloned();
        let host = Arc::new(Searching::new(
            engine,
            examples,
            prepared.proposer.clone(),
            Arc::clone(reporter),
        ));
        let mut restarts = 0;
        loop {
            let error = match self.ask(&params, &host).await {
                Ok(optimized) => return Ok((Some((optimized.prompts, optimized.score)), None)),
                Err(error) => error,
            };
            match error.class() {
                ErrorClass::Budget => {
                    let best = host.best().map(|best| (best.prompts, Some(best.score)));
                    return Ok((best, Some(error.to_string())));
                }
                // What was answered is recorded, so the new process is soon where the old one was.
                ErrorClass::Restart if restarts < RESTARTS => {
                    restarts += 1;
                    reporter.line(&format!("{error}\nstarting Python again"));
                }
                _ => return Err(error.into()),
            }
        }
    }

    async fn ask(
        &self,
        params: &Optimize,
        host: &Arc<Searching>,
    ) -> Result<Optimized, BridgeError> {
        let settings = match &self.bridge {
            Some(settings) => settings.clone(),
            None => BridgeSettings::from_env()?,
        };
        let bridge = Bridge::start(&settings).await?;
        let host = Arc::<Searching>::clone(host);
        let optimized = bridge.optimize(params, host).await?;
        // It has said all that it had to say.
        if let Err(error) = bridge.shutdown().await {
            tracing::debug!(%error, "the bridge did not end by itself");
        }
        Ok(optimized)
    }

    fn record(&self, prepared: &Prepared) -> Result<Record, OptimizeError> {
        let root = match &self.records {
            Some(root) => root.clone(),
            None => self.package.join(".dspipe").join("optimize"),
        };
        let record = Record::open(&root, self.def().name, &self.key(prepared))?;
        if self.fresh {
            record.clear()?;
        }
        if self.resume && record.state() != State::Interrupted {
            return Err(OptimizeError::Settings(format!(
                "no optimization of `{}` with these settings was interrupted, so there is nothing to resume",
                self.def().name
            )));
        }
        Ok(record)
    }

    /// Identifies all that decides what is asked.
    fn key(&self, prepared: &Prepared) -> String {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        };
        for stage in &prepared.stages {
            add(stage.optimizer);
            add(&serde_json::Value::Object(stage.settings.clone()).to_string());
        }
        for set in [
            &prepared.data.train,
            &prepared.data.validation,
            &prepared.data.held_out,
        ] {
            add(&Data::fingerprint(set));
        }
        add(&prepared.metric.0);
        add(&self.seed.to_string());
        add(&self.steps.join(","));
        add(&prepared.proposer.to_string());
        for (step, prompt) in self.prompts_before() {
            add(&step);
            add(&serde_json::json!(prompt).to_string());
        }
        for step in self.def().steps {
            add(step.instructions);
            add(step.input_schema);
            add(step.output_schema);
            add(&self
                .runner
                .lm_name(step)
                .map_or_else(|error| error.to_string(), |lm| lm.to_string()));
        }
        hex(&hash.finalize()[..6])
    }
}

/// The prompts of all steps, with those that were found in place of those before.
fn merged(before: &Prompts, found: Prompts) -> Prompts {
    let mut all = before.clone();
    all.extend(found);
    all
}
