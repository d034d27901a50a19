//! Suites of workflows with loops and calls, from the first recording to training data: the test target of a package
//! as a process of its own, the commands on what it leaves, and a server that answers as the test says.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dspipe_eval::FileSuite;
use dspipe_eval::harness::{Harness, Settings};
use dspipe_tests::server::{Answer, Received, Server};
use dspipe_tests::workflows::{calls, loops};
use libtest_mimic::Arguments;
use serde_json::{Value, json};
use tempfile::TempDir;

/// With this in its environment, the test below is the test target of a package; it holds the target's arguments.
const TARGET: &str = "DSPIPE_TEST_TARGET";

/// The test target: it starts itself again.
#[test]
fn target() {
    let Ok(arguments) = env::var(TARGET) else {
        return;
    };
    let package = env::current_dir().unwrap();
    let arguments = std::iter::once("evals").chain(arguments.split_whitespace());
    let arguments = Arguments::from_iter(arguments);
    let suite = |file| FileSuite::of_workflow::<calls::Workflow>(&package, file, Vec::new());
    let reviews =
        FileSuite::of_workflow::<loops::Workflow>(&package, "evals/reviews.eval.yaml", Vec::new());
    let judge =
        FileSuite::of_step::<calls::judge::Step>(&package, "evals/judge.eval.yaml", Vec::new());
    let conclusion = Harness::new(package.join("target"))
        .with(Arc::new(suite("evals/letters.eval.yaml")))
        .with(Arc::new(reviews))
        .with(Arc::new(judge))
        .run(&arguments, &Settings::from_env().unwrap());
    std::process::exit(i32::from(conclusion.has_failed()));
}

const LETTERS: &str = r"
suite: letters
workflow: workflows/calls.yaml
cases:
  - id: roses
    input: {topic: roses, person: {name: Ann, age: 33}, languages: [English, Dutch]}
    output:
      improve: {iterations: 1}
      translate: {check: {verdict: good}}
      all: [{}, {again: {check: {verdict: good}}}]
  - id: storms
    input: {topic: storms, person: {name: Bob, age: 44}, languages: []}
    output: {improve: {iterations: 3, exhausted: true}, translate: {check: {verdict: good}}, all: []}
metrics:
  - {name: verdict, metric: {at: {path: translate.check.verdict, metric: exact}}}
  - {name: all, metric: {at: {path: all, metric: {list_f1: {key: again.check.verdict, ordered: true}}}}}
  - {name: rounds, metric: {at: {path: improve.iterations, metric: exact}}}
  - {name: score, metric: {at: {path: improve.last.judge.score, metric: {regex: '^[0-9]+$'}}}}
gates: {pass_rate: {min: 0.5}, mean: {metric: all, min: 1}}
";

const REVIEWS: &str = r"
suite: reviews
workflow: workflows/loops.yaml
cases:
  - id: two
    input: {goal: calm, tickets: [{title: a, lines: [x, y]}, {title: b, lines: [z]}], limits: [1]}
    output: {review: [{check: {kind: wish}}, {check: {kind: bug}}]}
metrics:
  - {name: kinds, metric: {at: {path: review, metric: {list_f1: {key: check.kind, ordered: true}}}}}
  - {name: first, metric: {at: {path: 'review[0].check.kind', metric: exact}}}
  - {name: lines, metric: {at: {path: 'review[0].read_lines', metric: {length: {min: 2, max: 2, unit: items}}}}}
gates: {pass_rate: {min: 1}}
";

const JUDGE: &str = r"
suite: judge
workflow: workflows/calls.yaml
step: judge
cases:
  - {id: good, text: roses, round: 1, score: 9}
  - {id: bad, text: storms, round: 1, score: 9}
metrics: [{name: score, metric: {at: {path: score, metric: {numeric: {abs: 1}}}}}]
gates: {pass_rate: {min: 0.5}}
";

/// A model that has no luck with storms.
fn answer(request: &Received, polite: bool) -> Answer {
    let said = request.last_message();
    let storms = said.contains("storms");
    let reply = match request.step() {
        "draft" => {
            let topic = if storms { "storms" } else { "roses" };
            let dear = if polite { "Dear reader: " } else { "" };
            json!({"text": format!("{dear}{topic}"), "tone": "warm", "size": 2})
        }
        "judge" if storms => json!({"score": 5}),
        "judge" => json!({"score": 9}),
        "fix" if said.contains("owner:") => json!({"patch": "p"}),
        "fix" => json!({"text": if said.contains('5') { "storms" } else { "roses" }}),
        "word_by_word" => json!({"text": if storms { "storms" } else { "rozen" }}),
        "check" if said.contains("strict:") => {
            json!({"verdict": if storms { "bad" } else { "good" }})
        }
        "check" => json!({"score": 1, "kind": if said.contains("a: x") { "wish" } else { "bug" }}),
        "plan" => json!({"topics": ["t"], "depth": 9}),
        "find" => json!({"found": ["f"]}),
        "rank" => json!({"best": "b"}),
        "gist" => json!({"gist": "g"}),
        "hold" => json!({"held": true}),
        _ => json!({"text": "done"}),
    };
    Answer::reply(&reply.to_string())
}

struct Package(TempDir);

impl Package {
    fn new() -> Self {
        let package = Self(tempfile::tempdir().unwrap());
        let workflows = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/workflows");
        for file in ["calls.yaml", "loops.yaml", "parts/translate.yaml"] {
            package.write(
                &format!("workflows/{file}"),
                &fs::read_to_string(workflows.join(file)).unwrap(),
            );
        }
        package.write("Cargo.toml", "");
        package.write("evals/letters.eval.yaml", LETTERS);
        package.write("evals/reviews.eval.yaml", REVIEWS);
        package.write("evals/judge.eval.yaml", JUDGE);
        package
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn dress(&self, command: &mut Command, url: &str, variables: &[(&str, &str)]) {
        for (variable, _) in env::vars_os() {
            let name = variable.to_string_lossy();
            if ["NEXTEST", "DSPIPE_", "INSTA_", "OPENAI_"]
                .iter()
                .any(|it| name.starts_with(it))
            {
                command.env_remove(&variable);
            }
        }
        command
            .current_dir(self.path())
            .env("DSPIPE_LM", "openai/small")
            .env("OPENAI_BASE_URL", url)
            .env("OPENAI_API_KEY", "sk-of-the-test")
            .envs(variables.iter().copied());
    }

    /// Runs the test target.
    fn evals(&self, url: &str, arguments: &str, variables: &[(&str, &str)]) -> Ran {
        let mut command = Command::new(env::current_exe().unwrap());
        self.dress(&mut command, url, variables);
        command
            .args(["--exact", "target", "--nocapture"])
            .env(TARGET, arguments);
        Ran::of(&command.output().unwrap())
    }

    /// Runs `cargo dspipe`, whose `cargo test` runs the test target.
    fn dspipe(&self, url: &str, line: &str) -> Ran {
        let cargo = self.path().join("cargo.sh");
        let program = env::current_exe().unwrap();
        // `cargo test --test evals -- FILTER`.
        let script = format!(
            "#!/bin/sh\n[ \"$1 $2 $3 $4\" = 'test --test evals --' ] || exit 9\nshift 4\n\
             {TARGET}=\"$*\" exec '{}' --exact target --nocapture\n",
            program.display()
        );
        fs::write(&cargo, script).unwrap();
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o700)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-dspipe"));
        self.dress(&mut command, url, &[]);
        command.env("CARGO", cargo).args(line.split_whitespace());
        Ran::of(&command.output().unwrap())
    }

    fn recordings(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        for suite in fs::read_dir(self.path().join("evals/cassettes")).unwrap() {
            for file in fs::read_dir(suite.unwrap().path()).unwrap() {
                let path = file.unwrap().path();
                found.insert(path.clone(), fs::read_to_string(path).unwrap());
            }
        }
        found
    }
}

struct Ran {
    code: Option<i32>,
    text: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        let text = [&output.stdout[..], &output.stderr[..]].concat();
        Self {
            code: output.status.code(),
            text: String::from_utf8(text).unwrap(),
        }
    }

    #[track_caller]
    fn says(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.text);
        for part in parts {
            assert!(self.text.contains(part), "no `{part}` in:\n{}", self.text);
        }
    }
}

/// Nothing listens there.
const NOWHERE: &str = "http://127.0.0.1:9/v1";

async fn server(polite: &Arc<AtomicBool>) -> Server {
    let polite = Arc::clone(polite);
    let script = move |_, request: &Received| answer(request, polite.load(Ordering::SeqCst));
    Server::start(script).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn loops_and_calls_are_recorded_replayed_and_recorded_anew_case_by_case() {
    let polite = Arc::new(AtomicBool::new(false));
    let server = server(&polite).await;
    let (package, url) = (Package::new(), server.url());

    package
        .evals(NOWHERE, "", &[])
        .says(1, &["no reply is recorded"]);
    let ran = package.dspipe(&url, "evals record");
    ran.says(
        0,
        &[
            "DSPIPE_RECORD=new",
            "letters: 2 cases, 2 runs, 1 passed, 0 errors",
        ],
    );
    let asked = server.received().len();
    let first = package.recordings();
    assert!(first.values().all(|text| !text.contains("sk-of-the-test")));

    // From here without the server: every gate too.
    let offline = package.evals(NOWHERE, "", &[]);
    offline.says(
        0,
        &[
            "reviews: 1 cases, 1 runs, 1 passed, 0 errors",
            "recordings, all used",
        ],
    );
    offline.says(0, &["letters: 2 cases, 2 runs, 1 passed, 0 errors"]);

    // What the model says has changed, and one case is to be asked anew.
    polite.store(true, Ordering::SeqCst);
    package.evals(NOWHERE, "", &[]).says(0, &[]);
    let ran = package.dspipe(&url, "evals record letters::case::roses");
    ran.says(0, &["DSPIPE_RECORD=all", "letters::case::roses"]);
    assert!(server.received().len() > asked);
    let second = package.recordings();
    let changed: Vec<&String> = second
        .iter()
        .filter(|(path, text)| first.get(*path) != Some(text))
        .map(|(_, text)| text)
        .collect();
    assert!(!changed.is_empty(), "nothing was recorded anew");
    for text in &changed {
        assert!(!text.contains("storms"), "it is of the other case: {text}");
    }
    // What depends on the new draft has other requests; the old ones are not used any more.
    let before = server.received().len();
    package
        .evals(NOWHERE, "letters::case", &[])
        .says(0, &["2 passed"]);
    let left = package.evals(NOWHERE, "letters::gate::recordings", &[]);
    left.says(1, &["DSPIPE_PRUNE=1 removes them"]);
    package
        .dspipe(NOWHERE, "evals prune --suite letters")
        .says(0, &[]);
    let replayed = package.evals(NOWHERE, "", &[]);
    replayed.says(0, &["letters: 2 cases, 2 runs, 1 passed, 0 errors"]);
    assert_eq!(server.received().len(), before, "a replay asks nobody");
    let output = newest_result(package.path(), "letters", "roses");
    assert_eq!(output["actual"]["draft"]["text"], "Dear reader: roses");
    assert_eq!(
        output["actual"]["all"][1]["again"]["word_by_word"]["text"],
        "rozen"
    );
}

/// What came of a case in the last run.
fn newest_result(package: &Path, suite: &str, case: &str) -> Value {
    let mut runs: Vec<PathBuf> = Vec::new();
    let mut open = vec![package.join("target")];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.ends_with(format!("{suite}/cases.jsonl")) {
                runs.push(path);
            }
        }
    }
    runs.sort_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
    let text = fs::read_to_string(runs.pop().unwrap()).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.into_iter().find(|line| line["id"] == case).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn live_runs_are_in_the_history_with_their_scores() {
    let server = server(&Arc::default()).await;
    let (package, url) = (Package::new(), server.url());
    let live = [("DSPIPE_LIVE", "1"), ("DSPIPE_HISTORY", "history.db")];
    package
        .evals(&url, "letters", &live)
        .says(0, &["letters: 2 cases, 2 runs, 1 passed"]);
    package
        .evals(&url, "judge", &live)
        .says(0, &["judge: 2 cases, 2 runs, 1 passed"]);

    let command = |line: &str| {
        let ran = package.dspipe(NOWHERE, &format!("{line} --history history.db"));
        ran.says(0, &[]);
        ran.text
    };
    let stats: Value = serde_json::from_str(&command("history stats --format json")).unwrap();
    let of = |workflow: &str, step: Value| {
        let groups = stats["groups"].as_array().unwrap();
        let mut groups = groups
            .iter()
            .filter(|it| it["workflow"] == workflow && it["step"] == step);
        groups.next().unwrap().clone()
    };
    let runs = of("calls", Value::Null);
    assert_eq!(
        (&runs["executions"], &runs["scored"]),
        (&json!(2), &json!(2))
    );
    // One case has all points, the other three of four.
    assert_eq!(runs["score_mean"], json!(0.875));
    let judged = of("calls", json!("judge"));
    assert_eq!(judged["scored"], json!(2));
    assert_eq!(judged["score_mean"], json!(0.5));
    assert_eq!(of("translate_text", json!("check"))["executions"], json!(3));

    // Steps belong to the run of their case, which the results name.
    let exported = command("history export --workflow calls");
    let rows = exported
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let rows: Vec<Value> = rows.collect();
    let result = newest_result(package.path(), "letters", "roses");
    let mine: Vec<&Value> = rows
        .iter()
        .filter(|row| row["run"] == result["run"])
        .collect();
    let whole = mine.iter().find(|row| row["step"].is_null()).unwrap();
    assert_eq!(
        (&whole["score"], &whole["inputs"]["topic"]),
        (&json!(1.0), &json!("roses"))
    );
    assert!(mine.iter().any(|row| row["step"] == "draft"), "{mine:?}");

    for (line, wanted) in [
        (
            "data collect --workflow calls --min-score 0.9",
            vec![json!("roses")],
        ),
        (
            "data collect --workflow calls --min-score 0.5",
            vec![json!("roses"), json!("storms")],
        ),
    ] {
        command(&format!("{line} --output runs.jsonl --force"));
        let text = fs::read_to_string(package.path().join("runs.jsonl")).unwrap();
        let examples = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let topics: Vec<Value> = examples.map(|it| it["inputs"]["topic"].clone()).collect();
        assert_eq!(topics, wanted, "{line}");
    }
    command("data collect --workflow calls --step judge --min-score 0.9 --output steps.jsonl");
    let text = fs::read_to_string(package.path().join("steps.jsonl")).unwrap();
    let example: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(example["outputs"], json!({"score": 9}));
    assert_eq!(example["inputs"]["text"], "roses");

    // Replays are no executions.
    package
        .evals(&url, "judge::case", &[("DSPIPE_RECORD", "new"), live[1]])
        .says(0, &[]);
    package.evals(NOWHERE, "judge", &[live[1]]).says(0, &[]);
    let again: Value = serde_json::from_str(&command("history stats --format json")).unwrap();
    assert_eq!(again, stats);
}
