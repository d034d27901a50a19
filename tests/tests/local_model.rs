//! Compiled workflows on the live embedded model. What it says is its own affair: the tests look at
//! types and structure only.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use dspipe_runtime::lm::{LocalLm, Message, OutputSchema, Params, Request, Retry};
use dspipe_runtime::local::{Settings, Supervisor};
use dspipe_runtime::{LmError, LmName, Lms, LocalRunner, Trace, Value};
use dspipe_tests::seed::{code_analyzer, comprehensive_code_analysis, documentation_generator};
use dspipe_tests::workflows::every_thing;

const CODE: &str = "defmodule Greeter do\n  def hello(name), do: \"Hello, \" <> name\n  def bye(name), do: \"Bye, \" <> name\nend";

fn runner() -> (LocalRunner, Arc<Trace>) {
    let trace = Arc::new(Trace::default());
    let runner = LocalRunner::new()
        .with_lm(LmName::embedded())
        .with_observer(trace.clone());
    (runner, trace)
}

/// Every step ran once on the embedded model, and that cost something.
fn assert_ran(trace: &Trace, steps: usize) {
    let reports = trace.reports();
    assert_eq!(reports.len(), steps);
    for report in reports {
        assert!(report.succeeded, "{report:?}");
        assert_eq!(report.lm, LmName::embedded().to_string());
        assert!(
            report.usage.input_tokens > 0 && report.usage.output_tokens > 0,
            "{report:?}"
        );
        assert!(report.latency > Duration::ZERO);
    }
}

#[tokio::test]
async fn the_seeds_analyzer_runs() {
    let (runner, trace) = runner();
    let inputs = code_analyzer::Inputs {
        source_code: CODE.to_owned(),
        context: "A small module".to_owned(),
    };
    let outputs = code_analyzer::run_with(&runner, inputs).await.unwrap();
    let complexity = outputs.analyze_code_structure.analysis.complexity;
    assert!(code_analyzer::analyze_code_structure::AnalysisComplexity::ALL.contains(&complexity));
    assert_ran(&trace, 1);
}

#[tokio::test]
async fn the_seeds_chain_of_three_runs() {
    let (runner, trace) = runner();
    let inputs = comprehensive_code_analysis::Inputs {
        source_code: CODE.to_owned(),
    };
    comprehensive_code_analysis::run_with(&runner, inputs)
        .await
        .unwrap();
    assert_ran(&trace, 3);
}

#[tokio::test]
async fn the_seeds_documentation_runs() {
    let (runner, trace) = runner();
    let inputs = documentation_generator::Inputs {
        source_code: CODE.to_owned(),
    };
    let outputs = documentation_generator::run_with(&runner, inputs)
        .await
        .unwrap();
    assert!(!outputs.analyze_code.documentation.is_empty());
    assert_ran(&trace, 1);
}

#[tokio::test]
async fn limits_of_every_kind_hold() {
    let (runner, trace) = runner();
    let inputs = every_thing::Inputs {
        self_: "The red fox jumps over the lazy dog.".to_owned(),
        r#type: every_thing::r#match::Type::AB,
        ratio: 0.5,
        hint: None,
    };
    let outputs = every_thing::run_with(&runner, inputs).await.unwrap();
    assert_ran(&trace, 6);
    for part in &outputs.r#match.result.parts {
        assert!((0.5..=1.5).contains(&part.weight));
        assert!((1..=40).contains(&part.text.chars().count()));
    }
    assert!(outputs.late.score <= 10.0);
}

fn request(input: &str, schema: &str) -> Request {
    Request {
        messages: vec![Message::user(input)],
        schema: Some(OutputSchema {
            name: "answer".to_owned(),
            json: schema.to_owned().into(),
        }),
        params: Params::default(),
    }
}

#[tokio::test]
async fn an_input_beyond_the_context_is_told_as_such() {
    let lm = Lms::new().get(&LmName::embedded()).unwrap();
    let request = request(&"word ".repeat(9000), r#"{"type":"object"}"#);
    let error = lm.complete(&request).await.unwrap_err();
    assert!(matches!(error, LmError::ContextLength { .. }), "{error:?}");
}

#[tokio::test]
async fn an_unknown_local_model_is_told_with_those_that_exist() {
    let error = Lms::new().get(&"local/gpt".parse().unwrap()).unwrap_err();
    assert!(
        error.to_string().contains("smollm2-135m-instruct"),
        "{error}"
    );
}

/// A server of its own, so that nobody else's is killed.
#[tokio::test]
async fn a_killed_server_is_replaced_without_the_caller_noticing() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = Settings::from_env().unwrap();
    settings.run = directory.path().to_path_buf();
    settings.idle = Duration::from_secs(2);
    let lm = LocalLm::new(LmName::embedded())
        .unwrap()
        .with_supervisor(Supervisor::new(settings));
    let schema = r#"{"type":"object","properties":{"a":{"type":"boolean"}},"required":["a"]}"#;
    let request = request("Is it so?", schema);
    let ask = async || {
        let reply = Retry::default().complete(&lm, &request).await;
        let text = reply.unwrap().text;
        assert!(
            serde_json::from_str::<Value>(&text).unwrap()["a"].is_boolean(),
            "{text}"
        );
    };
    ask().await;
    let run = fs::read_dir(directory.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let address: Value =
        serde_json::from_slice(&fs::read(run.path().join("server.json")).unwrap()).unwrap();
    let killed = Command::new("kill")
        .args(["-s", "KILL", &address["pid"].to_string()])
        .status();
    assert!(killed.unwrap().success());
    ask().await;
}
