//! Steps that come to their output by a module: samples, rewards, advice, votes, tools.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::sync::Arc;

use dspipe_runtime::lm::{Api, Budget, BudgetLimits, HttpLm, Prices, Retry};
use dspipe_runtime::module::{BestOfN, Majority, React, Refine};
use dspipe_runtime::{
    Error, LmError, Lms, LocalRunner, MissingTool, Purpose, Signature, StepReport, Tool, Trace,
    Value,
};
use dspipe_tests::server::{Answer, Received, Server};
use dspipe_tests::workflows::modules::{
    self, answer, answer_dspy, checked, count, headline, polish, topic,
};
use serde_json::json;

/// One reply after another; the last one again and again.
async fn server(replies: &'static [&'static str]) -> Server {
    Server::start(move |nth, _| Answer::reply(replies[nth.min(replies.len() - 1)]))
        .await
        .unwrap()
}

fn runner(server: &Server) -> (LocalRunner, Arc<Trace>) {
    let name: dspipe_runtime::LmName = "scripted/m".parse().unwrap();
    let lm = HttpLm::new(name.clone(), Api::OpenAiChat, &server.url(), None).unwrap();
    let trace = Arc::new(Trace::default());
    let runner = LocalRunner::new()
        .with_lms(Lms::new().with(Arc::new(lm)))
        .with_lm(name)
        .with_retry(Retry::never())
        .with_observer(trace.clone());
    (runner, trace)
}

fn report(trace: &Trace) -> StepReport {
    let reports = trace.reports();
    assert_eq!(reports.len(), 1, "one step, one report");
    reports.into_iter().next().unwrap()
}

fn word() -> String {
    "sea".to_owned()
}

/// A message of a request.
fn message(received: &Received, at: usize) -> &str {
    received.body["messages"][at]["content"].as_str().unwrap()
}

fn sampling(received: &[Received]) -> Vec<(Value, Value)> {
    let of = |one: &Received| (one.body["temperature"].clone(), one.body["seed"].clone());
    received.iter().map(of).collect()
}

// Best of n.

const WEAK: &str = r#"{"title":"Sea","score":0.2}"#;
const FAIR: &str = r#"{"title":"The Sea","score":0.5}"#;
const GOOD: &str = r#"{"title":"Sea!","score":0.9}"#;

#[tokio::test]
async fn the_first_output_that_is_good_enough_ends_the_search() {
    let server = server(&[WEAK, GOOD, FAIR]).await;
    let (runner, trace) = runner(&server);
    let output = modules::headline(&runner, &headline::Input { word: word() })
        .await
        .unwrap();
    assert_eq!(output.title, "Sea!");
    let received = server.received();
    let expected = [(json!(1.0), json!(null)), (json!(1.0), json!(1))];
    assert_eq!(sampling(&received), expected);
    assert_eq!(received[0].body["messages"], received[1].body["messages"]);
    let report = report(&trace);
    assert_eq!((report.replies, report.usage.input_tokens), (2, 22));
    let repetitions: Vec<u32> = report.calls.iter().map(|call| call.repetition).collect();
    assert_eq!(repetitions, [0, 1]);
    assert!(
        report
            .calls
            .iter()
            .all(|call| call.purpose == Purpose::Output && call.error.is_none())
    );
}

#[tokio::test]
async fn of_outputs_that_are_not_good_enough_the_best_is_given() {
    let server = server(&[WEAK, FAIR, "nothing", "to be read", WEAK]).await;
    let (runner, trace) = runner(&server);
    let output = modules::headline(&runner, &headline::Input { word: word() })
        .await
        .unwrap();
    assert_eq!(output.title, "The Sea");
    // Four samples, of which the third was asked for twice.
    assert_eq!(server.received().len(), 5);
    assert_eq!(report(&trace).calls.len(), 5);
}

#[tokio::test]
async fn outputs_that_all_cannot_be_read_are_the_error_of_the_last() {
    let server = server(&["nothing"]).await;
    let (runner, trace) = runner(&server);
    let error = modules::headline(&runner, &headline::Input { word: word() })
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Reply { .. }), "{error}");
    assert_eq!(server.received().len(), 8);
    assert!(!report(&trace).succeeded);
}

#[tokio::test]
async fn what_no_further_sample_would_get_around_ends_the_step() {
    let server = Server::start(|nth, _| match nth {
        0 => Answer::reply(WEAK),
        _ => Answer::failure(401, r#"{"error":{"message":"bad key"}}"#),
    })
    .await
    .unwrap();
    let (runner, trace) = runner(&server);
    let error = modules::headline(&runner, &headline::Input { word: word() })
        .await
        .unwrap_err();
    assert_eq!(error.class(), "auth", "{error}");
    assert_eq!(server.received().len(), 2);
    assert_eq!(report(&trace).calls[1].error, Some("auth"));
}

#[tokio::test]
async fn a_refusal_is_of_one_sample_only() {
    let server = Server::start(|nth, _| match nth {
        0 => Answer::finished("{", "length"),
        _ => Answer::reply(GOOD),
    })
    .await
    .unwrap();
    let (runner, _) = runner(&server);
    let output = modules::headline(&runner, &headline::Input { word: word() })
        .await
        .unwrap();
    assert_eq!(output.title, "Sea!");
}

#[tokio::test]
async fn without_a_reward_it_is_the_share_of_checks_that_hold() {
    let server = server(&[
        r#"{"text":"long, longer, the longest","stars":1}"#,
        r#"{"text":"long, longer, the longest","stars":3}"#,
        r#"{"text":"short","stars":3}"#,
    ])
    .await;
    let (runner, trace) = runner(&server);
    let output = modules::checked(&runner, &checked::Input { word: word() })
        .await
        .unwrap();
    assert_eq!(output.text, "short");
    assert_eq!(report(&trace).checks, []);
}

#[tokio::test]
async fn the_report_has_the_checks_of_the_output_that_was_chosen() {
    let server = server(&[
        r#"{"text":"short","stars":1}"#,
        r#"{"text":"long, longer, the longest","stars":1}"#,
    ])
    .await;
    let (runner, trace) = runner(&server);
    let output = modules::checked(&runner, &checked::Input { word: word() })
        .await
        .unwrap();
    assert_eq!(output.text, "short");
    let failed: Vec<&str> = report(&trace).checks.iter().map(|c| c.expression).collect();
    assert_eq!(failed, ["outputs.stars > 2"]);
}

#[tokio::test]
async fn any_step_can_be_run_by_a_reward_in_rust() {
    let server = server(&[GOOD, WEAK, FAIR]).await;
    let (runner, _) = runner(&server);
    let wanted = "The Sea".to_owned();
    let reward = |input: &headline::Input, output: &headline::Output| {
        assert_eq!(input.word, "sea");
        f64::from(output.title == wanted)
    };
    let input = headline::Input { word: word() };
    let best = BestOfN::new(3).with_threshold(1.0);
    let output = best.run::<headline::Step>(&runner, &input, reward).await;
    assert_eq!(output.unwrap().title, "The Sea");
    assert_eq!(server.received().len(), 3);
}

#[tokio::test]
async fn without_a_threshold_all_are_asked_for_at_the_same_time() {
    let server = Server::start(|_, received| {
        Answer::reply(match received.body["seed"].as_u64() {
            None => FAIR,
            Some(1) => GOOD,
            _ => WEAK,
        })
    })
    .await
    .unwrap();
    let (runner, _) = runner(&server);
    let input = headline::Input { word: word() };
    let output = BestOfN::new(5)
        .run::<headline::Step>(&runner, &input, |_, output| output.score)
        .await
        .unwrap();
    assert_eq!(output.title, "Sea!");
    assert_eq!(server.received().len(), 5);
    // A reward that is no number is worse than any other.
    let output = BestOfN::new(3)
        .run::<headline::Step>(&runner, &input, |_, output| match &*output.title {
            "Sea" => -1.0,
            _ => f64::NAN,
        })
        .await
        .unwrap();
    assert_eq!(output.title, "Sea");
}

// Refine.

#[tokio::test]
async fn an_output_that_is_not_good_enough_is_advised_on() {
    let server = server(&[
        r#"{"reasoning":"First.","title":"Rain","dull":true}"#,
        r#"{"discussion":"No sea in it.","advice":"Put the word into the title."}"#,
        r#"{"reasoning":"Second.","title":"The sea","dull":false}"#,
    ])
    .await;
    let (runner, trace) = runner(&server);
    let output = modules::polish(&runner, &polish::Input { word: word() })
        .await
        .unwrap();
    assert_eq!((&*output.reasoning, &*output.title), ("Second.", "The sea"));
    let received = server.received();
    assert!(!message(&received[0], 1).contains("hint_"));
    insta::assert_snapshot!(
        "advice",
        format!(
            "{}\n\n{}",
            message(&received[1], 0),
            message(&received[1], 1)
        )
    );
    let hinted = message(&received[2], 1);
    assert_eq!(
        hinted,
        "word:\n```\nsea\n```\n\nhint_:\n```\nPut the word into the title.\n```"
    );
    assert!(message(&received[2], 0).contains("- `hint_` (string): A hint from an earlier try"));
    // Advice is not a sample: it is asked for as the step says.
    assert_eq!(received[1].body.get("temperature"), None);
    assert_eq!(received[2].body["temperature"], json!(1.0));
    let purposes: Vec<Purpose> = report(&trace)
        .calls
        .iter()
        .map(|call| call.purpose)
        .collect();
    assert_eq!(
        purposes,
        [Purpose::Output, Purpose::Advice, Purpose::Output]
    );
}

#[tokio::test]
async fn advice_that_cannot_be_read_is_done_without() {
    let server = server(&[
        r#"{"reasoning":"","title":"Rain","dull":true}"#,
        "{}",
        "{}",
        r#"{"reasoning":"","title":"The sea","dull":false}"#,
    ])
    .await;
    let (runner, _) = runner(&server);
    let input = polish::Input { word: word() };
    let output = modules::polish(&runner, &input).await.unwrap();
    assert_eq!(output.title, "The sea");
    assert!(!message(&server.received()[3], 1).contains("hint_"));
}

#[tokio::test]
async fn refining_speaks_as_dspy_where_the_step_does() {
    let server = server(&[
        "[[ ## sum ## ]]\n3\n\n[[ ## completed ## ]]",
        "[[ ## discussion ## ]]\nToo low.\n\n[[ ## advice ## ]]\nCount again.\n\n[[ ## completed ## ]]",
        "[[ ## sum ## ]]\n12\n\n[[ ## completed ## ]]",
    ])
    .await;
    let (runner, _) = runner(&server);
    let output = modules::count(&runner, &count::Input { word: word() })
        .await
        .unwrap();
    assert_eq!(output.sum, 12);
    let last = server.received()[2].last_message().to_owned();
    assert!(
        last.starts_with("[[ ## word ## ]]\nsea\n\n[[ ## hint_ ## ]]\nCount again.\n\n"),
        "{last}"
    );
}

#[tokio::test]
async fn no_more_may_fail_than_the_step_allows() {
    let server = server(&["nothing"]).await;
    let (runner, _) = runner(&server);
    let error = modules::count(&runner, &count::Input { word: word() })
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Reply { .. }), "{error}");
    // The first output and its second try.
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn refining_in_rust_says_that_the_reward_is_a_function() {
    let server = server(&[FAIR, r#"{"advice":"Do better."}"#, GOOD]).await;
    let (runner, _) = runner(&server);
    let input = headline::Input { word: word() };
    let refine = Refine::new(2).with_threshold(0.8);
    let output = refine
        .run::<headline::Step>(&runner, &input, |_, output| output.score)
        .await
        .unwrap();
    assert_eq!(output.title, "Sea!");
    let advice = message(&server.received()[1], 1).to_owned();
    assert!(advice.contains("a function of the program"), "{advice}");
    assert!(advice.contains("0.5"), "{advice}");
}

// Majority.

async fn votes() -> Server {
    Server::start(|_, received| {
        Answer::reply(match received.body["seed"].as_u64() {
            None => r#"{"topic":"land","note":"x"}"#,
            Some(1) => r#"{"topic":"sea","note":"b"}"#,
            _ => r#"{"topic":"sea","note":"X."}"#,
        })
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn what_most_say_is_given_by_the_first_who_says_it() {
    let server = votes().await;
    let (runner, trace) = runner(&server);
    let output = modules::topic(&runner, &topic::Input { word: word() })
        .await
        .unwrap();
    assert_eq!((output.topic, &*output.note), (topic::Topic::Sea, "b"));
    let received = server.received();
    assert_eq!(received.len(), 3);
    assert!(
        received
            .iter()
            .all(|one| one.body["temperature"] == json!(0.7))
    );
    let report = report(&trace);
    assert_eq!((report.calls.len(), report.usage.output_tokens), (3, 21));
    // In Rust by another field: two of three say "x".
    let input = topic::Input { word: word() };
    let by_note = Majority::new(3).run::<topic::Step>(&runner, &input).await;
    assert_eq!(by_note.unwrap().topic, topic::Topic::Land);
}

#[tokio::test]
async fn a_budget_holds_for_all_votes_together() {
    let server = votes().await;
    let (runner, _) = runner(&server);
    let limits = BudgetLimits {
        calls: Some(2),
        ..BudgetLimits::default()
    };
    let runner = runner.with_budget(Budget::new(limits, Prices::none()));
    let error = modules::topic(&runner, &topic::Input { word: word() })
        .await
        .unwrap_err();
    assert_eq!(error.class(), "budget", "{error}");
    assert!(server.received().len() <= 2);
}

#[tokio::test]
async fn there_is_no_majority_by_a_field_that_there_is_not() {
    let server = votes().await;
    let (runner, _) = runner(&server);
    let majority = Majority::new(3).by("topics");
    let error = majority
        .run::<topic::Step>(&runner, &topic::Input { word: word() })
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no output `topics`"), "{error}");
    assert_eq!(server.received().len(), 0);
}

// ReAct.

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Search {
    /// What to look for
    query: String,
}

async fn search(args: Search) -> Result<String, String> {
    match &*args.query {
        "sea" => Ok("The sea is ```deep```.".to_owned()),
        other => Err(format!("nothing is known about {other}")),
    }
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Add {
    a: i64,
    b: i64,
}

#[derive(serde::Serialize)]
struct Sum {
    sum: i64,
}

async fn add(args: Add) -> Result<Sum, std::convert::Infallible> {
    Ok(Sum {
        sum: args.a + args.b,
    })
}

fn with_tools(runner: LocalRunner) -> LocalRunner {
    runner
        .with_tool(Tool::new("search", "Looks something up.", search))
        .with_tool(Tool::new("add", "Adds two numbers.", add))
}

fn question() -> answer::Input {
    answer::Input {
        question: "How deep is the sea?".to_owned(),
    }
}

const FINISH: &str = r#"{"next_thought":"Enough.","next_tool_name":"finish","next_tool_args":{}}"#;
const ANSWER: &str = r#"{"reasoning":"It says so.","answer":"Deep."}"#;

#[tokio::test]
async fn an_agent_thinks_acts_and_sees_until_it_can_answer() {
    let server = server(&[
        r#"{"next_thought":"Look it up.","next_tool_name":"search","next_tool_args":{"query":"sea"}}"#,
        r#"{"next_thought":"Add.","next_tool_name":"Add","next_tool_args":{"a":"1","b":2}}"#,
        FINISH,
        ANSWER,
    ])
    .await;
    let (runner, trace) = runner(&server);
    let output = modules::answer(&with_tools(runner), &question())
        .await
        .unwrap();
    assert_eq!(
        (&*output.reasoning, &*output.answer),
        ("It says so.", "Deep.")
    );
    let received = server.received();
    assert_eq!(received.len(), 4);
    insta::assert_snapshot!("agent_instructions", message(&received[0], 0));
    insta::assert_snapshot!("agent_trajectory", message(&received[2], 1));
    let schema = &received[0].body["response_format"]["json_schema"]["schema"]["properties"];
    assert_eq!(
        schema["next_tool_name"]["enum"],
        json!(["search", "add", "finish"])
    );
    let last = message(&received[3], 1);
    assert!(
        last.contains("observation_2:\n```\nCompleted.\n```"),
        "{last}"
    );
    assert!(
        message(&received[3], 0)
            .starts_with("Answer the question.\n\nYou are given:\n- `question`")
    );
    let report = report(&trace);
    let turns: Vec<(&str, &str)> = report
        .turns
        .iter()
        .map(|turn| (&*turn.tool, &*turn.observation))
        .collect();
    let expected = [
        ("search", "The sea is ```deep```."),
        ("add", r#"{"sum":3}"#),
        ("finish", "Completed."),
    ];
    assert_eq!(turns, expected);
    let purposes: Vec<Purpose> = report.calls.iter().map(|call| call.purpose).collect();
    assert_eq!(
        purposes,
        [Purpose::Turn, Purpose::Turn, Purpose::Turn, Purpose::Output]
    );
    assert_eq!(report.usage.input_tokens, 44);
}

#[tokio::test]
async fn what_goes_wrong_with_a_tool_the_agent_sees() {
    let server = server(&[
        r#"{"next_thought":"","next_tool_name":"search","next_tool_args":{"query":"fire"}}"#,
        r#"{"next_thought":"","next_tool_name":"find","next_tool_args":{"query":"sea"}}"#,
        r#"{"next_thought":"","next_tool_name":"add","next_tool_args":{"a":1}}"#,
        r#"{"next_thought":"","next_tool_name":"search","next_tool_args":{"query":"sea"}}"#,
        ANSWER,
    ])
    .await;
    let (runner, trace) = runner(&server);
    // The fourth turn is the last that the step allows.
    modules::answer(&with_tools(runner), &question())
        .await
        .unwrap();
    assert_eq!(server.received().len(), 5);
    let report = report(&trace);
    let seen: Vec<&str> = report.turns.iter().map(|turn| &*turn.observation).collect();
    assert_eq!(seen[0], "Error of `search`: nothing is known about fire");
    assert_eq!(
        seen[1],
        "There is no tool `find`. The tools are search, add, finish."
    );
    assert!(
        seen[2].starts_with("Error of `add`: the arguments cannot be used: "),
        "{}",
        seen[2]
    );
    assert!(seen[2].contains('b'), "{}", seen[2]);
}

#[tokio::test]
async fn an_agent_that_chooses_nothing_answers_with_what_it_has() {
    let server = server(&["Hm.", "Hm.", ANSWER]).await;
    let (runner, _) = runner(&server);
    let output = modules::answer(&with_tools(runner), &question())
        .await
        .unwrap();
    assert_eq!(output.answer, "Deep.");
}

#[tokio::test]
async fn a_tool_that_is_not_registered_is_an_error_before_anything_is_asked() {
    let server = server(&[FINISH]).await;
    let (runner, trace) = runner(&server);
    let runner = runner.with_tool(Tool::new("search", "Looks something up.", search));
    let error = modules::answer(&runner, &question()).await.unwrap_err();
    let Error::Tool {
        source: MissingTool::NotRegistered { tool, known },
        ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!((&**tool, &known[..]), ("add", &["`search`".to_owned()][..]));
    assert_eq!(error.class(), "missing_tool");
    assert_eq!(server.received().len(), 0);
    assert!(!report(&trace).succeeded);
}

const TOO_LONG: &str = r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","code":"context_length_exceeded"}}"#;

#[tokio::test]
async fn a_trajectory_that_is_too_long_loses_its_oldest_turns() {
    let server = Server::start(|nth, received| {
        let text = received.last_message();
        match nth {
            0 | 1 => Answer::reply(
                r#"{"next_thought":"","next_tool_name":"search","next_tool_args":{"query":"sea"}}"#,
            ),
            _ if text.contains("thought_0") => Answer::failure(400, TOO_LONG),
            3 => Answer::reply(FINISH),
            _ => Answer::reply(ANSWER),
        }
    })
    .await
    .unwrap();
    let (runner, trace) = runner(&server);
    modules::answer(&with_tools(runner), &question())
        .await
        .unwrap();
    let received = server.received();
    assert_eq!(received.len(), 5);
    assert!(received[3].last_message().contains("thought_1"));
    assert!(!received[4].last_message().contains("thought_0"));
    // The report has all of it.
    assert_eq!(report(&trace).turns.len(), 3);
}

#[tokio::test]
async fn a_context_that_takes_no_turn_at_all_is_an_error() {
    let server = Server::start(|_, _| Answer::failure(400, TOO_LONG))
        .await
        .unwrap();
    let (runner, _) = runner(&server);
    let error = modules::answer(&with_tools(runner), &question())
        .await
        .unwrap_err();
    let is_too_long = matches!(
        &error,
        Error::Lm {
            source: LmError::ContextLength { .. },
            ..
        }
    );
    assert!(is_too_long, "{error}");
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn an_agent_speaks_as_dspy_where_the_step_does() {
    let server = server(&[
        "[[ ## next_thought ## ]]\nLook.\n\n[[ ## next_tool_name ## ]]\nlook\n\n[[ ## next_tool_args ## ]]\n{\"query\": \"sea\"}\n\n[[ ## completed ## ]]",
        "[[ ## next_thought ## ]]\nDone.\n\n[[ ## next_tool_name ## ]]\nfinish\n\n[[ ## next_tool_args ## ]]\n{}\n\n[[ ## completed ## ]]",
        "[[ ## reasoning ## ]]\nSo.\n\n[[ ## answer ## ]]\nDeep.\n\n[[ ## completed ## ]]",
    ])
    .await;
    let (runner, _) = runner(&server);
    let input = answer_dspy::Input {
        question: "How deep?".to_owned(),
        trajectory: "a curve".to_owned(),
    };
    let output = modules::answer_dspy(&with_tools(runner), &input)
        .await
        .unwrap();
    assert_eq!(output.answer, "Deep.");
    let received = server.received();
    // The step has a field of that name already.
    let last = received[2].last_message();
    assert!(last.contains("[[ ## trajectory ## ]]\na curve\n\n[[ ## trajectory_ ## ]]\n[[ ## thought_0 ## ]]\nLook."), "{last}");
    assert!(last.contains("There is no tool `look`."), "{last}");
    let asked = message(&received[0], 0);
    assert!(
        asked.contains("must exactly match (no extra characters) one of: search; finish"),
        "{asked}"
    );
}

#[tokio::test]
async fn any_step_can_use_tools_in_rust() {
    let server = server(&[
        r#"{"next_thought":"","next_tool_name":"search","next_tool_args":{"query":"sea"}}"#,
        r#"{"title":"Sea","score":1}"#,
    ])
    .await;
    let (runner, _) = runner(&server);
    let runner = with_tools(runner);
    let react = React::new(["search"]).with_max_steps(1);
    let input = headline::Input { word: word() };
    let output = react.run::<headline::Step>(&runner, &input).await.unwrap();
    assert_eq!(output.title, "Sea");
    let react = React::new(["fly"]);
    let error = react
        .run::<headline::Step>(&runner, &input)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Tool { .. }));
}

// Recordings, values without types.

#[tokio::test]
async fn samples_are_recorded_one_by_one_and_replayed() {
    use dspipe_runtime::cassette::{Cassettes, Mode};

    let directory = tempfile::tempdir().unwrap();
    let server = votes().await;
    let input = topic::Input { word: word() };
    let run = |mode| {
        let (runner, _) = runner(&server);
        let runner = runner.with_cassettes(Cassettes::open(directory.path(), mode));
        let input = &input;
        async move { modules::topic(&runner, input).await.unwrap() }
    };
    let recorded = run(Mode::New).await;
    assert_eq!(server.received().len(), 3);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 3);
    assert_eq!(run(Mode::None).await, recorded);
    assert_eq!(server.received().len(), 3);
}

/// Runs a step with recordings made, then from them, and gives the output with what the server was asked.
async fn twice<T: PartialEq + std::fmt::Debug>(
    server: &Server,
    run: impl AsyncFn(&LocalRunner) -> T,
) -> (T, usize) {
    use dspipe_runtime::cassette::{Cassettes, Mode};

    let directory = tempfile::tempdir().unwrap();
    let with = |mode| {
        let (runner, trace) = runner(server);
        let cassettes = Cassettes::fixed(directory.path(), mode);
        (with_tools(runner).with_cassettes(cassettes), trace)
    };
    let (first, recorded) = with(Mode::New);
    let output = run(&first).await;
    let asked = server.received().len();
    let (second, replayed) = with(Mode::None);
    assert_eq!(run(&second).await, output);
    assert_eq!(server.received().len(), asked);
    // Not only the output is the same, but the way to it.
    let way = |trace: &Trace| {
        let report = report(trace);
        let calls = report.calls.iter();
        let calls: Vec<_> = calls
            .map(|call| (call.purpose, call.repetition, call.usage))
            .collect();
        (calls, report.turns)
    };
    assert_eq!(way(&replayed), way(&recorded));
    (output, asked)
}

#[tokio::test]
async fn whatever_a_module_asks_is_replayed_in_order() {
    // Samples one after the other, of the same prompt; the second is good enough.
    let best = server(&[WEAK, GOOD]).await;
    let input = headline::Input { word: word() };
    let (output, asked) = twice(&best, async |runner| {
        modules::headline(runner, &input).await.unwrap()
    })
    .await;
    assert_eq!((output.score > 0.8, asked), (true, 2));

    // A reply that cannot be used, and the second question.
    let again = server(&["Hm.", GOOD]).await;
    let (_, asked) = twice(&again, async |runner| {
        modules::headline(runner, &input).await.unwrap()
    })
    .await;
    assert_eq!(asked, 2);

    // Samples with advice between them.
    let polished = server(&[
        r#"{"reasoning":"","title":"Rain","dull":true}"#,
        r#"{"discussion":"","advice":"Put the word into the title."}"#,
        r#"{"reasoning":"","title":"The sea","dull":false}"#,
    ])
    .await;
    let (output, asked) = twice(&polished, async |runner| {
        let input = polish::Input { word: word() };
        modules::polish(runner, &input).await.unwrap()
    })
    .await;
    assert_eq!((&*output.title, asked), ("The sea", 3));

    // Tools.
    let agent = server(&[
        r#"{"next_thought":"","next_tool_name":"search","next_tool_args":{"query":"sea"}}"#,
        FINISH,
        ANSWER,
    ])
    .await;
    let (output, asked) = twice(&agent, async |runner| {
        modules::answer(runner, &question()).await.unwrap()
    })
    .await;
    assert_eq!((&*output.answer, asked), ("Deep.", 3));
}

#[tokio::test]
async fn a_step_on_plain_values_asks_once_where_a_reward_would_choose() {
    let server = server(&[WEAK]).await;
    let (runner, _) = runner(&server);
    let output = runner
        .step_value(headline::Step::DEF, &json!({"word": "sea"}))
        .await
        .unwrap();
    assert_eq!(output["title"], "Sea");
    assert_eq!(server.received().len(), 1);
    assert_eq!(server.received()[0].body.get("temperature"), None);
}
