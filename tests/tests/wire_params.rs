//! What is left out of requests to models that do not take it, and where caches are told to end.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use dspipe_runtime::lm::{Api, HttpLm, Lm, Message, Params, Reply, Request};
use dspipe_runtime::{LmError, Secret};
use dspipe_tests::server::{Answer, Received, Server};
use serde_json::{Value, json};

fn lm(api: Api, name: &str, server: &Server) -> HttpLm {
    let key = Some(Secret::from("sk-1".to_owned()));
    HttpLm::new(name.parse().unwrap(), api, &server.url(), key).unwrap()
}

fn request() -> Request {
    Request {
        messages: vec![
            Message::system("Be brief."),
            Message::user("2+2?"),
            Message::assistant("4"),
            Message::user("Now this:"),
            Message::user("3+4?"),
        ],
        schema: None,
        params: Params {
            temperature: Some(0.5),
            max_tokens: Some(100),
            seed: Some(7),
            repetition: 0,
        },
    }
}

/// The temperature and the seed of a request, wherever the format has them.
fn sampling(received: &Received) -> [Value; 2] {
    let body = &received.body;
    let config = &body["generationConfig"];
    ["temperature", "seed"].map(|name| match &config[name] {
        Value::Null => body[name].clone(),
        value => value.clone(),
    })
}

#[tokio::test]
async fn models_that_think_are_asked_without_a_temperature() {
    let (none, half, seven) = (Value::Null, json!(0.5), json!(7));
    for (api, name, temperature, seed) in [
        (Api::OpenAiChat, "openai/gpt-5-mini", &none, &seven),
        (Api::OpenAiChat, "openai/gpt-4.1", &half, &seven),
        (Api::OpenAiResponses, "openai-responses/o3", &none, &none),
        (
            Api::OpenAiResponses,
            "openai-responses/gpt-4o",
            &half,
            &none,
        ),
        (
            Api::AnthropicMessages,
            "anthropic/claude-opus-5",
            &none,
            &none,
        ),
        (
            Api::AnthropicMessages,
            "anthropic/claude-sonnet-4-6",
            &half,
            &none,
        ),
        (
            Api::GeminiGenerateContent,
            "gemini/gemini-3.5-flash",
            &half,
            &seven,
        ),
    ] {
        let server = Server::start(|_, _| Answer::failure(500, ""))
            .await
            .unwrap();
        let lm = lm(api, name, &server);
        lm.complete(&request()).await.unwrap_err();
        Reply::collect(lm.stream(&request())).await.unwrap_err();
        for received in server.received() {
            let sent = sampling(&received);
            assert_eq!(sent.each_ref(), [temperature, seed], "{name}");
        }
    }
}

/// How servers say that a model does not take a parameter.
fn refusals() -> [(Api, &'static str, Value); 4] {
    let openai = |message: &str, param: &str, code: &str| {
        json!({"error": {
            "message": message, "type": "invalid_request_error", "param": param, "code": code,
        }})
    };
    [
        (
            Api::OpenAiChat,
            "temperature",
            openai(
                "Unsupported value: 'temperature' does not support 0.5 with this model. Only the default (1) \
                 value is supported.",
                "temperature",
                "unsupported_value",
            ),
        ),
        (
            Api::OpenAiResponses,
            "temperature",
            openai(
                "Unsupported parameter: 'temperature' is not supported with this model.",
                "temperature",
                "unsupported_parameter",
            ),
        ),
        (
            Api::OpenAiChat,
            "seed",
            openai(
                "Unsupported parameter: 'seed' is not supported with this model.",
                "seed",
                "unsupported_parameter",
            ),
        ),
        (
            Api::AnthropicMessages,
            "temperature",
            json!({"type": "error", "error": {
                "type": "invalid_request_error", "message": "`temperature` is deprecated for this model.",
            }}),
        ),
    ]
}

#[tokio::test]
async fn what_a_model_says_it_does_not_take_is_left_out_from_then_on() {
    for (api, param, refusal) in refusals() {
        for streams in [false, true] {
            let refusal = refusal.to_string();
            let server = Server::start(move |_, received| {
                if received.body[param].is_null() {
                    Answer::failure(418, "")
                } else {
                    Answer::failure(400, &refusal)
                }
            })
            .await
            .unwrap();
            let lm = lm(api, "scripted/m", &server);
            for _ in 0..2 {
                let error = if streams {
                    Reply::collect(lm.stream(&request())).await.unwrap_err()
                } else {
                    lm.complete(&request()).await.unwrap_err()
                };
                let is_other = matches!(error, LmError::BadRequest { status: 418, .. });
                assert!(is_other, "{api} {param}: {error}");
            }
            let sent: Vec<bool> = server
                .received()
                .iter()
                .map(|received| received.body[param].is_null())
                .collect();
            assert_eq!(sent, [false, true, true], "{api} {param}");
            // All else is as it was.
            let mut first = server.received()[0].body.clone();
            first.as_object_mut().unwrap().remove(param);
            assert_eq!(first, server.received()[1].body, "{api} {param}");
        }
    }
}

#[tokio::test]
async fn a_value_out_of_range_stays_an_error() {
    let said = json!({"error": {
        "message": "Invalid 'temperature': must be at most 2.", "type": "invalid_request_error",
        "param": "temperature", "code": "decimal_above_max_value",
    }});
    let server = Server::start(move |_, _| Answer::failure(400, &said.to_string()))
        .await
        .unwrap();
    let lm = lm(Api::OpenAiChat, "scripted/m", &server);
    for _ in 0..2 {
        let error = lm.complete(&request()).await.unwrap_err();
        assert!(matches!(error, LmError::BadRequest { .. }), "{error}");
    }
    let sent = server.received();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|sent| sent.body["temperature"] == 0.5));
}

#[tokio::test]
async fn a_server_that_refuses_on_is_not_asked_forever() {
    let (_, _, refusal) = refusals()[0].clone();
    let server = Server::start(move |_, _| Answer::failure(400, &refusal.to_string()))
        .await
        .unwrap();
    let lm = lm(Api::OpenAiChat, "scripted/m", &server);
    let error = lm.complete(&request()).await.unwrap_err();
    assert!(matches!(error, LmError::BadRequest { .. }), "{error}");
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn caches_end_before_the_last_turn() {
    let server = Server::start(|_, _| Answer::failure(500, ""))
        .await
        .unwrap();
    let sent = async |api, name, request: &Request| {
        lm(api, name, &server).complete(request).await.unwrap_err();
        server.received().pop().unwrap().body
    };
    let plain = |role: &str, text: &str| json!({"role": role, "content": text});
    let mark = json!({"mode": "explicit"});
    let marked = |role: &str, kind: &str, text: &str| {
        json!({"role": role, "content": [
            {"type": kind, "text": text, "prompt_cache_breakpoint": mark},
        ]})
    };
    let body = sent(Api::OpenAiChat, "openai/gpt-5.6-sol", &request()).await;
    assert_eq!(body["prompt_cache_options"], mark);
    let expected = json!([
        plain("system", "Be brief."),
        plain("user", "2+2?"),
        marked("assistant", "text", "4"),
        plain("user", "Now this:"),
        plain("user", "3+4?"),
    ]);
    assert_eq!(body["messages"], expected);
    // There, replies have no place for a mark.
    let name = "openai-responses/gpt-6-luna";
    let body = sent(Api::OpenAiResponses, name, &request()).await;
    assert_eq!(body["prompt_cache_options"], mark);
    let expected = json!([
        plain("system", "Be brief."),
        marked("user", "input_text", "2+2?"),
        plain("assistant", "4"),
        plain("user", "Now this:"),
        plain("user", "3+4?"),
    ]);
    assert_eq!(body["input"], expected);
    // Without demos the instructions are all that is shared.
    let mut short = request();
    short.messages = vec![Message::system("Be brief."), Message::user("Hello")];
    let body = sent(Api::OpenAiChat, "openai/gpt-5.6-sol", &short).await;
    let expected = json!([
        marked("system", "text", "Be brief."),
        plain("user", "Hello")
    ]);
    assert_eq!(body["messages"], expected);
    // Nothing is, or the model knows no marks.
    short.messages.remove(0);
    for (name, request) in [
        ("openai/gpt-5.6-sol", &short),
        ("openai/gpt-5.4", &request()),
        ("openrouter/openai/gpt-5.6-sol", &request()),
    ] {
        let body = sent(Api::OpenAiChat, name, request).await;
        assert!(body.get("prompt_cache_options").is_none(), "{name}");
        assert!(!body.to_string().contains("breakpoint"), "{name}");
    }
}
