//! A workflow with a loop, optimized by real DSPy on a scripted LM whose best prompt is known.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::fs;
use std::sync::Arc;

use dspipe_optimize::Optimization;
use dspipe_runtime::lm::{Api, HttpLm, Retry};
use dspipe_runtime::{LmName, Lms, LocalRunner};
use dspipe_tests::server::{Answer, Received, Server};
use dspipe_tests::workflows::palette::Workflow;
use serde_json::json;

const CODES: [(&str, &str); 4] = [
    ("red", "R1"),
    ("green", "G2"),
    ("blue", "B3"),
    ("grey", "X4"),
];

/// With this in its instructions the scripted LM is always right.
const RULE: &str = "Answer with the code of the colour.";

/// What the LM says: a label, the labels in a row, or new instructions.
fn answer(request: &Received) -> Answer {
    let asked = request.last_message();
    let system = request.body["messages"][0]["content"].as_str().unwrap();
    if request.body["model"] == "proposer" {
        let fields = system.split("Your output fields are:").nth(1);
        let fields = fields.and_then(|text| text.split("All interactions").next());
        let names = fields.unwrap_or_default().lines();
        let names = names.filter_map(|line| line.split('`').nth(1));
        let texts = names.map(|name| format!("[[ ## {name} ## ]]\n{RULE}"));
        return Answer::reply(&texts.collect::<Vec<_>>().join("\n\n"));
    }
    let schema = request.body["response_format"].to_string();
    if schema.contains("codes") {
        let words = asked.split(|c: char| !c.is_ascii_alphanumeric());
        let codes = words.filter(|word| CODES.iter().any(|(_, code)| code == word));
        let codes: Vec<&str> = codes.collect();
        return Answer::reply(&json!({"codes": codes.join(" ")}).to_string());
    }
    let named = |colour: &str| asked.contains(&format!(" is {colour}."));
    let (_, code) = CODES.iter().find(|(colour, _)| named(colour)).unwrap();
    let label = if system.contains(RULE) { code } else { "R1" };
    Answer::reply(&json!({"label": label}).to_string())
}

#[tokio::test]
async fn the_step_of_a_loop_gets_a_better_prompt() {
    let package = tempfile::tempdir().unwrap();
    let workflows = package.path().join("workflows");
    fs::create_dir(&workflows).unwrap();
    fs::copy("workflows/palette.yaml", workflows.join("palette.yaml")).unwrap();
    let data = |name: &str| package.path().join(format!("{name}.jsonl"));
    for name in ["train", "val", "test"] {
        let lines: Vec<String> = (0..8)
            .map(|number| {
                let pair = [number, number + 1].map(|at| CODES[at % CODES.len()]);
                let texts = pair.map(|(colour, _)| format!("In {name} {number} it is {colour}."));
                let codes = pair.map(|(_, code)| code).join(" ");
                format!("{}\n", json!({"texts": texts, "codes": codes}))
            })
            .collect();
        fs::write(data(name), lines.concat()).unwrap();
    }
    let server = Server::start(|_, request| answer(request)).await.unwrap();
    let lms = ["scripted/small", "scripted/proposer"]
        .into_iter()
        .fold(Lms::new(), |lms, name| {
            let name: LmName = name.parse().unwrap();
            let lm = HttpLm::new(name, Api::OpenAiChat, &server.url(), None);
            lms.with(Arc::new(lm.unwrap()))
        });
    let outcome = Optimization::of::<Workflow>(package.path())
        .runner(LocalRunner::new().with_lms(lms).with_retry(Retry::never()))
        .proposer("scripted/proposer".parse().unwrap())
        .train([data("train")])
        .validation([data("val")])
        .held_out([data("test")])
        .threads(2)
        .optimizers("copro", "{breadth: 2, depth: 1}")
        .unwrap()
        .run()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let comparison = outcome.comparison.as_ref().unwrap();
    assert!(comparison.baseline.estimate.abs() < 1e-9, "{outcome}");
    assert!(
        (comparison.optimized.estimate - 1.0).abs() < 1e-9,
        "{outcome}"
    );
    let instructions = &outcome.after["classify"].instructions;
    assert!(instructions.contains(RULE), "{instructions}");
    // The compiler takes what was written, and the step in the loop has it.
    let compilation = dspipe_build::Config::new()
        .workflow("workflows/palette.yaml")
        .load(package.path())
        .unwrap();
    let workflow = &compilation.workflows()[0];
    assert_eq!(compilation.report(workflow), "");
    assert!(workflow.items().unwrap().contains(RULE));
}
