//! Suites in files: a compiled workflow, or one of its steps, on a data set, with metrics and gates.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::case::{Case, CaseId, hex};
use crate::gate::Gate;
use crate::harness::is_live;
use crate::history::Recording;
use crate::metric::{Metric, Registry};
use crate::result::{CaseResult, Execution};
use crate::snapshot::Snapshots;
use crate::stored::StoredCases;
use crate::suite::{Metrics, Suite};
use crate::target::{OfStep, OfWorkflow, Target};
use dspipe_runtime::cassette::{Cassettes, Mode};
use dspipe_runtime::lm::BoxFuture;
use dspipe_runtime::{Change, Changes, LocalRunner, Read, Signature, Workflow};

/// A suite in a file, `evals/topics.eval.yaml` for example.
///
/// Cases are answered from recordings (`evals/cassettes/<suite>` of the package, or `cassettes:`);
/// `DSPIPE_RECORD=new` records what is missing, and `DSPIPE_LIVE=1` asks models. With the feature `history`, live runs
/// are recorded with their scores in the history that `DSPIPE_HISTORY` names, seen from the package. The expected output of a workflow,
/// and the one that metrics see, is by step, then by field; that of a step is by field.
pub struct FileSuite {
    name: String,
    directory: PathBuf,
    cases: Result<StoredCases, String>,
    metrics: Metrics,
    gates: Vec<Gate>,
    repeats: u32,
    must_pass: bool,
    snapshots: Option<Snapshots>,
    /// Where it is answered from, unless it asks models.
    recordings: Option<PathBuf>,
    runner: LocalRunner,
    target: Arc<dyn Target>,
    /// Where live runs are recorded.
    history: Option<Recording>,
}

impl FileSuite {
    /// Reads a suite of the package in this directory, which must be of this workflow. What is wrong with the file
    /// fails its tests.
    ///
    /// `metrics` are what the file can name as `rust: name`.
    pub fn of_workflow<W: Workflow + 'static>(
        package: impl AsRef<Path>,
        file: impl AsRef<Path>,
        metrics: Vec<(String, Arc<dyn Metric>)>,
    ) -> Self {
        let target = Arc::new(OfWorkflow::<W>::new());
        Self::open(package.as_ref(), file.as_ref(), metrics, target)
    }

    /// The same for a suite of one step: `S` is the type `Step` in the step's module.
    pub fn of_step<S>(
        package: impl AsRef<Path>,
        file: impl AsRef<Path>,
        metrics: Vec<(String, Arc<dyn Metric>)>,
    ) -> Self
    where
        S: Signature + 'static,
        S::Input: Read,
    {
        let target = Arc::new(OfStep::<S>::new());
        Self::open(package.as_ref(), file.as_ref(), metrics, target)
    }

    fn open(
        package: &Path,
        file: &Path,
        metrics: Vec<(String, Arc<dyn Metric>)>,
        target: Arc<dyn Target>,
    ) -> Self {
        Self::read(package, file, metrics, Arc::clone(&target)).unwrap_or_else(|problem| Self {
            name: file.to_string_lossy().into_owned(),
            directory: package.to_owned(),
            cases: Err(problem),
            metrics: Metrics::one("none", Nothing),
            gates: Vec::new(),
            repeats: 1,
            must_pass: false,
            snapshots: None,
            recordings: None,
            runner: LocalRunner::new(),
            target,
            history: None,
        })
    }

    fn read(
        package: &Path,
        file: &Path,
        known: Vec<(String, Arc<dyn Metric>)>,
        target: Arc<dyn Target>,
    ) -> Result<Self, String> {
        let wrong = |problem: &dyn std::fmt::Display| format!("{}: {problem}", file.display());
        let mut cases = StoredCases::default();
        let mut unnamed = None;
        let mut take = |case| {
            if let Err(error) = cases.add(case, target.step()) {
                unnamed = unnamed.take().or(Some(error));
            }
        };
        let suite = dspipe_build::Suite::read(package, file, &mut take);
        let suite = suite.map_err(|invalid| invalid.to_string())?;
        let compiled = package.join(target.source());
        let named = package.join(&suite.workflow);
        if fs::canonicalize(&compiled).ok() != fs::canonicalize(&named).ok() {
            return Err(wrong(&format_args!(
                "it is of {}, and the compiled workflow is of {}",
                named.display(),
                compiled.display()
            )));
        }
        if suite.step.as_deref() != target.step() {
            let what = |step: Option<&str>| match step {
                Some(step) => format!("of the step `{step}`"),
                None => "of the whole workflow".to_owned(),
            };
            return Err(wrong(&format_args!(
                "it is {}, and is opened as one {}",
                what(suite.step.as_deref()),
                what(target.step())
            )));
        }
        if let Some(error) = unnamed {
            return Err(wrong(&error));
        }
        cases.tag_all(&suite.tags);
        if let Some(sample) = suite.sample {
            cases.sample(sample);
        }
        let directory = match suite.cassettes {
            Some(directory) => package.join(directory),
            None => package.join("evals/cassettes").join(&suite.name),
        };
        let mut runner = LocalRunner::from_env();
        let recordings = (!is_live()).then_some(directory);
        if let Some(directory) = &recordings {
            runner = runner.with_cassettes(Cassettes::open(directory, Mode::None));
        }
        let history = match &recordings {
            // What was recorded once is not another execution.
            Some(_) => None,
            None => Recording::from_env(package)?,
        };
        let registry = known
            .into_iter()
            .fold(Registry::new(runner.clone()), |registry, (name, metric)| {
                registry.with(name, Shared(metric))
            });
        let metrics = Metrics::parse(&suite.metrics, &registry).map_err(|errors| wrong(&errors))?;
        let gates =
            Gate::parse(&suite.gates, &metrics, suite.repeats).map_err(|errors| wrong(&errors))?;
        let path = package.join(file);
        let directory = path.parent().unwrap_or(package).to_owned();
        let snapshots = match suite.snapshots {
            Some(rules) => Some(
                Snapshots::new(directory.join("snapshots"), &rules)
                    .map_err(|problem| wrong(&problem))?,
            ),
            None => None,
        };
        Ok(Self {
            name: suite.name,
            directory,
            cases: Ok(cases),
            metrics,
            gates,
            repeats: suite.repeats,
            must_pass: suite.must_pass,
            snapshots,
            recordings,
            runner,
            target,
            history,
        })
    }

    /// The steps as another sample of the same calls.
    fn repetition(&self, repetition: u32) -> Changes {
        let change = Change {
            repetition,
            ..Change::default()
        };
        let steps = self.target.steps().iter();
        steps.fold(Changes::none(), |changes, step| match repetition {
            0 => changes,
            _ => changes.with(step.workflow, step.step, change.clone()),
        })
    }
}

impl Suite for FileSuite {
    fn name(&self) -> &str {
        &self.name
    }

    fn cases(&self) -> Result<Vec<CaseId>, String> {
        let cases = self.cases.as_ref().map_err(Clone::clone)?;
        Ok(cases.ids().cloned().collect())
    }

    fn case(&self, index: usize) -> Result<Case, String> {
        self.cases.as_ref().map_err(Clone::clone)?.get(index)
    }

    fn tags(&self, index: usize) -> &[String] {
        self.cases.as_ref().map_or(&[], |cases| cases.tags(index))
    }

    fn run<'a>(&'a self, case: &'a Case, repetition: u32) -> BoxFuture<'a, Execution> {
        Box::pin(async move {
            let runner = self
                .runner
                .clone()
                .with_changes(self.repetition(repetition));
            let history = self.history.as_ref();
            self.target.run(&runner, history, case.input.clone()).await
        })
    }

    fn scored(&self, result: &CaseResult) {
        if let (Some(history), Some(run), None) = (&self.history, &result.run, &result.error) {
            history.score(run, self.target.step(), result.score);
        }
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn gates(&self) -> &[Gate] {
        &self.gates
    }

    fn directory(&self) -> PathBuf {
        self.directory.clone()
    }

    fn fingerprint(&self) -> String {
        use sha2::Digest as _;
        let mut hash = sha2::Sha256::new();
        for step in self.target.steps() {
            hash.update(step.instructions);
            hash.update(step.output_schema);
            hash.update(format!("{:?}{:?}", step.demos, step.optimized));
        }
        hex(&hash.finalize()[..8])
    }

    fn repeat(&self) -> u32 {
        self.repeats
    }

    fn must_pass(&self) -> bool {
        self.must_pass
    }

    fn recordings(&self) -> Option<&Path> {
        self.recordings.as_deref()
    }

    fn snapshots(&self) -> Option<&Snapshots> {
        // What a model says today is not what it says tomorrow.
        self.snapshots
            .as_ref()
            .filter(|_| self.recordings.is_some())
    }
}

impl std::fmt::Debug for FileSuite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileSuite")
            .field("name", &self.name)
            .field("cases", &self.cases.as_ref().map(StoredCases::len))
            .finish_non_exhaustive()
    }
}

/// The metric of a suite that cannot be read, which has no cases.
#[derive(Debug)]
struct Nothing;

impl Metric for Nothing {
    fn score<'a>(
        &'a self,
        _: &'a crate::metric::Sample<'a>,
    ) -> BoxFuture<'a, Result<crate::metric::Score, crate::metric::MetricError>> {
        Box::pin(std::future::ready(Ok(crate::metric::Score::default())))
    }
}

/// A metric that others have too.
#[derive(Debug)]
struct Shared(Arc<dyn Metric>);

impl Metric for Shared {
    fn score<'a>(
        &'a self,
        sample: &'a crate::metric::Sample<'a>,
    ) -> BoxFuture<'a, Result<crate::metric::Score, crate::metric::MetricError>> {
        self.0.score(sample)
    }

    fn needs_expected(&self) -> bool {
        self.0.needs_expected()
    }
}
