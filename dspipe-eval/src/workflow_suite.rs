//! Suites in files: a compiled workflow on a data set, with metrics and gates.
//!
//! ```yaml
//! # evals/topics.eval.yaml
//! suite: topics
//! workflow: workflows/triage.yaml
//! data: data/test.jsonl
//! metrics: [{at: {path: classify.topic, metric: exact}}]
//! gates: {pass_rate: {min: 0.4}}
//! ```
//!
//! One line makes tests of it, in a `[[test]]` target with `harness = false`:
//!
//! ```ignore
//! dspipe_eval::main!(my_crate::workflows::triage::Workflow => "evals/topics.eval.yaml");
//! ```

use std::fs;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dspipe_build::{Record, Training};
use dspipe_runtime::cassette::{Cassettes, Mode};
use dspipe_runtime::lm::BoxFuture;
use dspipe_runtime::read::read_value;
use dspipe_runtime::{Change, Changes, LocalRunner, Workflow, WorkflowDef};
use serde::Deserialize;
use serde_json::Value;

use crate::case::{Case, CaseId, fingerprint, hex};
use crate::gate::Gate;
use crate::harness::is_live;
use crate::metric::{Metric, Registry};
use crate::record::record;
use crate::result::Execution;
use crate::suite::{Metrics, Suite};
use crate::yaml::from_yaml;

/// What a file of a suite says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    suite: String,
    /// The workflow file, to be sure that it is that of the compiled workflow.
    workflow: PathBuf,
    data: OneOrMore,
    metrics: Value,
    #[serde(default)]
    gates: Value,
    #[serde(default = "once")]
    repeats: u32,
    #[serde(default)]
    must_pass: bool,
    /// So many cases, chosen by a hash of their inputs; all without it.
    sample: Option<usize>,
    cassettes: Option<PathBuf>,
}

fn once() -> u32 {
    1
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(PathBuf),
    More(Vec<PathBuf>),
}

/// A suite in a file, of a compiled workflow.
///
/// Cases are answered from recordings (`evals/cassettes/<suite>` of the package, or `cassettes:`);
/// `DSPIPE_RECORD=new` records what is missing, and `DSPIPE_LIVE=1` asks models. Inputs and expected outputs are
/// held against the workflow when the suite is opened; expected outputs, and those that metrics see, are by step,
/// then by field.
pub struct WorkflowSuite<W> {
    name: String,
    directory: PathBuf,
    cases: Result<Vec<Case>, String>,
    metrics: Metrics,
    gates: Vec<Gate>,
    repeats: u32,
    must_pass: bool,
    runner: LocalRunner,
    workflow: PhantomData<fn() -> W>,
}

impl<W: Workflow + 'static> WorkflowSuite<W> {
    /// Reads a suite of the package in this directory. What is wrong with the file fails its tests.
    ///
    /// `metrics` are what the file can name as `rust: name`.
    pub fn open(
        package: impl AsRef<Path>,
        file: impl AsRef<Path>,
        metrics: Vec<(String, Arc<dyn Metric>)>,
    ) -> Self {
        let (package, file) = (package.as_ref(), file.as_ref());
        Self::read(package, file, metrics).unwrap_or_else(|problem| Self {
            name: file.to_string_lossy().into_owned(),
            directory: package.to_owned(),
            cases: Err(problem),
            metrics: Metrics::one("none", Nothing),
            gates: Vec::new(),
            repeats: 1,
            must_pass: false,
            runner: LocalRunner::new(),
            workflow: PhantomData,
        })
    }

    fn read(
        package: &Path,
        file: &Path,
        known: Vec<(String, Arc<dyn Metric>)>,
    ) -> Result<Self, String> {
        let path = package.join(file);
        let wrong = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
        let text = fs::read_to_string(&path).map_err(|error| wrong(&error))?;
        let value = from_yaml(&text).map_err(|errors| wrong(&errors))?;
        let written = Written::deserialize(value).map_err(|error| wrong(&error))?;
        let compiled = workflow_file(package, W::DEF);
        let named = package.join(&written.workflow);
        if fs::canonicalize(&compiled).ok() != fs::canonicalize(&named).ok() {
            return Err(wrong(&format_args!(
                "it is of {}, and the compiled workflow is of {}",
                named.display(),
                compiled.display()
            )));
        }
        let files: Vec<PathBuf> = match written.data {
            OneOrMore::One(file) => vec![package.join(file)],
            OneOrMore::More(files) => files.iter().map(|file| package.join(file)).collect(),
        };
        let records = Training::read_with(&compiled, &files)
            .map_err(|invalid| invalid.to_string())?
            .records;
        let mut cases = cases(records).map_err(|problem| wrong(&problem))?;
        if let Some(sample) = written.sample {
            cases = sampled(cases, sample);
        }
        let cassettes = match written.cassettes {
            Some(directory) => package.join(directory),
            None => package.join("evals/cassettes").join(&written.suite),
        };
        let mut runner = LocalRunner::from_env();
        if !is_live() {
            runner = runner.with_cassettes(Cassettes::open(cassettes, Mode::None));
        }
        let registry = known
            .into_iter()
            .fold(Registry::new(runner.clone()), |registry, (name, metric)| {
                registry.with(name, Shared(metric))
            });
        let metrics =
            Metrics::parse(&written.metrics, &registry).map_err(|errors| wrong(&errors))?;
        let gates = match written.gates {
            Value::Null => Vec::new(),
            gates => {
                Gate::parse(&gates, &metrics, written.repeats).map_err(|errors| wrong(&errors))?
            }
        };
        Ok(Self {
            name: written.suite,
            directory: path.parent().unwrap_or(package).to_owned(),
            cases: Ok(cases),
            metrics,
            gates,
            repeats: written.repeats,
            must_pass: written.must_pass,
            runner,
            workflow: PhantomData,
        })
    }

    /// The workflow's steps as another sample of the same calls.
    fn repetition(repetition: u32) -> Changes {
        let change = Change {
            repetition,
            ..Change::default()
        };
        let steps = W::DEF.steps.iter();
        steps.fold(Changes::none(), |changes, step| match repetition {
            0 => changes,
            _ => changes.with(step.workflow, step.step, change.clone()),
        })
    }
}

fn workflow_file(package: &Path, def: &WorkflowDef) -> PathBuf {
    let path = def
        .source
        .rsplit_once(':')
        .map_or(def.source, |(path, _)| path);
    package.join(path)
}

/// Cases, each named by its file and line.
fn cases(records: Vec<Record>) -> Result<Vec<Case>, String> {
    let all = records.into_iter();
    all.map(|record| {
        let (file, line) = record
            .source
            .rsplit_once(':')
            .unwrap_or((&record.source, "1"));
        let stem = Path::new(file).file_stem().unwrap_or_default();
        let id = format!("{}-{line}", stem.to_string_lossy());
        let expected = record.outputs.into_iter();
        let expected = expected.map(|(step, fields)| (step, Value::Object(fields)));
        Ok(Case {
            id: id
                .parse()
                .map_err(|error: crate::case::NoCaseId| error.to_string())?,
            input: Value::Object(record.inputs),
            expected: Some(Value::Object(expected.collect())),
        })
    })
    .collect()
}

/// So many of them, the same ones whatever else is there, in their order.
fn sampled(mut cases: Vec<Case>, count: usize) -> Vec<Case> {
    let mut hashes: Vec<String> = cases
        .iter()
        .map(|case| fingerprint(&case.input, None))
        .collect();
    hashes.sort_unstable();
    if let Some(limit) = hashes.get(count) {
        cases.retain(|case| fingerprint(&case.input, None) < *limit);
    }
    cases
}

impl<W: Workflow + 'static> Suite for WorkflowSuite<W> {
    fn name(&self) -> &str {
        &self.name
    }

    fn cases(&self) -> Result<Vec<CaseId>, String> {
        let cases = self.cases.as_ref().map_err(Clone::clone)?;
        Ok(cases.iter().map(|case| case.id.clone()).collect())
    }

    fn case(&self, index: usize) -> Result<Case, String> {
        let cases = self.cases.as_ref().map_err(Clone::clone)?;
        let case = cases.get(index).cloned();
        case.ok_or_else(|| format!("there is no case {index}"))
    }

    fn run<'a>(&'a self, case: &'a Case, repetition: u32) -> BoxFuture<'a, Execution> {
        Box::pin(async move {
            let inputs = match read_value::<W::Inputs>(case.input.clone()) {
                Ok(inputs) => inputs,
                Err(error) => {
                    return Execution {
                        output: Err(error.to_string()),
                        steps: Vec::new(),
                        cost: None,
                        latency: 0.0,
                    };
                }
            };
            let runner = self
                .runner
                .clone()
                .with_changes(Self::repetition(repetition));
            record(&runner, async |runner| W::run(runner, inputs).await).await
        })
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
        for step in W::DEF.steps {
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
}

impl<W> std::fmt::Debug for WorkflowSuite<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkflowSuite")
            .field("name", &self.name)
            .field("cases", &self.cases.as_ref().map(Vec::len))
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

/// The whole of a test target: the suites in these files, each of a compiled workflow, with the Rust metrics that
/// they name.
///
/// ```ignore
/// dspipe_eval::main!(
///     workflows::triage::Workflow => "evals/topics.eval.yaml",
///     workflows::answer::Workflow => "evals/answers.eval.yaml" with {"kind": from_fn(kind)},
/// );
/// ```
#[macro_export]
macro_rules! main {
    ($($workflow:ty => $file:literal $(with {$($name:literal: $metric:expr),* $(,)?})?),+ $(,)?) => {
        fn main() -> ::std::process::ExitCode {
            let harness = $crate::harness::Harness::new(env!("CARGO_TARGET_TMPDIR"));
            $(
                let metrics: ::std::vec::Vec<(
                    ::std::string::String,
                    ::std::sync::Arc<dyn $crate::metric::Metric>,
                )> = ::std::vec![
                    $($((::std::string::String::from($name), ::std::sync::Arc::new($metric) as _)),*)?
                ];
                let suite = $crate::WorkflowSuite::<$workflow>::open(
                    env!("CARGO_MANIFEST_DIR"),
                    $file,
                    metrics,
                );
                let harness = harness.with(::std::sync::Arc::new(suite));
            )+
            harness.main()
        }
    };
}
