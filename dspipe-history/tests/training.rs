//! From a history to training data.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod support;

use std::sync::Arc;

use dspipe_history::training::{
    CollectOptions, Example, Part, Shape, Shares, Skipped, Split, SynthesisOptions, collect,
    synthesize,
};
use dspipe_history::{Feedback, History, HistoryError, Redaction, Settings, Time, WhenFull};
use serde_json::{Map, Value, json};

use support::{Answer, Scripted, Triage, execution, history, run_both, runner, triage};

fn settings() -> Settings {
    Settings {
        when_full: WhenFull::Wait,
        ..Settings::default()
    }
}

fn options() -> CollectOptions {
    CollectOptions {
        workflow: "support".to_owned(),
        step: Some("triage".to_owned()),
        ..CollectOptions::default()
    }
}

fn collected(history: &History, options: &CollectOptions) -> (Vec<Example>, Skipped) {
    let mut examples = Vec::new();
    let skipped = collect::<HistoryError>(history, options, None, |example| {
        examples.push(example.clone());
        Ok(())
    });
    (examples, skipped.unwrap())
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => panic!("{other}"),
    }
}

#[test]
fn the_best_of_equal_inputs_is_kept() {
    let (_directory, history) = history(settings());
    let recorder = history.recorder().unwrap();
    for score in [0.2, 0.9, 0.5] {
        let mut new = execution(1);
        new.outputs = Some(json!({"urgency": format!("{score}")}));
        new.score = Some(score);
        recorder.record(new);
    }
    recorder.flush().unwrap();
    let (examples, skipped) = collected(&history, &options());
    assert_eq!(examples.len(), 1);
    assert_eq!(examples[0].outputs["urgency"], "0.9");
    assert_eq!(skipped.exact, 2);

    let right = object(json!({"urgency": "corrected"}));
    history.feedback(1, Feedback::Correct(right)).unwrap();
    let (examples, _) = collected(&history, &options());
    assert_eq!(examples[0].outputs["urgency"], "corrected");
}

#[test]
fn each_reason_to_leave_one_out_is_counted() {
    let (_directory, history) = history(Settings {
        redaction: Redaction::new().with("email".parse().unwrap()),
        ..settings()
    });
    let recorder = history.recorder().unwrap();
    let with = |number: u32, change: fn(&mut dspipe_history::NewExecution)| {
        let mut new = execution(number);
        change(&mut new);
        recorder.record(new);
    };
    with(1, |_| {});
    with(2, |new| new.error = Some("timeout".to_owned()));
    with(3, |new| new.inputs["email"] = json!("a@example.org"));
    with(4, |new| new.outputs = Some(json!(["no object"])));
    with(5, |new| new.time = Some(Time::from_millis(0)));
    with(6, |new| new.lm = Some("test/other".to_owned()));
    with(7, |new| new.step = None);
    recorder.flush().unwrap();
    let (examples, skipped) = collected(
        &history,
        &CollectOptions {
            since: Some(Time::from_millis(1)),
            lm: Some("test/scripted".to_owned()),
            ..options()
        },
    );
    assert_eq!(examples.len(), 1);
    assert_eq!(examples[0].source, "execution 1");
    assert_eq!(
        skipped,
        Skipped {
            failed: 1,
            redacted: 1,
            misfit: 1,
            ..Skipped::default()
        }
    );
    let (runs, _) = collected(
        &history,
        &CollectOptions {
            step: None,
            ..options()
        },
    );
    assert_eq!(runs[0].source, "execution 7");
    let reviewed = CollectOptions {
        reviewed: true,
        ..options()
    };
    assert!(collected(&history, &reviewed).0.is_empty());
    history.feedback(5, Feedback::Accept).unwrap();
    assert_eq!(collected(&history, &reviewed).0.len(), 1);
    let limited = CollectOptions {
        limit: Some(2),
        ..options()
    };
    assert_eq!(collected(&history, &limited).0.len(), 2);
}

#[tokio::test]
async fn executions_of_an_older_signature_are_left_out() {
    let (_directory, history) = history(settings());
    let recorder = Arc::new(history.recorder().unwrap());
    let lm = Scripted::replies(&[r#"{"urgency": "low"}"#]);
    triage(&runner(lm).with_observer(recorder.clone()), "new")
        .await
        .unwrap();
    recorder.flush().unwrap();
    // As one from before the step was changed: the same name, another fingerprint.
    let older = Time::now()
        .before(std::time::Duration::from_secs(60))
        .millis();
    rusqlite::Connection::open(history.path())
        .unwrap()
        .execute(
            "INSERT INTO executions (workflow, step, time, latency, signature, inputs, outputs, version)
             VALUES ('support', 'triage', ?1, 1, 'ffffffffffffffff', '{\"old\":1}', '{}', '0')",
            [older],
        )
        .unwrap();
    let (examples, skipped) = collected(&history, &options());
    assert_eq!((examples.len(), skipped.other_signature), (1, 1));
    let any = CollectOptions {
        any_signature: true,
        ..options()
    };
    assert_eq!(collected(&history, &any).0.len(), 2);
}

#[tokio::test]
async fn a_recorded_workflow_becomes_examples_of_its_signature() {
    let (_directory, history) = history(settings());
    let recorder = Arc::new(history.recorder().unwrap());
    let lm = Scripted::replies(&[r#"{"urgency": "low"}"#, r#"{"reply": "Thanks"}"#]);
    run_both(&runner(lm).with_observer(recorder.clone()), "Hi")
        .await
        .unwrap();
    recorder.flush().unwrap();
    let triage = Shape::of(<Triage as dspipe_runtime::Signature>::DEF).unwrap();
    let answer = Shape::of(<Answer as dspipe_runtime::Signature>::DEF).unwrap();
    let (examples, _) = collected(&history, &options());
    assert!(triage.misfits(&examples[0]).is_empty());
    assert!(!answer.misfits(&examples[0]).is_empty());
}

fn shape() -> Shape {
    Shape::new(
        json!({"properties": {"text": {"type": "string"}}, "required": ["text"]}),
        json!({"properties": {"kind": {"enum": ["a", "b"]}}, "required": ["kind"]}),
        "Sort the text.",
    )
    .unwrap()
}

fn reply(texts: &[&str]) -> String {
    let pair = |text: &&str| json!({"inputs": {"text": text}, "outputs": {"kind": "a"}});
    let pairs: Vec<Value> = texts.iter().map(pair).collect();
    json!({"examples": pairs}).to_string()
}

#[tokio::test]
async fn made_up_examples_are_new_marked_and_for_training() {
    let lm = Scripted::replies(&[
        &reply(&["known text here", "first new one", "FIRST new one."]),
        &reply(&["second thing entirely", "more than was wanted"]),
    ]);
    let known = Example::new(
        object(json!({"text": "Known text, here!"})),
        object(json!({"kind": "b"})),
    );
    let mut synthetic = known.clone();
    synthetic.inputs = object(json!({"text": "made up before"}));
    synthetic.synthetic = true;
    let runner = runner(lm.clone());
    let options = SynthesisOptions::new(2);
    let made = synthesize(
        &runner,
        "test/scripted",
        &shape(),
        &[known, synthetic],
        options,
    )
    .await;
    assert!(made.stopped.is_none());
    assert_eq!((made.requests, made.duplicates, made.misfits), (2, 2, 0));
    let texts: Vec<&Value> = made
        .examples
        .iter()
        .map(|one| &one.inputs["text"])
        .collect();
    assert_eq!(texts, ["first new one", "second thing entirely"]);
    let split = Split {
        shares: Shares::new(0.0, 0.5, 0.5).unwrap(),
        seed: 0,
        stratify: None,
        group: None,
    };
    for one in &made.examples {
        assert!(one.synthetic && one.source == "test/scripted");
        assert_eq!(split.part(one), Part::Train);
    }
    // The LM sees real examples, not those that were made up.
    let asked = lm.asked.lock().unwrap();
    let first = &asked[0].messages.last().unwrap().content;
    assert!(first.contains("Known text, here!") && first.contains("Sort the text."));
    assert!(!first.contains("made up before"));
}

#[tokio::test]
async fn what_was_made_before_an_error_is_kept() {
    let lm = Scripted::replies(&[&reply(&["the only one"])]);
    let options = SynthesisOptions::new(3);
    let made = synthesize(&runner(lm), "test/scripted", &shape(), &[], options).await;
    assert_eq!(made.examples.len(), 1);
    assert!(
        made.stopped
            .unwrap()
            .to_string()
            .contains("the script is at its end")
    );
}

#[tokio::test]
async fn requests_end_where_nothing_new_comes() {
    let same = reply(&["again and again"]);
    let lm = Scripted::replies(&vec![&*same; 50]);
    let options = SynthesisOptions::new(5);
    let made = synthesize(&runner(lm), "test/scripted", &shape(), &[], options).await;
    assert_eq!(
        (made.requests, made.examples.len(), made.duplicates),
        (3, 1, 2)
    );
}
