//! Runs of compiled workflows: what belongs to them, what is kept out of them, and their scores.

#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "what fails here fails the test"
)]

mod support;

use std::sync::Arc;

use dspipe_history::training::{CollectOptions, collect};
use dspipe_history::{
    Execution, Feedback, Filter, History, HistoryError, Kind, Order, Settings, WhenFull,
};
use dspipe_runtime::{
    Error, FieldDef, LocalRunner, Runner, Signature, SignatureDef, Value, Workflow, WorkflowDef,
};
use serde_json::json;

use support::{Scripted, history, runner};

const fn field(name: &'static str, sensitive: bool) -> FieldDef {
    FieldDef {
        name,
        ty: "string",
        description: "",
        sensitive,
    }
}

/// A step in a loop; the PIN that it is given, and the name that it gives, are nobody's business.
struct Look;

impl Signature for Look {
    type Input = Value;
    type Output = Value;
    const DEF: &'static SignatureDef = &SignatureDef {
        workflow: "desk",
        step: "look",
        source: "desk.yaml:4",
        description: "",
        instructions: "Look.",
        inputs: &[field("text", false), field("pin", true)],
        outputs: &[field("name", true), field("mood", false)],
        input_schema: "{}",
        output_schema: r#"{"type":"object","properties":{"name":{"type":"string"},"mood":{"type":"string"}},"required":["name","mood"]}"#,
        demos: &[],
        optimized: &[],
        adapter: None,
        lm: None,
        temperature: None,
        max_tokens: None,
        lms: &[],
        checks: &[],
        module: dspipe_runtime::module::ModuleDef::Predict,
    };
}

struct Desk;

impl Workflow for Desk {
    type Inputs = Value;
    type Outputs = Value;
    const DEF: &'static WorkflowDef = &WorkflowDef {
        name: "desk",
        description: "",
        source: "desk.yaml:1",
        inputs: &[
            field("text", false),
            field("pin", true),
            field("code", true),
        ],
        input_schema: "{}",
        steps: &[Look::DEF],
    };

    async fn run<R: Runner>(runner: &R, inputs: Value) -> Result<Value, Error> {
        let mut rounds = Vec::new();
        for _ in 0..2 {
            rounds.push(json!({"look": runner.step::<Look>(&inputs).await?}));
        }
        Ok(json!({"rounds": rounds}))
    }
}

fn settings() -> Settings {
    Settings {
        when_full: WhenFull::Wait,
        ..Settings::default()
    }
}

fn reply(name: &str) -> String {
    json!({"name": name, "mood": format!("{name} is happy")}).to_string()
}

/// Too short to be looked for elsewhere, so that only its place keeps it out.
const PIN: &str = "735";

fn inputs() -> Value {
    json!({"text": "PIN 11 of somebody", "pin": PIN, "code": "x9-secret"})
}

async fn run(history: &History, replies: &[&str]) -> (String, Result<Value, Error>) {
    let recorder = history.recorder().unwrap();
    let run = Arc::new(recorder.start::<Desk>(&inputs()).unwrap());
    let runner: LocalRunner = runner(Scripted::replies(replies)).with_observer(run.clone());
    let result = Desk::run(&runner, inputs()).await;
    run.end(result.as_ref());
    recorder.flush().unwrap();
    (run.key().to_owned(), result)
}

fn rows(history: &History, kind: Kind) -> Vec<Execution> {
    let order = Order::OldestFirst;
    history
        .list(&Filter {
            kind,
            order,
            ..Filter::default()
        })
        .unwrap()
}

#[tokio::test]
async fn what_is_sensitive_is_in_no_row_of_a_run() {
    let (directory, history) = history(settings());
    let (ada, eve) = (reply("Ada Lovelace"), reply("Eve Online"));
    run(&history, &[&ada, &eve]).await.1.unwrap();
    // One that fails before its step has run knows all the same.
    run(&history, &[]).await.1.unwrap_err();
    let recorder = history.recorder().unwrap();
    drop(recorder.start::<Desk>(&inputs()).unwrap());
    recorder.flush().unwrap();

    let runs = rows(&history, Kind::Runs);
    assert_eq!(runs.len(), 3);
    for run in &runs {
        assert!(
            run.inputs.get("pin").is_none() && run.inputs.get("code").is_none(),
            "{run:?}"
        );
    }
    assert_eq!(
        runs[0].redacted,
        ["inputs.code", "inputs.pin", "outputs.rounds[].look.name"]
    );
    assert_eq!(
        runs[0].outputs,
        Some(json!({"rounds": [
            {"look": {"mood": "[redacted] is happy"}},
            {"look": {"mood": "[redacted] is happy"}},
        ]}))
    );
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for secret in [
            "Ada Lovelace",
            "Eve Online",
            "x9-secret",
            &format!("\"{PIN}\""),
        ] {
            let mut parts = bytes.windows(secret.len());
            assert!(!parts.any(|part| part == secret.as_bytes()), "{secret}");
        }
    }
}

#[tokio::test]
async fn a_correction_keeps_out_what_its_execution_did() {
    let (_directory, history) = history(settings());
    run(&history, &[&reply("Ada Lovelace"), &reply("Eve Online")])
        .await
        .1
        .unwrap();
    let step = &rows(&history, Kind::Step("look".to_owned()))[0];
    let Value::Object(corrected) = json!({"name": "Ada King", "mood": "calm"}) else {
        return;
    };
    history
        .feedback(step.id, Feedback::Correct(corrected))
        .unwrap();
    let step = history.show(step.id).unwrap();
    assert_eq!(step.corrected, Some(json!({"mood": "calm"})));
}

#[tokio::test]
async fn a_run_is_scored_when_it_has_ended() {
    let (_directory, history) = history(settings());
    let mut keys = Vec::new();
    for _ in 0..2 {
        let (key, result) = run(&history, &[&reply("A"), &reply("B")]).await;
        result.unwrap();
        keys.push(key);
    }
    let recorder = history.recorder().unwrap();
    recorder.score(&keys[0], None, 0.25);
    recorder.score(&keys[1], Some("look"), 0.75);
    recorder.score("nobody", None, 1.0);
    recorder.flush().unwrap();
    let scores =
        |kind| -> Vec<Option<f64>> { rows(&history, kind).iter().map(|row| row.score).collect() };
    assert_eq!(scores(Kind::Runs), [Some(0.25), None]);
    // Both rounds of the loop are of the step.
    let of_step = [None, None, Some(0.75), Some(0.75)];
    assert_eq!(scores(Kind::Step("look".to_owned())), of_step);
    let stats = history
        .stats(&Filter {
            kind: Kind::Runs,
            ..Filter::default()
        })
        .unwrap();
    assert_eq!((stats[0].score_mean, stats[0].scored), (Some(0.25), 1));
}

#[tokio::test]
async fn steps_without_a_run_have_a_key_and_no_row_besides() {
    let (_directory, history) = history(settings());
    let recorder = history.recorder().unwrap();
    let steps = Arc::new(recorder.start_steps("desk"));
    let runner = runner(Scripted::replies(&[&reply("A")])).with_observer(steps.clone());
    runner.step::<Look>(&inputs()).await.unwrap();
    recorder.score(steps.key(), Some("look"), 0.5);
    let key = steps.key().to_owned();
    drop((runner, steps));
    recorder.flush().unwrap();
    let all = history.list(&Filter::default()).unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(
        (all[0].run.as_deref(), all[0].score),
        (Some(&*key), Some(0.5))
    );
}

/// The same workflow, after somebody changed what its caller gives.
struct NewDesk;

impl Workflow for NewDesk {
    type Inputs = Value;
    type Outputs = Value;
    const DEF: &'static WorkflowDef = &WorkflowDef {
        name: "plain",
        description: "",
        source: "",
        inputs: &[],
        input_schema: "{\"new\": true}",
        steps: &[],
    };

    async fn run<R: Runner>(_: &R, inputs: Value) -> Result<Value, Error> {
        Ok(inputs)
    }
}

struct OldDesk;

impl Workflow for OldDesk {
    type Inputs = Value;
    type Outputs = Value;
    const DEF: &'static WorkflowDef = &WorkflowDef {
        input_schema: "{}",
        ..*NewDesk::DEF
    };

    async fn run<R: Runner>(_: &R, inputs: Value) -> Result<Value, Error> {
        Ok(inputs)
    }
}

#[test]
fn runs_of_an_older_signature_are_no_training_data() {
    let (_directory, history) = history(settings());
    let recorder = history.recorder().unwrap();
    let old = recorder.start::<OldDesk>(&json!({"text": "old"})).unwrap();
    old.end(Ok::<_, &Error>(&json!({"a": {"b": 1}})));
    let new = recorder.start::<NewDesk>(&json!({"text": "new"})).unwrap();
    new.end(Ok::<_, &Error>(&json!({"a": {"b": 1}})));
    recorder.flush().unwrap();
    let options = CollectOptions {
        workflow: "plain".to_owned(),
        ..CollectOptions::default()
    };
    let mut taken = Vec::new();
    let skipped = collect::<HistoryError>(&history, &options, None, |example| {
        taken.push(Value::Object(example.inputs.clone()));
        Ok(())
    });
    assert_eq!(taken, [json!({"text": "new"})]);
    assert_eq!(skipped.unwrap().other_signature, 1);
}
