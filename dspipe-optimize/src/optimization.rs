//! One optimization, from the data to the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dspipe_build::{Record as LabelledRecord, Settings, Stage, Training};
use dspipe_eval::metric::{Declared, Metric, Registry};
use dspipe_history::training::Shares;
use dspipe_runtime::lm::{Budget, BudgetLimits, Money, Prices};
use dspipe_runtime::{Changes, LmName, LocalRunner, Workflow, WorkflowDef};
use sha2::{Digest as _, Sha256};

use crate::artifact::{self, Origin};
use crate::bridge::{
    Bridge, BridgeError, BridgeSettings, ErrorClass, Optimize, Optimized, Prompts,
};
use crate::data::{self, Data, Example, Sizes, hex};
use crate::engine::{Engine, compiled_prompts};
use crate::error::OptimizeError;
use crate::host::Searching;
use crate::metric::LabelledFields;
use crate::outcome::{Adoption, Outcome, Spending};
use crate::program::{Compiled, Program};
use crate::progress::Reporter;
use crate::record::{Record, State};
use crate::request;
use crate::validate::{Comparison, EvaluatedCase, Evaluation, Rule};
use crate::write_back::write_back;

/// The seed of the search does not move what is held out: scores stay comparable.
const SPLIT_SEED: u64 = 0;

/// How often a bridge that died is started again in one optimization.
const RESTARTS: u32 = 2;

/// An optimization of a compiled workflow.
///
/// ```no_run
/// # async fn example<W: dspipe_runtime::Workflow>() -> Result<(), Box<dyn std::error::Error>> {
/// use dspipe_optimize::Optimization;
///
/// // `W` is the type `Workflow` in the module of a compiled workflow.
/// let outcome = Optimization::of::<W>(env!("CARGO_MANIFEST_DIR"))
///     .optimizers("mipro_v2", "auto: light")?
///     .train(["data/train.jsonl"])
///     .run()
///     .await?;
/// println!("{outcome}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own"
)]
pub struct Optimization {
    pub(crate) program: Arc<dyn Program>,
    pub(crate) package: PathBuf,
    pub(crate) stages: Option<Vec<Stage>>,
    pub(crate) train: Option<Vec<PathBuf>>,
    pub(crate) validation: Vec<PathBuf>,
    pub(crate) held_out: Option<Vec<PathBuf>>,
    pub(crate) shares: Option<Shares>,
    pub(crate) steps: Vec<String>,
    pub(crate) metric: Option<NamedMetric>,
    /// What `dspy_config` can name besides the metrics of YAML; the first one counts where it names none.
    pub(crate) known_metrics: Vec<NamedMetric>,
    pub(crate) runner: LocalRunner,
    pub(crate) proposer: Option<LmName>,
    pub(crate) seed: u64,
    pub(crate) threads: usize,
    pub(crate) limits: BudgetLimits,
    pub(crate) rule: Rule,
    pub(crate) fresh: bool,
    pub(crate) resume: bool,
    pub(crate) shown: bool,
    pub(crate) written_back: bool,
    pub(crate) records: Option<PathBuf>,
    pub(crate) bridge: Option<BridgeSettings>,
}

impl std::fmt::Debug for Optimization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Optimization")
            .field("workflow", &self.program.def().name)
            .field("package", &self.package)
            .field("stages", &self.stages)
            .finish_non_exhaustive()
    }
}

/// A metric and its name in files.
pub(crate) type NamedMetric = (String, Arc<dyn Metric>);

/// What an optimization works with, once the files have been read.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) workflow_file: PathBuf,
    pub(crate) stages: Vec<Stage>,
    pub(crate) data: Data,
    pub(crate) metric: NamedMetric,
    pub(crate) lm: Option<LmName>,
    pub(crate) proposer: LmName,
    /// By step, the inputs that come from the workflow's caller.
    pub(crate) given: BTreeMap<String, Vec<String>>,
    pub(crate) warnings: Vec<String>,
}

impl Optimization {
    /// Of a workflow of the package in this directory: `env!("CARGO_MANIFEST_DIR")`. The workflow file, its data
    /// and the file of optimized prompts are found from there.
    pub fn of<W: Workflow + 'static>(package: impl Into<PathBuf>) -> Self {
        Self::of_program(Arc::new(Compiled::<W>::new()), package.into())
    }

    pub(crate) fn of_program(program: Arc<dyn Program>, package: PathBuf) -> Self {
        Self {
            program,
            package,
            stages: None,
            train: None,
            validation: Vec::new(),
            held_out: None,
            shares: None,
            steps: Vec::new(),
            metric: None,
            known_metrics: Vec::new(),
            runner: LocalRunner::from_env(),
            proposer: None,
            seed: 0,
            threads: 8,
            limits: BudgetLimits::default(),
            rule: Rule::default(),
            fresh: false,
            resume: false,
            shown: false,
            written_back: false,
            records: None,
            bridge: None,
        }
    }

    /// With these optimizers one after the other, in place of those of `dspy_config`: a name or a list of names,
    /// and their settings, both as in a workflow file.
    ///
    /// # Errors
    /// [`OptimizeError::Invalid`] if there is no such optimizer or setting, or a value does not fit.
    pub fn optimizers(mut self, names: &str, settings: &str) -> Result<Self, OptimizeError> {
        self.stages = Some(Settings::stages(names, settings)?);
        Ok(self)
    }

    /// With the examples of these files, in place of those that the workflow names. Paths are seen from the
    /// current directory.
    #[must_use]
    pub fn train<P: Into<PathBuf>>(mut self, files: impl IntoIterator<Item = P>) -> Self {
        self.train = Some(files.into_iter().map(Into::into).collect());
        self
    }

    /// Compares candidates by the examples of these files.
    #[must_use]
    pub fn validation<P: Into<PathBuf>>(mut self, files: impl IntoIterator<Item = P>) -> Self {
        self.validation = files.into_iter().map(Into::into).collect();
        self
    }

    /// Decides by the examples of these files, which no optimizer sees. Without them a part of the training
    /// examples is held out.
    #[must_use]
    pub fn held_out<P: Into<PathBuf>>(mut self, files: impl IntoIterator<Item = P>) -> Self {
        self.held_out = Some(files.into_iter().map(Into::into).collect());
        self
    }

    /// How the examples are split where no files are: training, validation, held out. 0.5, 0.2, 0.3 if it is
    /// not said.
    #[must_use]
    pub fn shares(mut self, shares: Shares) -> Self {
        self.shares = Some(shares);
        self
    }

    /// Only these steps get other prompts; the whole workflow runs all the same.
    #[must_use]
    pub fn steps<S: Into<String>>(mut self, steps: impl IntoIterator<Item = S>) -> Self {
        self.steps = steps.into_iter().map(Into::into).collect();
        self
    }

    /// Scores runs by this metric, in place of that of `dspy_config`. It sees outputs by step, then by field. The
    /// name is written into the file.
    #[must_use]
    pub fn metric(mut self, name: impl Into<String>, metric: impl Metric + 'static) -> Self {
        self.metric = Some((name.into(), Arc::new(metric)));
        self
    }

    /// Runs steps on this runner, in place of one with the settings of the environment.
    #[must_use]
    pub fn runner(mut self, runner: LocalRunner) -> Self {
        self.runner = runner;
        self
    }

    /// The LM that optimizers ask for instructions and the like; without it that of the first step.
    #[must_use]
    pub fn proposer(mut self, lm: LmName) -> Self {
        self.proposer = Some(lm);
        self
    }

    /// Another seed makes another search.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How many runs are in flight, 8 if it is not said.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.clamp(1, 1024);
        self
    }

    /// What all calls together may take. The search ends early where it must, so that there is enough left to
    /// validate what it found.
    #[must_use]
    pub fn budget(mut self, limits: BudgetLimits) -> Self {
        self.limits = limits;
        self
    }

    /// When the prompts are adopted.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rule = rule;
        self
    }

    /// Asks everything anew, also where an earlier optimization with the same settings has answers.
    #[must_use]
    pub fn fresh(mut self, fresh: bool) -> Self {
        self.fresh = fresh;
        self
    }

    /// Only goes on with an optimization that was interrupted; it is an error if there is none.
    #[must_use]
    pub fn resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// Shows on standard error how far it is.
    #[must_use]
    pub fn progress(mut self, shown: bool) -> Self {
        self.shown = shown;
        self
    }

    /// Puts prompts that are adopted into the workflow file, too: instructions, and demos as examples. Its comments
    /// and all else in it stay. [`Outcome::write_back`] tells whether that could be done.
    #[must_use]
    pub fn write_back(mut self, written: bool) -> Self {
        self.written_back = written;
        self
    }

    /// Keeps the answers of LMs below this directory, in place of `.dspipe/optimize` of the package.
    #[must_use]
    pub fn records(mut self, directory: impl Into<PathBuf>) -> Self {
        self.records = Some(directory.into());
        self
    }

    /// Runs Python in this way.
    #[must_use]
    pub fn bridge(mut self, settings: BridgeSettings) -> Self {
        self.bridge = Some(settings);
        self
    }

    pub(crate) fn def(&self) -> &'static WorkflowDef {
        self.program.def()
    }

    /// The workflow file, by what the compiler wrote into the program.
    pub(crate) fn workflow_file(&self) -> PathBuf {
        let source = self.def().source;
        let path = source.rsplit_once(':').map_or(source, |(path, _)| path);
        self.package.join(path)
    }

    /// Reads the files, and refuses what cannot be before anything is paid for.
    pub(crate) fn prepare(&self) -> Result<Prepared, OptimizeError> {
        let def = self.def();
        let workflow_file = self.workflow_file();
        let read = |files: &[PathBuf]| Training::read_with(&workflow_file, files);
        let training = match &self.train {
            Some(files) => read(files)?,
            None => Training::read(&workflow_file)?,
        };
        let settings = training.settings;
        let mut warnings = training.warnings;
        if settings.enabled == Some(false) {
            warnings.push(format!(
                "`{}` has `optimization_enabled: false`; it is optimized all the same, because you asked for it",
                def.name
            ));
        }
        let stages = self.stages.clone().unwrap_or(settings.stages);
        if stages.is_empty() {
            return Err(OptimizeError::Settings(format!(
                "which optimizer? Set `optimizer` in the `dspy_config` of `{}`, or name one with --optimizer",
                def.name
            )));
        }
        for step in &self.steps {
            if !def.steps.iter().any(|known| known.step == step) {
                let known: Vec<&str> = def.steps.iter().map(|known| known.step).collect();
                return Err(OptimizeError::Settings(format!(
                    "no step of `{}` is called `{step}`; its steps are {}",
                    def.name,
                    known.join(", ")
                )));
            }
        }
        let whole = |records: Vec<LabelledRecord>| data::of_workflow(records, def);
        let records = match &self.train {
            Some(_) => training.records,
            None => data::without_copies(training.records, &workflow_file),
        };
        let train = whole(records)?;
        let mut data = match &self.held_out {
            Some(files) => {
                let mut train = train;
                let validation = match settings.validation_size {
                    _ if !self.validation.is_empty() => whole(read(&self.validation)?.records)?,
                    // The last ones of the file, so that those before them train.
                    Some(size) if size < train.len() => train.split_off(train.len() - size),
                    _ => Vec::new(),
                };
                Data::given(train, validation, whole(read(files)?.records)?)
            }
            None => {
                let mut data = Data::split(train, self.split_shares()?, SPLIT_SEED);
                if !self.validation.is_empty() {
                    let records = whole(read(&self.validation)?.records)?;
                    let validation = Data::given(Vec::new(), records, Vec::new()).validation;
                    data.validation = validation;
                }
                data
            }
        };
        data.limit(Sizes {
            train: settings.training_size,
            validation: settings.validation_size,
        });
        for (set, name) in [(&data.train, "to train with"), (&data.held_out, "held out")] {
            if set.is_empty() {
                return Err(OptimizeError::Data(format!(
                    "there is no example {name}: of {} training, {} validation and {} held-out examples none may \
                     be missing but those for validation; label more, or change --split",
                    data.train.len(),
                    data.validation.len(),
                    data.held_out.len()
                )));
            }
        }
        let metric = self.metric_of(settings.metric)?;
        let lms: Vec<LmName> = def
            .steps
            .iter()
            .map(|step| self.runner.lm_name(step))
            .collect::<Result<_, _>>()?;
        let Some(first) = lms.first().cloned() else {
            return Err(OptimizeError::Settings(format!(
                "`{}` has no steps",
                def.name
            )));
        };
        Ok(Prepared {
            workflow_file,
            stages,
            data,
            metric,
            lm: lms.iter().all(|lm| *lm == first).then(|| first.clone()),
            proposer: self.proposer.clone().unwrap_or(first),
            given: training.given,
            warnings,
        })
    }

    /// The metric by the call, by the workflow file, or else the first that the program brings.
    fn metric_of(&self, named: Option<String>) -> Result<NamedMetric, OptimizeError> {
        let known = |name: &String| self.known_metrics.iter().find(|(known, _)| known == name);
        if let Some(metric) = &self.metric {
            return Ok(metric.clone());
        }
        let Some(name) = named else {
            let own = self.known_metrics.first().cloned();
            let labelled =
                || -> NamedMetric { ("labelled fields".to_owned(), Arc::new(LabelledFields)) };
            return Ok(own.unwrap_or_else(labelled));
        };
        if let Some(metric) = known(&name) {
            return Ok(metric.clone());
        }
        let registry = Registry::new(self.runner.clone());
        match Declared::parse(&name.clone().into(), &registry) {
            Ok(metric) => Ok((name, Arc::new(metric))),
            Err(error) => Err(OptimizeError::Settings(format!(
                "the metric `{name}` of `dspy_config`: {error}; a Rust function is given with \
                 `Commands::metric` or `Optimization::metric`"
            ))),
        }
    }

    /// Scores the program as it is compiled on the held-out examples.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn evaluate(&self) -> Result<Evaluation, OptimizeError> {
        self.evaluate_those(None).await
    }

    /// The same on the held-out example that has this [`id`](Example::id) or [`source`](Example::source).
    ///
    /// # Errors
    /// As [`Self::run`], and [`OptimizeError::Settings`] if there is no such example.
    pub async fn evaluate_named(&self, example: &str) -> Result<Evaluation, OptimizeError> {
        self.evaluate_those(Some(example)).await
    }

    async fn evaluate_those(&self, only: Option<&str>) -> Result<Evaluation, OptimizeError> {
        let mut with_any = self.clone();
        // No optimizer is asked, so none need be named.
        with_any.stages.get_or_insert_with(|| {
            vec![Stage {
                optimizer: "labeled_few_shot",
                settings: serde_json::Map::new(),
            }]
        });
        let prepared = with_any.prepare()?;
        let budget = Budget::new(self.limits, Prices::from_env()?);
        let engine = Engine {
            program: Arc::clone(&self.program),
            runner: self.runner.clone().with_budget(budget.clone()),
            metric: Arc::clone(&prepared.metric.1),
        };
        let reporter = Arc::new(Reporter::new(self.shown));
        let mut held_out = prepared.data.held_out;
        if let Some(only) = only {
            held_out.retain(|example| example.id == only || example.source.ends_with(only));
            if held_out.is_empty() {
                return Err(OptimizeError::Settings(format!(
                    "no held-out example is called `{only}`; names read as `test-3`, or as `data/test.jsonl:3`"
                )));
            }
        }
        reporter.phase("evaluating", held_out.len(), &budget);
        let evaluation = self
            .evaluate_with(&engine, &held_out, None, &reporter)
            .await;
        reporter.end();
        evaluation
    }

    /// Scores the program as it is compiled on one example.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn evaluate_case(&self, example: &Example) -> Result<EvaluatedCase, OptimizeError> {
        let metric = self.metric_of(None)?;
        let engine = Engine {
            program: Arc::clone(&self.program),
            runner: self.runner.clone(),
            metric: metric.1,
        };
        engine.case(example, Changes::none()).await
    }

    fn split_shares(&self) -> Result<Shares, OptimizeError> {
        match self.shares {
            Some(shares) => Ok(shares),
            None => Shares::new(0.5, 0.2, 0.3)
                .map_err(|error| OptimizeError::Settings(error.to_string())),
        }
    }

    /// Searches, validates, and adopts what is better.
    ///
    /// Dropping the future stops everything; what was answered until then is kept, and the next run with the
    /// same settings goes on from there.
    ///
    /// # Errors
    /// [`OptimizeError`] tells why there is no result. The prompts in use are then as they were.
    pub async fn run(&self) -> Result<Outcome, OptimizeError> {
        let prepared = self.prepare()?;
        let reporter = Arc::new(Reporter::new(self.shown));
        let outcome = self.search_and_validate(&prepared, &reporter).await;
        reporter.end();
        outcome
    }

    async fn search_and_validate(
        &self,
        prepared: &Prepared,
        reporter: &Arc<Reporter>,
    ) -> Result<Outcome, OptimizeError> {
        for warning in &prepared.warnings {
            reporter.line(warning);
        }
        let record = self.record(prepared)?;
        let prices = Prices::from_env()?;
        let before = compiled_prompts(self.def(), &self.runner);
        let held_out = &prepared.data.held_out;

        let budget = Budget::new(self.limits, prices.clone());
        let engine = self.engine(prepared, &record, &budget);
        reporter.phase("baseline", held_out.len(), &budget);
        let baseline = self
            .evaluate_with(&engine, held_out, None, reporter)
            .await?;
        let mut spending = Spending::new(&budget);

        let limits = self.limits_of_search(&spending, &baseline)?;
        let budget = Budget::new(limits, prices.clone());
        let engine = self.engine(prepared, &record, &budget);
        reporter.phase("starting Python", 0, &budget);
        let (found, cut_short) = self.search(prepared, engine, &before, reporter).await?;
        spending.add(&budget);

        let Some((prompts, score)) = found else {
            return Ok(Outcome {
                workflow: self.def().name,
                adoption: Adoption::Refused("no candidate was evaluated before the end".to_owned()),
                comparison: None,
                baseline,
                optimized: Evaluation::default(),
                before: before.clone(),
                after: before,
                search_score: None,
                write_back: None,
                cut_short,
                spending,
            });
        };
        let after = merged(&before, prompts);
        let budget = Budget::new(spending.left(self.limits), prices);
        let engine = self.engine(prepared, &record, &budget);
        reporter.phase("validating", held_out.len(), &budget);
        let optimized = self
            .evaluate_with(&engine, held_out, Some(&after), reporter)
            .await?;
        spending.add(&budget);

        let comparison = Comparison::new(&baseline, &optimized, &self.rule);
        let adoption = self.adopt(prepared, &before, &after, comparison.as_ref())?;
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
            optimized,
            before,
            after,
            search_score: score,
            write_back,
            cut_short,
            spending,
        })
    }

    fn adopt(
        &self,
        prepared: &Prepared,
        before: &Prompts,
        after: &Prompts,
        comparison: Option<&Comparison>,
    ) -> Result<Adoption, OptimizeError> {
        let Some(comparison) = comparison else {
            return Ok(Adoption::Refused("nothing was held out".to_owned()));
        };
        if before == after {
            let reason = "the search found nothing better than the prompts in use";
            return Ok(Adoption::Refused(reason.to_owned()));
        }
        if let Err(reason) = comparison.verdict(&self.rule) {
            return Ok(Adoption::Refused(reason));
        }
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

    async fn evaluate_with(
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

/// A path as people write it, from the current directory where it is below.
pub(crate) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here)
        .unwrap_or(path)
        .display()
        .to_string()
}
