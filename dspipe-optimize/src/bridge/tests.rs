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
    fn run<'a>(&'a self, _: Run) -> BoxFuture<'a, Result<RunResult, HostError>> {
        self.next()
    }

    fn step<'a>(&'a self, _: StepCall) -> BoxFuture<'a, Result<StepResult, HostError>> {
        self.next()
    }

    fn score<'a>(&'a self, _: Score) -> BoxFuture<'a, Result<Scored, HostError>> {
        self.next()
    }

    fn complete<'a>(&'a self, _: Completion) -> BoxFuture<'a, Result<Completed, HostError>> {
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
