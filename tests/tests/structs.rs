//! `#[dspy_signature]` on structs, against a scripted server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]
#![deny(warnings, missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

use std::sync::Arc;

use dspipe_runtime::lm::{Api, HttpLm};
use dspipe_runtime::{LmName, Lms, LocalRunner, Signature, dspy_signature};
use dspipe_tests::server::{Answer, Server};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Wants to know something.
    Question,
    /// Wants something else.
    Complaint,
}

/// A part that is broken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// What it is called.
    #[schemars(length(min = 2, max = 20))]
    pub name: String,
    /// How many.
    #[schemars(range(max = 9))]
    pub count: u8,
}

/// Sort a support ticket
/// and say how urgent it is.
#[dspy_signature(
    lm = "scripted/a-model",
    temperature = 0.5,
    max_tokens = 200,
    name = "sort"
)]
#[derive(Clone, Debug, PartialEq)]
pub struct Triage {
    /// What the customer wrote.
    #[input(sensitive)]
    pub text: String,
    /// What is known
    /// of them.
    #[input]
    pub parts: Vec<Part>,
    /// How urgent it is, 1 to 5
    #[output]
    #[schemars(range(min = 1, max = 5))]
    pub urgency: u8,
    /// What it is.
    #[output]
    pub kind: Kind,
    /// The parts that are broken
    #[output]
    pub broken: Vec<Part>,
    /// Says more
    #[output]
    pub hint: Option<String>,
    /// A number
    #[output]
    #[serde(rename = "type")]
    pub ty: i64,
}

fn input() -> TriageInput {
    TriageInput {
        text: "It broke.".to_owned(),
        parts: vec![Part {
            name: "lid".to_owned(),
            count: 1,
        }],
    }
}

fn runner(server: &Server) -> LocalRunner {
    let name: LmName = "scripted/a-model".parse().unwrap();
    let lm = HttpLm::new(name, Api::OpenAiChat, &server.url(), None).unwrap();
    LocalRunner::new().with_lms(Lms::new().with(Arc::new(lm)))
}

fn answer() -> Value {
    json!({
        "urgency": 4.0,
        "kind": "complaint",
        "broken": [{"name": "lid", "count": 1}],
        "type": 7,
    })
}

#[tokio::test]
async fn a_struct_is_asked_for_and_read() {
    let server = Server::start(|_, _| Answer::reply(&answer().to_string()))
        .await
        .unwrap();
    let output = Triage::run_with(&runner(&server), input()).await.unwrap();
    assert_eq!(
        output,
        TriageOutput {
            urgency: 4,
            kind: Kind::Complaint,
            broken: input().parts,
            hint: None,
            ty: 7,
        }
    );
    let received = server.received();
    insta::assert_json_snapshot!(received[0].body);
}

#[tokio::test]
async fn every_bad_field_is_told_with_its_path() {
    let server = Server::start(|count, _| {
        let mut reply = answer();
        if count == 0 {
            reply["urgency"] = json!(300);
            reply["kind"] = json!("praise");
            reply["broken"][0]["count"] = json!("many");
            reply.as_object_mut().unwrap().remove("type");
        }
        Answer::reply(&reply.to_string())
    })
    .await
    .unwrap();
    let output = Triage::run_with(&runner(&server), input()).await.unwrap();
    assert_eq!(output.urgency, 4);
    let received = server.received();
    insta::assert_snapshot!(received[1].last_message());
}

#[tokio::test]
async fn limits_of_schemars_hold_for_replies() {
    let server = Server::start(|count, _| {
        let mut reply = answer();
        if count == 0 {
            reply["urgency"] = json!(9);
            reply["broken"][0]["name"] = json!("x");
        }
        Answer::reply(&reply.to_string())
    })
    .await
    .unwrap();
    let output = Triage::run_with(&runner(&server), input()).await.unwrap();
    assert_eq!(output.urgency, 4);
    insta::assert_snapshot!(server.received()[1].last_message());
}

#[test]
fn inputs_and_outputs_go_to_json_and_back() {
    let text = r#"{"urgency":1,"kind":"question","broken":[],"hint":null,"type":3}"#;
    let output: TriageOutput = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&output).unwrap(), text);
    let value = serde_json::to_value(input()).unwrap();
    assert_eq!(
        serde_json::from_value::<TriageInput>(value).unwrap(),
        input()
    );
}

#[test]
fn what_is_known_of_a_signature() {
    assert_eq!(Triage::DEF.step, "sort");
    assert_eq!(Triage::DEF.workflow, "structs");
    assert!(Triage::DEF.source.contains("tests/structs.rs:"));
    let def = Triage::def();
    assert_eq!(
        def.instructions,
        "Sort a support ticket\nand say how urgent it is."
    );
    assert_eq!(def.inputs[1].description, "What is known of them.");
    assert!(def.inputs[0].sensitive && !def.inputs[1].sensitive);
    assert!(def.input_schema.contains(r#""required":["text","parts"]"#));
    assert_eq!(def.outputs[1].ty, "\"question\" | \"complaint\"");
    assert!(std::ptr::eq(def, Triage::def()));
}

/// Types of workflows, that say what they are.
#[dspy_signature(workflow = "workflows/everything.yaml", derive = "JsonSchema")]
pub mod everything {}

/// Types of workflows that contain themselves.
#[dspy_signature(workflow = "workflows/types.yaml", derive = "JsonSchema")]
pub mod types {}

/// Sum up.
#[dspy_signature]
pub struct Summary {
    /// The results
    #[input]
    pub results: Vec<everything::r#match::ResultValue>,
    /// The best one
    #[output]
    pub best: Option<everything::r#match::ResultPartsItem>,
    /// What kind
    #[output]
    pub kind: everything::r#match::ResultKind,
    /// How it is built
    #[output]
    pub answer: types::answer::Output,
}

#[test]
fn types_of_workflows_can_be_fields() {
    let def = Summary::def();
    insta::assert_json_snapshot!(serde_json::from_str::<Value>(def.output_schema).unwrap());
    let text = r#"{"best": {"text": 1, "weight": 2}, "kind": "high", "answer": {}}"#;
    let error = serde_json::from_str::<SummaryOutput>(text).err().unwrap();
    insta::assert_snapshot!(error.to_string());
}
