//! What dspipe costs, one figure a line: `name = value unit`. Ratios are taken against
//! a rival or a limit that is measured in the same run.
//!
//! ```text
//! cargo run --release -p dspipe-bench [-- --quick] [generate] [rustc] [rebuild] [parse]
//! ```

mod corpus;
mod generate;
mod parse;
mod rebuild;
mod rustc;

use std::env;
use std::error::Error;
use std::time::{Duration, Instant};

/// What a part gives besides its figures.
type Outcome = Result<(), Box<dyn Error>>;

/// The argument with which the program takes the place of a build script.
const BUILD_SCRIPT: &str = "build-script";

fn main() -> Outcome {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == BUILD_SCRIPT) {
        return Ok(dspipe_build::compile("workflows")?);
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let parts = ["generate", "rustc", "rebuild", "parse"];
    let named: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|argument| *argument != "--quick")
        .collect();
    if let Some(unknown) = named.iter().find(|name| !parts.contains(name)) {
        return Err(format!("unknown part `{unknown}`; there are {}", parts.join(", ")).into());
    }
    let wanted = |part: &str| named.is_empty() || named.contains(&part);
    if wanted("generate") {
        generate::run(quick)?;
    }
    if wanted("rustc") {
        rustc::run(quick)?;
    }
    if wanted("rebuild") {
        rebuild::run(quick)?;
    }
    if wanted("parse") {
        parse::run(quick)?;
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
