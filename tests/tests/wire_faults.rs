//! Many calls at the same time to a server that fails at random: each ends in the right reply or the right
//! error, in every wire format, with and without a stream.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::sync::Arc;
use std::time::Duration;

use dspipe_runtime::lm::{
    Api, Finish, HttpLm, Limiter, Limits, Lm, Message, Params, Reply, Request, Retry, Timeouts,
};
use dspipe_runtime::{LmError, Secret};
use dspipe_tests::server::{Answer, Received, Server};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const CALLS: u64 = 400;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    Slow,
    Limited,
    Overloaded,
    Broken,
    Garbled,
    Truncated,
    Closed,
    Silent,
    Refused,
}

impl Fault {
    /// The same for the same number.
    fn of(seed: u64) -> Self {
        // SplitMix64.
        let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        match (bits ^ (bits >> 31)) % 20 {
            0 | 1 => Self::Slow,
            2 => Self::Limited,
            3 => Self::Overloaded,
            4 => Self::Broken,
            5 => Self::Garbled,
            6 => Self::Truncated,
            7 => Self::Closed,
            8 => Self::Silent,
            9 => Self::Refused,
            _ => Self::None,
        }
    }

    fn fits(self, result: &Result<Reply, LmError>, text: &str) -> bool {
        match (self, result) {
            (Self::None | Self::Slow, Ok(reply)) => {
                reply.text == text && reply.finish == Finish::Stop
            }
            (Self::Limited, Err(LmError::RateLimited { .. }))
            | (Self::Overloaded, Err(LmError::Overloaded { .. }))
            | (Self::Broken, Err(LmError::Server { .. }))
            | (Self::Garbled, Err(LmError::Protocol { .. }))
            | (Self::Truncated, Err(LmError::Unreachable { .. } | LmError::Interrupted { .. }))
            | (Self::Closed, Err(LmError::Unreachable { .. }))
            | (Self::Silent, Err(LmError::Timeout { .. }))
            | (Self::Refused, Err(LmError::Auth { .. })) => true,
            _ => false,
        }
    }
}

/// The number in the last message, wherever the format has it.
fn number(body: &Value) -> u64 {
    let text = body.to_string();
    let (_, rest) = text.split_once("number ").unwrap();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

fn text(number: u64) -> String {
    format!("«{number}» \"quoted\"\nand a second line")
}

fn body(api: Api, text: &str) -> Value {
    match api {
        Api::OpenAiChat => {
            json!({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})
        }
        Api::OpenAiResponses => json!({
            "status": "completed",
            "output": [{"type": "message", "content": [{"type": "output_text", "text": text}]}],
        }),
        Api::AnthropicMessages => {
            json!({"content": [{"type": "text", "text": text}], "stop_reason": "end_turn"})
        }
        _ => json!({
            "candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}],
        }),
    }
}

fn events(api: Api, text: &str) -> String {
    let half = text.char_indices().nth(4).unwrap().0;
    let parts = [&text[..half], &text[half..]];
    let data = |value: &Value| format!("data: {value}\n\n");
    let deltas = |event: fn(&str) -> Value| parts.map(|part| data(&event(part))).concat();
    match api {
        Api::OpenAiChat => {
            deltas(|part| json!({"choices": [{"delta": {"content": part}}]}))
                + &data(&json!({"choices": [{"delta": {}, "finish_reason": "stop"}]}))
                + "data: [DONE]\n\n"
        }
        Api::OpenAiResponses => {
            deltas(|part| json!({"type": "response.output_text.delta", "delta": part}))
                + &data(&json!({"type": "response.completed", "response": body(api, text)}))
        }
        Api::AnthropicMessages => {
            deltas(
                |part| json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": part}}),
            ) + &data(&json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}))
                + &data(&json!({"type": "message_stop"}))
        }
        _ => {
            deltas(|part| json!({"candidates": [{"content": {"parts": [{"text": part}]}}]}))
                + &data(&json!({"candidates": [{"finishReason": "STOP"}]}))
        }
    }
}

fn answer(api: Api, fault: Fault, received: &Received) -> Answer {
    let is_stream = received.body["stream"] == true || received.line.contains("alt=sse");
    let text = text(number(&received.body));
    let (kind, content) = if is_stream {
        ("text/event-stream", events(api, &text))
    } else {
        ("application/json", body(api, &text).to_string())
    };
    let whole = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{content}",
        content.len()
    );
    let error = "{\"error\": {\"message\": \"no\"}}";
    match fault {
        Fault::None => Answer::Raw(whole),
        Fault::Slow => Answer::Trickle(whole),
        Fault::Limited => Answer::failure(429, error),
        Fault::Overloaded => Answer::failure(529, error),
        Fault::Broken => Answer::failure(500, "<html>"),
        Fault::Garbled => Answer::Raw(whole.replace(['{', '['], "?")),
        Fault::Truncated => {
            let end = whole.len() - content.len() / 2;
            let end = (0..=end).rev().find(|end| whole.is_char_boundary(*end));
            Answer::Raw(whole[..end.unwrap()].to_owned())
        }
        Fault::Closed => Answer::Raw(String::new()),
        Fault::Silent => Answer::Silence,
        Fault::Refused => Answer::failure(401, error),
    }
}

fn request(number: u64) -> Request {
    Request {
        messages: vec![Message::user(format!("number {number}"))],
        schema: None,
        params: Params::default(),
    }
}

fn lm(api: Api, server: &Server) -> Arc<dyn Lm> {
    let key = Some(Secret::from("sk-1".to_owned()));
    let lm = HttpLm::new("scripted/m".parse().unwrap(), api, &server.url(), key).unwrap();
    let timeouts = Timeouts {
        // Only silence takes that long.
        read: Duration::from_secs(5),
        ..Timeouts::default()
    };
    let limits = Limits {
        concurrency: Some(32),
        ..Limits::default()
    };
    Limiter::new(limits).around(Arc::new(lm.with_timeouts(timeouts).unwrap()))
}

const APIS: [Api; 4] = [
    Api::OpenAiChat,
    Api::OpenAiResponses,
    Api::AnthropicMessages,
    Api::GeminiGenerateContent,
];

#[tokio::test]
async fn each_call_ends_in_its_reply_or_its_error() {
    let mut calls = JoinSet::new();
    for (api, seed) in APIS.into_iter().zip((0..).step_by(10_000)) {
        let server = Server::start(move |_, received| {
            let fault = Fault::of(seed + number(&received.body));
            answer(api, fault, received)
        })
        .await
        .unwrap();
        let lm = lm(api, &server);
        for number in 0..CALLS {
            let lm = Arc::clone(&lm);
            calls.spawn(async move {
                let request = request(number);
                let result = if number % 2 == 0 {
                    lm.complete(&request).await
                } else {
                    Reply::collect(lm.stream(&request)).await
                };
                let fault = Fault::of(seed + number);
                assert!(
                    fault.fits(&result, &text(number)),
                    "{api} {number} {fault:?}: {result:?}"
                );
                fault
            });
        }
    }
    let faults = calls.join_all().await;
    assert_eq!(faults.len(), 1600);
    for fault in [
        Fault::None,
        Fault::Slow,
        Fault::Limited,
        Fault::Overloaded,
        Fault::Broken,
        Fault::Garbled,
        Fault::Truncated,
        Fault::Closed,
        Fault::Silent,
        Fault::Refused,
    ] {
        assert!(faults.contains(&fault), "{fault:?} never came");
    }
}

#[tokio::test]
async fn transient_faults_pass_with_further_tries() {
    let mut calls = JoinSet::new();
    for api in APIS {
        // The first try of each call fails, the second one does not.
        let seen = std::sync::Mutex::new(std::collections::HashSet::new());
        let server = Server::start(move |_, received| {
            let number = number(&received.body);
            let transient = [
                Fault::Limited,
                Fault::Overloaded,
                Fault::Broken,
                Fault::Truncated,
                Fault::Closed,
            ];
            let is_first = seen.lock().unwrap().insert(number);
            let index = usize::try_from(number).unwrap() % transient.len();
            let fault = if is_first {
                transient[index]
            } else {
                Fault::None
            };
            // A stream that has begun is not begun again.
            let fault = if fault == Fault::Truncated && number % 2 == 1 {
                Fault::Closed
            } else {
                fault
            };
            answer(api, fault, received)
        })
        .await
        .unwrap();
        let retry = Retry {
            base: Duration::from_millis(1),
            ..Retry::default()
        };
        let lm = retry.around(lm(api, &server));
        for number in 0..100 {
            let lm = Arc::clone(&lm);
            calls.spawn(async move {
                let request = request(number);
                let result = if number % 2 == 0 {
                    lm.complete(&request).await
                } else {
                    Reply::collect(lm.stream(&request)).await
                };
                assert_eq!(result.unwrap().text, text(number), "{api} {number}");
            });
        }
    }
    assert_eq!(calls.join_all().await.len(), 400);
}
