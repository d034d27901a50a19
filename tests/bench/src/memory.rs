//! What a call takes while it waits: the resident memory of a process with ten thousand calls in flight to a
//! server that holds its replies back.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::client::Client;
use crate::runtime::inputs;
use crate::server::{self, Form, Server, When};
use crate::workflows::ticket;
use crate::{Outcome, figure, memory_now};

/// The argument with which the program has calls in flight.
pub(crate) const ROLE: &str = "in-flight";

/// Has calls in flight, and prints how many kB of memory each takes.
pub(crate) fn hold(kind: &str) -> Outcome {
    let mut arguments = std::env::args().skip(3);
    let url = arguments.next().ok_or("where is the server?")?;
    let calls: usize = arguments.next().ok_or("how many calls?")?.parse()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let taken = runtime.block_on(async {
        let unknown = "the system does not say how much memory is used";
        let mut tasks = JoinSet::new();
        // It sets up what all share, and tells the server what dspipe sends.
        tasks.spawn(dspipe());
        held(&url, 1).await?;
        let before = memory_now().ok_or(unknown)?;
        if kind == "dspipe" {
            (0..calls).for_each(|_| drop(tasks.spawn(dspipe())));
        } else {
            let body = server::first_request(&url)?;
            let http = reqwest::Client::builder().build()?;
            for _ in 0..calls {
                let post = http.post(format!("{url}/chat/completions"));
                let post = post.header("content-type", "application/json");
                tasks.spawn(reqwest(post.body(body.clone())));
            }
        }
        held(&url, calls + 1).await?;
        let after = memory_now().ok_or(unknown)?;
        server::release(&url)?;
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok::<_, Box<dyn std::error::Error>>(after - before)
    })?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let calls = calls as f64;
    println!("{}", taken / calls * 1024.0);
    Ok(())
}

async fn dspipe() -> Result<(), String> {
    let run = ticket::run(inputs()).await;
    run.map(drop).map_err(|error| error.to_string())
}

async fn reqwest(request: reqwest::RequestBuilder) -> Result<(), String> {
    let response = request.send().await.map_err(|error| error.to_string())?;
    let read = response.bytes().await;
    read.map(drop).map_err(|error| error.to_string())
}

async fn held(url: &str, calls: usize) -> Outcome {
    while server::held(url)? < calls {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

pub(crate) fn run(quick: bool) -> Outcome {
    let calls = if quick { 200 } else { 10_000 };
    for kind in ["dspipe", "reqwest"] {
        let server = Server::start(When::Released)?;
        let url = server.url(Form::Json);
        let client = Client::of_this(kind, [ROLE, kind])?;
        let taken: f64 = client.run(&url, [calls.to_string()])?.trim().parse()?;
        figure(&format!("memory.{kind}_per_call_at_{calls}"), taken, "kB");
    }
    Ok(())
}
