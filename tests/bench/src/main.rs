//! What dspipe costs, one figure a line: `name = value unit`. Ratios are taken against a rival or a limit that
//! is measured in the same run, in turns with it. What cannot be measured has a line `name.skipped = reason`.
//!
//! ```text
//! cargo run --release -p dspipe-bench [-- [--quick] [PART...]]
//! ```
//!
//! | part | what is measured |
//! |---|---|
//! | `generate` | checking and generating code, steps a second |
//! | `rustc` | what rustc spends on generated code |
//! | `rebuild` | a build script with little or nothing to do |
//! | `parse` | reading replies, clean and damaged |
//! | `runtime` | calls of a one-step workflow: throughput and latency |
//! | `memory` | ten thousand calls in flight |
//! | `tree` | crates and time of a user's clean build |
//! | `bridge` | optimizing: evaluations a second, a call over the pipe |
//! | `eval` | a hundred thousand cases through the harness |
//! | `history` | recording executions |
//!
//! `docs/benchmarks.md` says what each figure is and what it is held to. Rivals are crates in `clients/`, which
//! are built when they are first measured; `--quick` leaves them out.

mod bridge;
mod by_hand;
mod client;
mod corpus;
mod eval;
mod generate;
mod history;
mod load;
mod memory;
mod parse;
mod rebuild;
mod runtime;
mod rustc;
mod server;
mod tree;

use std::env;
use std::error::Error;
use std::time::{Duration, Instant};

/// The workflows that are run.
#[allow(missing_docs, reason = "it is generated")]
mod workflows {
    dspipe_runtime::include_workflows!();
}

/// What a part gives besides its figures.
type Outcome = Result<(), Box<dyn Error>>;

/// A part by its name; it is told whether to be quick.
type Part = (&'static str, fn(bool) -> Outcome);

const PARTS: [Part; 10] = [
    ("generate", generate::run),
    ("rustc", rustc::run),
    ("rebuild", rebuild::run),
    ("parse", parse::run),
    ("runtime", runtime::run),
    ("memory", memory::run),
    ("tree", tree::run),
    ("bridge", bridge::run),
    ("eval", eval::run),
    ("history", history::run),
];

/// The argument with which the program takes the place of a build script.
const BUILD_SCRIPT: &str = "build-script";

fn main() -> Outcome {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [BUILD_SCRIPT] => return Ok(dspipe_build::compile("workflows")?),
        [server::ROLE, when] => return server::serve(when),
        [runtime::ROLE, kind, ..] => return runtime::call(kind),
        [memory::ROLE, kind, ..] => return memory::hold(kind),
        [eval::ROLE, kind, ..] => return eval::evaluate(kind),
        _ => {}
    }
    let quick = words.contains(&"--quick");
    let named: Vec<&str> = words
        .into_iter()
        .filter(|argument| *argument != "--quick")
        .collect();
    let known = PARTS.map(|(name, _)| name);
    if let Some(unknown) = named.iter().find(|name| !known.contains(name)) {
        return Err(format!("unknown part `{unknown}`; there are {}", known.join(", ")).into());
    }
    for (name, run) in PARTS {
        if named.is_empty() || named.contains(&name) {
            run(quick)?;
        }
    }
    Ok(())
}

fn figure(name: &str, value: f64, unit: &str) {
    let digits = if value >= 100.0 || value.fract() == 0.0 {
        0
    } else {
        3
    };
    println!("{name} = {value:.digits$} {unit}");
}

/// Why there are no figures of this name.
fn skipped(name: &str, reason: &str) {
    println!("{name}.skipped = {reason}");
}

/// The least time of several runs: what the machine did besides counts least in it.
fn best<T>(
    runs: u32,
    mut run: impl FnMut() -> Result<T, Box<dyn Error>>,
) -> Result<Duration, Box<dyn Error>> {
    let mut best = Duration::MAX;
    for _ in 0..runs {
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed());
    }
    Ok(best)
}

/// The one in the middle; of ratios that were taken in turns, one that no busy moment has moved.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The most memory that this process ever held, in MiB, where the system says so.
fn peak_memory() -> Option<f64> {
    memory_of("VmHWM:")
}

/// The memory that this process holds, in MiB, where the system says so.
fn memory_now() -> Option<f64> {
    memory_of("VmRSS:")
}

fn memory_of(name: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}
