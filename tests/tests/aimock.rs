//! All wire formats against a mock of the providers that nobody here wrote: npm's `@copilotkit/aimock`.
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

use dspipe_runtime::lm::{
    Api, Finish, HttpLm, Lm, Message, OutputSchema, Params, Reply, Request, Usage,
};
use dspipe_runtime::{LmError, Secret};
use serde_json::json;

const VERSION: &str = "1.43.0";

const APIS: [(Api, &str, &str); 4] = [
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
    let good = "{\"sum\":7,\"note\":\"Zürich and more\"}";
    let fixtures = json!({"fixtures": [
        {
            "match": {"userMessage": "good"},
            "response": {
                "content": good, "reasoning": "let me see",
                "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
            },
        },
        {"match": {"userMessage": "cut"}, "response": {"content": "{\"su", "finishReason": "length"}},
        {
            "match": {"userMessage": "limited"},
            "response": {"error": {"message": "slow down", "type": "rate_limit_error"}, "status": 429},
        },
        {
            "match": {"userMessage": "broken"},
            "response": {"error": {"message": "oops", "type": "server_error"}, "status": 500},
        },
        {
            "match": {"userMessage": "key"},
            "response": {"error": {"message": "who?", "type": "authentication_error"}, "status": 401},
        },
        {
            "match": {"userMessage": "half"},
            "response": {"content": good.repeat(20)},
            "truncateAfterChunks": 3,
        },
    ]});
    let path = folder.join("fixtures.json");
    fs::write(&path, fixtures.to_string()).unwrap();
    let mut process = Command::new("node")
        .arg(script)
        .args(["--port", "0", "--chunk-size", "7", "--fixtures"])
        .arg(path)
        .stdout(Stdio::piped())
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

#[tokio::test]
async fn every_format_is_understood_by_a_mock_of_others() {
    if std::env::var("DSPIPE_TEST_AIMOCK").as_deref() != Ok("1") {
        println!("skipped: DSPIPE_TEST_AIMOCK is not 1");
        return;
    }
    let mock = mock();
    for (api, name, path) in APIS {
        let key = Some(Secret::from("sk-mock".to_owned()));
        let url = format!("{}{path}", mock.url);
        let lm = HttpLm::new(name.parse().unwrap(), api, &url, key).unwrap();
        for reply in both(&lm, "good").await {
            let reply = reply.unwrap();
            let expected = "{\"sum\":7,\"note\":\"Zürich and more\"}";
            assert_eq!(
                (&*reply.text, reply.finish),
                (expected, Finish::Stop),
                "{api}"
            );
            let Usage {
                input_tokens,
                output_tokens,
                ..
            } = reply.usage;
            assert_eq!((input_tokens, output_tokens), (11, 7), "{api}");
        }
        for reply in both(&lm, "cut").await {
            let reply = reply.unwrap();
            assert_eq!(
                (&*reply.text, reply.finish),
                ("{\"su", Finish::Length),
                "{api}"
            );
        }
        for result in both(&lm, "limited").await {
            let error = result.unwrap_err();
            assert!(
                matches!(error, LmError::RateLimited { .. }),
                "{api}: {error:?}"
            );
            assert!(error.retry_after().is_some(), "{api}: {error:?}");
        }
        for result in both(&lm, "broken").await {
            assert!(
                matches!(result, Err(LmError::Server { .. })),
                "{api}: {result:?}"
            );
        }
        for result in both(&lm, "key").await {
            assert!(
                matches!(result, Err(LmError::Auth { .. })),
                "{api}: {result:?}"
            );
        }
        // It breaks the connection so fast that the first part may be lost too.
        let [_, streamed] = both(&lm, "half").await;
        assert!(
            matches!(
                streamed,
                Err(LmError::Interrupted { .. } | LmError::Unreachable { .. })
            ),
            "{api}: {streamed:?}"
        );
    }
}
