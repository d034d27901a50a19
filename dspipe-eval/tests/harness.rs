//! The harness as its users see it: a test target of its own, under `cargo test` and under nextest.
//!
//! The program is both: with `DSPIPE_FIXTURE` in the environment it is a test target with a suite, otherwise
//! it holds the tests that run it so.

#![expect(
    clippy::unwrap_used,
    reason = "a test, though one without the usual harness"
)]

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::sync::Arc;

use dspipe_build::SnapshotRules;
use dspipe_eval::harness::Harness;
use dspipe_eval::metric::Registry;
use dspipe_eval::{Case, CaseId, Execution, Gate, Metrics, Snapshots, Suite};
use dspipe_runtime::cassette::{Cassettes, Mode};
use dspipe_runtime::lm::{BoxFuture, Lm, LmError, Message, Params, Reply, Request};
use dspipe_runtime::{LmName, Lms, LocalRunner};
use libtest_mimic::{Arguments, Trial};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const FIXTURE: &str = "DSPIPE_FIXTURE";

fn main() -> ExitCode {
    if let Ok(fixture) = env::var(FIXTURE) {
        let fixture: Fixture = serde_json::from_str(&fixture).unwrap();
        let directory = fixture.directory.clone();
        let code = Harness::new(directory)
            .snapshots(dspipe_eval::__assert_snapshot!())
            .with(Arc::new(Numbers::new(fixture)))
            .main();
        if let Ok(status) = fs::read_to_string("/proc/self/status") {
            // The peak of memory.
            let peak = status.lines().find(|line| line.starts_with("VmHWM"));
            eprintln!("{}", peak.unwrap_or_default());
        }
        return code;
    }
    let trials = TESTS.iter().map(|(name, test)| {
        let test = *test;
        Trial::test(*name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

const TESTS: &[(&str, fn())] = &[
    (
        "each_case_runs_once_and_has_a_test",
        each_case_runs_once_and_has_a_test,
    ),
    ("filters_select_what_runs", filters_select_what_runs),
    ("a_list_runs_nothing", a_list_runs_nothing),
    (
        "a_gate_alone_runs_all_that_it_looks_at",
        a_gate_alone_runs_all_that_it_looks_at,
    ),
    (
        "low_scores_fail_the_gate_and_errors_the_case",
        low_scores_fail_the_gate_and_errors_the_case,
    ),
    (
        "cases_must_pass_where_the_suite_says_so",
        cases_must_pass_where_the_suite_says_so,
    ),
    ("an_empty_suite_fails", an_empty_suite_fails),
    (
        "cases_of_one_name_are_refused",
        cases_of_one_name_are_refused,
    ),
    (
        "a_baseline_is_written_and_held_against",
        a_baseline_is_written_and_held_against,
    ),
    (
        "an_interrupted_run_is_gone_on_with",
        an_interrupted_run_is_gone_on_with,
    ),
    (
        "a_budget_stops_and_keeps_what_is_done",
        a_budget_stops_and_keeps_what_is_done,
    ),
    ("bad_settings_are_refused", bad_settings_are_refused),
    ("no_secret_reaches_a_file", no_secret_reaches_a_file),
    (
        "many_cases_take_little_memory",
        many_cases_take_little_memory,
    ),
    ("a_named_run_is_gone_on_with", a_named_run_is_gone_on_with),
    (
        "processes_of_one_run_share_its_results",
        processes_of_one_run_share_its_results,
    ),
    (
        "another_try_at_a_case_runs_it_again",
        another_try_at_a_case_runs_it_again,
    ),
    ("nextest_runs_each_case_once", nextest_runs_each_case_once),
    (
        "recordings_that_nobody_uses_are_told_and_removed",
        recordings_that_nobody_uses_are_told_and_removed,
    ),
    ("one_case_is_recorded_anew", one_case_is_recorded_anew),
    ("tags_select_cases", tags_select_cases),
    (
        "snapshots_hold_what_cases_gave",
        snapshots_hold_what_cases_gave,
    ),
];

/// What the suite does.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Fixture {
    directory: PathBuf,
    cases: usize,
    repeat: u32,
    must_pass: bool,
    gates: Value,
    cost: f64,
    /// Cases with a wrong output.
    wrong: Vec<usize>,
    /// Cases without an output.
    failing: Vec<usize>,
    panicking: Vec<usize>,
    /// Cases that end the process.
    killing: Vec<usize>,
    same_names: bool,
    secret: String,
    /// Asks an LM that replies this, with recordings.
    reply: Option<String>,
    /// Has snapshots.
    snapshots: bool,
}

struct Numbers {
    fixture: Fixture,
    metrics: Metrics,
    gates: Vec<Gate>,
    recordings: Option<PathBuf>,
    runner: LocalRunner,
    snapshots: Option<Snapshots>,
    even: Vec<String>,
}

/// An LM that knows one reply.
#[derive(Debug)]
struct Parrot(LmName, String);

impl Lm for Parrot {
    fn name(&self) -> &LmName {
        &self.0
    }

    fn complete<'a>(&'a self, _: &'a Request) -> BoxFuture<'a, Result<Reply, LmError>> {
        let text = self.1.clone();
        Box::pin(std::future::ready(Ok(Reply {
            text,
            ..Reply::default()
        })))
    }
}

impl Numbers {
    fn new(fixture: Fixture) -> Self {
        let metrics = Metrics::parse(&json!(["exact"]), &Registry::default()).unwrap();
        let gates = Gate::parse(&fixture.gates, &metrics, fixture.repeat).unwrap();
        let recordings = fixture.directory.join("recordings");
        let name: LmName = "test/parrot".parse().unwrap();
        let parrot = Parrot(name, fixture.reply.clone().unwrap_or_default());
        let runner = LocalRunner::new()
            .with_lms(Lms::new().with(Arc::new(parrot)))
            .with_cassettes(Cassettes::open(&recordings, Mode::None));
        let rules = SnapshotRules {
            redact: vec!["time".to_owned()],
            replace: vec![("[0-9]{4}".to_owned(), "YEAR".to_owned())],
        };
        let snapshots = Snapshots::new(fixture.directory.join("snapshots"), &rules).unwrap();
        Self {
            recordings: fixture.reply.is_some().then_some(recordings),
            snapshots: fixture.snapshots.then_some(snapshots),
            runner,
            even: vec!["even".to_owned()],
            fixture,
            metrics,
            gates,
        }
    }
}

impl Suite for Numbers {
    fn name(&self) -> &'static str {
        "numbers"
    }

    fn cases(&self) -> Result<Vec<CaseId>, String> {
        let name = |n: usize| {
            if self.fixture.same_names {
                "x".to_owned()
            } else {
                format!("{n:03}")
            }
        };
        Ok((0..self.fixture.cases)
            .map(|n| name(n).parse().unwrap())
            .collect())
    }

    fn case(&self, index: usize) -> Result<Case, String> {
        Ok(Case {
            id: format!("{index:03}").parse().unwrap(),
            input: json!({"number": index, "secret": self.fixture.secret}),
            expected: Some(json!(index)),
        })
    }

    fn run<'a>(&'a self, case: &'a Case, _: u32) -> BoxFuture<'a, Execution> {
        Box::pin(async move {
            let number = usize::try_from(case.input["number"].as_u64().unwrap()).unwrap();
            let log = self.fixture.directory.join("log");
            let mut log = OpenOptions::new()
                .create(true)
                .append(true)
                .open(log)
                .unwrap();
            log.write_all(format!("{}\n", case.id).as_bytes()).unwrap();
            // Others get their turn, as with a real LM.
            tokio::task::yield_now().await;
            if self.fixture.killing.contains(&number) {
                std::process::exit(42);
            }
            assert!(!self.fixture.panicking.contains(&number), "no such number");
            let output = if self.fixture.wrong.contains(&number) {
                json!(-1)
            } else {
                json!(number)
            };
            let fails = self.fixture.failing.contains(&number);
            let mut output = if fails {
                Err("no reply".to_owned())
            } else {
                Ok(output)
            };
            if self.recordings.is_some() {
                let request = Request {
                    messages: vec![Message::user(format!("What is {number}?"))],
                    schema: None,
                    params: Params::default(),
                };
                let lm = "test/parrot".parse().unwrap();
                if let Err(error) = self.runner.complete(&lm, &request).await {
                    output = Err(error.to_string());
                }
            }
            Execution {
                output,
                steps: Vec::new(),
                cost: Some(self.fixture.cost),
                latency: 0.01,
                run: None,
            }
        })
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn gates(&self) -> &[Gate] {
        &self.gates
    }

    fn directory(&self) -> PathBuf {
        self.fixture.directory.clone()
    }

    fn tags(&self, index: usize) -> &[String] {
        if index.is_multiple_of(2) {
            &self.even
        } else {
            &[]
        }
    }

    fn recordings(&self) -> Option<&Path> {
        self.recordings.as_deref()
    }

    fn snapshots(&self) -> Option<&Snapshots> {
        self.snapshots.as_ref()
    }

    fn repeat(&self) -> u32 {
        self.fixture.repeat
    }

    fn must_pass(&self) -> bool {
        self.fixture.must_pass
    }
}

/// A run of the fixture.
struct Ran {
    output: Output,
    text: String,
}

struct Target {
    directory: tempfile::TempDir,
    fixture: Fixture,
    variables: Vec<(&'static str, String)>,
}

fn target(fixture: Fixture) -> Target {
    let directory = tempfile::tempdir().unwrap();
    let fixture = Fixture {
        directory: directory.path().to_owned(),
        repeat: fixture.repeat.max(1),
        ..fixture
    };
    Target {
        directory,
        fixture,
        variables: Vec::new(),
    }
}

impl Target {
    fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.variables.push((name, value.into()));
    }

    fn dress(&self, command: &mut Command) -> Ran {
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy();
            // The tests themselves may run under nextest.
            if ["NEXTEST", "DSPIPE_", "INSTA_"]
                .iter()
                .any(|it| name.starts_with(it))
            {
                command.env_remove(&*name);
            }
        }
        command.env(FIXTURE, serde_json::to_string(&self.fixture).unwrap());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let output = command.output().unwrap();
        let (out, err) = (&output.stdout, &output.stderr);
        let text = String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(err);
        // Columns are as wide as the longest name.
        let words = |line: &str| {
            if line.starts_with("test ") {
                line.split_whitespace().collect::<Vec<_>>().join(" ")
            } else {
                line.to_owned()
            }
        };
        let text = text.lines().map(words).collect::<Vec<_>>().join("\n");
        Ran { output, text }
    }

    /// Runs the target as `cargo test` does.
    fn run(&self, arguments: &[&str]) -> Ran {
        self.dress(Command::new(env::current_exe().unwrap()).args(arguments))
    }

    /// How often each case has run so far.
    fn log(&self) -> BTreeMap<String, u32> {
        let mut runs = BTreeMap::new();
        let log = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        for case in log.lines() {
            *runs.entry(case.to_owned()).or_default() += 1;
        }
        runs
    }

    /// The files of this name below the directory.
    fn files(&self, name: &str) -> Vec<PathBuf> {
        fn walk(directory: &Path, name: &str, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, name, found);
                } else if path.file_name().is_some_and(|file| file == name) {
                    found.push(path);
                }
            }
        }
        let mut found = Vec::new();
        walk(self.directory.path(), name, &mut found);
        found
    }
}

impl Ran {
    #[track_caller]
    fn passes(&self) {
        assert!(self.output.status.success(), "{}", self.text);
    }

    #[track_caller]
    fn fails_with(&self, parts: &[&str]) {
        assert!(!self.output.status.success(), "{}", self.text);
        self.says(parts);
    }

    #[track_caller]
    fn says(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.text.contains(part), "no `{part}` in:\n{}", self.text);
        }
    }
}

fn five() -> Fixture {
    Fixture {
        cases: 5,
        gates: json!({"pass_rate": {"min": 0.8}}),
        ..Fixture::default()
    }
}

fn once(cases: usize) -> BTreeMap<String, u32> {
    (0..cases).map(|n| (format!("{n:03}"), 1)).collect()
}

fn each_case_runs_once_and_has_a_test() {
    let target = target(five());
    let ran = target.run(&[]);
    ran.passes();
    ran.says(&[
        "test numbers::case::004",
        "test numbers::gate::complete",
        "test numbers::gate::pass_rate",
    ]);
    ran.says(&[
        "7 passed; 0 failed",
        "numbers: 5 cases, 5 runs, 5 passed, 0 errors",
    ]);
    assert_eq!(target.log(), once(5));
    for name in ["cases.jsonl", "report.json", "report.html", "junit.xml"] {
        assert_eq!(target.files(name).len(), 1, "{name}");
    }
}

fn filters_select_what_runs() {
    let target = target(five());
    let ran = target.run(&["case::003"]);
    ran.says(&["1 passed; 0 failed; 0 ignored; 0 measured; 6 filtered out"]);
    assert_eq!(target.log(), BTreeMap::from([("003".to_owned(), 1)]));
    target
        .run(&["--exact", "numbers::case::00"])
        .says(&["0 passed"]);
    target
        .run(&["--exact", "numbers::case::001"])
        .says(&["1 passed"]);
    target
        .run(&["--skip", "gate", "--skip", "case::00"])
        .says(&["0 passed; 0 failed; 0 ignored; 0 measured; 7"]);
    target.run(&["--ignored"]).passes();
    assert_eq!(target.log().len(), 2);
}

fn a_list_runs_nothing() {
    let target = target(five());
    let ran = target.run(&["--list", "--format", "terse"]);
    let names: Vec<&str> = ran
        .text
        .lines()
        .filter(|line| line.ends_with(": test"))
        .collect();
    assert_eq!(names.len(), 7);
    assert_eq!(names[0], "numbers::case::000: test");
    assert!(target.log().is_empty() && target.files("cases.jsonl").is_empty());
}

fn a_gate_alone_runs_all_that_it_looks_at() {
    let target = target(five());
    target.run(&["gate::pass_rate"]).passes();
    assert_eq!(target.log(), once(5));
}

fn low_scores_fail_the_gate_and_errors_the_case() {
    let target = target(Fixture {
        wrong: vec![0, 1],
        failing: vec![2],
        panicking: vec![3],
        ..five()
    });
    let ran = target.run(&[]);
    ran.fails_with(&[
        "3 failed",
        "0.200 of the runs pass (1 of 5)",
        "worst cases (4): 000, 001, 002, 003",
    ]);
    ran.says(&["expected: 0\n    actual: -1\n    feedback: expected `0`, got `-1`"]);
    ran.says(&["error: no reply", "panicked: no such number"]);
    ran.says(&["test numbers::case::000 ... ok"]);
    ran.says(&[
        "test numbers::case::002 ... FAILED",
        "test numbers::case::003 ... FAILED",
    ]);
    assert_eq!(target.log(), once(5));
}

fn cases_must_pass_where_the_suite_says_so() {
    let target = target(Fixture {
        wrong: vec![1],
        must_pass: true,
        ..five()
    });
    let ran = target.run(&[]);
    ran.fails_with(&["test numbers::case::001 ... FAILED", "6 passed; 1 failed"]);
}

fn an_empty_suite_fails() {
    let target = target(Fixture { cases: 0, ..five() });
    target
        .run(&[])
        .fails_with(&["no case of `numbers` has run", "2 failed"]);
}

fn cases_of_one_name_are_refused() {
    let target = target(Fixture {
        same_names: true,
        ..five()
    });
    target.run(&[]).fails_with(&["two cases are named `x`"]);
    assert!(target.log().is_empty());
}

fn a_baseline_is_written_and_held_against() {
    let gates = json!({"regression": {"baseline": "base.json", "max_new_failures": 0}});
    let mut target = target(Fixture { gates, ..five() });
    target
        .run(&[])
        .fails_with(&["there is no baseline", "DSPIPE_UPDATE_BASELINE=1"]);
    target.set("DSPIPE_UPDATE_BASELINE", "1");
    target.run(&[]).passes();
    let written = fs::read(target.directory.path().join("base.json")).unwrap();
    target.run(&[]).passes();
    assert_eq!(
        fs::read(target.directory.path().join("base.json")).unwrap(),
        written
    );
    target.variables.clear();
    target.run(&[]).passes();
    target.fixture.wrong = vec![4];
    target.run(&[]).fails_with(&[
        "1 new failures, 0 fixed, of 5 cases",
        "new failures (1): 004",
    ]);
}

fn an_interrupted_run_is_gone_on_with() {
    let mut target = target(Fixture {
        killing: vec![3],
        failing: vec![0],
        ..five()
    });
    target.set("DSPIPE_LIVE", "1");
    target.set("DSPIPE_CONCURRENCY", "1");
    assert_eq!(target.run(&[]).output.status.code(), Some(42));
    assert_eq!(target.log(), once(4));
    target.fixture.killing.clear();
    target.fixture.failing.clear();
    let ran = target.run(&[]);
    ran.passes();
    ran.says(&[
        "going on with the run that was interrupted",
        "numbers: 2 of 5 runs are done",
    ]);
    ran.says(&["numbers: 3 of 3 runs"]);
    // What was an error and what was under way ran again.
    let runs = target.log();
    assert_eq!(
        (
            runs["000"],
            runs["001"],
            runs["002"],
            runs["003"],
            runs["004"]
        ),
        (2, 1, 1, 2, 1)
    );
    target.run(&[]).passes();
    assert_eq!(
        target.log()["001"],
        2,
        "a run that is over is not gone on with"
    );
}

fn a_budget_stops_and_keeps_what_is_done() {
    let mut target = target(Fixture {
        cost: 0.1,
        ..five()
    });
    target.set("DSPIPE_LIVE", "1");
    target.set("DSPIPE_CONCURRENCY", "1");
    target.set("DSPIPE_BUDGET", "0.25");
    let ran = target.run(&[]);
    ran.fails_with(&[
        "not run: 0.3000 of the budget of 0.25 USD are spent",
        "3 passed; 4 failed",
    ]);
    ran.says(&["2 of the cases of `numbers` have not run: 003, 004"]);
    assert_eq!(target.log(), once(3));
    target.set("DSPIPE_BUDGET", "1");
    target.run(&[]).passes();
    assert_eq!(target.log(), once(5));
}

fn bad_settings_are_refused() {
    let mut target = target(five());
    target.set("DSPIPE_LIVE", "perhaps");
    target
        .run(&[])
        .fails_with(&["DSPIPE_LIVE is `perhaps`; it must be 0 or 1"]);
    assert!(target.log().is_empty());
}

fn no_secret_reaches_a_file() {
    let secret = "sk-very-secret-indeed";
    let mut target = target(Fixture {
        secret: secret.to_owned(),
        wrong: vec![0, 1, 2],
        ..five()
    });
    target.set("SOME_API_KEY", secret);
    let ran = target.run(&[]);
    ran.fails_with(&["worst cases"]);
    assert!(!ran.text.contains(secret));
    for name in ["cases.jsonl", "report.json", "report.html", "junit.xml"] {
        let text = fs::read_to_string(&target.files(name)[0]).unwrap();
        assert!(!text.contains(secret), "{name}");
    }
}

/// 100,000 cases stay below 300 MB; without optimization fewer have to do.
fn many_cases_take_little_memory() {
    const CASES: usize = if cfg!(debug_assertions) {
        20_000
    } else {
        100_000
    };
    const MOST_KB: u64 = 300_000;
    if !cfg!(target_os = "linux") {
        eprintln!("skipped: the peak of memory is read on Linux only");
        return;
    }
    let gates = json!({"pass_rate": {"min": 0.99, "confidence": 0.95}, "mean": {"min": 0.99, "confidence": 0.95}});
    let target = target(Fixture {
        cases: CASES,
        wrong: vec![7],
        gates,
        ..Fixture::default()
    });
    let ran = target.run(&["--quiet"]);
    ran.passes();
    ran.says(&[&format!(
        "{CASES} cases, {CASES} runs, {} passed",
        CASES - 1
    )]);
    let peak = ran
        .text
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"));
    let peak: u64 = peak
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    assert!(peak < MOST_KB, "{peak} KB");
}

fn nextest_runs_each_case_once() {
    let has_nextest = Command::new("cargo")
        .args(["nextest", "--version"])
        .output();
    if !has_nextest.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: cargo-nextest is not installed");
        return;
    }
    let target = target(Fixture {
        wrong: vec![0, 1],
        repeat: 2,
        ..five()
    });
    let mut command = Command::new("cargo");
    command.args([
        "nextest",
        "run",
        "-p",
        "dspipe-eval",
        "--test",
        "harness",
        "--no-fail-fast",
    ]);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let ran = target.dress(&mut command);
    ran.fails_with(&[
        "7 tests run: 6 passed, 1 failed",
        "0.600 of the runs pass (6 of 10); 0.800 is wanted",
    ]);
    let twice: BTreeMap<String, u32> = once(5).into_keys().map(|case| (case, 2)).collect();
    assert_eq!(target.log(), twice);
    for name in ["report.json", "report.html", "junit.xml"] {
        assert_eq!(target.files(name).len(), 1, "{name}");
    }
}

fn processes_of_one_run_share_its_results() {
    let mut target = target(five());
    target.set("NEXTEST_RUN_ID", "one");
    let tests = [
        "case::000",
        "case::001",
        "gate::complete",
        "gate::pass_rate",
        "case::004",
        "case::000",
    ];
    let shared = &target;
    std::thread::scope(|scope| {
        for test in tests {
            scope.spawn(move || {
                shared
                    .run(&["--exact", &format!("numbers::{test}")])
                    .passes();
            });
        }
    });
    assert_eq!(target.log(), once(5));
    target.set("NEXTEST_RUN_ID", "two");
    target.run(&["case::000"]).passes();
    assert_eq!(target.log()["000"], 2);
}

fn another_try_at_a_case_runs_it_again() {
    let mut target = target(Fixture {
        failing: vec![1],
        ..five()
    });
    target.set("NEXTEST_RUN_ID", "one");
    target.run(&["case::001"]).fails_with(&["no reply"]);
    target.fixture.failing.clear();
    target.run(&["case::001"]).fails_with(&["no reply"]);
    target.set("NEXTEST_ATTEMPT", "2");
    target.run(&["case::001"]).passes();
    target.run(&["gate::pass_rate"]).passes();
    let mut runs = once(5);
    runs.insert("001".to_owned(), 2);
    assert_eq!(target.log(), runs);
}

fn a_named_run_is_gone_on_with() {
    let mut target = target(Fixture {
        failing: vec![1],
        ..five()
    });
    target.set("DSPIPE_RUN", "monday");
    target.run(&[]).fails_with(&["no reply"]);
    target.fixture.failing.clear();
    let ran = target.run(&[]);
    ran.passes();
    ran.says(&[
        "going on with the run `monday`",
        "numbers: 4 of 5 runs are done",
    ]);
    let mut runs = once(5);
    runs.insert("001".to_owned(), 2);
    assert_eq!(target.log(), runs);
}

fn recorded(target: &Target) -> BTreeMap<String, String> {
    let files = fs::read_dir(target.directory.path().join("recordings")).unwrap();
    let text = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    files.map(|file| text(file.unwrap().path())).collect()
}

fn recordings_that_nobody_uses_are_told_and_removed() {
    let mut target = target(Fixture {
        reply: Some("a number".to_owned()),
        ..five()
    });
    target.run(&[]).fails_with(&[
        "no reply is recorded",
        "5 runs ended in errors, so which recordings nothing uses is not known",
    ]);
    target.set("DSPIPE_RECORD", "new");
    let ran = target.run(&[]);
    ran.passes();
    ran.says(&["5 recordings, all used", "numbers: 5 of 5 runs"]);
    target.variables.clear();
    target.run(&[]).passes();

    target.fixture.cases = 4;
    target.run(&[]).fails_with(&[
        "test numbers::gate::recordings ... FAILED",
        "1 of 5 recordings",
        "DSPIPE_PRUNE=1 removes them",
    ]);
    target.set("DSPIPE_TAGS", "even");
    target.run(&[]).passes();
    target.set("DSPIPE_PRUNE", "1");
    target.run(&[]).fails_with(&["not all cases were selected"]);
    assert_eq!(recorded(&target).len(), 5);
    target.variables.clear();
    target.set("DSPIPE_PRUNE", "1");
    let ran = target.run(&["gate::recordings"]);
    ran.passes();
    assert_eq!(recorded(&target).len(), 4);
    target.variables.clear();
    target.run(&[]).passes();
}

fn one_case_is_recorded_anew() {
    let mut target = target(Fixture {
        reply: Some("before".to_owned()),
        ..five()
    });
    target.set("DSPIPE_RECORD", "new");
    target.run(&[]).passes();
    target.fixture.reply = Some("after".to_owned());
    target.run(&[]).passes();
    assert!(
        recorded(&target)
            .values()
            .all(|text| text.contains("before"))
    );
    target.set("DSPIPE_RECORD", "all");
    target.run(&["--exact", "numbers::case::001"]).passes();
    let anew: Vec<String> = recorded(&target)
        .into_values()
        .filter(|text| text.contains("after"))
        .collect();
    assert!(
        anew.len() == 1 && anew[0].contains("What is 1?"),
        "{anew:?}"
    );
}

fn tags_select_cases() {
    let gates = json!({"regression": {"baseline": "base.json", "max_new_failures": 0}});
    let mut target = target(Fixture { gates, ..five() });
    target.set("DSPIPE_UPDATE_BASELINE", "1");
    target.run(&[]).passes();
    target.variables.clear();
    target.set("DSPIPE_TAGS", "even");
    let ran = target.run(&[]);
    ran.passes();
    ran.says(&[
        "test numbers::case::004",
        "3 cases, 3 runs",
        "tag even",
        "3 of 3 pass",
    ]);
    assert!(!ran.text.contains("numbers::case::001"), "{}", ran.text);
    target.variables.clear();
    target.set("DSPIPE_TAGS", "-even");
    target.run(&[]).says(&["2 cases, 2 runs"]);
    target.set("DSPIPE_UPDATE_BASELINE", "1");
    target.run(&[]).fails_with(&["a baseline is of all cases"]);
    target.variables.clear();
    target.set("DSPIPE_TAGS", "odd");
    target.run(&[]).fails_with(&["no case has the tags"]);
}

fn snapshots_hold_what_cases_gave() {
    let mut target = target(Fixture {
        snapshots: true,
        ..five()
    });
    target.set("INSTA_UPDATE", "no");
    target
        .run(&[])
        .fails_with(&["`cargo insta review` shows the difference", "5 failed"]);
    target.variables.clear();
    target.set("INSTA_UPDATE", "always");
    target.run(&[]).passes();
    assert!(target.files("numbers__003.snap").len() == 1);
    target.variables.clear();
    target.set("INSTA_UPDATE", "no");
    target.run(&[]).passes();
    target.fixture.wrong = vec![3];
    target
        .run(&[])
        .fails_with(&["test numbers::case::003 ... FAILED", "6 passed; 1 failed"]);
}
