//! Suites as tests: one for each case and one for each gate, under `cargo test` and `cargo nextest run`.
//!
//! Each case is run once in a run, however many tests and processes look at its result. The test of a case
//! fails on errors; what the scores must reach, gates say.
//!
//! ```no_run
//! // tests/evals.rs, with `harness = false` in Cargo.toml
//! use dspipe_eval::harness::Harness;
//! # struct Triage;
//! # fn suite() -> std::sync::Arc<dyn dspipe_eval::Suite> { unimplemented!() }
//!
//! fn main() -> std::process::ExitCode {
//!     Harness::new(std::env::temp_dir()).with(suite()).main()
//! }
//! ```

mod progress;
mod run;
mod settings;
mod store;

use std::collections::HashSet;
use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use sha2::{Digest as _, Sha256};

use crate::case::{CaseId, hex};
use crate::report;
use crate::snapshot::AssertSnapshot;
use crate::suite::Suite;
use run::{SuiteRun, gates_of};
use settings::RunDirectory;
pub use settings::{BadSetting, RunId, Settings, Tags, is_live};
use store::Store;

/// Runs suites as tests.
pub struct Harness {
    directory: PathBuf,
    suites: Vec<Arc<dyn Suite>>,
    assert_snapshot: Option<AssertSnapshot>,
}

impl std::fmt::Debug for Harness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Harness")
            .field("directory", &self.directory)
            .field("suites", &self.suites.len())
            .finish_non_exhaustive()
    }
}

/// What a test looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Case(usize),
    Gate(usize),
}

/// A suite with the names of its tests, or why it has none.
struct Listed {
    suite: Arc<dyn Suite>,
    /// Each with its position in the suite.
    cases: Result<Vec<(usize, CaseId)>, String>,
}

impl Harness {
    /// Without suites; results go below this directory, `env!("CARGO_TARGET_TMPDIR")` in a test target.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let test = env::current_exe().ok();
        let test = test
            .as_deref()
            .and_then(Path::file_stem)
            .unwrap_or("evals".as_ref());
        Self {
            directory: directory.into().join("dspipe-eval").join(test),
            suites: Vec::new(),
            assert_snapshot: None,
        }
    }

    /// Holds snapshots of suites that have some by this function; [`main!`](crate::main) gives insta's.
    #[must_use]
    pub fn snapshots(mut self, assert: AssertSnapshot) -> Self {
        self.assert_snapshot = Some(assert);
        self
    }

    /// With one more suite.
    #[must_use]
    pub fn with(mut self, suite: Arc<dyn Suite>) -> Self {
        self.suites.push(suite);
        self
    }

    /// Does what the command line and the environment say, and gives the process's exit code.
    pub fn main(self) -> ExitCode {
        let arguments = Arguments::from_args();
        match Settings::from_env() {
            Ok(settings) => self.run(&arguments, &settings).exit_code(),
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        }
    }

    /// Runs the tests that the arguments select.
    pub fn run(self, arguments: &Arguments, settings: &Settings) -> Conclusion {
        let mut settings = settings.clone();
        if let Some(threads) = arguments.test_threads {
            settings.concurrency = threads.max(1);
        }
        let listed = self.suites.iter().map(|suite| Listed::of(suite, &settings));
        let listed: Vec<Listed> = listed.filter(|it| it.is_wanted(&settings)).collect();
        let mut repeated = repeated(&self.suites);
        if listed.is_empty() && !settings.tags.is_all() {
            let problem = "no case has the tags that DSPIPE_TAGS wants";
            repeated.push(Trial::test(
                "dspipe_eval::tags",
                move || Err(problem.into()),
            ));
        }
        if arguments.list {
            let names = listed.iter().flat_map(Listed::names);
            let trials = names.map(|(name, _)| Trial::test(name, || Ok(())));
            return libtest_mimic::run(arguments, trials.chain(repeated).collect());
        }
        let mut trials: Vec<Trial> = repeated;
        let directory = match RunDirectory::open(&self.directory, &settings, &fingerprint(&listed))
        {
            Ok(directory) => directory,
            Err(error) => {
                let problem = format!(
                    "results cannot be written to {}: {error}",
                    self.directory.display()
                );
                trials.push(Trial::test("dspipe_eval", move || Err(problem.into())));
                return libtest_mimic::run(arguments, trials);
            }
        };
        if directory.resumed {
            match &settings.run {
                RunId::Named { name, .. } => eprintln!("going on with the run `{name}`"),
                _ => eprintln!(
                    "going on with the run that was interrupted; DSPIPE_RESUME=0 starts anew"
                ),
            }
        }
        let runtime = match tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
        {
            Ok(runtime) => runtime,
            Err(error) => {
                let problem = format!("no threads can be started: {error}");
                trials.push(Trial::test("dspipe_eval", move || Err(problem.into())));
                return libtest_mimic::run(arguments, trials);
            }
        };
        let mut ran = Vec::new();
        for listed in listed {
            let selected: Vec<Option<What>> = listed
                .names()
                .filter(|(name, _)| is_selected(arguments, name))
                .map(|(_, what)| what)
                .collect();
            if selected.is_empty() {
                // They are filtered out, and counted as such.
                let others = listed.names().map(|(name, _)| name);
                trials.extend(others.map(|name| Trial::test(name, || Err("not selected".into()))));
                continue;
            }
            let selected: Vec<What> = selected.into_iter().flatten().collect();
            match listed.start(&directory, &settings, self.assert_snapshot) {
                Ok(run) => {
                    execute(&runtime, &run, &selected, &directory, &settings);
                    trials.extend(run_trials(&run, &settings));
                    ran.push((run, selected));
                }
                Err((name, problem)) => {
                    trials.push(Trial::test(name, move || Err(problem.into())));
                }
            }
        }
        let conclusion = libtest_mimic::run(arguments, trials);
        if !settings.is_shared() {
            for (run, selected) in &ran {
                show(run, selected);
            }
        }
        if ran.iter().all(|(run, _)| run.is_whole())
            && settings.run == RunId::Own
            && let Err(error) = directory.end()
        {
            eprintln!("the run cannot be marked as done: {error}");
        }
        conclusion
    }
}

impl Listed {
    fn of(suite: &Arc<dyn Suite>, settings: &Settings) -> Self {
        let cases = suite.cases().and_then(|ids| {
            let mut seen = HashSet::new();
            if let Some(id) = ids.iter().find(|id| !seen.insert(*id)) {
                return Err(format!("two cases are named `{id}`"));
            }
            let cases = ids.into_iter().enumerate();
            let tags = &settings.tags;
            let selected = |(at, _): &(usize, _)| tags.is_all() || tags.select(suite.tags(*at));
            Ok(cases.filter(selected).collect())
        });
        let suite = Arc::clone(suite);
        Self { suite, cases }
    }

    /// A suite of which no case has the tags that are wanted is left out.
    fn is_wanted(&self, settings: &Settings) -> bool {
        settings.tags.is_all() || self.cases.as_ref().is_ok_and(|cases| !cases.is_empty())
    }

    /// The names of the tests.
    fn names(&self) -> impl Iterator<Item = (String, Option<What>)> + '_ {
        let suite = self.suite.name();
        let cases = self.cases.as_deref().unwrap_or_default();
        let broken = self
            .cases
            .is_err()
            .then(|| (format!("{suite}::cases"), None));
        let gates = gates_of(&*self.suite);
        let gates = if broken.is_some() { Vec::new() } else { gates };
        let cases = cases.iter().enumerate();
        let cases = cases
            .map(move |(index, (_, id))| (format!("{suite}::case::{id}"), Some(What::Case(index))));
        let gates = gates.into_iter().enumerate();
        let gates = gates.map(move |(index, gate)| {
            (
                format!("{suite}::gate::{}", gate.name()),
                Some(What::Gate(index)),
            )
        });
        cases.chain(gates).chain(broken)
    }

    /// Opens the results of the suite; the error is the name of a test and why it fails.
    fn start(
        self,
        directory: &RunDirectory,
        settings: &Settings,
        assert_snapshot: Option<AssertSnapshot>,
    ) -> Result<Arc<SuiteRun>, (String, String)> {
        let name = self.suite.name();
        let failed = |problem: String| (format!("{name}::cases"), problem);
        let cases = self.cases.map_err(failed)?;
        // Names of suites need not be names of files.
        let plain = |c: char| {
            if c.is_alphanumeric() || "-_".contains(c) {
                c
            } else {
                '_'
            }
        };
        let path = directory
            .path
            .join(name.chars().map(plain).collect::<String>());
        let store =
            Store::open(path, settings.is_shared()).map_err(|error| failed(error.to_string()))?;
        let run = directory.name.clone();
        let suite = Arc::clone(&self.suite);
        Ok(Arc::new(SuiteRun::new(
            suite,
            cases,
            store,
            settings.clone(),
            run,
            assert_snapshot,
        )))
    }
}

/// Whether the arguments select a test. There are no ignored tests and no benchmarks.
fn is_selected(arguments: &Arguments, name: &str) -> bool {
    let probe = Trial::test(name, || Ok(()));
    !arguments.ignored && !arguments.bench && !arguments.is_filtered_out(&probe)
}

/// Runs the cases that the selected tests look at: those of case tests, and all for a gate.
fn execute(
    runtime: &tokio::runtime::Runtime,
    run: &Arc<SuiteRun>,
    selected: &[What],
    directory: &RunDirectory,
    settings: &Settings,
) {
    if directory.resumed {
        eprintln!("{}", run.resume());
    }
    let wants_all = selected.iter().any(|what| matches!(what, What::Gate(_)));
    let wanted: Vec<usize> = if wants_all {
        (0..run.ids.len()).collect()
    } else {
        let cases = selected.iter().filter_map(|what| match what {
            What::Case(index) => Some(*index),
            What::Gate(_) => None,
        });
        cases.collect()
    };
    // Another try at a case runs it again; another try at a gate looks again.
    let again = settings.again && !wants_all;
    runtime.block_on(run.execute(&wanted, again));
}

fn run_trials(run: &Arc<SuiteRun>, settings: &Settings) -> Vec<Trial> {
    let suite = run.suite.name();
    let mut trials = Vec::with_capacity(run.ids.len() + run.gates.len());
    for (index, id) in run.ids.iter().enumerate() {
        let run = Arc::clone(run);
        let name = format!("{suite}::case::{id}");
        trials.push(Trial::test(name, move || {
            run.judge_case(index).map_err(Failed::from)
        }));
    }
    for (index, gate) in run.gates.iter().enumerate() {
        let run = Arc::clone(run);
        // Of the processes that share a run, the one of the first gate writes the report.
        let writes = settings.is_shared() && index == 0;
        trials.push(Trial::test(
            format!("{suite}::gate::{}", gate.name()),
            move || {
                if writes {
                    let all: Vec<What> = (0..run.gates.len()).map(What::Gate).collect();
                    show(&run, &all);
                }
                let verdict = run.judge_gate(index);
                if verdict.passed {
                    Ok(())
                } else {
                    Err(verdict.to_string().into())
                }
            },
        ));
    }
    trials
}

/// Writes the reports and shows the table.
fn show(run: &SuiteRun, selected: &[What]) {
    let gates = selected.iter().filter_map(|what| match what {
        What::Gate(index) => Some(*index),
        What::Case(_) => None,
    });
    match run.write(&gates.collect::<Vec<_>>()) {
        Ok((report, page)) => eprintln!("{}  report  {page}\n", report::table(&report)),
        Err(error) => eprintln!("{}: {error}", run.suite.name()),
    }
}

/// A failing test for each name, or place of recordings, that two suites have.
fn repeated(suites: &[Arc<dyn Suite>]) -> Vec<Trial> {
    let mut seen = HashSet::new();
    let twice = suites.iter().filter(|suite| !seen.insert(suite.name()));
    let trials = twice.map(|suite| {
        let name = suite.name();
        let problem = format!("two suites are named `{name}`");
        Trial::test(format!("{name}::name"), move || Err(problem.into()))
    });
    let mut places = HashSet::new();
    let shared = suites.iter().filter_map(|suite| {
        let place = suite.recordings()?;
        (!places.insert(place)).then_some((suite, place))
    });
    let shared = shared.map(|(suite, place)| {
        let problem = format!(
            "another suite has its recordings in {}, too: which of them nobody uses could not be told",
            place.display()
        );
        Trial::test(format!("{}::recordings", suite.name()), move || {
            Err(problem.into())
        })
    });
    trials.chain(shared).collect()
}

/// Tells whether two runs are of the same cases.
fn fingerprint(listed: &[Listed]) -> String {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    for listed in listed {
        part(listed.suite.name());
        part(&listed.suite.fingerprint());
        part(&listed.suite.metrics().to_string());
        for (_, id) in listed.cases.as_deref().unwrap_or_default() {
            part(id.as_str());
        }
    }
    hex(&hash.finalize()[..8])
}
