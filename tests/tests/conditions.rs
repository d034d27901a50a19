//! Which steps run, and with what, on a runner that answers as the test says.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::collections::BTreeMap;
use std::sync::Mutex;

use dspipe_runtime::read::read_value;
use dspipe_runtime::{Error, Runner, Signature, Value};
use dspipe_tests::workflows::conditions::{self, Inputs, Outputs};
use serde_json::json;

/// Answers each step with its value, and keeps what it was asked.
struct Answers {
    values: Value,
    asked: Mutex<BTreeMap<&'static str, Value>>,
}

impl Runner for Answers {
    async fn step<S: Signature>(&self, input: &S::Input) -> Result<S::Output, Error> {
        let step = S::DEF.step;
        let input = serde_json::to_value(input).unwrap();
        let asked = self.asked.lock().unwrap().insert(step, input);
        assert_eq!(asked, None, "{step} ran twice");
        Ok(read_value(self.values[step].clone()).unwrap())
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

fn values() -> Value {
    json!({
        "read": {
            "kind": "question", "score": 5.0, "count": 2, "words": ["one", "two"], "sizes": [4, 2],
            "note": null, "names": {}, "urgent": false, "person": {"name": "Ann", "age": 33},
        },
        "answer": {"text": "Because.", "sure": false, "source": null},
        "check": {"verdict": "bad"},
        "polish": {"text": "Because, you see."},
        "escalate": {"done": true},
        "report": {"summary": "done"},
    })
}

async fn run(values: Value) -> (Outputs, BTreeMap<&'static str, Value>) {
    let runner = Answers {
        values,
        asked: Mutex::default(),
    };
    let inputs = Inputs {
        text: " Why? ".to_owned(),
        hint: Some("h".to_owned()),
    };
    let outputs = conditions::run_with(&runner, inputs).await.unwrap();
    (outputs, runner.asked.into_inner().unwrap())
}

#[tokio::test]
async fn what_holds_runs_and_gets_typed_values() {
    let (outputs, asked) = run(values()).await;
    let ran: Vec<&str> = asked.keys().copied().collect();
    assert_eq!(ran, ["answer", "check", "polish", "read", "report"]);
    assert_eq!(
        asked["answer"],
        json!({"question": "Why? (3 of 2)", "first": "one", "age": 33})
    );
    assert_eq!(asked["check"], json!({"answer": "Because."}));
    assert_eq!(
        asked["polish"],
        json!({"answer": "Because.", "verdict": "bad"})
    );
    assert_eq!(
        asked["report"],
        json!({"answer": "Because, you see.", "done": null, "source": null})
    );
    assert_eq!(outputs.answer.unwrap().text, "Because.");
    assert!(outputs.escalate.is_none());
}

#[tokio::test]
async fn what_does_not_hold_is_absent_and_its_followers_too() {
    let mut values = values();
    values["read"]["score"] = json!(2.9);
    let (outputs, asked) = run(values).await;
    let ran: Vec<&str> = asked.keys().copied().collect();
    assert_eq!(ran, ["read", "report"]);
    assert_eq!(
        asked["report"],
        json!({"answer": "none", "done": null, "source": null})
    );
    assert!(outputs.answer.is_none() && outputs.check.is_none() && outputs.polish.is_none());
}

#[tokio::test]
async fn a_chain_of_fallbacks_ends_at_the_first_that_is_there() {
    let mut values = values();
    // Sure, with a source and a capital: neither checked nor polished.
    values["answer"] = json!({"text": "Because.", "sure": true, "source": "a book"});
    let (outputs, asked) = run(values).await;
    assert!(outputs.check.is_none() && outputs.polish.is_none());
    assert_eq!(
        asked["report"],
        json!({"answer": "Because.", "done": null, "source": "a book"})
    );
}

/// A reading for which every part of the condition of `escalate` holds.
fn urgent() -> Value {
    let mut values = values();
    values["read"] = json!({
        "kind": "complaint", "score": 9.5, "count": 4, "words": ["do", "it", "now"], "sizes": [3, 8],
        "note": "broken", "names": {"who": "Ann"}, "urgent": false, "person": null,
    });
    values
}

#[tokio::test]
async fn every_operator_counts() {
    let (outputs, asked) = run(urgent()).await;
    assert!(outputs.escalate.unwrap().done);
    assert_eq!(
        asked["escalate"],
        json!({
            "reason": "BROKEN", "total": 11, "mean": 11.0, "who": null,
            "words": "Dear {name}: do, it, now{\"who\":\"Ann\"}",
        })
    );
    for (field, value) in [
        ("kind", json!("question")),
        ("words", json!(["later"])),
        ("names", json!({"boss": "Bo"})),
        ("sizes", json!([3, 7])),
        ("score", json!(9.75)),
        ("score", json!(0.5)),
        // (14 - 1) * 2 / 3 is more than 9.5 * 0.5.
        ("count", json!(14)),
        ("note", json!("")),
    ] {
        let mut values = urgent();
        values["read"][field] = value.clone();
        let (outputs, _) = run(values).await;
        assert!(outputs.escalate.is_none(), "{field}: {value}");
    }
    // `urgent` stands for the kind.
    let mut values = urgent();
    values["read"]["kind"] = json!("question");
    values["read"]["urgent"] = json!(true);
    assert!(run(values).await.0.escalate.is_some());
}
