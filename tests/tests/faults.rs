//! Runs of a workflow against a server that fails at random, with a seed: each ends in the right answer or in
//! the right error, none hangs, and nothing is left of them: no task, no connection, no file. First they ask for
//! whole replies, then for replies in parts.
//!
//! `DSPIPE_TEST_FAULT_RUNS=10000 cargo test -p dspipe-tests --test faults` makes ten thousand of each;
//! `DSPIPE_TEST_FAULT_SEED` makes others.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "what fails here fails the test, which says what was done"
)]

use std::collections::BTreeMap;
use std::env;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dspipe_runtime::lm::{Api, HttpLm, Limiter, Limits, Retry, Timeouts};
use dspipe_runtime::{Error, LmName, Lms, LocalRunner, Secret, Streamed};
use dspipe_tests::server::{Answer, Received, Server};
use dspipe_tests::workflows::numbers::{self, Inputs, say};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// How many runs there are if it is not said.
const RUNS: u64 = 1_000;

/// Runs at the same time; of them so many may ask the server at once.
const IN_FLIGHT: usize = 512;
const CONCURRENCY: u32 = 256;

/// How often a request is sent at most, for a run and again for its second question.
const ATTEMPTS: u32 = 3;

/// Only silence takes that long, on a busy machine too.
const READ: Duration = Duration::from_secs(5);

/// No run takes that long: each of its tries ends in time.
const HANGS: Duration = Duration::from_secs(120);

/// How a run asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Whole,
    Streamed,
}

/// What the server does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    None,
    /// A few bytes at a time.
    Slow,
    /// After a while.
    Late,
    /// In prose and fences, with single quotes: it is put right.
    Sloppy,
    Limited,
    Overloaded,
    Broken,
    /// No JSON where the API's should be.
    Garbled,
    /// The connection ends within the body.
    Dropped,
    /// It ends before the head.
    Closed,
    Silent,
    Refused,
    /// A whole reply that says nothing of what was asked.
    Nonsense,
    /// The model ran out of tokens within the reply.
    CutOff,
    // Of streams.
    /// With comments, further fields, empty lines, and what the end says said twice.
    Chatty,
    /// In one piece of JSON, from a server that knows no streams.
    Whole,
    /// The connection ends after the reason for the end, without the end.
    Endless,
    /// It ends after the head.
    Empty,
    /// It ends between two events.
    Between,
    /// It ends within a character of an event.
    Within,
    /// An event in the middle that is no JSON.
    GarbledEvent,
    /// An event in the middle that says what is wrong.
    Failing,
    /// Nothing comes after the first part.
    Stalling,
}

use Fault::{
    Between, Broken, Chatty, Closed, CutOff, Dropped, Empty, Endless, Failing, Garbled,
    GarbledEvent, Late, Limited, Nonsense, Overloaded, Refused, Silent, Sloppy, Slow, Stalling,
    Whole, Within,
};

impl Way {
    /// How often each comes, of a hundred; else the request is answered.
    const fn faults(self) -> &'static [(Fault, u64)] {
        match self {
            Self::Whole => &[
                (Slow, 6),
                (Late, 2),
                (Sloppy, 8),
                (Limited, 8),
                (Overloaded, 6),
                (Broken, 6),
                (Garbled, 4),
                (Dropped, 6),
                (Closed, 6),
                (Silent, 1),
                (Refused, 3),
                (Nonsense, 10),
                (CutOff, 4),
            ],
            Self::Streamed => &[
                (Slow, 6),
                (Late, 2),
                (Sloppy, 5),
                (Limited, 5),
                (Overloaded, 4),
                (Broken, 4),
                (Closed, 5),
                (Silent, 1),
                (Refused, 2),
                (Nonsense, 8),
                (CutOff, 4),
                (Chatty, 6),
                (Whole, 4),
                (Endless, 4),
                (Empty, 4),
                (Between, 4),
                (Within, 5),
                (GarbledEvent, 4),
                (Failing, 5),
                (Stalling, 1),
            ],
        }
    }
}

impl Fault {
    /// That of the nth request of a run, the same for the same seed.
    fn of(way: Way, seed: u64, run: u64, nth: u32) -> Self {
        // SplitMix64.
        let mut bits = [run, u64::from(nth)].into_iter().fold(seed, |bits, more| {
            let mut bits = (bits ^ more).wrapping_add(0x9e37_79b9_7f4a_7c15);
            bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            bits ^ (bits >> 31)
        }) % 100;
        for (fault, share) in way.faults() {
            match bits.checked_sub(*share) {
                None => return *fault,
                Some(rest) => bits = rest,
            }
        }
        Self::None
    }

    /// Whether the same request is sent again: not once a part of the reply has come.
    fn passes(self) -> bool {
        matches!(
            self,
            Limited | Overloaded | Broken | Dropped | Closed | Empty
        )
    }

    /// The class of the error of a run that ends with it; `None` is the right answer.
    fn class(self) -> Option<&'static str> {
        match self {
            Self::None | Slow | Late | Sloppy | Chatty | Whole | Endless => None,
            Limited => Some("rate_limited"),
            Overloaded | Failing => Some("overloaded"),
            Broken => Some("server"),
            Garbled | GarbledEvent => Some("protocol"),
            Dropped | Closed => Some("unreachable"),
            Empty | Between | Within => Some("interrupted"),
            Silent | Stalling => Some("timeout"),
            Refused => Some("auth"),
            Nonsense => Some("unreadable_reply"),
            CutOff => Some("truncated"),
        }
    }
}

/// What becomes of a run by the rules: its last fault, and how many requests there are.
fn expected(way: Way, seed: u64, run: u64) -> (Fault, u32) {
    let (mut sent, mut asked_again) = (0, false);
    loop {
        let mut fault = Fault::of(way, seed, run, sent);
        sent += 1;
        for _ in 1..ATTEMPTS {
            if !fault.passes() {
                break;
            }
            fault = Fault::of(way, seed, run, sent);
            sent += 1;
        }
        // What cannot be used is asked for once more.
        if fault != Nonsense || asked_again {
            return (fault, sent);
        }
        asked_again = true;
    }
}

/// Whether the client of a streamed run leaves after the first part of the reply.
fn leaves(way: Way, run: u64) -> bool {
    way == Way::Streamed && run % 16 == 7
}

fn words(number: u64) -> String {
    format!("«{number}» and \"{number}\"\nmake {}", 2 * number)
}

/// The number that a request asks of, in its first message of the user.
fn number(request: &Received) -> u64 {
    let messages = request.body["messages"].as_array().unwrap();
    let asked = messages.iter().find(|message| message["role"] == "user");
    let text = asked.unwrap()["content"].as_str().unwrap();
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// What the model says, whatever becomes of it on the way.
fn said(number: u64, fault: Fault) -> String {
    let (double, words) = (2 * number, words(number));
    let output = json!({"double": double, "words": words}).to_string();
    match fault {
        Sloppy => format!(
            "Here it is:\n```json\n{{'double': {double}, words: {},}}\n```\nAnything else?",
            json!(words)
        ),
        Nonsense => "I would rather talk about the weather.".to_owned(),
        CutOff => output[..output.len() / 3].to_owned(),
        _ => output,
    }
}

fn raw(answer: &Answer) -> String {
    match answer {
        Answer::Http(_, _, body) => format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        ),
        other => panic!("{other:?}"),
    }
}

/// Before a reply, with and without a stream.
fn before(fault: Fault) -> Option<Answer> {
    let error = "{\"error\": {\"message\": \"no\"}}";
    Some(match fault {
        // The server says that it need not be waited for.
        Limited => Answer::Http(429, vec![("retry-after", "0".to_owned())], error.to_owned()),
        Overloaded => Answer::failure(529, error),
        Broken => Answer::failure(500, "<html>"),
        Closed => Answer::Raw(String::new()),
        Silent => Answer::Silence,
        Refused => Answer::failure(401, error),
        _ => return None,
    })
}

fn whole(number: u64, fault: Fault) -> Answer {
    let said = said(number, fault);
    let reply = Answer::reply(&said);
    match fault {
        Slow => Answer::Trickle(raw(&reply)),
        Late => Answer::Late(Duration::from_millis(30), raw(&reply)),
        Garbled => Answer::Raw(raw(&reply).replace(['{', '['], "?")),
        Dropped => {
            let whole = raw(&reply);
            let end = whole.find("\"choices\"").unwrap() + 40;
            Answer::Raw(whole[..end].to_owned())
        }
        CutOff => Answer::finished(&said, "length"),
        _ => reply,
    }
}

const HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

fn streamed(number: u64, fault: Fault) -> Answer {
    let said = said(number, fault);
    let event = |value: Value| format!("data: {value}\n\n");
    let choice = |delta: Value, reason: Option<&str>| {
        event(json!({
            "model": "a-model",
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
        }))
    };
    let characters: Vec<char> = said.chars().collect();
    let parts: Vec<String> = characters
        .chunks(5)
        .map(|part| choice(json!({"content": part.iter().collect::<String>()}), None))
        .collect();
    let finish = choice(
        json!({}),
        Some(if fault == CutOff { "length" } else { "stop" }),
    );
    let usage = event(json!({
        "model": "a-model", "choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7},
    }));
    let done = "data: [DONE]\n\n";
    let (first, rest) = parts.split_first().unwrap();
    let rest = rest.concat();
    let all = format!("{HEAD}{first}{rest}{finish}{usage}{done}");
    let broken_at = |what: &str| format!("{HEAD}{first}{what}{rest}{finish}{usage}{done}");
    match fault {
        Slow => Answer::Trickle(all),
        Late => Answer::Late(Duration::from_millis(30), all),
        Chatty => {
            let parts = parts.join(": keep-alive\n\nid: 7\nretry: 9\n\n\n");
            Answer::Raw(format!(
                "{HEAD}: hello\n\n{parts}{finish}{finish}{usage}{usage}{done}{done}data: {{more\n\n"
            ))
        }
        Whole => Answer::reply(&said),
        Endless => Answer::Raw(format!("{HEAD}{first}{rest}{finish}")),
        Empty => Answer::Raw(HEAD.to_owned()),
        Between => Answer::Raw(format!("{HEAD}{first}")),
        Within => {
            // After the first of the two bytes of a quotation mark.
            let end = all.rfind('»').unwrap() + 1;
            Answer::Bytes(all.as_bytes()[..end].to_vec())
        }
        GarbledEvent => Answer::Raw(broken_at("data: {\"choices\": [}\n\n")),
        Failing => {
            let error = json!({"error": {"code": 503, "message": "gone"}});
            Answer::Raw(broken_at(&event(error)))
        }
        Stalling => Answer::Stall(format!("{HEAD}{first}")),
        _ => Answer::Raw(all),
    }
}

/// What the server did, by run.
type Done = Arc<Mutex<BTreeMap<u64, Vec<Fault>>>>;

async fn server(way: Way, seed: u64, done: Done) -> Server {
    let script = move |_, request: &Received| {
        assert_eq!(request.body["stream"] == true, way == Way::Streamed);
        let number = number(request);
        let mut done = done.lock().unwrap();
        let faults = done.entry(number).or_default();
        let fault = Fault::of(way, seed, number, u32::try_from(faults.len()).unwrap());
        faults.push(fault);
        before(fault).unwrap_or_else(|| match way {
            Way::Whole => whole(number, fault),
            Way::Streamed => streamed(number, fault),
        })
    };
    Server::start(script).await.unwrap()
}

fn runner(server: &Server) -> LocalRunner {
    let name: LmName = "scripted/small".parse().unwrap();
    let key = Some(Secret::from("sk-1".to_owned()));
    let lm = HttpLm::new(name, Api::OpenAiChat, &server.url(), key).unwrap();
    let timeouts = Timeouts {
        read: READ,
        ..Timeouts::default()
    };
    let limits = Limits {
        concurrency: Some(CONCURRENCY),
        ..Limits::default()
    };
    let lm = Limiter::new(limits).around(Arc::new(lm.with_timeouts(timeouts).unwrap()));
    let retry = Retry {
        attempts: ATTEMPTS,
        base: Duration::from_millis(1),
        ..Retry::default()
    };
    LocalRunner::new()
        .with_lms(Lms::new().with(lm))
        .with_retry(retry)
}

/// How a run ended.
type Ended = Option<&'static str>;

const WRONG: Ended = Some("a wrong answer");
const LEFT: Ended = Some("left by the client");

fn failed(error: &Error) -> &'static str {
    match error {
        Error::Lm { source, .. } => source.class(),
        error => error.class(),
    }
}

fn right(number: u64, double: i64, said: &str) -> Ended {
    let is_right = double == i64::try_from(2 * number).unwrap() && said == words(number);
    if is_right { None } else { WRONG }
}

/// The class of how a run ended: `None` is the right answer.
async fn run(runner: LocalRunner, way: Way, number: u64) -> Ended {
    let asked = i64::try_from(number).unwrap();
    let run = async {
        match way {
            Way::Whole => match numbers::run_with(&runner, Inputs { number: asked }).await {
                Ok(outputs) => right(number, outputs.say.double, &outputs.say.words),
                Err(error) => Some(failed(&error)),
            },
            Way::Streamed => in_parts(&runner, number, asked).await,
        }
    };
    timeout(HANGS, run).await.unwrap_or(Some("it hangs"))
}

async fn in_parts(runner: &LocalRunner, number: u64, asked: i64) -> Ended {
    let mut stream = say::stream(runner, &say::Input { number: asked });
    let mut ended = Some("it has no end");
    while let Some(item) = stream.next().await {
        match item {
            // Texts grow, numbers come whole.
            Ok(Streamed::Partial(partial)) => {
                let of_words = partial.words.as_deref().unwrap_or_default();
                let is_part = words(number).starts_with(of_words);
                let double = partial.double.unwrap_or(2 * asked);
                if !is_part || double != 2 * asked {
                    return Some("a wrong part");
                }
                if leaves(Way::Streamed, number) {
                    return LEFT;
                }
            }
            Ok(Streamed::Restarted) => {}
            Ok(Streamed::Done(output)) => ended = right(number, output.double, &output.words),
            Err(error) => ended = Some(failed(&error)),
        }
    }
    ended
}

/// Files, sockets and all else that this process has open.
#[cfg(target_os = "linux")]
fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[cfg(not(target_os = "linux"))]
fn open_files() -> usize {
    0
}

fn setting(variable: &str, otherwise: u64) -> u64 {
    let text = env::var(variable).ok();
    text.map_or(otherwise, |text| text.parse().unwrap())
}

/// Waits until something holds that is about to.
async fn soon(what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// All runs that ask in one way: how each ended.
async fn all(runner: LocalRunner, way: Way, runs: u64) -> BTreeMap<u64, Ended> {
    let mut ends = BTreeMap::new();
    let mut tasks = JoinSet::new();
    for number in 0..runs {
        if tasks.len() >= IN_FLIGHT {
            let (number, end) = tasks.join_next().await.unwrap().unwrap();
            ends.insert(number, end);
        }
        let runner = runner.clone();
        tasks.spawn(async move { (number, run(runner, way, number).await) });
    }
    while let Some(ended) = tasks.join_next().await {
        let (number, end) = ended.unwrap();
        ends.insert(number, end);
    }
    ends
}

/// Each run ended as what the server did to it last says, after as many requests as the rules say.
fn check(way: Way, seed: u64, done: &BTreeMap<u64, Vec<Fault>>, ends: &BTreeMap<u64, Ended>) {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (number, end) in ends {
        let faults = &done[number];
        *counts.entry(end.unwrap_or("right answer")).or_default() += 1;
        if *end == LEFT {
            assert!(leaves(way, *number), "run {number} after {faults:?}");
            continue;
        }
        let (last, sent) = expected(way, seed, *number);
        assert_eq!(*end, last.class(), "run {number} after {faults:?}");
        assert_eq!(faults.len(), sent as usize, "run {number} after {faults:?}");
    }
    println!("{way:?}: {counts:?}");
    for (fault, _) in way.faults() {
        assert!(
            done.values().flatten().any(|done| done == fault),
            "{fault:?} never came"
        );
    }
    assert_eq!(
        counts.contains_key("left by the client"),
        way == Way::Streamed
    );
}

/// The only test here: others would open files too.
#[test]
fn each_run_ends_right_and_leaves_nothing() {
    let runs = setting("DSPIPE_TEST_FAULT_RUNS", RUNS);
    let seed = setting("DSPIPE_TEST_FAULT_SEED", 1);
    for way in [Way::Whole, Way::Streamed] {
        // On a runtime of its own, so that the tasks of the other one are those of the client.
        let servers = Runtime::new().unwrap();
        let done = Done::default();
        let server = servers.block_on(server(way, seed, Arc::clone(&done)));
        let clients = Builder::new_multi_thread().enable_all().build().unwrap();
        let before = open_files();

        let ends = clients.block_on(all(runner(&server), way, runs));
        assert_eq!(ends.len() as u64, runs);
        check(way, seed, &done.lock().unwrap(), &ends);

        // Nothing is left of the client: its LMs are dropped, and with them their connections.
        let metrics = clients.metrics();
        clients.block_on(async {
            soon("tasks are left", || metrics.num_alive_tasks() == 0).await;
            soon("connections are left", || server.connections() == 0).await;
            soon("files are left", || open_files() <= before).await;
        });
    }
}
