//! Each wire format byte by byte: what is sent, how a reply is read, what each failure means.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use dspipe_runtime::lm::{
    Api, Finish, HttpLm, Lm, Message, OutputSchema, Params, Reply, Request, Usage,
};
use dspipe_runtime::{LmError, Secret};
use dspipe_tests::server::{Answer, Received, Server};
use serde_json::{Value, json};

const KEY: &str = "sk-very-secret";

fn lm(api: Api, name: &str, url: &str) -> HttpLm {
    HttpLm::new(
        name.parse().unwrap(),
        api,
        url,
        Some(Secret::from(KEY.to_owned())),
    )
    .unwrap()
}

/// Instructions, a demo, and the inputs, split in two.
fn request(schema: Option<&Value>) -> Request {
    Request {
        messages: vec![
            Message::system("Be brief."),
            Message::user("2+2?"),
            Message::assistant("{\"sum\":4}"),
            Message::user("Now this:"),
            Message::user("3+4?"),
        ],
        schema: schema.map(|schema| OutputSchema {
            name: "add".to_owned(),
            json: schema.to_string().into(),
        }),
        params: Params {
            temperature: Some(0.5),
            max_tokens: Some(100),
            seed: Some(7),
            repetition: 0,
        },
    }
}

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "sum": {"type": "integer", "minimum": 0, "description": "the sum"},
            "note": {"type": "string", "maxLength": 9},
        },
        "required": ["sum"],
        "additionalProperties": false,
    })
}

/// What is sent to ask this, and what comes of the answer.
async fn ask(
    api: Api,
    name: &str,
    request: &Request,
    answer: Answer,
) -> (Received, Result<Reply, LmError>) {
    let server = Server::start(move |_, _| answer.clone()).await.unwrap();
    let result = lm(api, name, &server.url()).complete(request).await;
    (server.received().remove(0), result)
}

/// The body of a request that is answered with nothing.
async fn sent(api: Api, name: &str, request: &Request) -> Received {
    ask(api, name, request, Answer::failure(500, "")).await.0
}

#[tokio::test]
async fn anthropic_requests() {
    let api = Api::AnthropicMessages;
    let received = sent(
        api,
        "anthropic/claude-sonnet-4-5",
        &request(Some(&schema())),
    )
    .await;
    assert_eq!(received.line, "POST /v1/messages HTTP/1.1");
    assert_eq!(received.headers["x-api-key"], KEY);
    assert_eq!(received.headers["anthropic-version"], "2023-06-01");
    assert_eq!(received.headers["content-type"], "application/json");
    assert!(!received.headers.contains_key("authorization"));
    let text = |text: &str| json!({"type": "text", "text": text});
    let demo = json!({
        "type": "text", "text": "{\"sum\":4}", "cache_control": {"type": "ephemeral"},
    });
    let turns = json!([
        {"role": "user", "content": [text("2+2?")]},
        {"role": "assistant", "content": [demo]},
        {"role": "user", "content": [text("Now this:"), text("3+4?")]},
    ]);
    let expected = json!({
        "model": "claude-sonnet-4-5",
        "max_tokens": 100,
        "system": [text("Be brief.")],
        "messages": turns,
        "temperature": 0.5,
        "output_config": {"format": {"type": "json_schema", "schema": {
            "type": "object",
            "properties": {
                "sum": {"type": "integer", "description": "the sum (minimum: 0)"},
                "note": {"type": "string", "description": "maxLength: 9"},
            },
            "required": ["sum"],
            "additionalProperties": false,
        }}},
    });
    assert_eq!(received.body, expected);

    // A model without structured outputs is made to call a tool, with the schema as it is.
    let received = sent(
        api,
        "anthropic/claude-sonnet-4-0",
        &request(Some(&schema())),
    )
    .await;
    assert_eq!(received.body["output_config"], Value::Null);
    assert_eq!(
        received.body["tools"],
        json!([{"name": "add", "description": "Takes the answer.", "input_schema": schema()}])
    );
    assert_eq!(
        received.body["tool_choice"],
        json!({"type": "tool", "name": "add"})
    );

    // A schema that cannot be sent is said in words.
    let received = sent(
        api,
        "anthropic/claude-sonnet-4-5",
        &request(Some(&json!({}))),
    )
    .await;
    assert_eq!(received.body["output_config"], Value::Null);
    assert_eq!(
        received.body["system"],
        json!([text(
            "Be brief.\n\nThe answer must be valid against this JSON Schema:\n{}"
        )])
    );

    // Free text; a limit is needed all the same; without demos the instructions carry the marker.
    let free = Request {
        messages: vec![Message::system("Be brief."), Message::user("Hello")],
        schema: None,
        params: Params::default(),
    };
    let received = sent(api, "anthropic/claude-sonnet-4-5", &free).await;
    assert_eq!(
        received.body,
        json!({
            "model": "claude-sonnet-4-5",
            "max_tokens": 16000,
            "system": [{
                "type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"},
            }],
            "messages": [{"role": "user", "content": [text("Hello")]}],
        })
    );
}

#[tokio::test]
async fn gemini_requests() {
    let api = Api::GeminiGenerateContent;
    let server = Server::start(|_, _| Answer::failure(500, ""))
        .await
        .unwrap();
    let url = server.url().replace("/v1", "");
    let lm = lm(api, "gemini/gemini-2.5-flash", &url);
    lm.complete(&request(Some(&schema()))).await.unwrap_err();
    let received = server.received().remove(0);
    assert_eq!(
        received.line,
        "POST /v1beta/models/gemini-2.5-flash:generateContent HTTP/1.1"
    );
    assert_eq!(received.headers["x-goog-api-key"], KEY);
    let expected = json!({
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "2+2?"}]},
            {"role": "model", "parts": [{"text": "{\"sum\":4}"}]},
            {"role": "user", "parts": [{"text": "Now this:"}, {"text": "3+4?"}]},
        ],
        "generationConfig": {
            "temperature": 0.5,
            "maxOutputTokens": 100,
            "seed": 7,
            "responseMimeType": "application/json",
            "responseJsonSchema": {
                "type": "object",
                "properties": {
                    "sum": {"type": "integer", "minimum": 0, "description": "the sum"},
                    "note": {"type": "string"},
                },
                "required": ["sum"],
                "additionalProperties": false,
            },
        },
    });
    assert_eq!(received.body, expected);

    let received = sent(api, "gemini/gemini-2.5-flash", &request(None)).await;
    assert_eq!(
        received.body["generationConfig"],
        json!({"temperature": 0.5, "maxOutputTokens": 100, "seed": 7})
    );
}

#[tokio::test]
async fn responses_requests() {
    let api = Api::OpenAiResponses;
    let received = sent(api, "openai-responses/gpt-4.1", &request(Some(&schema()))).await;
    assert_eq!(received.line, "POST /v1/responses HTTP/1.1");
    assert_eq!(received.headers["authorization"], format!("Bearer {KEY}"));
    let message = |role: &str, content: &str| json!({"role": role, "content": content});
    let mut expected = json!({
        "model": "gpt-4.1",
        "input": [
            message("system", "Be brief."),
            message("user", "2+2?"),
            message("assistant", "{\"sum\":4}"),
            message("user", "Now this:"),
            message("user", "3+4?"),
        ],
        "temperature": 0.5,
        "max_output_tokens": 100,
        "text": {"format": {
            "type": "json_schema",
            "name": "add",
            "strict": true,
            "schema": {
                "type": "object",
                "properties": {
                    "sum": {"type": "integer", "minimum": 0, "description": "the sum"},
                    "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                },
                "required": ["sum", "note"],
                "additionalProperties": false,
            },
        }},
        "store": false,
    });
    assert_eq!(received.body, expected);

    let open = json!({"type": "object"});
    let received = sent(api, "openai-responses/gpt-4.1", &request(Some(&open))).await;
    expected["text"]["format"]["strict"] = json!(false);
    expected["text"]["format"]["schema"] = open;
    assert_eq!(received.body, expected);
}

#[tokio::test]
async fn an_empty_reply_is_not_sent_back_where_it_would_be_refused() {
    let asked = Request {
        messages: vec![
            Message::user("3+4?"),
            Message::assistant(""),
            Message::user("Answer again."),
        ],
        schema: None,
        params: Params::default(),
    };
    let body = sent(Api::GeminiGenerateContent, "gemini/m", &asked)
        .await
        .body;
    assert_eq!(
        body["contents"],
        json!([{"role": "user", "parts": [{"text": "3+4?"}, {"text": "Answer again."}]}])
    );
    let body = sent(Api::AnthropicMessages, "anthropic/m", &asked)
        .await
        .body;
    let [turn] = &body["messages"].as_array().unwrap()[..] else {
        panic!("one turn: {body}");
    };
    assert_eq!(turn["content"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn where_a_server_knows_no_schemas_it_is_told_in_words() {
    for api in [
        Api::OpenAiChat,
        Api::OpenAiResponses,
        Api::AnthropicMessages,
        Api::GeminiGenerateContent,
    ] {
        let server = Server::start(|_, _| Answer::failure(500, ""))
            .await
            .unwrap();
        let lm = lm(api, "scripted/m", &server.url()).with_schema_in_words();
        let asked = request(Some(&schema()));
        lm.complete(&asked).await.unwrap_err();
        let mut free = request(None);
        free.messages[0].content = format!(
            "Be brief.\n\nThe answer must be valid against this JSON Schema:\n{}",
            schema()
        );
        lm.complete(&free).await.unwrap_err();
        let [in_words, free] = &server.received()[..] else {
            panic!("two requests");
        };
        assert_eq!(in_words.body, free.body, "{api}");
    }
}

fn usage(input: u64, output: u64, cached: u64, written: u64, reasoning: u64) -> Usage {
    Usage {
        input_tokens: input,
        output_tokens: output,
        cached_input_tokens: cached,
        cache_write_tokens: written,
        reasoning_tokens: reasoning,
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn replies_are_read() {
    let reply = |text: &str, finish, usage, model: &str| Reply {
        text: text.to_owned(),
        finish,
        usage,
        model: model.to_owned(),
        lm: None,
        request_id: None,
    };
    let cases = [
        (
            Api::OpenAiChat,
            r#"{"model":"gpt-5-mini-2025","choices":[{"index":0,"message":{"role":"assistant","content":"{\"sum\":7}","refusal":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":50,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":30,"cache_write_tokens":8},"completion_tokens_details":{"reasoning_tokens":9}}}"#,
            reply(
                "{\"sum\":7}",
                Finish::Stop,
                usage(50, 20, 30, 8, 9),
                "gpt-5-mini-2025",
            ),
        ),
        (
            Api::OpenAiResponses,
            r#"{"id":"resp_1","status":"completed","error":null,"incomplete_details":null,"model":"gpt-5-mini-2025","output":[{"type":"reasoning","summary":[]},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"{\"sum\":","annotations":[]},{"type":"output_text","text":"7}"}]}],"usage":{"input_tokens":50,"input_tokens_details":{"cached_tokens":30,"cache_write_tokens":8},"output_tokens":20,"output_tokens_details":{"reasoning_tokens":9},"total_tokens":70}}"#,
            reply(
                "{\"sum\":7}",
                Finish::Stop,
                usage(50, 20, 30, 8, 9),
                "gpt-5-mini-2025",
            ),
        ),
        (
            Api::OpenAiChat,
            r#"{"model":"m","choices":[{"message":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"{\"sum\":"},{"type":"text","text":"7}"}]},"finish_reason":"stop"}]}"#,
            reply("{\"sum\":7}", Finish::Stop, Usage::default(), "m"),
        ),
        (
            Api::OpenAiResponses,
            r#"{"status":"completed","model":"m","output":[{"type":"message","phase":"commentary","content":[{"type":"output_text","text":"Let me see."}]},{"type":"message","phase":"final_answer","content":[{"type":"output_text","text":"{\"sum\":7}"}]}]}"#,
            reply("{\"sum\":7}", Finish::Stop, Usage::default(), "m"),
        ),
        (
            Api::OpenAiResponses,
            r#"{"status":"completed","model":"m","output":[{"type":"message","phase":"commentary","content":[{"type":"output_text","text":"7"}]}]}"#,
            reply("7", Finish::Stop, Usage::default(), "m"),
        ),
        (
            Api::OpenAiResponses,
            r#"{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"model":"m","output":[{"type":"message","content":[{"type":"output_text","text":"{\"su"}]}],"usage":{"input_tokens":1,"output_tokens":2}}"#,
            reply("{\"su", Finish::Length, usage(1, 2, 0, 0, 0), "m"),
        ),
        (
            Api::AnthropicMessages,
            r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"{\"sum\":"},{"type":"text","text":"7}"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":5,"cache_read_input_tokens":30,"output_tokens":20}}"#,
            reply(
                "{\"sum\":7}",
                Finish::Stop,
                usage(45, 20, 30, 5, 0),
                "claude-x",
            ),
        ),
        (
            Api::AnthropicMessages,
            r#"{"model":"claude-x","content":[{"type":"tool_use","id":"t","name":"add","input":{"sum":7,"note":"n"}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":2,"cache_read_input_tokens":null}}"#,
            reply(
                "{\"sum\":7,\"note\":\"n\"}",
                Finish::Stop,
                usage(1, 2, 0, 0, 0),
                "claude-x",
            ),
        ),
        (
            Api::AnthropicMessages,
            r#"{"model":"m","content":[{"type":"text","text":"{\"su"}],"stop_reason":"max_tokens","usage":{"input_tokens":1,"output_tokens":2}}"#,
            reply("{\"su", Finish::Length, usage(1, 2, 0, 0, 0), "m"),
        ),
        (
            Api::AnthropicMessages,
            r#"{"model":"m","content":[],"stop_reason":"model_context_window_exceeded","usage":{"input_tokens":1,"output_tokens":2}}"#,
            reply("", Finish::Length, usage(1, 2, 0, 0, 0), "m"),
        ),
        (
            Api::AnthropicMessages,
            r#"{"model":"m","content":[],"stop_reason":"pause_turn"}"#,
            reply("", Finish::Other, Usage::default(), "m"),
        ),
        (
            Api::GeminiGenerateContent,
            r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"hm","thought":true},{"text":"{\"sum\":"},{"text":"7}"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":50,"cachedContentTokenCount":30,"candidatesTokenCount":11,"thoughtsTokenCount":9,"totalTokenCount":70},"modelVersion":"gemini-2.5-flash"}"#,
            reply(
                "{\"sum\":7}",
                Finish::Stop,
                usage(50, 20, 30, 0, 9),
                "gemini-2.5-flash",
            ),
        ),
        (
            Api::GeminiGenerateContent,
            r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"a","thoughtSignature":"s"}]},"finishReason":"CONTINUATION"}]}"#,
            reply("a", Finish::Length, Usage::default(), ""),
        ),
        (
            Api::GeminiGenerateContent,
            r#"{"candidates":[{"content":{"role":"model"},"finishReason":"MAX_TOKENS"}],"usageMetadata":{"promptTokenCount":1,"thoughtsTokenCount":2},"modelVersion":"m"}"#,
            reply("", Finish::Length, usage(1, 2, 0, 0, 2), "m"),
        ),
    ];
    for (api, body, expected) in cases {
        let answer = Answer::Slowly(200, body.to_owned());
        let (_, result) = ask(api, "scripted/m", &request(None), answer).await;
        assert_eq!(result.unwrap(), expected, "{body}");
    }
}

#[derive(Debug, PartialEq)]
enum Kind {
    Auth,
    Rate(Option<u64>),
    Quota,
    Overloaded,
    Context,
    Refused,
    Filter,
    Bad,
    Server,
    Protocol,
}

fn kind(error: &LmError) -> Kind {
    match error {
        LmError::Auth { .. } => Kind::Auth,
        LmError::RateLimited { retry_after, .. } => Kind::Rate(retry_after.map(|d| d.as_secs())),
        LmError::QuotaExceeded { .. } => Kind::Quota,
        LmError::Overloaded { .. } => Kind::Overloaded,
        LmError::ContextLength { .. } => Kind::Context,
        LmError::Refused { .. } => Kind::Refused,
        LmError::ContentFilter { .. } => Kind::Filter,
        LmError::BadRequest { .. } => Kind::Bad,
        LmError::Server { .. } => Kind::Server,
        LmError::Protocol { .. } => Kind::Protocol,
        other => panic!("{other:?}"),
    }
}

/// Each answer leads to an error of this kind whose message has this part, and never shows the key.
async fn failures(api: Api, cases: &[(u16, String, Kind, &str)]) {
    for (status, body, expected, part) in cases {
        let answer = Answer::failure(*status, body);
        let (_, result) = ask(api, "scripted/m", &request(None), answer).await;
        let error = result.unwrap_err();
        assert_eq!(kind(&error), *expected, "{status} {body}: {error}");
        let text = format!("{error} {error:?}");
        assert!(text.contains(part), "{status} {body}: {text}");
        assert!(!text.contains(KEY), "the key is shown: {text}");
    }
}

#[tokio::test]
async fn anthropic_failures() {
    let error = |kind: &str, message: &str| {
        json!({
            "type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1",
        })
        .to_string()
    };
    let invalid = |message: &str| error("invalid_request_error", message);
    let limit = |code: &str| {
        json!({"type": "error", "error": {
            "type": "rate_limit_error", "message": "a limit", "details": {"error_code": code},
        }})
        .to_string()
    };
    let cases = [
        (401, error("authentication_error", &format!("invalid x-api-key {KEY}")), Kind::Auth, "x-api-key ****"),
        (403, error("permission_error", "not yours"), Kind::Auth, "not yours"),
        (402, error("billing_error", "pay"), Kind::Quota, "pay"),
        (400, invalid("Your credit balance is too low to access the Anthropic API."), Kind::Quota, "credit balance"),
        (429, error("rate_limit_error", "slow down"), Kind::Rate(None), "slow down"),
        (529, error("overloaded_error", "Overloaded"), Kind::Overloaded, "Overloaded"),
        (500, error("api_error", "oops"), Kind::Server, "(request req_1)"),
        (409, error("conflict_error", "locked"), Kind::Server, "locked"),
        (429, limit("contract_spend_limit_reached"), Kind::Quota, "a limit"),
        (429, limit("enforced_spend_limit_reached"), Kind::Quota, "a limit"),
        (429, limit("ramp_limit_exceeded"), Kind::Rate(None), "a limit"),
        (400, invalid("You have reached your specified API usage limits. You will regain access on 2027-01-01 at 00:00 UTC."), Kind::Quota, "regain access"),
        (504, error("timeout_error", "too slow"), Kind::Server, "too slow"),
        (400, invalid("prompt is too long: 208310 tokens > 200000 maximum"), Kind::Context, "208310"),
        (400, invalid("input length and `max_tokens` exceed context limit: 1 + 2 > 3"), Kind::Context, "1 + 2 > 3"),
        (413, error("request_too_large", "too many bytes"), Kind::Context, "too many bytes"),
        (400, invalid("Output blocked by content filtering policy"), Kind::Filter, "blocked"),
        (400, invalid("messages: at least one"), Kind::Bad, "at least one"),
        (404, error("not_found_error", "model: claude-9"), Kind::Bad, "claude-9"),
        (200, r#"{"model":"m","content":[{"type":"text","text":"I"}],"stop_reason":"refusal","stop_details":{"type":"refusal","category":"cyber","explanation":"not that"}}"#.to_owned(), Kind::Refused, "not that"),
        (200, r#"{"model":"m","content":[{"type":"text","text":"I will not."}],"stop_reason":"refusal"}"#.to_owned(), Kind::Refused, "I will not."),
        (200, error("overloaded_error", "busy"), Kind::Overloaded, "busy"),
        (200, "{}".to_owned(), Kind::Protocol, "Anthropic Messages API does: its reply has no `content`"),
        (200, "<html>".to_owned(), Kind::Protocol, "right URL"),
    ];
    failures(Api::AnthropicMessages, &cases).await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn gemini_failures() {
    let error = |code: u16, status: &str, message: &str, details: Value| {
        json!({"error": {"code": code, "message": message, "status": status, "details": details}})
            .to_string()
    };
    let plain = |code: u16, status: &str, message: &str| error(code, status, message, json!([]));
    let reason =
        json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]);
    let delay = json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}]);
    let daily = json!([
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [
            {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier", "quotaValue": "50"},
        ]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"},
    ]);
    let candidate = |reason: &str| json!({"candidates": [{"finishReason": reason}]}).to_string();
    let cases = [
        (
            400,
            error(
                400,
                "INVALID_ARGUMENT",
                &format!("API key not valid: {KEY}"),
                reason,
            ),
            Kind::Auth,
            "not valid: ****",
        ),
        (
            401,
            plain(401, "UNAUTHENTICATED", "who?"),
            Kind::Auth,
            "who?",
        ),
        (
            403,
            plain(403, "PERMISSION_DENIED", "not yours"),
            Kind::Auth,
            "not yours",
        ),
        (
            429,
            plain(429, "RESOURCE_EXHAUSTED", "slow down"),
            Kind::Rate(None),
            "slow down",
        ),
        (
            429,
            error(429, "RESOURCE_EXHAUSTED", "slow down", delay),
            Kind::Rate(Some(34)),
            "slow down",
        ),
        (
            503,
            plain(503, "UNAVAILABLE", "The model is overloaded."),
            Kind::Overloaded,
            "overloaded",
        ),
        (500, plain(500, "INTERNAL", "oops"), Kind::Server, "oops"),
        (
            504,
            plain(504, "DEADLINE_EXCEEDED", "too slow"),
            Kind::Server,
            "too slow",
        ),
        (
            400,
            plain(
                400,
                "INVALID_ARGUMENT",
                "The input token count (9) exceeds the maximum number of tokens allowed (8).",
            ),
            Kind::Context,
            "(9)",
        ),
        (
            400,
            plain(400, "INVALID_ARGUMENT", "no such field"),
            Kind::Bad,
            "no such field",
        ),
        (
            404,
            plain(404, "NOT_FOUND", "models/x is not found"),
            Kind::Bad,
            "models/x",
        ),
        (
            200,
            r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":4}}"#
                .to_owned(),
            Kind::Filter,
            "the prompt was blocked (SAFETY)",
        ),
        (200, candidate("SAFETY"), Kind::Filter, "SAFETY"),
        (200, candidate("RECITATION"), Kind::Filter, "RECITATION"),
        (
            200,
            candidate("PROHIBITED_CONTENT"),
            Kind::Filter,
            "PROHIBITED_CONTENT",
        ),
        (200, candidate("BLOCKLIST"), Kind::Filter, "BLOCKLIST"),
        (200, candidate("SPII"), Kind::Filter, "SPII"),
        (200, candidate("LANGUAGE"), Kind::Filter, "LANGUAGE"),
        (200, candidate("ESCALATION"), Kind::Filter, "ESCALATION"),
        (200, candidate("MODEL_ARMOR"), Kind::Filter, "MODEL_ARMOR"),
        (
            200,
            candidate("PUP_LIMITED_DISABLED"),
            Kind::Filter,
            "PUP_LIMITED_DISABLED",
        ),
        (
            429,
            error(429, "RESOURCE_EXHAUSTED", "come back tomorrow", daily),
            Kind::Quota,
            "come back tomorrow",
        ),
        (
            200,
            plain(503, "UNAVAILABLE", "busy"),
            Kind::Overloaded,
            "busy",
        ),
        (200, "{}".to_owned(), Kind::Protocol, "no `candidates`"),
        (200, "[".to_owned(), Kind::Protocol, "right URL"),
    ];
    failures(Api::GeminiGenerateContent, &cases).await;
}

#[tokio::test]
async fn responses_failures() {
    let error = |code: &str, message: &str| {
        json!({"error": {"message": message, "type": "some_type", "param": null, "code": code}})
            .to_string()
    };
    let failed = |code: &str, message: &str| {
        json!({
            "status": "failed", "error": {"code": code, "message": message},
            "incomplete_details": null, "output": [], "usage": null, "model": "m",
        })
        .to_string()
    };
    let cases = [
        (401, error("invalid_api_key", &format!("Incorrect API key {KEY}")), Kind::Auth, "key ****"),
        (429, error("rate_limit_exceeded", "slow down"), Kind::Rate(None), "slow down"),
        (429, error("insufficient_quota", "pay"), Kind::Quota, "pay"),
        (503, error("server_is_overloaded", "busy"), Kind::Overloaded, "busy"),
        (500, error("server_error", "oops"), Kind::Server, "oops"),
        (400, error("context_length_exceeded", "too long"), Kind::Context, "too long"),
        (400, error("content_policy_violation", "not that"), Kind::Filter, "not that"),
        (400, error("invalid_json_schema", "bad schema"), Kind::Bad, "bad schema"),
        (200, failed("server_error", "oops"), Kind::Server, "oops"),
        (200, failed("rate_limit_exceeded", "slow down"), Kind::Rate(None), "slow down"),
        (200, failed("invalid_prompt", "not that"), Kind::Filter, "not that"),
        (200, failed("bio_policy", "not that"), Kind::Filter, "not that"),
        (200, failed("image_content_policy_violation", "not that"), Kind::Filter, "not that"),
        (200, failed("invalid_image_url", "no image"), Kind::Bad, "no image"),
        (200, failed("image_too_large", "too large"), Kind::Bad, "too large"),
        (200, failed("failed_to_download_image", "gone"), Kind::Bad, "gone"),
        (200, failed("context_length_exceeded", "too long"), Kind::Context, "too long"),
        (200, r#"{"status":"failed","error":null,"output":[]}"#.to_owned(), Kind::Server, "failed"),
        (200, r#"{"status":"cancelled","error":null,"output":[]}"#.to_owned(), Kind::Server, "cancelled"),
        (200, r#"{"status":"incomplete","incomplete_details":{"reason":"content_filter"},"output":[]}"#.to_owned(), Kind::Filter, "filtered"),
        (200, r#"{"status":"completed","output":[{"type":"message","content":[{"type":"refusal","refusal":"I will not."}]}]}"#.to_owned(), Kind::Refused, "I will not."),
        (200, "{}".to_owned(), Kind::Protocol, "no `output`"),
        (200, String::new(), Kind::Protocol, "right URL"),
    ];
    failures(Api::OpenAiResponses, &cases).await;
}

/// Those that are not in `wire.rs`: of servers that speak the format of chat completions.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn chat_failures() {
    let error = |body: Value| json!({"error": body}).to_string();
    let choice =
        json!([{"index": 0, "delta": {}, "message": {"content": "I"}, "finish_reason": "error"}]);
    let cases = [
        // Azure.
        (
            400,
            error(json!({
                "message": "The response was filtered", "type": null, "param": "prompt", "code": "content_filter",
                "status": 400, "innererror": {"code": "ResponsibleAIPolicyViolation"},
            })),
            Kind::Filter,
            "filtered",
        ),
        (
            401,
            error(json!({"code": "401", "message": format!("Access denied due to invalid key {KEY}")})),
            Kind::Auth,
            "key ****",
        ),
        (
            429,
            error(json!({"code": "429", "message": "call rate limit"})),
            Kind::Rate(None),
            "call rate",
        ),
        // OpenRouter: in place of a reply, beside one, in a choice; and its moderators.
        (
            200,
            error(json!({"code": 502, "message": "upstream"})),
            Kind::Server,
            "upstream",
        ),
        (
            200,
            json!({"error": {"code": 429, "message": "slow down"}, "choices": choice}).to_string(),
            Kind::Rate(None),
            "slow down",
        ),
        (
            200,
            json!({"choices": [{"message": {"content": ""}, "error": {"code": 503, "message": "busy"}}]}).to_string(),
            Kind::Overloaded,
            "busy",
        ),
        (
            200,
            json!({"choices": choice}).to_string(),
            Kind::Server,
            "stopped with an error",
        ),
        (
            403,
            error(json!({
                "code": 403, "message": "flagged",
                "metadata": {"reasons": ["violence"], "flagged_input": "x"},
            })),
            Kind::Filter,
            "flagged",
        ),
        (402, error(json!({"code": 402, "message": "no credits"})), Kind::Quota, "no credits"),
        // Groq.
        (
            498,
            error(json!({"message": "capacity", "type": "capacity_exceeded"})),
            Kind::Overloaded,
            "capacity",
        ),
        // OpenAI.
        (
            429,
            error(json!({"message": "not active", "type": "billing_not_active", "code": "billing_not_active"})),
            Kind::Quota,
            "not active",
        ),
        (
            404,
            error(json!({"message": "no such model", "code": "model_not_found"})),
            Kind::Bad,
            "no such model",
        ),
        // llama.cpp, and vLLM before it had `error`.
        (
            400,
            error(json!({"code": 400, "message": "exceeds", "type": "exceed_context_size_error"})),
            Kind::Context,
            "exceeds",
        ),
        (
            503,
            error(json!({"code": 503, "message": "Loading model", "type": "unavailable_error"})),
            Kind::Overloaded,
            "Loading",
        ),
        (
            400,
            json!({
                "object": "error", "type": "BadRequestError", "code": 400,
                "message": "This model's maximum context length is 2048 tokens.",
            })
            .to_string(),
            Kind::Context,
            "2048",
        ),
    ];
    failures(Api::OpenAiChat, &cases).await;
}
