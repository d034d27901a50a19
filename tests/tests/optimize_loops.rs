//! Workflows with a loop and with a module, optimized by real DSPy on a scripted LM whose best prompt is known.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::fs;
use std::sync::Arc;

use dspipe_optimize::Optimization;
use dspipe_runtime::lm::{Api, HttpLm, Retry};
use dspipe_runtime::{LmName, Lms, LocalRunner, Workflow};
use dspipe_tests::server::{Answer, Received, Server};
use dspipe_tests::workflows::{palette, picks};
use serde_json::{Value, json};

const CODES: [(&str, &str); 4] = [
    ("red", "R1"),
    ("green", "G2"),
    ("blue", "B3"),
    ("grey", "X4"),
];

/// With this in its instructions the scripted LM is always right.
const RULE: &str = "Answer with the code of the colour.";

/// What the LM says that writes instructions: the rule, for every field.
fn proposal(system: &str) -> Answer {
    let fields = system.split("Your output fields are:").nth(1);
    let fields = fields.and_then(|text| text.split("All interactions").next());
    let names = fields.unwrap_or_default().lines();
    let names = names.filter_map(|line| line.split('`').nth(1));
    let texts = names.map(|name| format!("[[ ## {name} ## ]]\n{RULE}"));
    Answer::reply(&texts.collect::<Vec<_>>().join("\n\n"))
}

/// The place of the colour that is asked about.
fn colour(asked: &str) -> usize {
    let named = |colour: &str| asked.contains(&format!(" is {colour}."));
    let place = CODES.iter().position(|(colour, _)| named(colour));
    place.unwrap()
}

/// A label, or the labels in a row.
fn in_a_loop(request: &Received, system: &str) -> Value {
    let asked = request.last_message();
    let schema = request.body["response_format"].to_string();
    if schema.contains("codes") {
        let words = asked.split(|c: char| !c.is_ascii_alphanumeric());
        let codes = words.filter(|word| CODES.iter().any(|(_, code)| code == word));
        let codes: Vec<&str> = codes.collect();
        return json!({"codes": codes.join(" ")});
    }
    let (_, code) = CODES[colour(asked)];
    json!({"label": if system.contains(RULE) { code } else { "R1" }})
}

/// The right label in the last of three samples, a wrong one in the others.
fn in_one_sample_of_three(request: &Received, system: &str) -> Value {
    let place = colour(request.last_message());
    let seed = request.body.get("seed").and_then(Value::as_u64);
    if system.contains(RULE) && seed.unwrap_or(0) % 3 == 2 {
        return json!({"label": CODES[place].1, "sure": 0.9});
    }
    json!({"label": CODES[(place + 1) % CODES.len()].1, "sure": 0.1})
}

/// Searches for prompts of a workflow, which is always wrong before and always right with the rule. Its package has
/// what was found.
async fn optimized<W: Workflow + 'static>(
    step: &str,
    answer: impl Fn(&Received, &str) -> Value + Send + Sync + 'static,
    example: impl Fn(&str, usize) -> Value,
) -> tempfile::TempDir {
    let package = tempfile::tempdir().unwrap();
    let workflows = package.path().join("workflows");
    fs::create_dir(&workflows).unwrap();
    let file = format!("{}.yaml", W::DEF.name);
    fs::copy(format!("workflows/{file}"), workflows.join(&file)).unwrap();
    let data = |name: &str| package.path().join(format!("{name}.jsonl"));
    for name in ["train", "val", "test"] {
        let lines = (0..8).map(|number| format!("{}\n", example(name, number)));
        fs::write(data(name), lines.collect::<String>()).unwrap();
    }
    let server = Server::start(move |_, request| {
        let system = request.body["messages"][0]["content"].as_str().unwrap();
        if request.body["model"] == "proposer" {
            return proposal(system);
        }
        Answer::reply(&answer(request, system).to_string())
    });
    let server = server.await.unwrap();
    let lms = ["scripted/small", "scripted/proposer"]
        .into_iter()
        .fold(Lms::new(), |lms, name| {
            let name: LmName = name.parse().unwrap();
            let lm = HttpLm::new(name, Api::OpenAiChat, &server.url(), None);
            lms.with(Arc::new(lm.unwrap()))
        });
    let outcome = Optimization::of::<W>(package.path())
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
    let instructions = &outcome.after[step].instructions;
    assert!(instructions.contains(RULE), "{instructions}");
    package
}

#[tokio::test]
async fn the_step_of_a_loop_gets_a_better_prompt() {
    let package = optimized::<palette::Workflow>("classify", in_a_loop, |name, number| {
        let pair = [number, number + 1].map(|at| CODES[at % CODES.len()]);
        let texts = pair.map(|(colour, _)| format!("In {name} {number} it is {colour}."));
        json!({"texts": texts, "codes": pair.map(|(_, code)| code).join(" ")})
    })
    .await;
    // The compiler takes what was written, and the step in the loop has it.
    let compilation = dspipe_build::Config::new()
        .workflow("workflows/palette.yaml")
        .load(package.path())
        .unwrap();
    let workflow = &compilation.workflows()[0];
    assert_eq!(compilation.report(workflow), "");
    assert!(workflow.items().unwrap().contains(RULE));
}

#[tokio::test]
async fn samples_are_chosen_by_their_reward_while_prompts_are_tried() {
    optimized::<picks::Workflow>("classify", in_one_sample_of_three, |name, number| {
        let (colour, code) = CODES[number % CODES.len()];
        json!({"text": format!("In {name} {number} it is {colour}."), "label": code})
    })
    .await;
}
