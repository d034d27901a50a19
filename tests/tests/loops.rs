//! What loops run, with what, and in which order, on a runner that answers as the test says.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use dspipe_runtime::lm::{Api, HttpLm};
use dspipe_runtime::read::read_value;
use dspipe_runtime::{Error, LmName, Lms, LocalRunner, Round, Runner, Signature, Trace, Value};
use dspipe_tests::server::{Answer, Server};
use dspipe_tests::workflows::loops::{self, Inputs, Outputs, Ticket};
use dspipe_tests::workflows::palette;
use serde_json::json;

/// Answers each step with what a function makes of its input, and keeps what it was asked.
struct Answers<F> {
    answer: F,
    asked: Mutex<Vec<(&'static str, Value)>>,
    /// How many rounds of `search` run now, and how many did at the same time.
    running: AtomicUsize,
    most: AtomicUsize,
}

impl<F: Fn(&str, &Value) -> Value + Sync> Runner for Answers<F> {
    async fn step<S: Signature>(&self, input: &S::Input) -> Result<S::Output, Error> {
        let step = S::DEF.step;
        let input = serde_json::to_value(input).unwrap();
        let counted = usize::from(step == "find");
        let running = self.running.fetch_add(counted, Ordering::SeqCst) + counted;
        self.most.fetch_max(running, Ordering::SeqCst);
        self.asked.lock().unwrap().push((step, input.clone()));
        // The later ones of a loop may overtake the first.
        let turns = if input["topic"] == "slow" { 20 } else { 2 };
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        self.running.fetch_sub(counted, Ordering::SeqCst);
        let answer = (self.answer)(step, &input);
        if answer["fails"] == true {
            return Err(Error::Input {
                workflow: S::DEF.workflow,
                step,
                reason: "the test says so".to_owned(),
            });
        }
        Ok(read_value(answer).unwrap())
    }

    async fn join<A: Send, B: Send>(
        &self,
        a: impl Future<Output = Result<A, Error>> + Send,
        b: impl Future<Output = Result<B, Error>> + Send,
    ) -> Result<(A, B), Error> {
        let (a, b) = tokio::join!(a, b);
        Ok((a?, b?))
    }
}

fn answer(step: &str, input: &Value) -> Value {
    match step {
        "plan" => json!({"topics": ["slow", "a", "b", "c"], "depth": 9}),
        "check" => {
            let text = input["text"].as_str().unwrap();
            let kind = if text.contains("broken") {
                "bug"
            } else {
                "wish"
            };
            json!({"score": text.len(), "kind": kind})
        }
        "fix" => json!({"patch": format!("{} by {}", input["title"], input["owner"])}),
        "gist" => json!({"gist": input["title"]}),
        "find" => json!({"found": [input["topic"], "x"]}),
        "rank" => {
            let first = &input["found"][0];
            json!({"best": (first != "b").then_some(first)})
        }
        "hold" => json!({"held": input["limit"].as_i64().unwrap() > 1}),
        _ => json!({"text": "done"}),
    }
}

fn ticket(title: &str, lines: &[&str]) -> Ticket {
    Ticket {
        title: title.to_owned(),
        lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        owner: (title == "t2").then(|| "Ann".to_owned()),
    }
}

fn inputs() -> Inputs {
    Inputs {
        tickets: vec![
            ticket("t0", &["broken"]),
            ticket("t1", &["a", "b"]),
            ticket("t2", &["broken"]),
        ],
        limits: vec![2, 1],
        strict: Some(true),
        goal: "g".to_owned(),
    }
}

type Asked = Vec<(&'static str, Value)>;

async fn run(
    inputs: Inputs,
    answer: impl Fn(&str, &Value) -> Value + Sync,
) -> (Result<Outputs, Error>, Asked, usize) {
    let runner = Answers {
        answer,
        asked: Mutex::default(),
        running: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
    };
    let outputs = loops::run_with(&runner, inputs).await;
    let most = runner.most.load(Ordering::SeqCst);
    (outputs, runner.asked.into_inner().unwrap(), most)
}

fn of<'a>(asked: &'a Asked, step: &str) -> Vec<&'a Value> {
    let all = asked.iter().filter(|(name, _)| *name == step);
    all.map(|(_, input)| input).collect()
}

/// A score that ends the loop comes of a long text only.
fn calm(step: &str, input: &Value) -> Value {
    let mut answer = answer(step, input);
    if step == "check" {
        answer["score"] = input["number"].clone();
    }
    answer
}

#[tokio::test]
async fn each_item_has_its_round() {
    let (outputs, asked, _) = run(inputs(), calm).await;
    let outputs = outputs.unwrap();
    assert_eq!(
        of(&asked, "check"),
        [
            &json!({"text": "t0: broken", "number": 1, "of": 3, "goal": "g"}),
            &json!({"text": "t1: a b", "number": 2, "of": 3, "goal": "g"}),
            &json!({"text": "t2: broken", "number": 3, "of": 3, "goal": "g"}),
        ]
    );
    // Not in the first round, and not for what is no bug.
    assert_eq!(of(&asked, "fix"), [&json!({"title": "t2", "owner": "Ann"})]);
    assert_eq!(
        of(&asked, "gist"),
        [
            &json!({"line": "a", "title": "t1 (0)", "is_last": false}),
            &json!({"line": "b", "title": "t1 (1)", "is_last": true}),
        ]
    );
    let review = &outputs.review;
    assert_eq!(review.len(), 3);
    assert!(review[0].fix.is_none() && review[0].read_lines.is_none());
    let lines = review[1].read_lines.as_ref().unwrap();
    let gists: Vec<&str> = lines.iter().map(|round| &*round.gist.gist).collect();
    assert_eq!(gists, ["t1 (0)", "t1 (1)"]);
    assert_eq!(review[2].fix.as_ref().unwrap().patch, r#""t2" by "Ann""#);
}

#[tokio::test]
async fn results_keep_the_order_of_the_list_and_rounds_their_number() {
    let (outputs, asked, most) = run(inputs(), calm).await;
    let outputs = outputs.unwrap();
    let topics: Vec<&str> = outputs
        .search
        .iter()
        .map(|round| &*round.find.found[0])
        .collect();
    assert_eq!(topics, ["slow", "a", "b", "c"]);
    assert_eq!(most, 2);
    assert_eq!(
        of(&asked, "find")[0],
        &json!({"topic": "slow", "depth": 9, "goal": "g"})
    );
    let held: Vec<bool> = outputs
        .limit
        .unwrap()
        .iter()
        .map(|it| it.hold.held)
        .collect();
    assert_eq!(held, [true, false]);
}

#[tokio::test]
async fn what_rounds_gave_is_a_list_outside() {
    let (_, asked, _) = run(inputs(), calm).await;
    assert_eq!(
        of(&asked, "report"),
        [&json!({
            "scores": [1, 2, 3],
            "kinds": ["bug", "wish", "bug"],
            "patches": [null, null, r#""t2" by "Ann""#],
            "best": ["slow", "a", null, "c"],
            "rounds": [
                {"find": {"found": ["slow", "x"]}, "rank": {"best": "slow"}},
                {"find": {"found": ["a", "x"]}, "rank": {"best": "a"}},
                {"find": {"found": ["b", "x"]}, "rank": {"best": null}},
                {"find": {"found": ["c", "x"]}, "rank": {"best": "c"}},
            ],
            "limits": [{"hold": {"held": true}}, {"hold": {"held": false}}],
            "summary": r#"4 found: [["slow","x"],["a","x"],["b","x"],["c","x"]]"#,
        })]
    );
}

#[tokio::test]
async fn a_loop_ends_behind_the_round_that_says_so() {
    let scored = |step: &str, input: &Value| {
        let mut answer = calm(step, input);
        if step == "check" && input["number"] == 2 {
            answer["score"] = json!(11);
        }
        answer
    };
    let (outputs, asked, _) = run(inputs(), scored).await;
    assert_eq!(outputs.unwrap().review.len(), 2);
    assert_eq!(of(&asked, "check").len(), 2);
}

#[tokio::test]
async fn nothing_runs_for_an_empty_list_or_where_the_condition_does_not_hold() {
    let inputs = Inputs {
        tickets: Vec::new(),
        strict: None,
        ..inputs()
    };
    let no_topics = |step: &str, input: &Value| match step {
        "plan" => json!({"topics": [], "depth": 0}),
        _ => calm(step, input),
    };
    let (outputs, asked, _) = run(inputs, no_topics).await;
    let outputs = outputs.unwrap();
    assert!(outputs.review.is_empty() && outputs.search.is_empty());
    assert!(outputs.limit.is_none() && outputs.report.is_none());
    let steps: Vec<&str> = asked.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, ["plan"]);
}

#[tokio::test]
async fn the_first_error_ends_the_loop_and_the_workflow() {
    let fails = |step: &str, input: &Value| match step {
        "find" if input["topic"] == "a" => json!({"fails": true}),
        _ => calm(step, input),
    };
    let (outputs, asked, _) = run(inputs(), fails).await;
    assert_eq!(outputs.unwrap_err().place(), ("loops", "find"));
    let topics: Vec<&Value> = of(&asked, "find").iter().map(|it| &it["topic"]).collect();
    assert!(!topics.contains(&&json!("c")), "{topics:?}");
    assert!(of(&asked, "report").is_empty());
}

#[tokio::test]
async fn outputs_are_read_back_from_json() {
    let (outputs, _, _) = run(inputs(), calm).await;
    let outputs = outputs.unwrap();
    let json = serde_json::to_value(&outputs).unwrap();
    assert_eq!(json["review"][0]["check"]["kind"], "bug");
    assert_eq!(read_value::<Outputs>(json).unwrap(), outputs);
}

#[tokio::test]
async fn reports_say_which_round_a_step_ran_in() {
    let server = Server::start(|_, request| {
        let codes = request.body["response_format"]
            .to_string()
            .contains("codes");
        Answer::reply(if codes {
            r#"{"codes":"R1"}"#
        } else {
            r#"{"label":"R1"}"#
        })
    })
    .await
    .unwrap();
    let name: LmName = "scripted/small".parse().unwrap();
    let lm = HttpLm::new(name, Api::OpenAiChat, &server.url(), None).unwrap();
    let trace = Arc::new(Trace::default());
    let runner = LocalRunner::new()
        .with_lms(Lms::new().with(Arc::new(lm)))
        .with_observer(Arc::<Trace>::clone(&trace));
    let inputs = palette::Inputs {
        texts: ["a", "b", "c"].map(str::to_owned).to_vec(),
    };
    let outputs = palette::run_with(&runner, inputs).await.unwrap();
    assert_eq!(outputs.each.len(), 3);
    let reports = trace.reports();
    let mut rounds: Vec<(&str, Vec<Round>)> = reports
        .into_iter()
        .map(|report| (report.step, report.rounds))
        .collect();
    rounds.sort();
    let of_each = |index| vec![Round { of: "each", index }];
    assert_eq!(
        rounds,
        [
            ("classify", of_each(0)),
            ("classify", of_each(1)),
            ("classify", of_each(2)),
            ("collect", Vec::new()),
        ]
    );
}
