//! What a provider calls a request: support asks for it, so replies and errors have it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::sync::Arc;

use dspipe_runtime::lm::{Api, HttpLm, Lm, Message, Params, Reply, Request, Retry};
use dspipe_runtime::{Error, LmError, Lms, LocalRunner, Secret};
use dspipe_tests::server::{Answer, Server};
use dspipe_tests::workflows::every_thing;

const HEADERS: [&str; 5] = [
    "request-id",
    "x-request-id",
    "apim-request-id",
    "x-ms-request-id",
    "x-amzn-requestid",
];

async fn lm(api: Api, answer: Answer) -> (HttpLm, Server) {
    let server = Server::start(move |_, _| answer.clone()).await.unwrap();
    let key = Some(Secret::from("sk-secret".to_owned()));
    let name = "scripted/m".parse().unwrap();
    (HttpLm::new(name, api, &server.url(), key).unwrap(), server)
}

fn request() -> Request {
    Request {
        messages: vec![Message::user("Where?")],
        schema: None,
        params: Params::default(),
    }
}

fn with_id(header: &'static str, answer: Answer) -> Answer {
    match answer {
        Answer::Http(status, mut headers, body) => {
            headers.push((header, "req-42".to_owned()));
            Answer::Http(status, headers, body)
        }
        other => other,
    }
}

#[tokio::test]
async fn a_reply_has_the_id_whatever_the_header_is_called() {
    for header in HEADERS {
        let answer = with_id(header, Answer::reply("here"));
        let (lm, _server) = lm(Api::OpenAiChat, answer).await;
        let reply = lm.complete(&request()).await.unwrap();
        assert_eq!(reply.request_id.as_deref(), Some("req-42"), "{header}");
    }
    let (lm, _server) = lm(Api::OpenAiChat, Answer::reply("here")).await;
    assert_eq!(lm.complete(&request()).await.unwrap().request_id, None);
}

#[tokio::test]
async fn gemini_says_it_in_the_body() {
    let body = r#"{"candidates":[{"content":{"parts":[{"text":"here"}]},"finishReason":"STOP"}],"modelVersion":"m","responseId":"r-7"}"#;
    let answer = Answer::Http(200, Vec::new(), body.to_owned());
    let (whole, _server) = lm(Api::GeminiGenerateContent, answer).await;
    let reply = whole.complete(&request()).await.unwrap();
    assert_eq!(reply.request_id.as_deref(), Some("r-7"));
    let events = Answer::events(&format!("data: {body}\n\n"));
    let (parts, _server) = lm(Api::GeminiGenerateContent, events).await;
    let reply = Reply::collect(parts.stream(&request())).await.unwrap();
    assert_eq!(reply.request_id.as_deref(), Some("r-7"));
}

#[tokio::test]
async fn every_failure_of_a_server_has_it_and_shows_it() {
    let openai = |code: &str| format!(r#"{{"error":{{"message":"no","code":"{code}"}}}}"#);
    let refusal = r#"{"choices":[{"message":{"refusal":"I must not"},"finish_reason":"stop"}]}"#;
    let answers = [
        Answer::failure(401, "no"),
        Answer::failure(402, "no"),
        Answer::failure(429, "no"),
        Answer::failure(500, "no"),
        Answer::failure(503, "no"),
        Answer::failure(404, "no"),
        Answer::failure(400, &openai("context_length_exceeded")),
        Answer::failure(400, &openai("content_filter")),
        Answer::Http(200, Vec::new(), refusal.to_owned()),
        Answer::Http(200, Vec::new(), "<html>".to_owned()),
        Answer::finished("", "content_filter"),
    ];
    for answer in answers {
        let (lm, _server) = lm(Api::OpenAiChat, with_id("x-request-id", answer)).await;
        for error in [
            lm.complete(&request()).await.unwrap_err(),
            Reply::collect(lm.stream(&request())).await.unwrap_err(),
        ] {
            assert_eq!(error.request_id(), Some("req-42"), "{error:?}");
            let text = error.to_string();
            assert!(text.contains(" (request req-42)"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_stream_has_it_at_its_end_and_in_its_errors() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: req-42\r\nconnection: \
                close\r\n\r\n";
    let text = r#"data: {"choices":[{"delta":{"content":"here"},"finish_reason":"stop"}]}"#;
    let whole = Answer::Raw(format!("{head}{text}\n\ndata: [DONE]\n\n"));
    let (complete, _server) = lm(Api::OpenAiChat, whole).await;
    let reply = Reply::collect(complete.stream(&request())).await.unwrap();
    assert_eq!(reply.request_id.as_deref(), Some("req-42"));
    let begun = r#"data: {"choices":[{"delta":{"content":"he"}}]}"#;
    let (broken, _server) = lm(Api::OpenAiChat, Answer::Raw(format!("{head}{begun}\n\n"))).await;
    let error = Reply::collect(broken.stream(&request())).await.unwrap_err();
    assert!(matches!(error, LmError::Interrupted { .. }), "{error:?}");
    assert_eq!(error.request_id(), Some("req-42"));
}

#[tokio::test]
async fn an_id_that_is_the_key_is_not_shown() {
    let answer = Answer::Http(
        500,
        vec![("x-request-id", "sk-secret".to_owned())],
        String::new(),
    );
    let (lm, _server) = lm(Api::OpenAiChat, answer).await;
    let error = lm.complete(&request()).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("sk-secret"));
}

#[tokio::test]
async fn a_reply_that_a_step_cannot_use_is_told_with_it() {
    let answer = |finish: &str| with_id("x-request-id", Answer::finished("I'd say no.", finish));
    for (finish, expected) in [
        ("stop", "scripted/m (request req-42): "),
        ("length", "(request req-42); "),
    ] {
        let (lm, _server) = lm(Api::OpenAiChat, answer(finish)).await;
        let name = lm.name().clone();
        let runner = LocalRunner::new()
            .with_lms(Lms::new().with(Arc::new(lm)))
            .with_retry(Retry::never())
            .with_lm(name);
        let input = every_thing::right::Input {
            text: "x".to_owned(),
            map: None,
        };
        let error: Error = every_thing::right(&runner, &input).await.unwrap_err();
        assert_eq!(error.request_id(), Some("req-42"), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}
