//! What goes over the wire, and what comes back: compiled workflows against a scripted server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use dspipe_runtime::lm::{Api, HttpLm, Money, Price, Prices, Retry};
use dspipe_runtime::{Error, LmError, LmName, Lms, LocalRunner, Secret, Trace};
use dspipe_tests::server::{Answer, Received, Server};
use dspipe_tests::workflows::every_thing::{self, Inputs, both, r#match};
use serde_json::{Value, json};

const KEY: &str = "sk-very-secret";

fn name() -> LmName {
    "scripted/a-model".parse().unwrap()
}

/// Every step on the server at this URL; tries again at once.
fn runner_at(url: &str, timeout: Duration) -> LocalRunner {
    let key = Secret::from(KEY.to_owned());
    let lm = HttpLm::new(name(), Api::OpenAiChat, url, Some(key))
        .unwrap()
        .with_timeout(timeout);
    LocalRunner::new()
        .with_lm(name())
        .with_lms(Lms::new().with(Arc::new(lm)))
        .with_retry(Retry {
            base: Duration::from_millis(1),
            ..Retry::default()
        })
}

fn runner(server: &Server) -> LocalRunner {
    runner_at(&server.url(), Duration::from_secs(60))
}

fn inputs() -> Inputs {
    Inputs {
        self_: "some `text`\nin two lines".to_owned(),
        r#type: r#match::Type::AC,
        ratio: 0.25,
        hint: None,
    }
}

/// A good answer to each step.
fn answer(step: &str) -> Value {
    match step {
        "match" => json!({
            "result": {
                "kind": "very high",
                "parts": [{"text": "a", "weight": 1.0, "tags": ["x"]}],
                "numbers": {"n": 3},
            },
            "dashed-name": true,
            "anything": {"free": [1]},
        }),
        "left" => json!({"count": 2}),
        "right" => json!({"answer": "right it is"}),
        "async" => json!({"fn": null}),
        "both" => json!({"done": true}),
        "late" => json!({"score": 9.5}),
        other => panic!("no such step: {other}"),
    }
}

fn good(request: &Received) -> Answer {
    Answer::reply(&answer(request.step()).to_string())
}

fn both_input() -> both::Input {
    both::Input {
        count: 2,
        answer: "yes".to_owned(),
        flag: false,
    }
}

async fn run_both(runner: &LocalRunner) -> Result<both::Output, Error> {
    every_thing::both(runner, &both_input()).await
}

#[tokio::test]
async fn a_workflow_runs_and_its_values_flow_from_step_to_step() {
    let server = Server::start(|_, request| good(request)).await.unwrap();
    let trace = Arc::new(Trace::default());
    let runner = runner(&server).with_observer(trace.clone());
    let outputs = every_thing::run_with(&runner, inputs()).await.unwrap();

    assert_eq!(outputs.r#match.result.kind, r#match::ResultKind::VeryHigh);
    assert_eq!(outputs.r#match.result.note, None);
    assert!(outputs.r#match.dashed_name);
    assert_eq!(outputs.left.count, 2);
    assert_eq!(outputs.r#async.r#fn, None);
    assert!((outputs.late.score - 9.5).abs() < f64::EPSILON);

    let received = server.received();
    let request = |step: &str| {
        let mut found = received.iter().filter(|request| request.step() == step);
        let request = found.next().unwrap().clone();
        assert!(found.next().is_none(), "{step} ran twice");
        request
    };
    assert_eq!(received.len(), 6);
    assert_eq!(
        request("right").last_message(),
        "text:\n```\nsome `text`\nin two lines {is} very high!\n```\n\nmap:\n```\nnull\n```"
    );
    assert_eq!(
        request("left").last_message(),
        "part:\n```\n[{\"text\":\"a\",\"weight\":1.0,\"tags\":[\"x\"]}]\n```"
    );
    assert_eq!(
        request("both").last_message(),
        "count:\n```\n2\n```\n\nanswer:\n```\nright it is\n```\n\nflag:\n```\ntrue\n```"
    );

    let reports = trace.reports();
    assert_eq!(reports.len(), 6);
    assert!(reports.iter().all(|report| report.succeeded
        && report.lm == "scripted/a-model"
        && report.replies == 1
        && (report.usage.input_tokens, report.usage.output_tokens) == (11, 7)));
}

#[tokio::test]
async fn requests_are_those_of_the_chat_api() {
    let server = Server::start(|_, request| good(request)).await.unwrap();
    every_thing::run_with(&runner(&server), inputs())
        .await
        .unwrap();
    let mut received = server.received();
    received.sort_by_key(|request| request.step().to_owned());
    for request in &received {
        assert_eq!(request.line, "POST /v1/chat/completions HTTP/1.1");
        assert_eq!(request.headers["authorization"], format!("Bearer {KEY}"));
        assert_eq!(request.headers["content-type"], "application/json");
    }
    let bodies: Vec<&Value> = received.iter().map(|request| &request.body).collect();
    insta::assert_json_snapshot!(bodies);
}

#[tokio::test]
async fn independent_steps_run_at_the_same_time() {
    // Neither gets its answer before both have asked.
    let server = Server::start(|index, request| match (index, request.step()) {
        (0 | 1, "match" | "async") => Answer::Silence,
        (_, step) => panic!("{step} came too early"),
    })
    .await
    .unwrap();
    let runner = runner(&server);
    let run = every_thing::run_with(&runner, inputs());
    tokio::select! {
        result = run => panic!("it ended: {result:?}"),
        () = server.arrived(2) => {}
    }
}

#[tokio::test]
async fn a_failed_step_cancels_the_ones_beside_it_and_dropping_a_run_closes_its_connections() {
    let server = Server::start(|_, request| match request.step() {
        "match" => Answer::Silence,
        _ => Answer::failure(400, r#"{"error": {"message": "no"}}"#),
    })
    .await
    .unwrap();
    let error = every_thing::run_with(&runner(&server), inputs())
        .await
        .unwrap_err();
    assert_eq!(error.place(), ("every-thing", "async"));
    server.gone().await;

    let server = Server::start(|_, _| Answer::Silence).await.unwrap();
    let runner = runner(&server);
    tokio::select! {
        result = run_both(&runner) => panic!("it ended: {result:?}"),
        () = server.arrived(1) => {}
    }
    server.gone().await;
}

#[tokio::test]
async fn a_reply_that_cannot_be_used_goes_back_once_with_all_errors() {
    let bad = json!({
        "result": {"kind": "HIGH", "parts": []},
        "dashed-name": "perhaps",
        "anything": 1,
    });
    let bad_text = bad.to_string();
    let bad_reply = bad_text.clone();
    let server = Server::start(move |index, request| match index {
        0 => Answer::reply(&bad_reply),
        _ => good(request),
    })
    .await
    .unwrap();
    let input = r#match::Input {
        self_: "x".to_owned(),
        r#type: r#match::Type::Self_,
        ratio: 1.0,
        hint: Some("h".to_owned()),
    };
    let trace = Arc::new(Trace::default());
    let runner = runner(&server).with_observer(trace.clone());
    every_thing::r#match(&runner, &input).await.unwrap();
    let [first, second] = &server.received()[..] else {
        panic!("two requests");
    };
    let messages = |request: &Received| request.body["messages"].as_array().unwrap().clone();
    let (first, second) = (messages(first), messages(second));
    assert_eq!(second[..first.len()], first);
    assert_eq!(
        second[first.len()..],
        [
            json!({"role": "assistant", "content": bad_text}),
            json!({"role": "user", "content": "This answer cannot be used:\n\
                - `result.kind` must be one of \"low\", \"very high\", \"1\", but is \"HIGH\"\n\
                - `result.parts` must have at least 1 items, but has 0\n\
                - `dashed-name` must be true or false, but is \"perhaps\"\n\
                Answer again with the whole JSON object, these mistakes corrected."}),
        ]
    );
    assert_eq!(trace.reports()[0].replies, 2);
    assert_eq!(trace.reports()[0].usage.input_tokens, 22);
}

#[tokio::test]
async fn a_step_costs_what_its_replies_cost_if_their_price_is_known() {
    let cost = async |prices: Prices, answer: fn(usize, &Received) -> Answer| {
        let server = Server::start(answer).await.unwrap();
        let trace = Arc::new(Trace::default());
        let runner = runner(&server)
            .with_prices(prices)
            .with_observer(trace.clone());
        // Whether it ends well is not the question.
        let _ = run_both(&runner).await;
        trace.reports()[0].cost
    };
    let price = Price {
        input: 1.0,
        cached_input: None,
        cache_write: None,
        output: 100.0,
        long: None,
    };
    let prices = Prices::none().with(&name(), price);
    let good: fn(usize, &Received) -> Answer = |_, request| good(request);
    assert_eq!(cost(Prices::builtin(), good).await, None);
    // 11 tokens in, 7 out.
    let one = Some(Money::from_dollars(0.000_711));
    assert_eq!(cost(prices.clone(), good).await, one);
    let twice = Some(Money::from_dollars(0.001_422));
    assert_eq!(
        cost(prices.clone(), |_, _| Answer::reply("well")).await,
        twice
    );
    let refused = cost(prices.clone(), |_, _| Answer::failure(400, "no")).await;
    assert_eq!(refused, Some(Money::default()));
    let filtered = cost(prices, |_, _| Answer::finished("", "content_filter")).await;
    assert_eq!(filtered, None);
}

#[tokio::test]
async fn a_second_bad_reply_is_an_error_with_the_reply_in_it() {
    let server = Server::start(|_, _| Answer::reply("I'd say it is done."))
        .await
        .unwrap();
    let error = run_both(&runner(&server)).await.unwrap_err();
    assert_eq!(server.received().len(), 2);
    let Error::Reply { step, raw, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!((*step, raw.as_str()), ("both", "I'd say it is done."));
    assert_eq!(
        error.to_string(),
        "step `both` of `every-thing` cannot use the reply of scripted/a-model: there is no JSON object in \
         it\nthe reply was: I'd say it is done."
    );
}

#[tokio::test]
async fn a_reply_that_was_cut_off_is_not_asked_for_again() {
    let server = Server::start(|_, _| Answer::finished("{\"answer\": \"so f", "length"))
        .await
        .unwrap();
    let input = every_thing::right::Input {
        text: "x".to_owned(),
        map: None,
    };
    let error = every_thing::right(&runner(&server), &input)
        .await
        .unwrap_err();
    assert_eq!(server.received().len(), 1);
    assert_eq!(
        error.to_string(),
        "step `right` of `every-thing` has no reply of scripted/a-model: the reply of scripted/a-model was \
         cut off after 7 tokens (`max_tokens` is 900); raise `max_tokens` of the step"
    );
}

#[tokio::test]
async fn fences_prose_and_slow_bytes_do_no_harm() {
    let reply = "Sure:\n```json\n{\"done\": true}\n```";
    let server = Server::start(move |_, _| Answer::reply(reply))
        .await
        .unwrap();
    assert!(run_both(&runner(&server)).await.unwrap().done);

    let server = Server::start(|_, _| {
        let Answer::Http(status, _, body) = Answer::reply("{\"done\": true}") else {
            panic!("a reply is HTTP");
        };
        Answer::Slowly(status, body)
    })
    .await
    .unwrap();
    assert!(run_both(&runner(&server)).await.unwrap().done);
}

/// What an answer of the server leads to, and how many requests were sent.
async fn outcome(answer: Answer) -> (LmError, usize, String) {
    let server = Server::start(move |_, _| answer.clone()).await.unwrap();
    let error = run_both(&runner(&server)).await.unwrap_err();
    let text = format!("{error}\n{error:?}").replace(&server.url(), "URL");
    assert!(!text.contains(KEY), "the key is shown: {text}");
    match error {
        Error::Lm { source, .. } => (source, server.received().len(), text),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn each_way_to_fail_has_its_error() {
    type Expected = fn(&LmError) -> bool;
    let openai = |code: &str, message: &str| {
        json!({"error": {"message": message, "type": "some_type", "code": code}}).to_string()
    };
    let echo = openai(
        "invalid_api_key",
        &format!("Incorrect API key provided: {KEY}"),
    );
    let cases: Vec<(Answer, Expected, usize, &str)> = vec![
        (
            Answer::failure(401, &echo),
            |e| matches!(e, LmError::Auth { status: 401, .. }),
            1,
            "provided: ****",
        ),
        (
            Answer::failure(403, ""),
            |e| matches!(e, LmError::Auth { status: 403, .. }),
            1,
            "no message",
        ),
        (
            Answer::failure(429, &openai("rate_limit_exceeded", "slow down")),
            |e| {
                matches!(
                    e,
                    LmError::RateLimited {
                        retry_after: None,
                        ..
                    }
                )
            },
            4,
            "slow down",
        ),
        (
            Answer::Http(429, vec![("Retry-After", "3600".to_owned())], String::new()),
            |e| e.retry_after() == Some(Duration::from_secs(3600)),
            1,
            "limits the rate",
        ),
        (
            Answer::failure(429, &openai("insufficient_quota", "pay first")),
            |e| matches!(e, LmError::QuotaExceeded { .. }),
            1,
            "pay first",
        ),
        (
            Answer::failure(503, "busy"),
            |e| matches!(e, LmError::Overloaded { status: 503, .. }),
            4,
            "busy",
        ),
        (
            Answer::failure(529, "{}"),
            |e| matches!(e, LmError::Overloaded { status: 529, .. }),
            4,
            "overloaded",
        ),
        (
            Answer::failure(500, "<html>oops</html>"),
            |e| matches!(e, LmError::Server { .. }),
            4,
            "oops",
        ),
        (
            Answer::failure(400, &openai("context_length_exceeded", "9000 tokens")),
            |e| matches!(e, LmError::ContextLength { .. }),
            1,
            "9000 tokens",
        ),
        (
            Answer::failure(
                400,
                r#"{"error":{"code":400,"message":"too big","type":"exceed_context_size_error","n_ctx":8192}}"#,
            ),
            |e| matches!(e, LmError::ContextLength { .. }),
            1,
            "shorten the inputs",
        ),
        (
            Answer::failure(400, &openai("content_filter", "not that")),
            |e| matches!(e, LmError::ContentFilter { .. }),
            1,
            "not that",
        ),
        (
            Answer::failure(
                400,
                r#"[{"error": {"code": 400, "message": "in a list", "status": "INVALID_ARGUMENT"}}]"#,
            ),
            |e| matches!(e, LmError::BadRequest { status: 400, .. }),
            1,
            "in a list",
        ),
        (
            Answer::failure(404, r#"{"error": "no such model"}"#),
            |e| matches!(e, LmError::BadRequest { .. }),
            1,
            "no such model",
        ),
        (
            Answer::Http(
                307,
                vec![("Location", "https://elsewhere/".to_owned())],
                String::new(),
            ),
            |e| matches!(e, LmError::Protocol { .. }),
            1,
            "redirects to https://elsewhere/",
        ),
        (
            Answer::failure(200, "<html>"),
            |e| matches!(e, LmError::Protocol { .. }),
            1,
            "right URL",
        ),
        (
            Answer::failure(200, "{}"),
            |e| matches!(e, LmError::Protocol { .. }),
            1,
            "no `choices`",
        ),
        (
            Answer::failure(
                200,
                r#"{"error": {"code": 429, "message": "upstream is busy"}}"#,
            ),
            |e| matches!(e, LmError::RateLimited { .. }),
            4,
            "upstream is busy",
        ),
        (
            Answer::failure(
                200,
                r#"{"choices": [{"message": {"content": null, "refusal": "I will not."}, "finish_reason": "stop"}]}"#,
            ),
            |e| matches!(e, LmError::Refused { .. }),
            1,
            "I will not.",
        ),
        (
            Answer::finished("", "content_filter"),
            |e| matches!(e, LmError::ContentFilter { .. }),
            1,
            "filter",
        ),
        (
            Answer::Raw(String::new()),
            |e| matches!(e, LmError::Unreachable { .. }),
            4,
            "cannot be reached",
        ),
        (
            Answer::Raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"choi".to_owned()),
            |e| matches!(e, LmError::Unreachable { .. }),
            4,
            "cannot be reached",
        ),
        (
            Answer::Raw("220 ftp ready\r\n".to_owned()),
            |e| matches!(e, LmError::Unreachable { .. }),
            4,
            "cannot be reached",
        ),
    ];
    for (answer, expected, requests, part) in cases {
        let shown = format!("{answer:?}");
        let (error, sent, text) = outcome(answer).await;
        assert!(expected(&error), "{shown}: {error:?}");
        assert_eq!(sent, requests, "{shown}");
        assert!(text.contains(part), "{shown}: {text}");
        assert!(
            text.starts_with("step `both` of `every-thing` has no reply of scripted/a-model: "),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_transient_failure_passes() {
    let server = Server::start(|index, request| match index {
        0 => Answer::Http(429, vec![("Retry-After", "0".to_owned())], String::new()),
        1 => Answer::Raw(String::new()),
        2 => Answer::failure(500, "oops"),
        _ => good(request),
    })
    .await
    .unwrap();
    assert!(run_both(&runner(&server)).await.unwrap().done);
    assert_eq!(server.received().len(), 4);
}

#[tokio::test]
async fn nobody_there_and_no_answer_are_told_apart() {
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/v1", free.local_addr().unwrap());
    drop(free);
    let error = run_both(&runner_at(&url, Duration::from_secs(60))).await;
    let Err(Error::Lm {
        source: LmError::Unreachable { reason, .. },
        ..
    }) = error
    else {
        panic!("{error:?}");
    };
    assert!(reason.contains("refused"), "{reason}");

    let server = Server::start(|_, _| Answer::Silence).await.unwrap();
    let error = run_both(&runner_at(&server.url(), Duration::from_millis(50))).await;
    let Err(Error::Lm {
        source: LmError::Timeout { after, .. },
        ..
    }) = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(after, Duration::from_millis(50));
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn an_lm_without_its_key_says_which_variable_and_what_else() {
    // `left` names an LM of OpenAI; nothing is sent anywhere.
    if std::env::var_os("OPENAI_API_KEY").is_some() || std::env::var_os("OPENAI_BASE_URL").is_some()
    {
        println!("skipped: OPENAI_API_KEY or OPENAI_BASE_URL is set");
        return;
    }
    let input = every_thing::left::Input { part: Vec::new() };
    let error = every_thing::left(&LocalRunner::new(), &input)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "step `left` of `every-thing` has no reply of openai/gpt-5-mini: OPENAI_API_KEY is not set; set it to \
         a key of openai, or set DSPIPE_LM=local/smollm2-135m-instruct to run on the embedded model"
    );
}

#[test]
fn connections_do_not_outlive_their_runtime_in_the_pool() {
    // Each test of a user has a runtime of its own, but they share the default runner.
    let server_runtime = tokio::runtime::Runtime::new().unwrap();
    let server = server_runtime
        .block_on(Server::start(|_, request| good(request)))
        .unwrap();
    let runner = runner(&server);
    for _ in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        assert!(runtime.block_on(run_both(&runner)).unwrap().done);
    }
}
