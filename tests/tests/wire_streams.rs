//! Replies in parts, and the time they may take, in each wire format.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::future::poll_fn;
use std::time::Duration;

use dspipe_runtime::lm::{
    Api, BoxStream, Chunk, Finish, HttpLm, Lm, Message, Params, Reply, Request, TimeLimit,
    Timeouts, Usage,
};
use dspipe_runtime::{LmError, Secret};
use dspipe_tests::server::{Answer, Server};
use serde_json::{Value, json};
use tokio::net::TcpSocket;

const KEY: &str = "sk-very-secret";

const RECORDED: [(Api, &str); 4] = [
    (
        Api::OpenAiChat,
        include_str!("../../dspipe-runtime/src/lm/wire/recorded/chat.txt"),
    ),
    (
        Api::OpenAiResponses,
        include_str!("../../dspipe-runtime/src/lm/wire/recorded/responses.txt"),
    ),
    (
        Api::AnthropicMessages,
        include_str!("../../dspipe-runtime/src/lm/wire/recorded/anthropic.txt"),
    ),
    (
        Api::GeminiGenerateContent,
        include_str!("../../dspipe-runtime/src/lm/wire/recorded/gemini.txt"),
    ),
];

fn lm(api: Api, url: &str) -> HttpLm {
    let key = Some(Secret::from(KEY.to_owned()));
    HttpLm::new("scripted/m".parse().unwrap(), api, url, key).unwrap()
}

fn request() -> Request {
    Request {
        messages: vec![Message::user("Where?")],
        schema: None,
        params: Params::default(),
    }
}

async fn server(answer: Answer) -> Server {
    Server::start(move |_, _| answer.clone()).await.unwrap()
}

async fn next(
    stream: &mut BoxStream<'_, Result<Chunk, LmError>>,
) -> Option<Result<Chunk, LmError>> {
    poll_fn(|cx| stream.as_mut().poll_next(cx)).await
}

/// The texts of a stream, and its end or its error; nothing comes after either.
async fn read(api: Api, answer: Answer) -> (Vec<String>, Result<Reply, LmError>) {
    let server = server(answer).await;
    let (lm, request) = (lm(api, &server.url()), request());
    let mut stream = lm.stream(&request);
    let mut texts = Vec::new();
    let result = loop {
        match next(&mut stream).await.unwrap() {
            Ok(chunk) => {
                if !chunk.text.is_empty() {
                    texts.push(chunk.text);
                }
                if let Some(end) = chunk.end {
                    break Ok(Reply {
                        text: texts.concat(),
                        finish: end.finish,
                        usage: end.usage,
                        model: end.model,
                        lm: end.lm,
                        request_id: end.request_id,
                    });
                }
            }
            Err(error) => {
                let text = format!("{error} {error:?}");
                assert!(!text.contains(KEY), "the key is shown: {text}");
                break Err(error);
            }
        }
    };
    assert!(next(&mut stream).await.is_none());
    (texts, result)
}

#[tokio::test]
async fn requests_ask_for_a_stream() {
    let cases = [
        (
            Api::OpenAiChat,
            "/v1/chat/completions",
            json!({"stream": true, "stream_options": {"include_usage": true}}),
        ),
        (
            Api::OpenAiResponses,
            "/v1/responses",
            json!({"stream": true}),
        ),
        (
            Api::AnthropicMessages,
            "/v1/messages",
            json!({"stream": true}),
        ),
        (
            Api::GeminiGenerateContent,
            "/v1/models/m:streamGenerateContent?alt=sse",
            json!({}),
        ),
    ];
    for (api, path, expected) in cases {
        let server = server(Answer::failure(500, "")).await;
        let lm = lm(api, &server.url());
        Reply::collect(lm.stream(&request())).await.unwrap_err();
        let received = server.received().remove(0);
        assert_eq!(received.line, format!("POST {path} HTTP/1.1"));
        for key in ["stream", "stream_options"] {
            assert_eq!(received.body[key], expected[key], "{api} {key}");
        }
        // The rest is as without a stream.
        lm.complete(&request()).await.unwrap_err();
        let mut body = received.body;
        for key in ["stream", "stream_options"] {
            body.as_object_mut().unwrap().remove(key);
        }
        assert_eq!(body, server.received()[1].body, "{api}");
    }
}

#[tokio::test]
async fn recorded_streams_are_read() {
    for (api, events) in RECORDED {
        let (texts, reply) = read(api, Answer::events(events)).await;
        assert_eq!(texts, ["{\"city\":", "\"Zürich\"}"], "{api}");
        let reply = reply.unwrap();
        assert_eq!(reply.finish, Finish::Stop, "{api}");
        assert_eq!(reply.model, "a-model", "{api}");
        let Usage {
            input_tokens,
            output_tokens,
            cached_input_tokens,
            ..
        } = reply.usage;
        assert_eq!(
            (input_tokens, output_tokens, cached_input_tokens),
            (50, 20, 30),
            "{api}"
        );
    }
}

#[tokio::test]
async fn a_connection_that_closes_too_early_is_an_error() {
    for (api, events) in RECORDED {
        let half = &events[..events.find("Zürich").unwrap()];
        let (texts, result) = read(api, Answer::events(half)).await;
        assert_eq!(texts, ["{\"city\":"], "{api}");
        assert!(
            matches!(result, Err(LmError::Interrupted { .. })),
            "{api}: {result:?}"
        );

        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 99999\r\n\r\n";
        let (_, result) = read(api, Answer::Raw(format!("{head}{half}"))).await;
        assert!(
            matches!(result, Err(LmError::Interrupted { .. })),
            "{api}: {result:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_no_stream_is_one_chunk_or_an_error() {
    let reply = r#"{"model":"m","choices":[{"message":{"content":"all"},"finish_reason":"stop"}]}"#;
    let answer = Answer::Http(200, Vec::new(), reply.to_owned());
    let (texts, reply) = read(Api::OpenAiChat, answer).await;
    assert_eq!(
        (texts, reply.unwrap().finish),
        (vec!["all".to_owned()], Finish::Stop)
    );

    for (api, _) in RECORDED {
        let answer = Answer::failure(429, &format!("{{\"error\":{{\"message\":\"{KEY}\"}}}}"));
        let (_, result) = read(api, answer).await;
        assert!(
            matches!(result, Err(LmError::RateLimited { .. })),
            "{api}: {result:?}"
        );
        let (_, result) = read(api, Answer::events("data: {oops\n\n")).await;
        assert!(
            matches!(result, Err(LmError::Protocol { .. })),
            "{api}: {result:?}"
        );
    }
}

fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn errors_in_the_middle_are_typed() {
    type Expected = fn(&LmError) -> bool;
    let chat = |delta: Value, reason: Option<&str>| {
        data(&json!({"choices": [{"delta": delta, "finish_reason": reason}]}))
    };
    let response = |kind: &str, response: Value| data(&json!({"type": kind, "response": response}));
    let stop = |delta: Value| {
        data(&json!({"type": "message_delta", "delta": delta}))
            + "data: {\"type\":\"message_stop\"}\n\n"
    };
    let cases: Vec<(Api, String, Expected)> = vec![
        (
            Api::OpenAiChat,
            data(&json!({"error": {"message": "upstream is busy", "code": 429}})),
            |e| matches!(e, LmError::RateLimited { .. }),
        ),
        (
            Api::OpenAiChat,
            data(&json!({"error": {"message": "no"}, "choices": []})),
            |e| matches!(e, LmError::Server { .. }),
        ),
        // OpenRouter ends the choice as well.
        (
            Api::OpenAiChat,
            data(&json!({
                "error": {"code": 503, "message": "gone"},
                "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
            })),
            |e| matches!(e, LmError::Overloaded { .. }),
        ),
        (Api::OpenAiChat, chat(json!({}), Some("error")), |e| {
            matches!(e, LmError::Server { .. })
        }),
        (
            Api::OpenAiChat,
            chat(json!({"refusal": "I will"}), None)
                + &chat(json!({"refusal": " not."}), Some("stop")),
            |e| matches!(e, LmError::Refused { message, .. } if message == "I will not."),
        ),
        (
            Api::OpenAiChat,
            chat(json!({}), Some("content_filter")),
            |e| matches!(e, LmError::ContentFilter { .. }),
        ),
        (
            Api::OpenAiResponses,
            data(&json!({"type": "error", "code": "rate_limit_exceeded", "message": "slow down"})),
            |e| matches!(e, LmError::RateLimited { .. }),
        ),
        (
            Api::OpenAiResponses,
            data(&json!({"type": "error", "sequence_number": 3, "error": {
                "type": "invalid_request_error", "code": "context_length_exceeded", "message": "too long",
            }})),
            |e| matches!(e, LmError::ContextLength { .. }),
        ),
        (
            Api::OpenAiResponses,
            data(&json!({"type": "error", "code": null, "message": "oops", "param": null})),
            |e| matches!(e, LmError::Server { .. }),
        ),
        (
            Api::OpenAiResponses,
            response(
                "response.failed",
                json!({"status": "failed", "error": null}),
            ),
            |e| matches!(e, LmError::Server { .. }),
        ),
        (
            Api::OpenAiResponses,
            response(
                "response.failed",
                json!({"status": "failed", "error": {"code": "server_error", "message": "oops"}}),
            ),
            |e| matches!(e, LmError::Server { .. }),
        ),
        (
            Api::OpenAiResponses,
            response(
                "response.incomplete",
                json!({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}),
            ),
            |e| matches!(e, LmError::ContentFilter { .. }),
        ),
        (
            Api::OpenAiResponses,
            data(&json!({"type": "response.refusal.done", "refusal": "I will not."})),
            |e| matches!(e, LmError::Refused { .. }),
        ),
        (
            Api::AnthropicMessages,
            data(
                &json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}),
            ),
            |e| matches!(e, LmError::Overloaded { status: 529, .. }),
        ),
        (
            Api::AnthropicMessages,
            data(&json!({"type": "error", "error": {"type": "api_error", "message": "oops"}})),
            |e| matches!(e, LmError::Server { .. }),
        ),
        (
            Api::AnthropicMessages,
            stop(json!({"stop_reason": "refusal", "stop_details": {"explanation": "not that"}})),
            |e| matches!(e, LmError::Refused { message, .. } if message == "not that"),
        ),
        (
            Api::GeminiGenerateContent,
            data(&json!({"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}})),
            |e| matches!(e, LmError::Overloaded { .. }),
        ),
        (
            Api::GeminiGenerateContent,
            data(&json!({"candidates": [{"finishReason": "SAFETY"}]})),
            |e| matches!(e, LmError::ContentFilter { .. }),
        ),
        (
            Api::GeminiGenerateContent,
            data(&json!({"promptFeedback": {"blockReason": "OTHER"}})),
            |e| matches!(e, LmError::ContentFilter { .. }),
        ),
    ];
    for (api, events, expected) in cases {
        let (_, recorded) = RECORDED
            .iter()
            .find(|(recorded, _)| *recorded == api)
            .unwrap();
        // The first event with text and all before it.
        let text = recorded.find("{\\\"city").unwrap();
        let begun = &recorded[..text + recorded[text..].find("\n\n").unwrap() + 2];
        let (texts, result) = read(api, Answer::events(&format!("{begun}{events}"))).await;
        assert_eq!(texts, ["{\"city\":"], "{api}");
        let error = result.unwrap_err();
        assert!(expected(&error), "{api} {events}: {error:?}");
    }
}

#[tokio::test]
async fn a_limit_on_tokens_ends_a_stream_with_its_reason() {
    let cases = [
        (
            Api::OpenAiChat,
            json!({"choices": [{"delta": {"content": "a"}, "finish_reason": "length"}]}),
        ),
        (
            Api::OpenAiResponses,
            json!({"type": "response.incomplete", "response": {
                "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"},
                "output": [{"type": "message", "content": [{"type": "output_text", "text": "a"}]}],
            }}),
        ),
        (
            Api::GeminiGenerateContent,
            json!({"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "MAX_TOKENS"}]}),
        ),
    ];
    for (api, event) in cases {
        let (_, reply) = read(api, Answer::events(&data(&event))).await;
        let reply = reply.unwrap();
        assert_eq!((&*reply.text, reply.finish), ("a", Finish::Length), "{api}");
    }
    let events = data(
        &json!({"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": "{\"a"}}),
    ) + &data(
        &json!({"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 3}}),
    ) + &data(&json!({"type": "message_stop"}));
    let (_, reply) = read(Api::AnthropicMessages, Answer::events(&events)).await;
    let reply = reply.unwrap();
    assert_eq!((&*reply.text, reply.finish), ("{\"a", Finish::Length));
    assert_eq!(reply.usage.output_tokens, 3);
}

#[tokio::test]
async fn what_is_no_part_of_the_answer_is_passed_over() {
    // Commentary, reasoning, tools of the provider's: of each format what a stream may have besides.
    let item = |index: u64, phase: Value| {
        data(&json!({
            "type": "response.output_item.added", "output_index": index,
            "item": {"type": "message", "phase": phase, "content": []},
        }))
    };
    let said = |index: u64, delta: &str| {
        data(&json!({
            "type": "response.output_text.delta", "output_index": index, "delta": delta,
        }))
    };
    let message = |phase: &str, text: &str| json!({"type": "message", "phase": phase, "content": [{"type": "output_text", "text": text}]});
    let responses = [
        data(&json!({"type": "response.queued", "response": {"status": "queued"}})),
        data(&json!({"type": "response.reasoning_summary_text.delta", "delta": "hm"})),
        item(0, json!("commentary")),
        said(0, "Let me see."),
        item(1, json!("final_answer")),
        said(1, "{\"a\":"),
        said(1, "1}"),
        data(&json!({"type": "response.output_text.annotation.added", "annotation": {}})),
        data(&json!({"type": "response.completed", "response": {
            "status": "completed", "model": "m",
            "output": [message("commentary", "Let me see."), message("final_answer", "{\"a\":1}")],
        }})),
    ]
    .concat();
    let block =
        |delta: Value| data(&json!({"type": "content_block_delta", "index": 0, "delta": delta}));
    let anthropic = [
        data(&json!({"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 1}}})),
        data(&json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}})),
        block(json!({"type": "thinking_delta", "thinking": "hm"})),
        block(json!({"type": "signature_delta", "signature": "s"})),
        data(&json!({"type": "content_block_stop", "index": 0})),
        data(&json!({"type": "content_block_start", "index": 1, "content_block": {"type": "redacted_thinking", "data": "x"}})),
        data(&json!({"type": "ping"})),
        data(&json!({"type": "content_block_start", "index": 2, "content_block": {"type": "text", "text": "{"}})),
        block(json!({"type": "text_delta", "text": "\"a\":1}"})),
        block(json!({"type": "citations_delta", "citation": {}})),
        data(&json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}})),
        data(&json!({"type": "message_stop"})),
    ]
    .concat();
    let chat = [
        // Azure begins with this.
        data(&json!({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]})),
        data(&json!({"choices": [{"delta": {"role": "assistant", "content": null, "reasoning_content": "hm"}}]})),
        data(&json!({"choices": [{"delta": {"content": "{\"a\":1}"}}]})),
        data(&json!({"choices": [{"delta": {}, "finish_reason": "stop"}]})),
        data(&json!({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}})),
        "data: [DONE]\n\n".to_owned(),
    ]
    .concat();
    let gemini = [
        data(&json!({"candidates": [{"content": {"parts": [{"text": "hm", "thought": true}]}}]})),
        data(&json!({"candidates": [{"content": {"parts": [{"text": "{\"a\":1}"}]}}]})),
        data(&json!({"candidates": [{"content": {"parts": [{"text": "", "thoughtSignature": "s"}]}, "finishReason": "STOP"}]})),
    ]
    .concat();
    for (api, events) in [
        (Api::OpenAiResponses, responses),
        (Api::AnthropicMessages, anthropic),
        (Api::OpenAiChat, chat),
        (Api::GeminiGenerateContent, gemini),
    ] {
        let (_, reply) = read(api, Answer::events(&events)).await;
        let reply = reply.unwrap();
        assert_eq!(
            (&*reply.text, reply.finish),
            ("{\"a\":1}", Finish::Stop),
            "{api}"
        );
    }
}

#[tokio::test]
async fn dropping_a_stream_closes_its_connection() {
    for (api, events) in RECORDED {
        let half = &events[..events.find("Zürich").unwrap()];
        let server = server(Answer::unended(half)).await;
        let (lm, request) = (lm(api, &server.url()), request());
        let mut stream = lm.stream(&request);
        assert_eq!(next(&mut stream).await.unwrap().unwrap().text, "{\"city\":");
        drop(stream);
        server.gone().await;
    }
}

#[tokio::test]
async fn time_outs_are_told_apart() {
    let short = Duration::from_millis(50);
    let long = Duration::from_secs(60);
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{";
    for (api, events) in RECORDED {
        let half = &events[..events.find("Zürich").unwrap()];
        for (read, total, expected) in [
            (short, long, TimeLimit::Read),
            (long, short, TimeLimit::Total),
        ] {
            let timeouts = Timeouts {
                read,
                total,
                ..Timeouts::default()
            };
            let check = |error: LmError| match error {
                LmError::Timeout { limit, after, .. } => {
                    assert_eq!((limit, after), (expected, short));
                }
                other => panic!("{api}: {other:?}"),
            };
            for answer in [Answer::Silence, Answer::Stall(head.to_owned())] {
                let server = server(answer).await;
                let lm = lm(api, &server.url()).with_timeouts(timeouts).unwrap();
                check(lm.complete(&request()).await.unwrap_err());
            }
            let server = server(Answer::unended(half)).await;
            let lm = lm(api, &server.url()).with_timeouts(timeouts).unwrap();
            check(Reply::collect(lm.stream(&request())).await.unwrap_err());
        }
    }
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_connection_that_is_not_taken_times_out_and_may_be_tried_again() {
    // Its queue takes two connections; nobody accepts them.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let _waiting = [
        tokio::net::TcpStream::connect(address).await.unwrap(),
        tokio::net::TcpStream::connect(address).await.unwrap(),
    ];
    let connect = Duration::from_millis(100);
    let lm = lm(Api::AnthropicMessages, &format!("http://{address}"));
    let lm = lm
        .with_timeouts(Timeouts {
            connect,
            ..Timeouts::default()
        })
        .unwrap();
    let error = lm.complete(&request()).await.unwrap_err();
    let LmError::Timeout { limit, after, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!((*limit, *after), (TimeLimit::Connect, connect));
    assert!(error.is_transient());
}
