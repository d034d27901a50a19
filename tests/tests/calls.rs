//! Workflows that call others, and loops with a condition, on a runner that answers as the test says.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::sync::Mutex;

use dspipe_runtime::read::read_value;
use dspipe_runtime::{Error, Runner, Signature, Value};
use dspipe_tests::workflows::calls::{self, Inputs, Outputs, Person, translate};
use serde_json::json;

/// Answers each step with what a function makes of its input, and keeps what it was asked.
struct Answers<F> {
    answer: F,
    asked: Mutex<Vec<(&'static str, &'static str, Value)>>,
}

impl<F: Fn(&str, &Value) -> Value + Sync> Runner for Answers<F> {
    async fn step<S: Signature>(&self, input: &S::Input) -> Result<S::Output, Error> {
        let step = S::DEF.step;
        let input = serde_json::to_value(input).unwrap();
        let asked = (S::DEF.workflow, step, input.clone());
        self.asked.lock().unwrap().push(asked);
        Ok(read_value((self.answer)(step, &input)).unwrap())
    }

    async fn join<A: Send, B: Send>(
        &self,
        a: impl Future<Output = Result<A, Error>> + Send,
        b: impl Future<Output = Result<B, Error>> + Send,
    ) -> Result<(A, B), Error> {
        let (a, b) = tokio::join!(a, b);
        Ok((a?, b?))
    }
}

/// Scores that rise by 4.
fn answer(step: &str, input: &Value) -> Value {
    match step {
        "draft" => json!({"text": "d", "tone": "warm", "size": 2}),
        "judge" => json!({"score": 2 + 4 * input["round"].as_i64().unwrap()}),
        "fix" => json!({"text": format!("fixed at {}", input["score"])}),
        "word_by_word" => {
            let (language, text) = (&input["language"], &input["text"]);
            json!({"text": format!("{}: {}", language.as_str().unwrap(), text.as_str().unwrap())})
        }
        "check" => json!({"verdict": "good", "note": "n"}),
        _ => json!({"text": "done"}),
    }
}

type Asked = Vec<(&'static str, &'static str, Value)>;

async fn run(answer: impl Fn(&str, &Value) -> Value + Sync) -> (Outputs, Asked) {
    let runner = Answers {
        answer,
        asked: Mutex::default(),
    };
    let inputs = Inputs {
        person: Person {
            name: "Ann".to_owned(),
            age: 33,
        },
        languages: ["English", "Italian", "Dutch"].map(str::to_owned).to_vec(),
        topic: "t".to_owned(),
    };
    let outputs = calls::run_with(&runner, inputs).await.unwrap();
    (outputs, runner.asked.into_inner().unwrap())
}

fn of<'a>(asked: &'a Asked, step: &str) -> Vec<&'a Value> {
    let all = asked.iter().filter(|(_, name, _)| *name == step);
    all.map(|(_, _, input)| input).collect()
}

#[tokio::test]
async fn a_loop_goes_on_while_its_condition_holds() {
    let (outputs, asked) = run(answer).await;
    let improve = &outputs.improve;
    assert_eq!((improve.iterations, improve.exhausted), (3, false));
    let last = improve.last.as_ref().unwrap();
    assert_eq!(last.judge.score, 10);
    assert_eq!(last.fix.as_ref().unwrap().text, "fixed at 10");
    // Each round sees what the one before gave; the first has none.
    assert_eq!(
        of(&asked, "judge"),
        [
            &json!({"text": "d", "round": 0, "before": null}),
            &json!({"text": "fixed at 2", "round": 1, "before": 2}),
            &json!({"text": "fixed at 6", "round": 2, "before": 6}),
        ]
    );
}

#[tokio::test]
async fn a_limit_that_is_reached_is_told() {
    let low = |step: &str, input: &Value| match step {
        "judge" => json!({"score": 2}),
        _ => answer(step, input),
    };
    let (outputs, asked) = run(low).await;
    assert_eq!(
        (outputs.improve.iterations, outputs.improve.exhausted),
        (3, true)
    );
    assert!(outputs.report.is_none() && of(&asked, "report").is_empty());
    // Without a fix the condition does not hold, which is no limit.
    let none = |step: &str, input: &Value| match step {
        "judge" => json!({"score": 1}),
        _ => answer(step, input),
    };
    let (outputs, asked) = run(none).await;
    // `loop.first` is told of the round to come.
    assert_eq!(
        (outputs.improve.iterations, outputs.improve.exhausted),
        (1, false)
    );
    assert_eq!(of(&asked, "word_by_word")[0]["text"], "d");
}

#[tokio::test]
async fn a_workflow_is_called_with_typed_values() {
    let (outputs, asked) = run(answer).await;
    let words = of(&asked, "word_by_word");
    assert_eq!(
        words[0],
        &json!({
            "text": "fixed at 10", "language": "French", "tone": "warm", "weight": 2.0, "reader": "Ann",
        })
    );
    assert_eq!(words.len(), 3);
    assert!(words.contains(&&json!({
        "text": "Dear Ann: d", "language": "Dutch", "tone": "cold", "weight": 0.5, "reader": "anybody",
    })));
    let checks = of(&asked, "check");
    assert_eq!(checks[0]["strict"], true);
    assert_eq!(checks[0]["note"], Value::Null);
    // The default of the called workflow, and a value of another call.
    assert_eq!(
        (&checks[1]["strict"], &checks[1]["note"]),
        (&json!(false), &json!("n"))
    );
    // Its steps are those of the workflow that is called.
    let workflows: Vec<&str> = asked
        .iter()
        .filter(|(_, step, _)| *step == "check")
        .map(|(workflow, _, _)| *workflow)
        .collect();
    assert_eq!(workflows, ["translate_text"; 3]);

    assert_eq!(
        outputs.translate.check.verdict,
        translate::check::Verdict::Good
    );
    let again: Vec<Option<&str>> = outputs
        .all
        .iter()
        .map(|round| round.again.as_ref().map(|it| &*it.word_by_word.text))
        .collect();
    let (italian, dutch) = ("Italian: Dear Ann: d", "Dutch: Dear Ann: d");
    assert_eq!(again, [None, Some(italian), Some(dutch)]);
    assert_eq!(
        of(&asked, "report"),
        [&json!({
            "verdict": "good",
            "rounds": 3,
            "score": 10,
            "texts": [null, italian, dutch],
            "whole": {
                "word_by_word": {"text": "French: fixed at 10"},
                "check": {"verdict": "good", "note": "n"},
            },
        })]
    );
}

#[tokio::test]
async fn outputs_are_read_back_from_json() {
    let (outputs, _) = run(answer).await;
    let json = serde_json::to_value(&outputs).unwrap();
    assert_eq!(json["improve"]["iterations"], 3);
    assert_eq!(read_value::<Outputs>(json).unwrap(), outputs);
}
