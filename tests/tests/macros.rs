//! `#[dspy_signature]` gives what the build script gives.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::sync::Arc;

use dspipe_runtime::lm::{Api, HttpLm};
use dspipe_runtime::{LmName, Lms, LocalRunner, dspy_signature};
use dspipe_tests::server::{Answer, Server};
use dspipe_tests::workflows;

/// The workflow that the build script compiles, too.
#[dspy_signature(workflow = "workflows/everything.yaml")]
pub mod everything {
    /// An item of the user's own stays.
    pub const MINE: u8 = 1;
}

#[test]
fn both_ways_know_the_same_of_a_workflow() {
    assert_eq!(everything::WORKFLOW, workflows::every_thing::WORKFLOW);
    assert_eq!(everything::MINE, 1);
}

#[test]
fn both_ways_make_the_same_types() {
    let text = r#"{"self":"a","Type":"3d","ratio":0.5,"hint":null}"#;
    let inputs: everything::Inputs = serde_json::from_str(text).unwrap();
    assert_eq!(inputs.r#type, everything::r#match::Type::N3d);
    assert_eq!(serde_json::to_string(&inputs).unwrap(), text);
    let error = serde_json::from_str::<everything::Inputs>(r#"{"ratio":2,"Type":"4d"}"#);
    assert_eq!(
        error.unwrap_err().to_string(),
        "`self` is missing; `Type` must be one of \"a b\", \"A-C!\", \"3d\", \"self\", but is \"4d\"; \
         `ratio` must be at most 1, but is 2"
    );
}

/// A step that takes what another one gives.
#[dspy_signature(workflow = "workflows/everything.yaml", step = "left")]
pub mod left_only {}

/// One that can be streamed.
#[dspy_signature(workflow = "workflows/types.yaml", step = "read")]
pub mod read_only {}

#[tokio::test]
async fn a_step_runs_without_its_workflow() {
    let server = Server::start(|_, request| {
        assert_eq!(request.step(), "left");
        Answer::reply(r#"{"count":2}"#)
    })
    .await
    .unwrap();
    let name: LmName = "scripted/a-model".parse().unwrap();
    let lm = HttpLm::new(name.clone(), Api::OpenAiChat, &server.url(), None).unwrap();
    let runner = LocalRunner::new()
        .with_lm(name)
        .with_lms(Lms::new().with(Arc::new(lm)));
    // The types of other steps that it needs are where they are in the whole.
    let item = left_only::r#match::ResultPartsItem {
        text: "a".to_owned(),
        weight: 1.0,
        tags: Vec::new(),
    };
    let input = left_only::Input { part: vec![item] };
    let output: left_only::left::Output = left_only::run_with(&runner, input).await.unwrap();
    assert_eq!(output, left_only::Output { count: 2 });
    assert_eq!(
        left_only::SIGNATURE,
        *workflows::every_thing::WORKFLOW.steps[1]
    );
}

#[test]
fn a_step_without_its_workflow_can_be_streamed() {
    let input = read_only::Input {
        letter: String::new(),
        tone: read_only::Tone::Plain,
        sender: None,
    };
    let stream = read_only::stream(&LocalRunner::new(), &input);
    assert_eq!(format!("{stream:?}"), "OutputStream { step: \"read\", .. }");
    assert_eq!(read_only::PartialOutput::default().level, None);
}

/// A step that takes what a loop gave.
#[dspy_signature(workflow = "workflows/loops.yaml", step = "report")]
pub mod after_loops {}

/// A step that takes what a workflow gave that was called.
#[dspy_signature(workflow = "workflows/calls.yaml", step = "report")]
pub mod after_calls {}

#[test]
fn a_step_takes_what_loops_and_calls_gave() {
    assert_eq!(after_loops::SIGNATURE, workflows::loops::report::SIGNATURE);
    assert_eq!(after_calls::SIGNATURE, workflows::calls::report::SIGNATURE);
    let round = after_loops::search::Iteration {
        find: after_loops::find::Output { found: Vec::new() },
        rank: after_loops::rank::Output { best: None },
    };
    assert_eq!(
        serde_json::to_string(&round).unwrap(),
        r#"{"find":{"found":[]},"rank":{"best":null}}"#
    );
}
