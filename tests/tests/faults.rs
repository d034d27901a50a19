//! Runs of a workflow against a server that fails at random, with a seed: each ends in the right answer or in
//! the right error, none hangs, and nothing is left of them: no task, no connection, no file.
//!
//! `DSPIPE_TEST_FAULT_RUNS=10000 cargo test -p dspipe-tests --test faults` makes ten thousand;
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
use dspipe_runtime::{Error, LmName, Lms, LocalRunner, Secret};
use dspipe_tests::server::{Answer, Received, Server};
use dspipe_tests::workflows::numbers::{self, Inputs};
use serde_json::json;
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

/// What the server does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    None,
    /// A few bytes at a time.
    Slow,
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
}

use Fault::{
    Broken, Closed, CutOff, Dropped, Garbled, Limited, Nonsense, Overloaded, Refused, Silent,
    Sloppy, Slow,
};

/// How often each comes, of a hundred; else the request is answered.
const FAULTS: [(Fault, u64); 12] = [
    (Slow, 6),
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
];

impl Fault {
    /// That of the nth request of a run, the same for the same seed.
    fn of(seed: u64, run: u64, nth: u32) -> Self {
        // SplitMix64.
        let mut bits = [run, u64::from(nth)].into_iter().fold(seed, |bits, more| {
            let mut bits = (bits ^ more).wrapping_add(0x9e37_79b9_7f4a_7c15);
            bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            bits ^ (bits >> 31)
        }) % 100;
        for (fault, share) in FAULTS {
            match bits.checked_sub(share) {
                None => return fault,
                Some(rest) => bits = rest,
            }
        }
        Self::None
    }

    /// Whether the same request is sent again.
    fn passes(self) -> bool {
        matches!(self, Limited | Overloaded | Broken | Dropped | Closed)
    }

    /// The class of the error of a run that ends with it; `None` is the right answer.
    fn class(self) -> Option<&'static str> {
        match self {
            Self::None | Slow | Sloppy => None,
            Limited => Some("rate_limited"),
            Overloaded => Some("overloaded"),
            Broken => Some("server"),
            Garbled => Some("protocol"),
            Dropped | Closed => Some("unreachable"),
            Silent => Some("timeout"),
            Refused => Some("auth"),
            Nonsense => Some("unreadable_reply"),
            CutOff => Some("truncated"),
        }
    }
}

/// What becomes of a run by the rules: its last fault, and how many requests there are.
fn expected(seed: u64, run: u64) -> (Fault, u32) {
    let (mut sent, mut asked_again) = (0, false);
    loop {
        let mut fault = Fault::of(seed, run, sent);
        sent += 1;
        for _ in 1..ATTEMPTS {
            if !fault.passes() {
                break;
            }
            fault = Fault::of(seed, run, sent);
            sent += 1;
        }
        // What cannot be used is asked for once more.
        if fault != Nonsense || asked_again {
            return (fault, sent);
        }
        asked_again = true;
    }
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

fn answer(number: u64, fault: Fault) -> Answer {
    let (double, words) = (2 * number, words(number));
    let output = json!({"double": double, "words": words}).to_string();
    let raw = |answer: &Answer| match answer {
        Answer::Http(_, _, body) => format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        ),
        other => panic!("{other:?}"),
    };
    let error = "{\"error\": {\"message\": \"no\"}}";
    match fault {
        Fault::None => Answer::reply(&output),
        Slow => Answer::Trickle(raw(&Answer::reply(&output))),
        Sloppy => Answer::reply(&format!(
            "Here it is:\n```json\n{{'double': {double}, words: {},}}\n```\nAnything else?",
            json!(words)
        )),
        // The server says that it need not be waited for.
        Limited => Answer::Http(429, vec![("retry-after", "0".to_owned())], error.to_owned()),
        Overloaded => Answer::failure(529, error),
        Broken => Answer::failure(500, "<html>"),
        Garbled => Answer::Raw(raw(&Answer::reply(&output)).replace(['{', '['], "?")),
        Dropped => {
            let whole = raw(&Answer::reply(&output));
            let end = whole.find("\"choices\"").unwrap() + 40;
            Answer::Raw(whole[..end].to_owned())
        }
        Closed => Answer::Raw(String::new()),
        Silent => Answer::Silence,
        Refused => Answer::failure(401, error),
        Nonsense => Answer::reply("I would rather talk about the weather."),
        CutOff => Answer::finished(&output[..output.len() / 3], "length"),
    }
}

/// What the server did, by run.
type Done = Arc<Mutex<BTreeMap<u64, Vec<Fault>>>>;

async fn server(seed: u64, done: Done) -> Server {
    let script = move |_, request: &Received| {
        let number = number(request);
        let mut done = done.lock().unwrap();
        let faults = done.entry(number).or_default();
        let fault = Fault::of(seed, number, u32::try_from(faults.len()).unwrap());
        faults.push(fault);
        answer(number, fault)
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

/// The class of how a run ended: `None` is the right answer.
async fn run(runner: LocalRunner, number: u64) -> Option<&'static str> {
    let inputs = Inputs {
        number: i64::try_from(number).unwrap(),
    };
    match timeout(HANGS, numbers::run_with(&runner, inputs)).await {
        Err(_) => Some("it hangs"),
        Ok(Err(Error::Lm { source, .. })) => Some(source.class()),
        Ok(Err(error)) => Some(error.class()),
        Ok(Ok(outputs)) => {
            let say = outputs.say;
            let is_right =
                say.double == i64::try_from(2 * number).unwrap() && say.words == words(number);
            (!is_right).then_some("a wrong answer")
        }
    }
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

/// The only test here: others would open files too.
#[test]
fn each_run_ends_right_and_leaves_nothing() {
    let runs = setting("DSPIPE_TEST_FAULT_RUNS", RUNS);
    let seed = setting("DSPIPE_TEST_FAULT_SEED", 1);
    // On a runtime of its own, so that the tasks of the other one are those of the client.
    let servers = Runtime::new().unwrap();
    let done = Done::default();
    let server = servers.block_on(server(seed, Arc::clone(&done)));
    let clients = Builder::new_multi_thread().enable_all().build().unwrap();
    let before = open_files();

    let ends = clients.block_on(async {
        let runner = runner(&server);
        let mut ends = BTreeMap::new();
        let mut tasks = JoinSet::new();
        for number in 0..runs {
            if tasks.len() >= IN_FLIGHT {
                let (number, end) = tasks.join_next().await.unwrap().unwrap();
                ends.insert(number, end);
            }
            let runner = runner.clone();
            tasks.spawn(async move { (number, run(runner, number).await) });
        }
        while let Some(ended) = tasks.join_next().await {
            let (number, end) = ended.unwrap();
            ends.insert(number, end);
        }
        drop(runner);
        ends
    });

    // Each run ended as what the server did to it last says, after as many requests as the rules say.
    let done = done.lock().unwrap();
    let mut counts: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for number in 0..runs {
        let (faults, end) = (&done[&number], ends[&number]);
        let (last, sent) = expected(seed, number);
        assert_eq!(end, last.class(), "run {number} after {faults:?}");
        assert_eq!(faults.len(), sent as usize, "run {number} after {faults:?}");
        let last = faults.last().unwrap().class();
        counts.entry(last.unwrap_or("right answer")).or_default().0 += 1;
        counts.entry(end.unwrap_or("right answer")).or_default().1 += 1;
    }
    for (class, (by_server, by_client)) in &counts {
        println!("{class}: {by_client}");
        assert_eq!(by_server, by_client, "{class}");
    }
    assert_eq!(counts.values().map(|(_, ended)| ended).sum::<u64>(), runs);
    let all = done.values().flatten();
    for (fault, _) in FAULTS {
        assert!(
            all.clone().any(|done| *done == fault),
            "{fault:?} never came"
        );
    }

    // Nothing is left of the client: its LMs are dropped, and with them their connections.
    let metrics = clients.metrics();
    clients.block_on(async {
        soon("tasks are left", || metrics.num_alive_tasks() == 0).await;
        soon("connections are left", || server.connections() == 0).await;
        soon("files are left", || open_files() <= before).await;
    });
}
