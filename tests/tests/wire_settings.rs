//! What the environment says of providers: a test starts itself again with it, as a user's program.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::process::Command;

use dspipe_runtime::lm::{Message, OutputSchema, Params, Reply, Request};
use dspipe_runtime::{LmError, LmName, Lms};
use dspipe_tests::server::{Answer, Server};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const SCHEMA: &str = r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#;

const PROGRAM: &str = "DSPIPE_TEST_PROGRAM";

/// Whether this is the program that a test has started.
fn is_program(name: &str) -> bool {
    std::env::var(PROGRAM).as_deref() == Ok(name)
}

/// Runs the test of this name as a program.
async fn program(name: &'static str, variables: Vec<(&'static str, String)>) {
    let run = move || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(PROGRAM, name)
            .envs(variables)
            .output()
            .unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}

fn request() -> Request {
    Request {
        messages: vec![Message::user("Hello")],
        schema: Some(OutputSchema {
            name: "answer".to_owned(),
            json: SCHEMA.into(),
        }),
        params: Params::default(),
    }
}

async fn ask(lms: &Lms, name: &str) -> Result<String, LmError> {
    let name: LmName = name.parse().unwrap();
    let reply = lms.get(&name)?.complete(&request()).await?;
    Ok(reply.text)
}

#[tokio::test]
async fn names_and_variables_pick_the_api() {
    let test = "names_and_variables_pick_the_api";
    if is_program(test) {
        let lms = Lms::new();
        for name in [
            "anthropic/a",
            "gemini/b",
            "openai/c",
            "openai-responses/d",
            "my-box/e",
            "other/f",
            "plain/g",
            "azure/mine",
        ] {
            ask(&lms, name).await.unwrap_err();
        }
        return;
    }
    let server = Server::start(|_, _| Answer::failure(400, ""))
        .await
        .unwrap();
    let url = server.url();
    let root = url.replace("/v1", "");
    let azure = root.clone();
    program(
        test,
        vec![
            ("ANTHROPIC_BASE_URL", root.clone()),
            ("ANTHROPIC_API_KEY", "a-key".to_owned()),
            ("GEMINI_BASE_URL", root.clone()),
            ("GEMINI_API_KEY", "g-key".to_owned()),
            ("OPENAI_BASE_URL", url.clone()),
            ("OPENAI_API_KEY", "o-key".to_owned()),
            ("MY_BOX_BASE_URL", root),
            ("MY_BOX_API", "anthropic".to_owned()),
            ("OTHER_BASE_URL", url.clone()),
            ("PLAIN_BASE_URL", url),
            ("PLAIN_SCHEMA", "words".to_owned()),
            (
                "AZURE_OPENAI_BASE_URL",
                format!("{azure}/openai/deployments/mine?api-version=2024-10-21"),
            ),
            ("AZURE_OPENAI_API_KEY", "z-key".to_owned()),
        ],
    )
    .await;
    let received = server.received();
    let seen: Vec<(&str, Option<&str>)> = received
        .iter()
        .map(|request| {
            let key = ["x-api-key", "x-goog-api-key", "authorization", "api-key"];
            let keys: Vec<&String> = key
                .iter()
                .filter_map(|name| request.headers.get(*name))
                .collect();
            assert!(keys.len() <= 1, "{keys:?}");
            let key = keys.first();
            (&*request.line, key.map(|key| key.as_str()))
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("POST /v1/messages HTTP/1.1", Some("a-key")),
            (
                "POST /v1beta/models/b:generateContent HTTP/1.1",
                Some("g-key")
            ),
            ("POST /v1/chat/completions HTTP/1.1", Some("Bearer o-key")),
            ("POST /v1/responses HTTP/1.1", Some("Bearer o-key")),
            ("POST /v1/messages HTTP/1.1", None),
            ("POST /v1/chat/completions HTTP/1.1", None),
            ("POST /v1/chat/completions HTTP/1.1", None),
            (
                "POST /openai/deployments/mine/chat/completions?api-version=2024-10-21 HTTP/1.1",
                Some("z-key")
            ),
        ]
    );
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let sent = |index: usize, path: &str| received[index].body.pointer(path).cloned();
    assert_eq!(
        sent(0, "/output_config/format/schema"),
        Some(schema.clone())
    );
    let gemini = sent(1, "/generationConfig/responseJsonSchema");
    assert_eq!(gemini, Some(schema.clone()));
    for (index, strict) in [(2, true), (5, false), (7, true)] {
        let expected = json!({"name": "answer", "strict": strict, "schema": schema});
        let sent = sent(index, "/response_format/json_schema");
        assert_eq!(sent, Some(expected), "{index}");
    }
    assert_eq!(sent(3, "/text/format/strict"), Some(json!(true)));
    assert_eq!(sent(4, "/output_config/format/schema"), Some(schema));
    assert_eq!(sent(6, "/response_format"), None);
    assert!(
        sent(6, "/messages/0/content")
            .is_some_and(|text| { text.as_str().is_some_and(|text| text.contains(SCHEMA)) })
    );
}

#[tokio::test]
async fn a_limit_holds_for_the_whole_process() {
    let test = "a_limit_holds_for_the_whole_process";
    if is_program(test) {
        // Two that know nothing of each other, and two names of the same servers.
        let mut calls = JoinSet::new();
        for name in ["openai/a", "openai-responses/b"] {
            for _ in 0..2 {
                let lms = Lms::new();
                for _ in 0..5 {
                    let lms = lms.clone();
                    calls.spawn(async move { ask(&lms, name).await.unwrap_err() });
                }
            }
        }
        assert_eq!(calls.join_all().await.len(), 20);
        return;
    }
    // Long enough that answers overlap.
    let body = " ".repeat(20_000);
    let answer = format!(
        "HTTP/1.1 400 No\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let server = Server::start(move |_, _| Answer::Trickle(answer.clone()))
        .await
        .unwrap();
    program(
        test,
        vec![
            ("OPENAI_BASE_URL", server.url()),
            ("OPENAI_API_KEY", "o-key".to_owned()),
            ("OPENAI_MAX_CONCURRENCY", "3".to_owned()),
        ],
    )
    .await;
    assert_eq!(server.received().len(), 20);
    assert!(
        (2..=3).contains(&server.most_at_once()),
        "{}",
        server.most_at_once()
    );
}

#[tokio::test]
async fn a_server_that_always_fails_is_left_alone_by_the_whole_process() {
    let test = "a_server_that_always_fails_is_left_alone_by_the_whole_process";
    if is_program(test) {
        for nth in 0..10 {
            let error = if nth % 2 == 0 {
                ask(&Lms::new(), "openai/a").await.unwrap_err()
            } else {
                let lm = Lms::new().get(&"openai/a".parse().unwrap()).unwrap();
                Reply::collect(lm.stream(&request())).await.unwrap_err()
            };
            assert!(matches!(error, LmError::Server { .. }), "{error:?}");
        }
        for model in ["openai/a", "openai/b"] {
            let error = ask(&Lms::new(), model).await.unwrap_err();
            assert!(matches!(error, LmError::CircuitOpen { .. }), "{error:?}");
        }
        // Another place of the same server is another endpoint.
        for model in ["openai-responses/a", "other/a"] {
            let error = ask(&Lms::new(), model).await.unwrap_err();
            assert!(matches!(error, LmError::Server { .. }), "{error:?}");
        }
        return;
    }
    let server = Server::start(|_, _| Answer::failure(500, ""))
        .await
        .unwrap();
    program(
        test,
        vec![
            ("OPENAI_BASE_URL", server.url()),
            ("OPENAI_API_KEY", "o-key".to_owned()),
            ("OTHER_BASE_URL", server.url().replace("/v1", "/v2")),
        ],
    )
    .await;
    assert_eq!(server.received().len(), 12);
}
