//! What a one-step workflow costs beyond its HTTP request, against a scripted server that answers at once:
//! calls a second and latencies, beside a loop of reqwest that sends and reads the same bytes, rig-core,
//! dspy-rs, and Python DSPy.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dspipe_history::{History, Settings, WhenFull};
use dspipe_runtime::LocalRunner;
use reqwest::Client as Http;

use crate::by_hand::Step;
use crate::client::{Client, Measured};
use crate::server::{Form, Server, When};
use crate::workflows::ticket;
use crate::{Outcome, figure, load, median, server, skipped};

/// The argument with which the program makes calls.
pub(crate) const ROLE: &str = "client";

const TICKET: &str =
    "You took the money for my order twice, and nobody answers my mails. Send one of them back.";

pub(crate) fn inputs() -> ticket::Inputs {
    ticket::Inputs {
        ticket: TICKET.to_owned(),
    }
}

/// Makes calls in a closed loop, as the first argument says: with dspipe, with dspipe that records what it
/// does, with reqwest alone, or with reqwest and `serde_json`.
pub(crate) fn call(kind: &str) -> Outcome {
    let recorded = kind == "recorded";
    let arguments = load::Arguments::read(2 + usize::from(recorded))
        .ok_or("usage: client dspipe|reqwest|by_hand|recorded FILE URL CALLERS SECONDS")?;
    let runtime = tokio::runtime::Runtime::new()?;
    let (callers, time) = (arguments.callers, arguments.time);
    match kind {
        "dspipe" => runtime.block_on(load::measure(callers, time, || async {
            let run = ticket::run(inputs()).await;
            run.map(drop).map_err(|error| error.to_string())
        }))?,
        "recorded" => {
            let file = std::env::args().nth(3).ok_or("which file?")?;
            let settings = Settings {
                when_full: WhenFull::Wait,
                ..Settings::default()
            };
            let history = History::open(file, settings)?;
            let writer = Arc::new(history.recorder()?);
            let runner = LocalRunner::from_env().with_observer(writer.clone());
            let runner = Arc::new(runner);
            runtime.block_on(load::measure(callers, time, move || {
                let runner = Arc::clone(&runner);
                async move {
                    let run = ticket::run_with(&*runner, inputs()).await;
                    run.map(drop).map_err(|error| error.to_string())
                }
            }))?;
            writer.flush()?;
            let (_, lost) = writer.counts();
            if lost > 0 {
                return Err(format!("{lost} executions were not recorded").into());
            }
        }
        "reqwest" => {
            // What dspipe sends is what is sent.
            runtime.block_on(ticket::run(inputs()))?;
            // Cheap to clone, as a user's own loop would have it.
            let body = Bytes::from(server::first_request(&arguments.url)?);
            let url = format!("{}/chat/completions", arguments.url);
            let http = http()?;
            runtime.block_on(load::measure(callers, time, move || {
                let request = http
                    .post(&url)
                    .header("content-type", "application/json")
                    .bearer_auth("sk-bench")
                    .body(body.clone());
                async move {
                    let response = request.send().await.map_err(|error| error.to_string())?;
                    let body = response.bytes().await.map_err(|error| error.to_string())?;
                    if body.is_empty() {
                        return Err("the reply has no body".to_owned());
                    }
                    Ok(())
                }
            }))?;
        }
        "by_hand" => {
            runtime.block_on(ticket::run(inputs()))?;
            let step = Arc::new(Step::of(&server::first_request(&arguments.url)?)?);
            let url = format!("{}/chat/completions", arguments.url);
            let http = http()?;
            runtime.block_on(load::measure(callers, time, move || {
                let (step, http, url) = (Arc::clone(&step), http.clone(), url.clone());
                async move {
                    let run = step.run(&http, &url, TICKET).await;
                    run.map(drop).map_err(|error| error.to_string())
                }
            }))?;
        }
        other => return Err(format!("there is no client `{other}`").into()),
    }
    Ok(())
}

fn http() -> reqwest::Result<Http> {
    Http::builder()
        .timeout(Duration::from_secs(300))
        .user_agent(concat!("dspipe/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Who is measured against whom, where each gets its replies, and with how many callers.
struct Rival {
    client: Client,
    form: Form,
    callers: &'static [usize],
}

pub(crate) fn run(quick: bool) -> Outcome {
    let (rounds, seconds) = if quick { (1, 0.1) } else { (5, 0.8) };
    let all: &[usize] = if quick { &[1, 16] } else { &[1, 64, 1024] };
    let server = Server::start(When::After(0))?;
    let dspipe = Client::of_this("dspipe", [ROLE, "dspipe"])?;
    let this = |name, kind| {
        Ok::<_, Box<dyn std::error::Error>>(Rival {
            client: Client::of_this(name, [ROLE, kind])?,
            form: Form::Json,
            callers: all,
        })
    };
    let mut rivals = vec![
        this("reqwest", "reqwest")?,
        this("reqwest_by_hand", "by_hand")?,
    ];
    let others = [
        (
            "rig_core",
            Client::rival as fn(_, &str) -> _,
            "rig-core",
            Form::Json,
        ),
        ("dspy_rs", Client::rival, "dspy-rs", Form::Marks),
        ("dspy", Client::python, "ticket.py", Form::Marks),
    ];
    for (name, make, from, form) in others {
        if quick {
            skipped(&format!("runtime.{name}"), "it is not in --quick");
            continue;
        }
        // A Python process with a thousand callers does no more, only later.
        let callers = if name == "dspy" { &all[..2] } else { all };
        match make(name, from) {
            Ok(client) => rivals.push(Rival {
                client,
                form,
                callers,
            }),
            Err(reason) => skipped(&format!("runtime.{name}"), &reason),
        }
    }
    for callers in all {
        compare(&server, &dspipe, &rivals, *callers, (rounds, seconds), "")?;
    }
    // As with a hosted model that is fast: what is left of the difference.
    rivals.truncate(1);
    let (after, callers) = if quick {
        (5, &[16][..])
    } else {
        (100, &[64, 1024][..])
    };
    let server = Server::start(When::After(after))?;
    for callers in callers {
        let times = (rounds, 2.0 * seconds);
        compare(&server, &dspipe, &rivals, *callers, times, "_after_100_ms")?;
    }
    Ok(())
}

/// Measures each against dspipe, so many times for so many seconds. Next to each other, so that a busy moment of
/// the machine meets both; and by turns first.
fn compare(
    server: &Server,
    dspipe: &Client,
    rivals: &[Rival],
    callers: usize,
    (rounds, seconds): (u32, f64),
    suffix: &str,
) -> Outcome {
    let of = |client: &Client, form| client.measure(&server.url(form), callers, seconds);
    let rivals = rivals
        .iter()
        .filter(|rival| rival.callers.contains(&callers));
    let mut pairs: Vec<(&Rival, Vec<Measured>, Vec<Measured>)> = rivals
        .map(|rival| (rival, Vec::new(), Vec::new()))
        .collect();
    for round in 0..rounds {
        for (rival, ours, theirs) in &mut pairs {
            if round % 2 == 0 {
                ours.push(of(dspipe, Form::Json)?);
            }
            theirs.push(of(&rival.client, rival.form)?);
            if round % 2 == 1 {
                ours.push(of(dspipe, Form::Json)?);
            }
        }
    }
    let ours: Vec<Measured> = pairs
        .iter()
        .flat_map(|(_, ours, _)| ours)
        .copied()
        .collect();
    print(&format!("runtime.dspipe_at_{callers}{suffix}"), &ours);
    for (rival, ours, theirs) in &pairs {
        let name = rival.client.name;
        print(&format!("runtime.{name}_at_{callers}{suffix}"), theirs);
        let ratios = ours
            .iter()
            .zip(theirs)
            .map(|(ours, theirs)| ours.rate / theirs.rate);
        let figures = format!("runtime.throughput_of_{name}_at_{callers}{suffix}");
        figure(&figures, median(ratios), "x");
        let ratios = ours
            .iter()
            .zip(theirs)
            .map(|(ours, theirs)| ours.median / theirs.median);
        let figures = format!("runtime.p50_of_{name}_at_{callers}{suffix}");
        figure(&figures, median(ratios), "x");
    }
    Ok(())
}

fn print(name: &str, measured: &[Measured]) {
    let of = |pick: fn(&Measured) -> f64| median(measured.iter().map(pick));
    figure(&format!("{name}.calls"), of(|it| it.rate), "calls/s");
    figure(&format!("{name}.p50"), of(|it| it.median), "us");
    figure(&format!("{name}.p99"), of(|it| it.p99), "us");
}
