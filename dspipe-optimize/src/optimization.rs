//! What an optimization is told.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dspipe_build::{Settings, Stage};
use dspipe_eval::metric::Metric;
use dspipe_history::training::Shares;
use dspipe_runtime::lm::{Budget, BudgetLimits, Prices};
use dspipe_runtime::{Changes, LmName, LocalRunner, Workflow, WorkflowDef};

use crate::bridge::BridgeSettings;
use crate::data::Example;
use crate::engine::{Engine, written_prompts};
use crate::error::OptimizeError;
use crate::outcome::{Outcome, Spending};
use crate::prepare::Purpose;
use crate::program::{Compiled, Program};
use crate::progress::Reporter;
use crate::validate::{EvaluatedCase, Evaluation, Rule};

/// An optimization of a compiled workflow.
///
/// ```no_run
/// # async fn example<W: dspipe_runtime::Workflow + 'static>() -> Result<(), Box<dyn std::error::Error>> {
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
    pub(crate) held_out: Vec<PathBuf>,
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
    pub(crate) from_scratch: bool,
    /// Whether prompts that are better are put into the file.
    pub(crate) adopts: bool,
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
            held_out: Vec::new(),
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
            from_scratch: false,
            adopts: true,
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

    /// Compares candidates by the examples of these files, in place of those of the workflow's
    /// `validation_examples_path`.
    #[must_use]
    pub fn validation<P: Into<PathBuf>>(mut self, files: impl IntoIterator<Item = P>) -> Self {
        self.validation = files.into_iter().map(Into::into).collect();
        self
    }

    /// Decides by the examples of these files, which no optimizer sees, in place of those of the workflow's
    /// `test_examples_path`. Without any a part of the training examples is held out.
    #[must_use]
    pub fn held_out<P: Into<PathBuf>>(mut self, files: impl IntoIterator<Item = P>) -> Self {
        self.held_out = files.into_iter().map(Into::into).collect();
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

    /// Begins with the prompts of the workflow file, not with optimized ones that are compiled in. What is found
    /// must then be better than both.
    #[must_use]
    pub fn from_scratch(mut self, from_scratch: bool) -> Self {
        self.from_scratch = from_scratch;
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

    /// Scores the program on the held-out examples: as it is compiled, or [from scratch](Self::from_scratch).
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn evaluate(&self) -> Result<Evaluation, OptimizeError> {
        self.evaluate_those(None).await
    }

    /// The same on the held-out example that has this [`id`](Example::id) or [`source`](Example::source); of the latter,
    /// directories may be left out.
    ///
    /// # Errors
    /// As [`Self::run`], and [`OptimizeError::Settings`] if there is no such example.
    pub async fn evaluate_named(&self, example: &str) -> Result<Evaluation, OptimizeError> {
        self.evaluate_those(Some(example)).await
    }

    async fn evaluate_those(&self, only: Option<&str>) -> Result<Evaluation, OptimizeError> {
        let prepared = self.prepare(Purpose::Evaluate)?;
        let budget = Budget::new(self.limits, Prices::from_env()?);
        let engine = Engine {
            program: Arc::clone(&self.program),
            runner: self.runner.clone().with_budget(budget.clone()),
            metric: Arc::clone(&prepared.metric.1),
        };
        let reporter = Arc::new(Reporter::new(self.shown));
        let mut held_out = prepared.data.held_out;
        if let Some(only) = only {
            held_out.retain(|example| is_named(example, only));
            if held_out.is_empty() {
                return Err(OptimizeError::Settings(format!(
                    "no held-out example is called `{only}`; names read as `test-3`, or as `data/test.jsonl:3`"
                )));
            }
        }
        reporter.phase("evaluating", held_out.len(), Spending::default(), &budget);
        let prompts = self.from_scratch.then(|| written_prompts(self.def()));
        let evaluation = self
            .evaluate_with(&engine, &held_out, prompts.as_ref(), &reporter)
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

    /// Searches, validates, and adopts what is better.
    ///
    /// Dropping the future stops everything; what was answered until then is kept, and the next run with the
    /// same settings goes on from there.
    ///
    /// # Errors
    /// [`OptimizeError`] tells why there is no result. The prompts in use are then as they were.
    pub async fn run(&self) -> Result<Outcome, OptimizeError> {
        let prepared = self.prepare(Purpose::Optimize)?;
        let reporter = Arc::new(Reporter::new(self.shown));
        let outcome = self.search_and_validate(&prepared, &reporter).await;
        reporter.end();
        outcome
    }
}

/// Whether an example is meant by its name or its place, with as many directories as one likes to write.
fn is_named(example: &Example, name: &str) -> bool {
    let place = example.source.strip_suffix(name);
    example.id == name || place.is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// A path as people write it, from the current directory where it is below.
pub(crate) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here)
        .unwrap_or(path)
        .display()
        .to_string()
}
