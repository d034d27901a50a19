//! LMs that a workflow file describes: they are asked as it says, unless the environment or the program say
//! otherwise.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use dspipe_runtime::lm::{
    Api, HttpLm, Limits, LmDef, Message, Money, Params, Price, Prices, Request, Retry, ServerDef,
};
use dspipe_runtime::{Error, LmError, LmName, Lms, LocalRunner, Trace, Value};
use dspipe_tests::server::{Answer, Server};
use dspipe_tests::workflows::lms::{self, named, plain, tuned};
use serde_json::json;

const PROGRAM: &str = "DSPIPE_TEST_PROGRAM";
const KEY: &str = "DSPIPE_TEST_SECOND_KEY";

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

async fn server() -> Server {
    Server::start(|_, _| Answer::reply(r#"{"title":"x"}"#))
        .await
        .unwrap()
}

fn name(text: &str) -> LmName {
    text.parse().unwrap()
}

/// An LM of the program's.
fn lm(text: &str, server: &Server) -> Arc<HttpLm> {
    let lm = HttpLm::new(name(text), Api::OpenAiChat, &server.url(), None);
    Arc::new(lm.unwrap())
}

fn runner(lms: Lms) -> LocalRunner {
    LocalRunner::new().with_lms(lms).with_retry(Retry::never())
}

async fn run_plain(runner: &LocalRunner) -> Result<plain::Output, Error> {
    let input = plain::Input {
        text: "x".to_owned(),
    };
    lms::plain(runner, &input).await
}

fn sampling(body: &Value) -> [Value; 4] {
    ["model", "temperature", "max_tokens", "seed"].map(|key| body[key].clone())
}

#[tokio::test]
async fn a_step_is_asked_with_its_own_parameters_then_those_of_the_lm_then_of_the_workflow() {
    let server = server().await;
    let lms = Lms::new()
        .with(lm("firstbox/model-a", &server))
        .with(lm("thirdbox/model-c", &server));
    let runner = runner(lms);
    run_plain(&runner).await.unwrap();
    let text = || "x".to_owned();
    lms::tuned(&runner, &tuned::Input { text: text() })
        .await
        .unwrap();
    lms::named(&runner, &named::Input { text: text() })
        .await
        .unwrap();
    let received = server.received();
    let sent: Vec<[Value; 4]> = received.iter().map(|r| sampling(&r.body)).collect();
    assert_eq!(
        sent,
        [
            [json!("model-a"), json!(0.1), json!(50), json!(1_234_567)],
            [json!("model-a"), json!(0.5), json!(50), json!(11)],
            [json!("model-c"), json!(0.9), Value::Null, json!(3)],
        ]
    );
}

#[tokio::test]
async fn where_the_first_fails_its_fallbacks_are_asked_with_their_own_parameters() {
    let (second, third) = (server().await, server().await);
    let lms = Lms::new()
        .with(lm("secondbox/model-b", &second))
        .with(lm("thirdbox/model-c", &third));
    // Nobody listens where the file says that the first one is.
    run_plain(&runner(lms)).await.unwrap();
    let received = second.received();
    let expected = [json!("model-b"), json!(0.2), Value::Null, Value::Null];
    assert_eq!(sampling(&received[0].body), expected);
    assert_eq!(third.received().len(), 0);

    // The second one needs a key that is not there.
    let lms = Lms::new().with(lm("thirdbox/model-c", &third));
    run_plain(&runner(lms)).await.unwrap();
    let expected = [json!("model-c"), json!(0.9), Value::Null, Value::Null];
    assert_eq!(sampling(&third.received()[0].body), expected);
}

#[tokio::test]
async fn if_all_fail_the_error_says_where_each_was_looked_for() {
    let error = run_plain(&runner(Lms::new())).await.unwrap_err();
    let Error::Lm {
        source: LmError::AllFailed { tried },
        ..
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(tried.len(), 3);
    let text = error.to_string();
    for part in [
        "firstbox/model-a: http://127.0.0.1:9/v1/chat/completions cannot be reached",
        "secondbox/model-b: DSPIPE_TEST_SECOND_KEY is not set",
        "thirdbox/model-c: there is no provider `thirdbox`",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn fallbacks_of_the_program_take_the_place_of_those_of_the_file() {
    let (second, own) = (server().await, server().await);
    let lms = Lms::new()
        .with(lm("secondbox/model-b", &second))
        .with(lm("own/model-d", &own))
        .with_fallbacks(name("firstbox/model-a"), [name("own/model-d")]);
    run_plain(&runner(lms)).await.unwrap();
    assert_eq!((second.received().len(), own.received().len()), (0, 1));
}

#[tokio::test]
async fn an_lm_that_the_program_chooses_has_nothing_of_what_the_file_says() {
    let server = server().await;
    let runner = runner(Lms::new().with(lm("own/model-d", &server))).with_lm(name("own/model-d"));
    run_plain(&runner).await.unwrap();
    let expected = [json!("model-d"), json!(0.9), Value::Null, Value::Null];
    assert_eq!(sampling(&server.received()[0].body), expected);
}

#[tokio::test]
async fn the_environment_has_another_server_and_the_key() {
    let test = "the_environment_has_another_server_and_the_key";
    if is_program(test) {
        let runner = LocalRunner::from_env().with_retry(Retry::never());
        run_plain(&runner).await.unwrap();
        return;
    }
    let (first, second) = (server().await, server().await);
    let at = |server: &Server| server.url();
    program(test, vec![("FIRSTBOX_BASE_URL", at(&first))]).await;
    assert_eq!(first.received().len(), 1);
    program(
        test,
        vec![
            ("SECONDBOX_BASE_URL", at(&second)),
            (KEY, "k-2".to_owned()),
            ("SECONDBOX_API_KEY", "another".to_owned()),
        ],
    )
    .await;
    let key = second.received()[0].headers.get("authorization").cloned();
    assert_eq!(key.as_deref(), Some("Bearer k-2"));
}

#[tokio::test]
async fn the_environment_has_another_lm_and_the_program_another_one_still() {
    let test = "the_environment_has_another_lm_and_the_program_another_one_still";
    if is_program(test) {
        let runner = LocalRunner::from_env().with_retry(Retry::never());
        run_plain(&runner).await.unwrap();
        run_plain(&runner.with_lm(name("third/m"))).await.unwrap();
        return;
    }
    let (env, code) = (server().await, server().await);
    program(
        test,
        vec![
            ("DSPIPE_LM", "env/m".to_owned()),
            ("ENV_BASE_URL", env.url()),
            ("THIRD_BASE_URL", code.url()),
        ],
    )
    .await;
    let expected = [json!("m"), json!(0.9), Value::Null, Value::Null];
    assert_eq!(sampling(&env.received()[0].body), expected);
    assert_eq!((env.received().len(), code.received().len()), (1, 1));
}

#[tokio::test]
async fn a_price_of_the_file_counts_unless_the_program_has_one() {
    let server = server().await;
    let cost = async |prices: Prices| {
        let trace = Arc::new(Trace::default());
        let runner = runner(Lms::new().with(lm("firstbox/model-a", &server)));
        let runner = runner.with_prices(prices).with_observer(trace.clone());
        run_plain(&runner).await.unwrap();
        trace.reports()[0].cost
    };
    // 11 tokens in, 7 out.
    let of_file = Some(Money::from_dollars(0.000_81));
    assert_eq!(cost(Prices::builtin()).await, of_file);
    let price = Price {
        input: 1.0,
        cached_input: None,
        cache_write: None,
        output: 0.0,
        long: None,
    };
    let own = Prices::builtin().with(&name("firstbox/model-a"), price);
    assert_eq!(cost(own).await, Some(Money::from_dollars(0.000_011)));
}

fn described(server: &Server, def: ServerDef) -> LmDef {
    let base_url = Some(&*server.url().leak());
    LmDef {
        server: ServerDef { base_url, ..def },
        ..LmDef::of("somebox/m")
    }
}

fn request() -> Request {
    Request {
        messages: vec![Message::user("Hello")],
        schema: None,
        params: Params::default(),
    }
}

#[tokio::test]
async fn the_wire_format_and_the_time_out_are_those_of_the_file() {
    let silent = Server::start(|_, _| Answer::Silence).await.unwrap();
    let def = described(
        &silent,
        ServerDef {
            api: Some(Api::AnthropicMessages),
            timeout: Some(Duration::from_millis(50)),
            ..ServerDef::NONE
        },
    );
    let lm = Lms::new().described(&[def]).unwrap();
    let error = lm.complete(&request()).await.unwrap_err();
    assert!(matches!(error, LmError::Timeout { .. }), "{error:?}");
    assert_eq!(silent.received()[0].line, "POST /v1/messages HTTP/1.1");
}

#[tokio::test]
async fn the_limits_of_the_file_hold_for_the_whole_process() {
    // Long enough that answers overlap.
    let body = " ".repeat(20_000);
    let answer = format!(
        "HTTP/1.1 400 No\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let server = Server::start(move |_, _| Answer::Trickle(answer.clone()))
        .await
        .unwrap();
    let limits = Limits {
        concurrency: Some(2),
        ..Limits::default()
    };
    let def = described(
        &server,
        ServerDef {
            limits,
            ..ServerDef::NONE
        },
    );
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let lm = Lms::new().described(&[def]).unwrap();
        calls.spawn(async move { lm.complete(&request()).await.unwrap_err() });
    }
    assert_eq!(calls.join_all().await.len(), 8);
    assert_eq!(server.most_at_once(), 2);
}

#[tokio::test]
async fn a_fallback_streams_with_its_own_parameters() {
    let event = r#"data: {"choices":[{"delta":{"content":"here"},"finish_reason":"stop"}]}"#;
    let events = format!("{event}\n\ndata: [DONE]\n\n");
    let server = Server::start(move |_, _| Answer::events(&events))
        .await
        .unwrap();
    let defs = [
        LmDef::of("nobody/knows"),
        LmDef {
            seed: Some(5),
            ..described(&server, ServerDef::NONE)
        },
    ];
    let lm = Lms::new().described(&defs).unwrap();
    let reply = dspipe_runtime::lm::Reply::collect(lm.stream(&request())).await;
    assert_eq!(reply.unwrap().text, "here");
    assert_eq!(server.received()[0].body["seed"], json!(5));
}

#[test]
fn the_definition_of_a_step_has_its_lms() {
    let lms = plain::SIGNATURE.lms;
    let names: Vec<(&str, &str)> = lms.iter().map(|lm| (lm.alias, lm.lm)).collect();
    assert_eq!(
        names,
        [
            ("first", "firstbox/model-a"),
            ("second", "secondbox/model-b"),
            ("", "thirdbox/model-c"),
        ]
    );
    assert_eq!(plain::SIGNATURE.lm, Some("firstbox/model-a"));
    assert_eq!(lms[0].server.timeout, Some(Duration::from_millis(60_500)));
    assert_eq!(lms[0].server.limits.concurrency, Some(3));
    assert_eq!(lms[1].server.api_key_env, Some(KEY));
}
