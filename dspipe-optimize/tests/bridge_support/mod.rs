//! A task whose best prompt is known, a host that does it, and programs that stand for Python.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use dspipe_optimize::bridge::{
    Bridge, BridgeSettings, Call, Candidate, Completed, Completion, Evaluate, Example, Field,
    Fields, Host, HostError, Log, Optimize, Outcome, Program, Progress, Prompt, PromptTold,
    Prompts, Python, Run, RunResult, Runs, Score, Scored, Stage, Step, StepCall, StepResult,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use indexmap::IndexMap;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tracing::{Event, Metadata, Subscriber, span};

/// With it in its instructions the scripted LM is always right.
pub(crate) const RULE: &str = "Answer with the code of the colour.";

const CODES: [(&str, &str); 3] = [("red", "R1"), ("green", "G2"), ("blue", "B3")];

/// For what should happen at once, on a machine that is busy.
const DEADLINE: Duration = Duration::from_secs(60);

fn fields(value: Value) -> Fields {
    let Value::Object(fields) = value else {
        panic!("{value} is no object");
    };
    fields
}

fn field(name: &str, schema: Value) -> Field {
    Field {
        name: name.into(),
        description: String::new(),
        schema,
    }
}

pub(crate) fn program(instructions: &str) -> Program {
    let text = field("text", json!({"type": "string"}));
    Program {
        name: "triage".into(),
        description: "Labels texts.".into(),
        outline: "label <- classify(text)".into(),
        runs: Runs::Workflow,
        inputs: vec![text.clone()],
        steps: vec![Step {
            name: "classify".into(),
            description: "finds the colour".into(),
            instructions: instructions.into(),
            inputs: vec![text],
            outputs: vec![field("label", json!({"enum": ["R1", "G2", "B3"]}))],
            demos: Vec::new(),
        }],
    }
}

pub(crate) fn examples(count: usize) -> Vec<Example> {
    (0..count)
        .map(|number| {
            let (colour, code) = CODES[number % CODES.len()];
            Example {
                id: format!("e{number}"),
                inputs: fields(json!({"text": format!("Größe {number} is {colour}.")})),
                labels: fields(json!({"label": code})),
                steps: IndexMap::default(),
            }
        })
        .collect()
}

pub(crate) fn evaluate(job: &str, count: usize, threads: u32) -> Evaluate {
    Evaluate {
        job: job.into(),
        program: program("Label the text."),
        examples: examples(count),
        prompts: None,
        threads: Some(threads),
    }
}

pub(crate) fn optimize(job: &str, stages: &[(&str, Value)]) -> Optimize {
    Optimize {
        job: job.into(),
        program: program("Label the text."),
        train: examples(9),
        val: None,
        stages: stages
            .iter()
            .map(|(optimizer, settings)| Stage {
                optimizer: (*optimizer).into(),
                settings: fields(settings.clone()),
            })
            .collect(),
        seed: None,
        threads: Some(4),
    }
}

/// What a run does before it answers.
pub(crate) enum Before {
    Nothing,
    /// Waits until it is let go on.
    Wait(Notify),
    /// Waits until so many runs have begun.
    Meet(tokio::sync::Barrier),
    /// Fails from this run on.
    Fail(usize, HostError),
    Panic,
}

pub(crate) struct Task {
    before: Before,
    pub(crate) asked: Notify,
    pub(crate) began: AtomicUsize,
    /// Runs whose futures were dropped before they had an answer.
    pub(crate) aborted: AtomicUsize,
    prompts: Mutex<Prompts>,
    pub(crate) candidates: Mutex<Vec<Candidate>>,
    pub(crate) progress: Mutex<Vec<Progress>>,
    pub(crate) logs: Mutex<Vec<Log>>,
}

impl Task {
    pub(crate) fn new(before: Before) -> Self {
        Self {
            before,
            asked: Notify::new(),
            began: AtomicUsize::new(0),
            aborted: AtomicUsize::new(0),
            prompts: Mutex::default(),
            candidates: Mutex::default(),
            progress: Mutex::default(),
            logs: Mutex::default(),
        }
    }

    pub(crate) fn go_on(&self) {
        if let Before::Wait(notify) = &self.before {
            notify.notify_one();
        }
    }

    /// What the scripted LM says: right if it was told the rule or was shown this colour.
    fn label(&self, run: &Run) -> String {
        let prompts = self.prompts.lock().unwrap();
        let prompt = &prompts[&run.steps["classify"].prompt];
        let text = run.inputs["text"].as_str().unwrap();
        let (colour, code) = CODES.iter().find(|(it, _)| text.contains(it)).unwrap();
        let shown = prompt.demos.iter().any(|demo| {
            let text = demo.inputs["text"].as_str().unwrap();
            text.contains(colour) && demo.outputs["label"] == **code
        });
        let right = shown || prompt.instructions.contains(RULE);
        (if right { code } else { "R1" }).to_owned()
    }
}

/// Counts a future that is dropped too early.
struct Unanswered<'a>(&'a AtomicUsize);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Host for Task {
    fn run(&self, run: Run) -> BoxFuture<'_, Result<RunResult, HostError>> {
        async move {
            let unanswered = Unanswered(&self.aborted);
            let number = self.began.fetch_add(1, Ordering::SeqCst);
            self.asked.notify_one();
            match &self.before {
                Before::Wait(notify) => notify.notified().await,
                Before::Meet(barrier) => {
                    barrier.wait().await;
                }
                Before::Fail(from, error) if number >= *from => {
                    std::mem::forget(unanswered);
                    return Err(error.clone());
                }
                Before::Nothing | Before::Fail(..) => {}
                Before::Panic => panic!("the workflow of the user"),
            }
            std::mem::forget(unanswered);
            let outputs = fields(json!({"label": self.label(&run)}));
            Ok(RunResult {
                calls: vec![Call {
                    step: "classify".into(),
                    inputs: run.inputs,
                    outputs: outputs.clone(),
                }],
                outcome: Outcome::Outputs(outputs),
            })
        }
        .boxed()
    }

    fn step(&self, _: StepCall) -> BoxFuture<'_, Result<StepResult, HostError>> {
        async { Err(HostError::fatal("test", "no step is run alone")) }.boxed()
    }

    fn score(&self, score: Score) -> BoxFuture<'_, Result<Scored, HostError>> {
        async move {
            let all = examples(100);
            let wanted = all.iter().find(|it| it.id == score.example).unwrap();
            let right = score
                .outputs
                .is_some_and(|it| it["label"] == wanted.labels["label"]);
            Ok(Scored {
                score: f64::from(u8::from(right)),
                feedback: None,
                objectives: IndexMap::default(),
            })
        }
        .boxed()
    }

    fn complete(&self, _: Completion) -> BoxFuture<'_, Result<Completed, HostError>> {
        async { Err(HostError::fatal("test", "nothing is proposed")) }.boxed()
    }

    fn prompt(&self, told: PromptTold) {
        self.prompts.lock().unwrap().insert(told.id, told.content);
    }

    fn candidate(&self, candidate: Candidate) {
        self.candidates.lock().unwrap().push(candidate);
    }

    fn progress(&self, progress: Progress) {
        self.progress.lock().unwrap().push(progress);
    }

    fn log(&self, log: Log) {
        self.logs.lock().unwrap().push(log);
    }
}

pub(crate) fn told_rule() -> Prompts {
    let prompt = Prompt {
        instructions: RULE.into(),
        demos: Vec::new(),
    };
    Prompts::from_iter([("classify".to_owned(), prompt)])
}

/// The real bridge, in an environment that it sets up itself.
pub(crate) fn settings() -> BridgeSettings {
    BridgeSettings::from_env().unwrap()
}

pub(crate) async fn bridge() -> Bridge {
    Bridge::start(&settings()).await.unwrap()
}

/// A shell script in the place of Python; its third argument is a directory of its own.
pub(crate) struct Script(tempfile::TempDir);

impl Script {
    pub(crate) fn new(script: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Written by another process: a file that this one has open for writing while another test forks
        // cannot be executed.
        let mut shell = Command::new("sh")
            .args(["-c", "cat > \"$0\" && chmod +x \"$0\""])
            .arg(directory.path().join("python"))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = shell.stdin.take().unwrap();
        write!(stdin, "#!/bin/sh\n{script}\n").unwrap();
        drop(stdin);
        assert!(shell.wait().unwrap().success());
        Self(directory)
    }

    pub(crate) fn directory(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn settings(&self) -> BridgeSettings {
        ready(self.0.path().join("python"), self.0.path())
    }
}

pub(crate) fn ready(interpreter: PathBuf, directory: &Path) -> BridgeSettings {
    BridgeSettings::new(Python::ready(interpreter, directory))
}

pub(crate) fn signal(signal: &str, process: u32) {
    let status = Command::new("kill")
        .args(["-s", signal, &process.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

/// Waits until a process has ended; one that nobody has waited for yet counts as ended.
pub(crate) fn wait_for_end(process: u32) {
    let deadline = Instant::now() + DEADLINE;
    while is_alive(process) {
        assert!(Instant::now() < deadline, "{process} is alive");
        thread::sleep(Duration::from_millis(10));
    }
}

fn is_alive(process: u32) -> bool {
    let output = Command::new("ps")
        .args(["-o", "stat=", "-p", &process.to_string()])
        .output()
        .unwrap();
    let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

/// The messages of a thread's events.
#[derive(Clone, Default)]
pub(crate) struct Seen(pub(crate) Arc<Mutex<Vec<String>>>);

impl Subscriber for Seen {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(
            &mut |field: &tracing::field::Field, value: &dyn fmt::Debug| {
                if field.name() == "message" {
                    self.0.lock().unwrap().push(format!("{value:?}"));
                }
            },
        );
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
