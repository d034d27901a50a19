//! Which prompt a step is asked with: reasoned, in DSPy's form, optimized for the LM that runs it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::sync::Arc;
use std::time::Duration;

use dspipe_runtime::lm::{Api, HttpLm};
use dspipe_runtime::{
    Artifacts, Change, Changes, DemoText, LmName, Lms, LocalRunner, PromptText, Secret,
    Signature as _,
};
use dspipe_tests::server::{Answer, Received, Server};
use dspipe_tests::workflows::prompts::{self, Inputs, Outputs, sort};
use serde_json::json;

const CHAT: &str =
    "[[ ## answer ## ]]\nWe will look at it.\n\n[[ ## urgency ## ]]\n2\n\n[[ ## completed ## ]]";

fn answer(request: &Received) -> Answer {
    let system = request.body["messages"][0]["content"].as_str().unwrap();
    Answer::reply(if system.contains("[[ ## urgency ## ]]") {
        CHAT
    } else if request.step() == "sort" {
        r#"{"reasoning": "Money.", "team": "billing"}"#
    } else {
        r#"{"good": true}"#
    })
}

async fn run(model: &str) -> (Outputs, Vec<Received>) {
    run_changed(model, Changes::none()).await
}

async fn run_changed(model: &str, changes: Changes) -> (Outputs, Vec<Received>) {
    let server = Server::start(|_, request| answer(request)).await.unwrap();
    let name: LmName = format!("scripted/{model}").parse().unwrap();
    let key = Secret::from("sk-test".to_owned());
    let lm = HttpLm::new(name.clone(), Api::OpenAiChat, &server.url(), Some(key)).unwrap();
    let runner = LocalRunner::new()
        .with_lm(name)
        .with_lms(Lms::new().with(Arc::new(lm)))
        .with_changes(changes);
    let inputs = Inputs {
        text: "I paid twice".to_owned(),
    };
    let outputs = prompts::run_with(&runner, inputs).await.unwrap();
    (outputs, server.received())
}

fn contents(request: &Received) -> Vec<&str> {
    let messages = request.body["messages"].as_array().unwrap();
    let contents = messages.iter().map(|message| message["content"].as_str());
    contents.map(Option::unwrap).collect()
}

#[tokio::test]
async fn a_chain_of_thought_has_its_reasoning() {
    let (outputs, _) = run("small").await;
    assert_eq!(outputs.sort.reasoning, "Money.");
    assert_eq!(outputs.sort.team, sort::Team::Billing);
    assert!(outputs.rate.good);
}

#[tokio::test]
async fn dspys_forms_are_sent_and_read() {
    let (outputs, received) = run("small").await;
    assert_eq!(outputs.answer.answer, "We will look at it.");
    assert_eq!(outputs.answer.urgency, 2);
    let chat = contents(&received[1]);
    assert!(
        chat[0].starts_with("Your input fields are:\n1. `team` (Literal["),
        "{}",
        chat[0]
    );
    assert!(chat[1].starts_with("[[ ## team ## ]]\nbilling\n\n[[ ## text ## ]]\nI paid twice"));
    assert!(
        received[1].body.get("response_format").is_none(),
        "marks are no JSON"
    );
    let json = contents(&received[2]);
    assert!(
        json[0].contains("Outputs will be a JSON object"),
        "{}",
        json[0]
    );
}

#[tokio::test]
async fn the_prompt_is_that_which_was_optimized_for_the_lm() {
    let (_, received) = run("small").await;
    let sort = contents(&received[0]);
    assert!(sort[0].starts_with("billing or other?"), "{}", sort[0]);
    assert_eq!(sort.len(), 2, "without demos");
    assert!(contents(&received[1])[0].contains("Answer in one sentence."));

    // Nothing was found for this one: it has the first that there is.
    let (_, received) = run("large").await;
    let sort = contents(&received[0]);
    assert!(
        sort[0].starts_with("Say which team has to answer."),
        "{}",
        sort[0]
    );
    assert!(sort[1].contains("I was charged twice"));
    assert!(sort[2].contains("It is about money."));
    assert_eq!(sort[4], r#"{"team":"other"}"#);
}

#[tokio::test]
async fn a_change_comes_before_what_was_compiled() {
    let def = sort::Step::DEF;
    let demo = DemoText::new(
        def,
        &json!({"text": "Refund me", "unknown": 1}),
        &json!({"team": "billing"}),
    );
    let prompt = |instructions: &str, demos| PromptText {
        instructions: instructions.to_owned(),
        demos,
    };
    let changes = Changes::none()
        .with(
            "prompts",
            "sort",
            Change {
                prompt: Some(Arc::new(prompt("Which team?", vec![demo]))),
                temperature: Some(0.5),
                max_tokens: Some(77),
                ..Change::default()
            },
        )
        .with(
            "prompts",
            "answer",
            Change {
                prompt: Some(Arc::new(prompt("Be kind.", Vec::new()))),
                ..Change::default()
            },
        );
    let (_, received) = run_changed("large", changes).await;
    let sort = contents(&received[0]);
    assert!(sort[0].starts_with("Which team?\n"), "{}", sort[0]);
    assert_eq!(sort[1], "text:\n```\nRefund me\n```");
    assert_eq!(sort[2], r#"{"team":"billing"}"#);
    assert_eq!(received[0].body["temperature"], 0.5);
    assert_eq!(received[0].body["max_tokens"], 77);
    assert!(contents(&received[1])[0].contains("Be kind."));
}

#[tokio::test]
async fn a_step_runs_on_values_and_is_held_to_its_schema() {
    let server = Server::start(|nth, _| {
        Answer::reply(if nth == 0 {
            r#"{"reasoning": "Money.", "team": "sales"}"#
        } else {
            r#"{"reasoning": "Money.", "team": "billing"}"#
        })
    })
    .await
    .unwrap();
    let name: LmName = "scripted/small".parse().unwrap();
    let lm = HttpLm::new(name.clone(), Api::OpenAiChat, &server.url(), None).unwrap();
    let runner = LocalRunner::new()
        .with_lm(name)
        .with_lms(Lms::new().with(Arc::new(lm)));
    let input = json!({"text": "x"});
    let output = runner.step_value(sort::Step::DEF, &input).await;
    assert_eq!(
        output.unwrap(),
        json!({"reasoning": "Money.", "team": "billing"})
    );
    assert_eq!(server.received().len(), 2, "the first reply does not fit");
}

/// The instructions that `sort` is asked with, on this runner.
async fn instructions_of_sort(server: &Server, runner: &LocalRunner) -> String {
    let inputs = Inputs {
        text: "I paid twice".to_owned(),
    };
    let before = server.received().len();
    prompts::run_with(runner, inputs).await.unwrap();
    contents(&server.received()[before])[0]
        .lines()
        .next()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_file_is_read_while_the_program_runs_and_again_when_it_changes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("prompts.optimized.json");
    let server = Server::start(|_, request| answer(request)).await.unwrap();
    let name: LmName = "scripted/small".parse().unwrap();
    let lm = HttpLm::new(name.clone(), Api::OpenAiChat, &server.url(), None).unwrap();
    let runner = LocalRunner::new()
        .with_lm(name)
        .with_lms(Lms::new().with(Arc::new(lm)));
    let with = |path: &std::path::Path| runner.clone().with_artifacts(Artifacts::open(path));
    let write = |instructions: &str, team: &str| {
        let demo = json!({"inputs": {"text": "x"}, "outputs": {"reasoning": "y", "team": team}, "augmented": true});
        let step = json!({"instructions": instructions, "demos": [demo]});
        let variant = json!({"lm": null, "steps": {"sort": step}});
        let artifact = json!({"version": 1, "workflow": "prompts", "variants": [variant]});
        std::fs::write(&path, artifact.to_string()).unwrap();
    };

    // There is none yet, so it is as compiled.
    let watching = with(directory.path());
    assert_eq!(
        instructions_of_sort(&server, &watching).await,
        "billing or other?"
    );
    write("From a file.", "billing");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(
        instructions_of_sort(&server, &watching).await,
        "From a file."
    );
    // What is half written is not used, and what was there stays.
    std::fs::write(&path, "{\"version\": 1, \"work").unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(
        instructions_of_sort(&server, &watching).await,
        "From a file."
    );
    write("From a newer file.", "other");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(
        instructions_of_sort(&server, &watching).await,
        "From a newer file."
    );

    // A demo that does not fit: as compiled.
    write("From a wrong file.", "sales");
    let wrong = with(&path);
    assert_eq!(
        instructions_of_sort(&server, &wrong).await,
        "billing or other?"
    );
}
