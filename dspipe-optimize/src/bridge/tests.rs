//! Whole sessions over a pipe in memory, and what a peer can do wrong.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Arc, Mutex};

use dspipe_runtime::Value;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf};
use tokio::task::JoinHandle;

use super::connection::{Connection, Stopped};
use super::message::{self, Incoming, News, Question};
use super::*;

const WORK: &str = include_str!("../../../python/tests/golden/work.jsonl");
const FAILURES: &str = include_str!("../../../python/tests/golden/failures.jsonl");

/// A message of a session, and who sent it.
#[derive(Deserialize)]
struct Sent {
    from: String,
    message: Value,
}

fn session(text: &str) -> Vec<Sent> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The other end of a connection.
struct Peer {
    source: BufReader<ReadHalf<DuplexStream>>,
    sink: WriteHalf<DuplexStream>,
    reading: JoinHandle<Stopped>,
}

impl Peer {
    fn connect() -> (Connection, Self) {
        let (host, bridge) = tokio::io::duplex(64);
        let (source, sink) = tokio::io::split(host);
        let connection = Connection::new(sink);
        let reading = tokio::spawn({
            let connection = connection.clone();
            async move { connection.read(source).await }
        });
        let (source, sink) = tokio::io::split(bridge);
        let source = BufReader::new(source);
        (
            connection,
            Self {
                source,
                sink,
                reading,
            },
        )
    }

    async fn reads(&mut self) -> String {
        let mut line = String::new();
        self.source.read_line(&mut line).await.unwrap();
        line
    }

    async fn writes(&mut self, message: &Value) {
        let line = message::line(message).unwrap();
        self.sink.write_all(&line).await.unwrap();
    }
}

/// Answers in a fixed order; `None` never answers.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Option<Value>>>,
    told: Mutex<Vec<News>>,
}

impl Script {
    fn next<T: DeserializeOwned + Send>(&self) -> BoxFuture<'static, Result<T, HostError>> {
        let answer = self.answers.lock().unwrap().pop_front().unwrap();
        async move {
            let Some(mut answer) = answer else {
                return pending().await;
            };
            if let Some(result) = answer.get_mut("result") {
                return Ok(serde_json::from_value(result.take()).unwrap());
            }
            let text = |key: &str| answer["error"][key].as_str().unwrap().to_owned();
            assert_eq!(text("class"), "budget");
            Err(HostError::budget(&text("code"), text("message")))
        }
        .boxed()
    }

    fn told(&self, news: News) {
        self.told.lock().unwrap().push(news);
    }
}

impl Host for Script {
    fn run(&self, _: Run) -> BoxFuture<'_, Result<RunResult, HostError>> {
        self.next()
    }

    fn step(&self, _: StepCall) -> BoxFuture<'_, Result<StepResult, HostError>> {
        self.next()
    }

    fn score(&self, _: Score) -> BoxFuture<'_, Result<Scored, HostError>> {
        self.next()
    }

    fn complete(&self, _: Completion) -> BoxFuture<'_, Result<Completed, HostError>> {
        self.next()
    }

    fn prompt(&self, prompt: PromptTold) {
        self.told(News::Prompt(prompt));
    }

    fn candidate(&self, candidate: Candidate) {
        self.told(News::Candidate(candidate));
    }

    fn progress(&self, progress: Progress) {
        self.told(News::Progress(progress));
    }

    fn log(&self, log: Log) {
        self.told(News::Log(log));
    }
}

/// A call of the host with the types that its method has; the result is what they make of it.
async fn call(
    connection: Connection,
    host: Arc<Script>,
    method: String,
    params: Value,
) -> Result<Value, BridgeError> {
    async fn job<P: Serialize + DeserializeOwned, R: Serialize + DeserializeOwned>(
        connection: &Connection,
        host: Arc<Script>,
        method: &'static str,
        params: &Value,
    ) -> Option<Result<Value, BridgeError>> {
        let typed: P = serde_json::from_value(params.clone()).ok()?;
        let name = params["job"].as_str()?;
        let result = connection.work::<R>(method, name, &typed, host).await;
        Some(result.map(|result| serde_json::to_value(result).unwrap()))
    }
    let it = &connection;
    let answered = match method.as_str() {
        "optimize" => job::<Optimize, Optimized>(it, host, "optimize", &params).await,
        "evaluate" => job::<Evaluate, Evaluated>(it, host, "evaluate", &params).await,
        "optimize_prompt" => {
            job::<OptimizePrompt, OptimizedPrompt>(it, host, "optimize_prompt", &params).await
        }
        "evaluate_program" => {
            job::<EvaluateProgram, EvaluatedProgram>(it, host, "evaluate_program", &params).await
        }
        "hello" => Some(
            it.ask::<Versions>("hello", &params)
                .await
                .map(|versions| serde_json::to_value(versions).unwrap()),
        ),
        _ => None,
    };
    match answered {
        Some(answer) => answer,
        // What these types cannot say at all.
        None => it.ask(method.leak(), &params).await,
    }
}

async fn replay(text: &str) -> Arc<Script> {
    let session = session(text);
    let asked = |sent: &Sent| sent.from == "bridge" && sent.message.get("method").is_some();
    let host = Arc::new(Script::default());
    for question in session.iter().filter(|sent| asked(sent)) {
        if let Some(id) = question.message.get("id") {
            let answer = session.iter().find(|sent| {
                let message = &sent.message;
                sent.from == "host" && message.get("method").is_none() && message["id"] == *id
            });
            let answer = answer.map(|sent| sent.message.clone());
            host.answers.lock().unwrap().push_back(answer);
        }
    }
    let (connection, mut peer) = Peer::connect();
    let mut calls = Vec::new();
    for sent in &session {
        let message = &sent.message;
        if sent.from == "host" {
            if let Some(method) = message.get("method") {
                let method = method.as_str().unwrap().to_owned();
                let params = message["params"].clone();
                let call = call(connection.clone(), Arc::clone(&host), method, params);
                calls.push((message["id"].clone(), tokio::spawn(call)));
            }
            let expected = message::line(message).unwrap();
            assert_eq!(peer.reads().await, String::from_utf8(expected).unwrap());
        } else if message.get("id") != Some(&Value::Null) {
            peer.writes(message).await;
        }
    }
    for (id, call) in calls {
        let expected = session.iter().find(|sent| {
            let message = &sent.message;
            sent.from == "bridge" && message.get("method").is_none() && message["id"] == id
        });
        let expected = &expected.unwrap().message;
        match call.await.unwrap() {
            Ok(result) => assert_eq!(result.to_string(), expected["result"].to_string()),
            Err(BridgeError::Job {
                class,
                code,
                message,
                best,
            }) => {
                let error = &expected["error"];
                assert_eq!(json!(class), error["class"]);
                assert_eq!(json!(code), error["code"]);
                assert_eq!(json!(message), error["message"]);
                let best = best.map(|best| serde_json::to_value(best).unwrap());
                assert_eq!(
                    &best.unwrap_or_default(),
                    error.get("best").unwrap_or(&Value::Null)
                );
            }
            Err(error) => panic!("{id}: {error}"),
        }
    }
    host
}

#[tokio::test]
async fn the_golden_work_is_replayed_to_the_byte() {
    let host = replay(WORK).await;
    assert!(host.answers.lock().unwrap().is_empty());
    let told = host.told.lock().unwrap();
    let expected = session(WORK)
        .iter()
        .filter(|sent| sent.message.get("method").is_some() && sent.message.get("id").is_none())
        .count();
    assert_eq!(told.len(), expected);
    for kind in ["Prompt", "Candidate", "Progress", "Log"] {
        assert!(
            told.iter()
                .any(|news| format!("{news:?}").starts_with(kind)),
            "{kind}"
        );
    }
}

#[tokio::test]
async fn the_golden_failures_are_replayed_to_the_byte() {
    replay(FAILURES).await;
}

#[test]
fn each_golden_line_of_the_bridge_keeps_all_that_is_in_it() {
    for sent in session(WORK).iter().chain(&session(FAILURES)) {
        if sent.from != "bridge" {
            continue;
        }
        let line = message::line(&sent.message).unwrap();
        let again = again(&Incoming::read(&line).unwrap());
        // Whether an error has a `best` that is null is of no use to anyone.
        let expected = String::from_utf8(line)
            .unwrap()
            .replace(",\"best\":null", "");
        assert_eq!(String::from_utf8(again).unwrap(), expected);
    }
}

/// A message as the bridge would write it.
fn again(message: &Incoming) -> Vec<u8> {
    #[derive(Serialize)]
    struct InJob<T> {
        #[serde(skip_serializing_if = "Option::is_none")]
        job: Option<String>,
        #[serde(flatten)]
        rest: T,
    }
    let in_job = |job: Option<&String>, rest: Value| InJob {
        job: job.cloned(),
        rest,
    };
    let value = |it: &dyn Fn() -> serde_json::Result<Value>| it().unwrap();
    let message = match message {
        Incoming::Asked { id, job, question } => {
            let (method, params) = match question {
                Question::Run(it) => ("run", value(&|| serde_json::to_value(it))),
                Question::Step(it) => ("step.complete", value(&|| serde_json::to_value(it))),
                Question::Score(it) => ("metric.score", value(&|| serde_json::to_value(it))),
                Question::Complete(it) => ("lm.complete", value(&|| serde_json::to_value(it))),
            };
            json!({"id": id, "method": method, "params": in_job(Some(job), params)})
        }
        Incoming::Told { job, news } => {
            let (method, params) = match news {
                News::Prompt(it) => ("prompt", value(&|| serde_json::to_value(it))),
                News::Candidate(it) => ("candidate", value(&|| serde_json::to_value(it))),
                News::Progress(it) => ("progress", value(&|| serde_json::to_value(it))),
                News::Log(it) => ("log", value(&|| serde_json::to_value(it))),
            };
            json!({"method": method, "params": in_job(job.as_ref(), params)})
        }
        Incoming::Answered { id, answer } => match answer {
            Ok(result) => json!({"id": id, "result": result}),
            Err(refusal) => json!({"id": id, "error": refusal}),
        },
        Incoming::Unread(refusal) => json!({"id": null, "error": refusal}),
    };
    message::line(&message).unwrap()
}

#[tokio::test]
async fn a_peer_that_breaks_the_protocol_stops_the_reading() {
    let long = "x".repeat(300);
    let shown = &long[..200];
    for (line, reason, cut) in [
        (long.as_str(), "not a message", shown),
        (
            r#"{"id":9,"result":{}}"#,
            "which was not asked",
            r#"{"id":9,"result":{}}"#,
        ),
        (
            r#"{"id":null,"error":{"class":"fatal","code":"not_a_message","message":"unreadable"}}"#,
            "unreadable",
            r#"{"id":null,"error":{"class":"fatal","code":"not_a_message","message":"unreadable"}}"#,
        ),
    ] {
        let (_connection, mut peer) = Peer::connect();
        peer.sink.write_all(line.as_bytes()).await.unwrap();
        peer.sink.write_all(b"\n").await.unwrap();
        let Stopped::Protocol { reason: why, line } = peer.reading.await.unwrap() else {
            panic!("{line} was taken for a message");
        };
        assert!(why.contains(reason), "{why}");
        assert_eq!(line, cut);
    }
}

#[tokio::test]
async fn half_a_line_at_the_end_is_the_end() {
    let (_connection, mut peer) = Peer::connect();
    peer.sink.write_all(br#"{"id":1,"#).await.unwrap();
    drop((peer.sink, peer.source));
    assert_eq!(peer.reading.await.unwrap(), Stopped::Closed);
}

#[tokio::test]
async fn a_result_of_another_shape_is_an_error() {
    let (connection, mut peer) = Peer::connect();
    let (answer, ()) = tokio::join!(connection.ask::<Versions>("hello", &Nothing {}), async {
        peer.reads().await;
        peer.writes(&json!({"id": 1, "result": {"protocol": "one"}}))
            .await;
    });
    let error = answer.unwrap_err();
    assert!(matches!(error, BridgeError::Protocol { .. }), "{error}");
    assert_eq!(error.class(), ErrorClass::Restart);
}

#[tokio::test]
async fn what_asks_for_a_job_that_has_ended_is_told_so() {
    let (_connection, mut peer) = Peer::connect();
    let score = json!({"job": "gone", "example": "e0", "run": null, "outputs": null,
        "bootstrap": false, "call": null});
    peer.writes(&json!({"id": 7, "method": "metric.score", "params": score}))
        .await;
    let expected = json!({"id": 7, "error": {"class": "cancelled", "code": "cancelled",
        "message": "the job has ended"}});
    assert_eq!(peer.reads().await, format!("{expected}\n"));
}

fn evaluation(job: &str) -> Evaluate {
    Evaluate {
        job: job.into(),
        program: Program {
            name: "p".into(),
            inputs: Vec::new(),
            steps: Vec::new(),
            description: String::new(),
            outline: String::new(),
            runs: Runs::Workflow,
        },
        examples: Vec::new(),
        prompts: None,
        threads: None,
    }
}

#[tokio::test]
async fn dropping_a_job_sends_a_cancel_and_keeps_its_name_until_it_has_ended() {
    let (connection, mut peer) = Peer::connect();
    let host = Arc::new(Script::default());
    let params = evaluation("a");
    let work = || connection.work::<Evaluated>("evaluate", "a", &params, host.clone());
    tokio::select! {
        answer = work() => panic!("{answer:?}"),
        line = peer.reads() => assert!(line.starts_with(r#"{"id":1,"method":"evaluate""#)),
    }
    assert_eq!(
        peer.reads().await,
        "{\"id\":2,\"method\":\"cancel\",\"params\":{\"job\":\"a\"}}\n"
    );
    let error = work().await.unwrap_err();
    assert!(matches!(error, BridgeError::JobExists { .. }), "{error}");

    peer.writes(&json!({"id": 2, "result": {"found": true}}))
        .await;
    let cancelled = json!({"class": "cancelled", "code": "cancelled", "message": "", "best": null});
    peer.writes(&json!({"id": 1, "error": cancelled})).await;
    // Read once the answers before it were.
    let (pong, ()) = tokio::join!(connection.ask::<Nothing>("ping", &Nothing {}), async {
        let line = peer.reads().await;
        assert!(line.contains("ping"), "{line}");
        peer.writes(&json!({"id": 3, "result": {}})).await;
    });
    pong.unwrap();
    tokio::select! {
        answer = work() => panic!("{answer:?}"),
        line = peer.reads() => assert!(line.contains("evaluate")),
    }
}

#[tokio::test]
async fn the_end_fails_all_that_waits_and_all_that_comes_later() {
    let (connection, mut peer) = Peer::connect();
    let params = evaluation("a");
    let host = Arc::new(Script::default());
    let work = connection.work::<Evaluated>("evaluate", "a", &params, host);
    let ended = BridgeError::Ended {
        status: None,
        stderr: "its last words".into(),
    };
    let (job, ping, ()) = tokio::join!(
        work,
        connection.ask::<Nothing>("ping", &Nothing {}),
        async {
            peer.reads().await;
            peer.reads().await;
            connection.end(&ended);
        }
    );
    let later = connection.ask::<Nothing>("ping", &Nothing {}).await;
    let errors = [job.unwrap_err(), ping.err().unwrap(), later.err().unwrap()];
    for error in errors {
        assert!(error.to_string().contains("its last words"), "{error}");
        assert_eq!(error.class(), ErrorClass::Restart);
    }
}

#[tokio::test]
async fn a_peer_that_writes_before_it_reads_is_read() {
    let (connection, mut peer) = Peer::connect();
    let mut params = evaluation("a");
    // More than the pipe holds, in both directions.
    params.program.outline = "ü".repeat(100_000);
    let host = Arc::new(Script::default());
    let log = json!({"level": "info", "logger": "dspy", "message": "ü".repeat(1000)});
    let job = connection.work::<Evaluated>("evaluate", "a", &params, host.clone());
    let (evaluated, ()) = tokio::join!(job, async {
        for _ in 0..100 {
            peer.writes(&json!({"method": "log", "params": log})).await;
        }
        let asked: Value = serde_json::from_str(&peer.reads().await).unwrap();
        assert_eq!(asked["params"], serde_json::to_value(&params).unwrap());
        let stats = json!({"runs": 0, "steps": 0, "lm_calls": 0, "metric_calls": 0});
        let result = json!({"score": 0.5, "results": [], "stats": stats});
        peer.writes(&json!({"id": 1, "result": result})).await;
    });
    assert_eq!(evaluated.unwrap().results, []);
    assert_eq!(host.told.lock().unwrap().len(), 100);
}
