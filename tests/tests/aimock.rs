//! All wire formats against a mock of the providers that nobody here wrote: npm's `@copilotkit/aimock`. It asks
//! for a key where each provider has it.
//!
//! Runs where `DSPIPE_TEST_AIMOCK=1`; needs `node` and `npm`, and fetches the package once.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use dspipe_runtime::lm::{
    Api, Finish, HttpLm, Lm, Message, OutputSchema, Params, Reply, Request, Retry, TimeLimit,
    Timeouts, Usage,
};
use dspipe_runtime::{LmError, Lms, LocalRunner, Secret, Streamed, Tool};
use dspipe_tests::workflows::modules::{self, answer};
use dspipe_tests::workflows::numbers::say;
use serde_json::{Value, json};

const VERSION: &str = "1.43.0";

const KEY: &str = "sk-mock";

const GOOD: &str = "{\"sum\":7,\"note\":\"Zürich and more\"}";

/// A format, an LM, and where the mock has it.
type Place = (Api, &'static str, &'static str);

const APIS: [Place; 5] = [
    (Api::OpenAiChat, "openrouter/openai/gpt-4.1", "/api/v1"),
    (Api::OpenAiChat, "openai/gpt-4.1", "/v1"),
    (Api::OpenAiResponses, "openai-responses/gpt-4.1", "/v1"),
    (Api::AnthropicMessages, "anthropic/claude-sonnet-4-5", "/v1"),
    (
        Api::GeminiGenerateContent,
        "gemini/gemini-2.5-flash",
        "/v1beta",
    ),
];

/// The mock, which ends with the test.
struct Mock {
    process: Child,
    url: String,
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn mock() -> Mock {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("aimock-{VERSION}"));
    let script = folder.join("node_modules/@copilotkit/aimock/dist/cli.js");
    if !script.exists() {
        fs::create_dir_all(&folder).unwrap();
        let installed = Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--ignore-scripts"])
            .arg("--prefix")
            .arg(&folder)
            .arg(format!("@copilotkit/aimock@{VERSION}"))
            .status()
            .unwrap();
        assert!(installed.success());
    }
    let path = folder.join("fixtures.json");
    fs::write(&path, json!({"fixtures": fixtures()}).to_string()).unwrap();
    let mut process = Command::new("node")
        .arg(script)
        .args(["--port", "0", "--chunk-size", "7", "--fixtures"])
        .arg(path)
        .env("AIMOCK_API_KEYS", KEY)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let line = lines
        .map_while(Result::ok)
        .find(|line| line.contains("http://"))
        .unwrap();
    let url = line[line.find("http://").unwrap()..].trim().to_owned();
    Mock { process, url }
}

/// What it answers to which message.
fn fixtures() -> Vec<Value> {
    let says = |message: &str, content: &str| json!({"match": {"userMessage": message}, "response": {"content": content}});
    let fails = |message: &str, status: u16, kind: &str, code: &str, text: &str| {
        json!({"match": {"userMessage": message}, "response": {
            "error": {"message": text, "type": kind, "code": code}, "status": status,
        }})
    };
    let chaos = |message: &str, field: &str, value: u32| {
        let mut fixture = says(message, GOOD);
        fixture["chaos"] = json!({field: value});
        fixture
    };
    let turn = |tool: &str, args: Value| {
        json!({"next_thought": "So.", "next_tool_name": tool, "next_tool_args": args}).to_string()
    };
    let too_long = "prompt is too long: its maximum context length is 8 tokens";
    vec![
        json!({
            "match": {"userMessage": "good"},
            "response": {
                "content": GOOD, "reasoning": "let me see",
                "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
            },
            // Comments that keep the connection alive.
            "openRouterProcessing": true,
        }),
        json!({
            "match": {"userMessage": "hammer"},
            "response": {"toolCalls": [{"name": "add", "arguments": GOOD}]},
        }),
        json!({"match": {"userMessage": "cut"}, "response": {"content": "{\"su", "finishReason": "length"}}),
        json!({"match": {"userMessage": "filtered"}, "response": {"content": "", "finishReason": "content_filter"}}),
        json!({
            "match": {"userMessage": "limited"},
            "response": {
                "error": {"message": "slow down", "type": "rate_limit_error"}, "status": 429, "retryAfter": 3,
            },
        }),
        fails("broken", 500, "server_error", "server_error", "oops"),
        fails(
            "unknown",
            401,
            "authentication_error",
            "invalid_api_key",
            "who?",
        ),
        fails("unpaid", 402, "billing_error", "insufficient_quota", "pay"),
        fails(
            "busy",
            503,
            "overloaded_error",
            "server_is_overloaded",
            "busy",
        ),
        fails(
            "long",
            400,
            "invalid_request_error",
            "context_length_exceeded",
            too_long,
        ),
        fails("bad", 400, "invalid_request_error", "bad", "no such field"),
        json!({
            "match": {"userMessage": "half"},
            "response": {"content": GOOD.repeat(20)},
            "truncateAfterChunks": 3,
        }),
        chaos("garbled", "malformedRate", 1),
        chaos("dropped", "dropRate", 1),
        chaos("disconnected", "disconnectRate", 1),
        chaos("rated", "rateLimitRate", 1),
        chaos("late", "latencyMs", 20_000),
        // A step, and one that uses a tool: what was seen so far is in the message.
        says("21", "{\"double\":42,\"words\":\"twenty-one\"}"),
        says(
            "Completed.",
            "{\"reasoning\":\"It says so.\",\"answer\":\"Deep.\"}",
        ),
        says("observation_0", &turn("finish", json!({}))),
        says("How deep", &turn("search", json!({"query": "sea"}))),
    ]
}

fn lm(mock: &Mock, (api, name, path): Place, key: &str) -> HttpLm {
    let key = Some(Secret::from(key.to_owned()));
    let url = format!("{}{path}", mock.url);
    HttpLm::new(name.parse().unwrap(), api, &url, key).unwrap()
}

fn request(text: &str) -> Request {
    let schema = json!({
        "type": "object",
        "properties": {"sum": {"type": "integer"}, "note": {"type": "string"}},
        "required": ["sum"],
        "additionalProperties": false,
    });
    Request {
        messages: vec![Message::system("Add."), Message::user(text)],
        schema: Some(OutputSchema {
            name: "add".to_owned(),
            json: schema.to_string().into(),
        }),
        params: Params {
            max_tokens: Some(100),
            ..Params::default()
        },
    }
}

/// The same question, with and without a stream.
async fn both(lm: &HttpLm, text: &str) -> [Result<Reply, LmError>; 2] {
    let request = request(text);
    [
        lm.complete(&request).await,
        Reply::collect(lm.stream(&request)).await,
    ]
}

/// Replies of each kind.
async fn replies(mock: &Mock, place: Place) {
    let (api, ..) = place;
    let lm = lm(mock, place, KEY);
    for reply in both(&lm, "good").await {
        let reply = reply.unwrap();
        assert_eq!((&*reply.text, reply.finish), (GOOD, Finish::Stop), "{api}");
        let Usage {
            input_tokens,
            output_tokens,
            ..
        } = reply.usage;
        assert_eq!((input_tokens, output_tokens), (11, 7), "{api}");
        assert!(reply.request_id.is_some(), "{api}");
    }
    for reply in both(&lm, "cut").await {
        let reply = reply.unwrap();
        assert_eq!(
            (&*reply.text, reply.finish),
            ("{\"su", Finish::Length),
            "{api}"
        );
    }
}

/// Failures of each kind: before the reply, in its place, and in the middle of it.
async fn failures(mock: &Mock, place: Place) {
    type Expected = fn(&LmError) -> bool;
    let (api, name, _) = place;
    let cases: [(&str, Expected); 12] = [
        ("limited", |e| {
            matches!(e, LmError::RateLimited { .. })
                && e.retry_after() == Some(Duration::from_secs(3))
        }),
        ("broken", |e| matches!(e, LmError::Server { .. })),
        ("unknown", |e| matches!(e, LmError::Auth { .. })),
        ("unpaid", |e| matches!(e, LmError::QuotaExceeded { .. })),
        ("busy", |e| matches!(e, LmError::Overloaded { .. })),
        ("long", |e| matches!(e, LmError::ContextLength { .. })),
        ("bad", |e| matches!(e, LmError::BadRequest { .. })),
        ("garbled", |e| matches!(e, LmError::Protocol { .. })),
        ("dropped", |e| matches!(e, LmError::Server { .. })),
        ("disconnected", |e| {
            matches!(
                e,
                LmError::Unreachable {
                    connected: true,
                    ..
                }
            )
        }),
        ("rated", |e| matches!(e, LmError::RateLimited { .. })),
        ("nobody knows", |e| {
            matches!(e, LmError::BadRequest { status: 404, .. })
        }),
    ];
    let right = lm(mock, place, KEY);
    for (text, expected) in cases {
        for result in both(&right, text).await {
            let error = result.unwrap_err();
            assert!(expected(&error), "{name} {text}: {error:?}");
        }
    }
    for result in both(&lm(mock, place, "sk-other"), "good").await {
        assert!(
            matches!(result, Err(LmError::Auth { .. })),
            "{name}: {result:?}"
        );
    }
    let filtered = both(&right, "filtered").await;
    // The mock says it so in this format only.
    if api == Api::OpenAiChat {
        for result in filtered {
            assert!(
                matches!(result, Err(LmError::ContentFilter { .. })),
                "{name}: {result:?}"
            );
        }
    }
    // It breaks the connection so fast that the first part may be lost too.
    let [_, streamed] = both(&right, "half").await;
    assert!(
        matches!(
            streamed,
            Err(LmError::Interrupted { .. } | LmError::Unreachable { .. })
        ),
        "{name}: {streamed:?}"
    );
    let timeouts = Timeouts {
        read: Duration::from_millis(200),
        ..Timeouts::default()
    };
    let hasty = right.with_timeouts(timeouts).unwrap();
    for result in both(&hasty, "late").await {
        assert!(
            matches!(
                result,
                Err(LmError::Timeout {
                    limit: TimeLimit::Read,
                    ..
                })
            ),
            "{name}: {result:?}"
        );
    }
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Search {
    query: String,
}

async fn search(args: Search) -> Result<String, std::convert::Infallible> {
    Ok(format!("The {} is deep.", args.query))
}

/// Steps with types: at once, in parts, and with a tool.
async fn steps(mock: &Mock, place: Place) {
    let (_, name, _) = place;
    let lm = lm(mock, place, KEY);
    let runner = LocalRunner::new()
        .with_lm(lm.name().clone())
        .with_lms(Lms::new().with(Arc::new(lm)))
        .with_retry(Retry::never())
        .with_tool(Tool::new("search", "Looks something up.", search))
        .with_tool(Tool::new("add", "Adds nothing.", search));
    let input = say::Input { number: 21 };
    let mut stream = say::stream(&runner, &input);
    let (mut words, mut whole) = (Vec::new(), None);
    while let Some(item) = stream.next().await {
        match item.unwrap() {
            Streamed::Partial(partial) => words.extend(partial.words.clone()),
            Streamed::Done(output) => whole = Some(output),
            Streamed::Restarted => panic!("{name} was asked again"),
        }
    }
    let whole = whole.unwrap();
    assert_eq!((whole.double, &*whole.words), (42, "twenty-one"), "{name}");
    let is_growing = words.windows(2).all(|pair| pair[1].starts_with(&pair[0]));
    assert!(is_growing && words.len() > 1, "{name}: {words:?}");

    let question = answer::Input {
        question: "How deep is the sea?".to_owned(),
    };
    let output = modules::answer(&runner, &question).await.unwrap();
    assert_eq!(output.answer, "Deep.", "{name}");
}

#[tokio::test]
async fn every_format_is_understood_by_a_mock_of_others() {
    if std::env::var("DSPIPE_TEST_AIMOCK").as_deref() != Ok("1") {
        println!("skipped: DSPIPE_TEST_AIMOCK is not 1");
        return;
    }
    let mock = mock();
    for place in APIS {
        replies(&mock, place).await;
        failures(&mock, place).await;
        steps(&mock, place).await;
    }
    // A model from before structured outputs is made to call a tool.
    let old = (Api::AnthropicMessages, "anthropic/claude-sonnet-4-0", "/v1");
    for reply in both(&lm(&mock, old, KEY), "hammer").await {
        let reply = reply.unwrap();
        let (text, expected): (Value, Value) = (
            serde_json::from_str(&reply.text).unwrap(),
            serde_json::from_str(GOOD).unwrap(),
        );
        assert_eq!((text, reply.finish), (expected, Finish::Stop));
    }
}
