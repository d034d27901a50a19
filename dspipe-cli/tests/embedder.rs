//! Examples picked by embeddings, of a model that is named in the settings.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs;
use std::process::{Command, Output};

use dspipe_tests::server::{Answer, Received, Server};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Examples of which two are near each other in meaning, and far apart in words.
fn project(examples: usize) -> TempDir {
    let project = tempfile::tempdir().unwrap();
    let texts = ["big dog", "large hound", "red wine"];
    let lines = (0..examples).map(|number| {
        let text = texts
            .get(number)
            .map_or_else(|| format!("red wine {number}"), ToString::to_string);
        format!(
            "{}\n",
            json!({"inputs": {"text": text}, "outputs": {"kind": "x"}})
        )
    });
    fs::write(project.path().join("all.jsonl"), lines.collect::<String>()).unwrap();
    project
}

fn vector(text: &str) -> Value {
    if text.contains("dog") || text.contains("hound") {
        json!([1.0, 0.01])
    } else {
        json!([0.0, 1.0])
    }
}

/// Answers in another order than it was asked.
fn answer(request: &Received) -> Answer {
    let texts = request.body["input"].as_array().unwrap();
    let texts = texts.iter().enumerate().rev();
    let data: Vec<Value> = texts
        .map(|(index, text)| json!({"object": "embedding", "index": index, "embedding": vector(text.as_str().unwrap())}))
        .collect();
    let body = json!({"object": "list", "data": data, "model": "m", "usage": {"prompt_tokens": 1, "total_tokens": 1}});
    Answer::Http(200, Vec::new(), body.to_string())
}

async fn select(
    project: &TempDir,
    url: &str,
    arguments: &str,
    variables: &[(&str, &str)],
) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-dspipe"));
    command
        .current_dir(project.path())
        .args("data select all.jsonl --count 2 --output few.jsonl --force".split(' '))
        .args(arguments.split_whitespace())
        .env_remove("DSPIPE_EMBEDDER")
        .env("OLLAMA_BASE_URL", url)
        .env("OLLAMA_API_KEY", "sk-embed-secret")
        .envs(variables.iter().copied());
    let run = tokio::task::spawn_blocking(move || command.output());
    run.await.unwrap().unwrap()
}

fn picked(project: &TempDir) -> String {
    fs::read_to_string(project.path().join("few.jsonl")).unwrap()
}

#[tokio::test]
async fn the_embedder_of_the_settings_tells_how_far_examples_are_apart() {
    let project = project(3);
    let server = Server::start(|before, request| match before {
        // It passes by itself.
        0 => Answer::failure(503, "busy"),
        _ => answer(request),
    });
    let server = server.await.unwrap();
    for seed in 0..5 {
        let seed = format!("--seed {seed}");
        let set = [("DSPIPE_EMBEDDER", "ollama/nomic")];
        let output = select(&project, &server.url(), &seed, &set).await;
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            picked(&project).contains("red wine"),
            "{}",
            picked(&project)
        );
    }
    let received = server.received();
    assert_eq!(received.len(), 6);
    let first = &received[0];
    assert!(
        first.line.starts_with("POST ") && first.line.contains("/embeddings "),
        "{}",
        first.line
    );
    assert_eq!(first.body["model"], "nomic");
    assert_eq!(
        first.body["input"],
        json!(["big dog", "large hound", "red wine"])
    );
    assert_eq!(first.headers["authorization"], "Bearer sk-embed-secret");

    // Without one, words tell, and nobody is asked.
    let output = select(&project, &server.url(), "", &[]).await;
    assert!(output.status.success());
    assert_eq!(server.received().len(), 6);
}

#[tokio::test]
async fn many_examples_are_sent_in_parts() {
    let project = project(150);
    let server = Server::start(|_, request| answer(request)).await.unwrap();
    let output = select(&project, &server.url(), "--embedder ollama/nomic", &[]).await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let sizes = server.received();
    let sizes = sizes
        .iter()
        .map(|it| it.body["input"].as_array().unwrap().len());
    assert_eq!(sizes.collect::<Vec<_>>(), [64, 64, 22]);
}

#[tokio::test]
async fn what_goes_wrong_is_told_without_the_key() {
    let project = project(3);
    let server = Server::start(|_, request| match request.body["model"].as_str() {
        Some("short") => Answer::Http(
            200,
            Vec::new(),
            r#"{"data": [{"index": 0, "embedding": [1]}]}"#.to_owned(),
        ),
        Some("odd") => Answer::Http(200, Vec::new(), "sk-embed-secret".to_owned()),
        _ => Answer::failure(401, "wrong key sk-embed-secret"),
    });
    let server = server.await.unwrap();
    for (arguments, wanted) in [
        ("--embedder ollama/short", "it gave 1 vectors for 3 texts"),
        ("--embedder ollama/odd", "its reply cannot be read"),
        ("--embedder ollama/none", "refused the key"),
        (
            "--embedder anthropic/claude",
            "ANTHROPIC_API_KEY is not set",
        ),
        ("--embedder nowhere/x", "there is no provider `nowhere`"),
        (
            "--embedder ollama/short --vectors v.jsonl",
            "cannot be used with",
        ),
    ] {
        let variables = [("ANTHROPIC_API_KEY", "")];
        let output = select(&project, &server.url(), arguments, &variables).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains(wanted),
            "{arguments}: {said}"
        );
        assert!(!said.contains("sk-embed-secret"), "{said}");
    }
    assert!(!project.path().join("few.jsonl").exists());
    let output = select(
        &project,
        &server.url(),
        "",
        &[("DSPIPE_EMBEDDER", "ollama")],
    )
    .await;
    assert!(String::from_utf8_lossy(&output.stderr).contains("DSPIPE_EMBEDDER"));
}
