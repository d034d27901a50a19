//! Calls in a closed loop: each of so many callers makes its next call when the one before has ended.
//!
//! The measured clients have this file too, so that all are measured by the same loop.

use std::future::Future;
use std::time::{Duration, Instant};

/// What a client is told on its command line: the server's base URL, how many callers, for how many seconds.
pub(crate) struct Arguments {
    pub(crate) url: String,
    pub(crate) callers: usize,
    pub(crate) time: Duration,
}

impl Arguments {
    /// Those of this process, after so many others.
    pub(crate) fn read(after: usize) -> Option<Self> {
        let mut arguments = std::env::args().skip(1 + after);
        Some(Self {
            url: arguments.next()?,
            callers: arguments.next()?.parse().ok()?,
            time: Duration::from_secs_f64(arguments.next()?.parse().ok()?),
        })
    }
}

/// Makes calls, and prints how many ended in how many seconds, and the median and the 99th percentile of
/// their latencies in microseconds. A quarter of the time comes before, to warm up.
pub(crate) async fn measure<C, F>(callers: usize, time: Duration, call: C) -> Result<(), String>
where
    C: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = Result<(), String>> + Send,
{
    let begin = Instant::now() + time / 4;
    let end = begin + time;
    let callers: Vec<_> = (0..callers)
        .map(|_| {
            let call = call.clone();
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                loop {
                    let started = Instant::now();
                    call().await?;
                    let ended = Instant::now();
                    if ended >= end {
                        // Each makes one call at least, however long it takes.
                        if latencies.is_empty() {
                            latencies.push(ended - started);
                            return Ok::<_, String>((latencies, ended));
                        }
                        return Ok((latencies, end));
                    }
                    if ended >= begin {
                        latencies.push(ended - started);
                    }
                }
            })
        })
        .collect();
    let (mut latencies, mut last) = (Vec::new(), end);
    for caller in callers {
        let (more, late) = caller.await.map_err(|error| error.to_string())??;
        latencies.extend(more);
        last = last.max(late);
    }
    let time = last - begin;
    latencies.sort_unstable();
    let at = |share: usize| {
        let index = (latencies.len() * share / 100).min(latencies.len().saturating_sub(1));
        latencies
            .get(index)
            .copied()
            .unwrap_or_default()
            .as_secs_f64()
            * 1e6
    };
    println!(
        "{} {} {} {}",
        latencies.len(),
        time.as_secs_f64(),
        at(50),
        at(99)
    );
    Ok(())
}
