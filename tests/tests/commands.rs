//! The commands of a user's program, each in a process of its own, and programs of real DSPy.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::sync::Arc;

use dspipe_optimize::Commands;
use dspipe_runtime::lm::{Api, HttpLm, Retry};
use dspipe_runtime::local;
use dspipe_runtime::{LmName, Lms, LocalRunner, Value};
use dspipe_tests::server::{Answer, Server};
use dspipe_tests::workflows::{colours, saved};
use serde_json::json;
use tempfile::TempDir;

/// With this in its environment, the test below is a program with commands.
const CALLED: &str = "DSPIPE_TEST_COMMAND";

/// The program whose commands are tested: it starts itself again.
#[tokio::test]
async fn program() {
    let Ok(called) = env::var(CALLED) else {
        return;
    };
    let called: Value = serde_json::from_str(&called).unwrap();
    let text = |key: &str| called[key].as_str().unwrap().to_owned();
    let arguments: Vec<String> = serde_json::from_value(called["arguments"].clone()).unwrap();
    let lm: LmName = "scripted/small".parse().unwrap();
    let lm = HttpLm::new(lm, Api::OpenAiChat, &text("url"), None).unwrap();
    let runner = LocalRunner::new()
        .with_lms(Lms::new().with(Arc::new(lm)))
        .with_retry(Retry::never());
    let code = Commands::new(text("package"))
        .workflow::<colours::Workflow>()
        .workflow::<saved::Workflow>()
        .runner(runner)
        .run_from(std::iter::once("program".to_owned()).chain(arguments))
        .await;
    let known = [0, 1, 2, 130];
    let code = known.into_iter().find(|it| ExitCode::from(*it) == code);
    std::process::exit(code.unwrap().into());
}

/// What a command printed, and how it ended.
struct Called {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Called {
    fn new(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code().unwrap(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    #[track_caller]
    fn says(&self, code: i32, wanted: &str) {
        let all = format!("{}{}", self.stdout, self.stderr);
        assert_eq!(self.code, code, "{all}");
        assert!(all.contains(wanted), "{all}");
    }
}

/// Calls a command; nothing listens at the address of its LM.
fn call(package: &Path, arguments: &[&str]) -> Called {
    call_with(package, "http://127.0.0.1:9", arguments)
}

fn call_with(package: &Path, url: &str, arguments: &[&str]) -> Called {
    Called::new(&command(package, url, arguments).output().unwrap())
}

fn command(package: &Path, url: &str, arguments: &[&str]) -> Command {
    let called = json!({"package": package, "url": url, "arguments": arguments});
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "program", "--nocapture"])
        .env(CALLED, called.to_string());
    command
}

/// A package with the workflows and examples of one of them.
fn package() -> TempDir {
    let package = tempfile::tempdir().unwrap();
    let workflows = package.path().join("workflows");
    fs::create_dir(&workflows).unwrap();
    for name in ["colours.yaml", "saved.yaml"] {
        fs::copy(format!("workflows/{name}"), workflows.join(name)).unwrap();
    }
    let line = |number| {
        format!(
            "{}\n",
            json!({"text": format!("{number} is red."), "label": "R1"})
        )
    };
    let lines: String = (0..40).map(line).collect();
    fs::write(package.path().join("data.jsonl"), lines).unwrap();
    package
}

fn data(package: &TempDir) -> String {
    package.path().join("data.jsonl").display().to_string()
}

#[test]
fn help_names_the_commands_and_their_options() {
    let package = package();
    let called = call(package.path(), &["--help"]);
    for command in ["optimize", "evaluate", "export", "import"] {
        called.says(0, command);
    }
    let called = call(package.path(), &["optimize", "--help"]);
    for option in ["--write-back", "--dry-run", "--set <KEY=VALUE>", "--resume"] {
        called.says(0, option);
    }
}

#[test]
fn a_call_that_cannot_be_meant_ends_with_2_and_says_why() {
    let package = package();
    let data = data(&package);
    let calls: [(&[&str], &str); 12] = [
        (&["optimise"], "unrecognized subcommand"),
        (&["optimize", "--resume", "--fresh"], "cannot be used with"),
        (&["optimize"], "which workflow? There are colours, saved"),
        (
            &["optimize", "colors"],
            "no workflow is called `colors`; there are colours, saved",
        ),
        (&["export", "x.json"], "which workflow?"),
        (
            &["optimize", "colours", "--set", "k=1"],
            "--set without --optimizer",
        ),
        (
            &["optimize", "colours", "--optimizer", "KNNFewShot"],
            "it picks new demos at every call",
        ),
        (
            &[
                "optimize",
                "colours",
                "--optimizer",
                "copro,BootstrapFinetune",
            ],
            "it changes weights of the model",
        ),
        (
            &[
                "optimize",
                "colours",
                "--optimizer",
                "copro",
                "--train",
                &data,
                "--step",
                "clasify",
            ],
            "no step of `colours` is called `clasify`; its steps are classify",
        ),
        (
            &[
                "optimize",
                "colours",
                "--optimizer",
                "copro",
                "--set",
                "depth",
            ],
            "`--set depth` must be KEY=VALUE",
        ),
        (
            &[
                "optimize",
                "colours",
                "--optimizer",
                "copro",
                "--set",
                "dept=1",
            ],
            "depth",
        ),
        (
            &[
                "optimize",
                "colours",
                "--train",
                &data,
                "--metric",
                "{nothing: 1}",
            ],
            "`--metric {nothing: 1}`",
        ),
    ];
    for (arguments, wanted) in calls {
        call(package.path(), arguments).says(2, wanted);
    }
}

#[test]
fn settings_of_several_optimizers_go_to_each() {
    let package = package();
    let data = data(&package);
    let mut arguments = vec!["optimize", "colours", "--train", &data, "--dry-run"];
    arguments.extend([
        "--optimizer",
        "labeled_few_shot,copro",
        "--set",
        "labeled_few_shot.k=2",
    ]);
    arguments.extend(["--set", "copro.breadth=3"]);
    call(package.path(), &arguments).says(0, "copro");
    arguments.extend(["--set", "copro.k=2"]);
    call(package.path(), &arguments).says(2, "unknown");
}

#[tokio::test]
async fn a_dry_run_prints_the_plan_and_asks_nothing() {
    let package = package();
    let server = Server::start(|_, _| Answer::reply(r#"{"label": "R1"}"#))
        .await
        .unwrap();
    let (path, url, data) = (package.path().to_owned(), server.url(), data(&package));
    let called = tokio::task::spawn_blocking(move || {
        let arguments = [
            "optimize",
            "colours",
            "--optimizer",
            "copro",
            "--train",
            &data,
            "--dry-run",
        ];
        let plan = call_with(&path, &url, &arguments);
        // The same server is asked by a command that asks.
        let asked = call_with(&path, &url, &["evaluate", "colours", "--train", &data]);
        (plan, asked)
    });
    let (plan, asked) = called.await.unwrap();
    plan.says(0, "scripted/small");
    plan.says(0, "copro");
    asked.says(0, "1.000");
    let held_out = server.received().len();
    assert!(
        plan.stdout.contains(&format!("{held_out} held out")),
        "{}",
        plan.stdout
    );
    let made: Vec<PathBuf> = fs::read_dir(package.path())
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    assert_eq!(made.len(), 2, "{made:?}");
}

#[tokio::test]
async fn one_example_is_evaluated_by_its_name_or_its_place() {
    let package = package();
    let server = Server::start(|_, request| {
        let wrong = request.last_message().contains("17 is");
        Answer::reply(&json!({"label": if wrong { "X4" } else { "R1" }}).to_string())
    });
    let server = server.await.unwrap();
    let (path, url, data) = (package.path().to_owned(), server.url(), data(&package));
    let called = tokio::task::spawn_blocking(move || {
        let evaluate = |more: &[&str]| {
            let arguments = [&["evaluate", "colours", "--train", &data][..], more].concat();
            call_with(&path, &url, &arguments)
        };
        let json = |called: &Called| -> Value {
            called.says(0, "{");
            let (from, to) = (
                called.stdout.find('{').unwrap(),
                called.stdout.rfind('}').unwrap(),
            );
            serde_json::from_str(&called.stdout[from..=to]).unwrap()
        };
        let all = json(&evaluate(&["--json"]));
        let names: Vec<&str> = all["cases"]
            .as_array()
            .unwrap()
            .iter()
            .map(|case| case["example"].as_str().unwrap())
            .collect();
        assert!(names.len() > 1, "{all}");
        let name = names[0];
        let before = server.received().len();
        let alone = evaluate(&["--case", name, "--json"]);
        assert_eq!(server.received().len(), before + 1);
        let one = json(&alone);
        assert_eq!(one["cases"].as_array().unwrap().len(), 1);
        assert_eq!(one["cases"][0]["example"], name);
        assert_eq!(one["score"]["mean"], all["cases"][0]["score"]);
        let placed = (1..=40).find_map(|line| {
            let called = evaluate(&["--case", &format!("data.jsonl:{line}"), "--json"]);
            (called.code == 0).then(|| json(&called))
        });
        assert_eq!(placed.unwrap()["cases"].as_array().unwrap().len(), 1);
        // A part of a place, or of a name, means none.
        let unknown =
            ["l:1", ":1", "1", "test", "test-4711"].map(|name| evaluate(&["--case", name]));
        for called in unknown {
            called.says(2, "no held-out example is called");
        }
    });
    called.await.unwrap();
}

#[tokio::test]
async fn write_back_changes_the_workflow_file_of_prompts_that_are_adopted() {
    let package = package();
    // It is right if it is shown how.
    let server = Server::start(|_, request| {
        let shown = request.body["messages"].as_array().unwrap().len() > 2;
        Answer::reply(&json!({"label": if shown { "R1" } else { "B3" }}).to_string())
    });
    let server = server.await.unwrap();
    let (path, url, data) = (package.path().to_owned(), server.url(), data(&package));
    let file = package.path().join("workflows/colours.yaml");
    let old = fs::read_to_string(&file).unwrap();
    let called = tokio::task::spawn_blocking(move || {
        let mut arguments = vec!["optimize", "colours", "--train", &data];
        arguments.extend(["--optimizer", "labeled_few_shot", "--set", "k=2"]);
        let without = call_with(&path, &url, &arguments);
        let untouched = fs::read_to_string(path.join("workflows/colours.yaml")).unwrap();
        arguments.push("--write-back");
        (without, untouched, call_with(&path, &url, &arguments))
    });
    let (without, untouched, with) = called.await.unwrap();
    without.says(0, "adopted: ");
    assert_eq!(untouched, old);
    with.says(0, "colours.yaml has the same prompts now");
    let new = fs::read_to_string(&file).unwrap();
    let old_text = old.strip_suffix('\n').unwrap();
    assert!(new.starts_with(old_text), "{new}");
    assert!(
        new.ends_with("      dspy_config:\n        few_shot_examples: 2\n"),
        "{new}"
    );
}

/// A search that is sequential, so that each request but the last has its answer when the next one comes.
fn search(data: &str) -> Vec<&str> {
    let mut arguments = vec!["optimize", "colours", "--train", data, "--threads", "1"];
    arguments.extend([
        "--optimizer",
        "BootstrapRS",
        "--set",
        "num_candidate_programs=2",
    ]);
    arguments
}

#[cfg(unix)]
#[tokio::test]
async fn what_was_stopped_is_resumed_and_nothing_is_paid_twice() {
    use std::sync::atomic::{AtomicBool, Ordering};

    let right = || Answer::reply(r#"{"label": "R1"}"#);
    let undisturbed = {
        let package = package();
        let server = Server::start(move |_, _| right()).await.unwrap();
        let (path, url, data) = (package.path().to_owned(), server.url(), data(&package));
        let called = tokio::task::spawn_blocking(move || call_with(&path, &url, &search(&data)));
        called.await.unwrap().says(0, "not adopted");
        server.received().len()
    };
    for (signal, moment) in [
        ("-INT", 5),
        ("-INT", undisturbed / 2),
        ("-KILL", undisturbed / 2),
    ] {
        let package = package();
        let silent = Arc::new(AtomicBool::new(true));
        let still = Arc::clone(&silent);
        let server = Server::start(move |before, _| {
            if before + 1 >= moment && still.load(Ordering::SeqCst) {
                Answer::Silence
            } else {
                right()
            }
        });
        let server = server.await.unwrap();
        let (path, url, data) = (package.path().to_owned(), server.url(), data(&package));
        let mut child = command(&path, &url, &search(&data))
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        server.arrived(moment).await;
        let killed = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status();
        assert!(killed.unwrap().success());
        let status = child.wait().unwrap();
        assert_eq!(status.code(), (signal == "-INT").then_some(130));
        silent.store(false, Ordering::SeqCst);
        let resumed = tokio::task::spawn_blocking(move || {
            let mut arguments = search(&data);
            arguments.push("--resume");
            (
                call_with(&path, &url, &arguments),
                call_with(&path, &url, &arguments),
            )
        });
        let (resumed, again) = resumed.await.unwrap();
        resumed.says(0, "not adopted");
        again.says(2, "nothing to resume");
        // The one without an answer is asked once more.
        assert_eq!(
            server.received().len(),
            undisturbed + 1,
            "{signal} at {moment}"
        );
        assert!(
            !package
                .path()
                .join("workflows/colours.optimized.json")
                .exists()
        );
    }
}

/// What DSPy itself says of a program in a file.
async fn dspy(action: &str, file: &Path) -> Value {
    let settings = local::Settings::from_env().unwrap();
    let (environment, _) = local::optimizers(&settings).await.unwrap();
    let output = Command::new(&environment.python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/saved_program.py"))
        .args([action.as_ref(), file.as_os_str()])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let mut said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["dspy"], "3.4.1");
    said["prompts"].take()
}

/// Who made a demo is for optimizers only.
fn without_origin(mut prompts: Value) -> Value {
    for prompt in prompts.as_object_mut().unwrap().values_mut() {
        for demo in prompt["demos"].as_array_mut().unwrap() {
            demo.as_object_mut().unwrap().shift_remove("augmented");
        }
    }
    prompts
}

/// From DSPy to the file of optimized prompts, which is compiled into these tests, and from there back to DSPy.
/// `UPDATE_GOLDENS=1` writes the file anew; then build again.
#[tokio::test]
async fn a_program_of_dspy_is_imported_compiled_and_exported_the_same() {
    let package = package();
    let (theirs, ours) = (
        package.path().join("theirs.json"),
        package.path().join("ours.json"),
    );
    let saved = dspy("save", &theirs).await;
    let path = |path: &Path| path.display().to_string();

    let import = ["import", "--workflow", "saved", &path(&theirs)];
    call(package.path(), &import).says(0, "the next build compiles it in");
    let imported =
        fs::read_to_string(package.path().join("workflows/saved.optimized.json")).unwrap();
    let committed = Path::new("workflows/saved.optimized.json");
    if env::var_os("UPDATE_GOLDENS").is_some() {
        fs::write(committed, &imported).unwrap();
        return;
    }
    assert_eq!(fs::read_to_string(committed).unwrap(), imported);

    let export = ["export", "--workflow", "saved", &path(&ours)];
    call(package.path(), &export).says(0, "ours.json is written");
    let loaded = dspy("show", &ours).await;
    assert_eq!(without_origin(loaded), without_origin(saved));
}

#[test]
fn a_file_that_is_no_program_is_refused_and_nothing_is_written() {
    let package = package();
    let file = package.path().join("theirs.json");
    fs::write(&file, "{\"read\": 1}").unwrap();
    let import = ["import", "--workflow", "saved", &file.display().to_string()];
    call(package.path(), &import).says(1, "theirs.json");
    assert!(
        !package
            .path()
            .join("workflows/saved.optimized.json")
            .exists()
    );
}
