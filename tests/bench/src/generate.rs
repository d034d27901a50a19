//! Checking and generating in memory: steps a second, and whether the cost of a step
//! stays the same when there are more of them.

use std::error::Error;
use std::path::Path;

use dspipe_build::Config;

use crate::{Outcome, best, corpus, figure, peak_memory};

pub(crate) fn run(quick: bool) -> Outcome {
    let (few, many, long, runs) = if quick {
        (10, 20, 100, 1)
    } else {
        (1_000, 4_000, 5_000, 1)
    };
    let one = seconds_per_step(few, 5, runs)?;
    figure("generate.steps_per_second", 1.0 / one, "steps/s");
    let other = seconds_per_step(many, 5, runs)?;
    figure(
        "generate.cost_per_step_at_4_times_the_workflows",
        other / one,
        "x",
    );
    let one = seconds_per_step(1, long / 4, runs)?;
    let other = seconds_per_step(1, long, runs)?;
    figure("generate.one_long_workflow", 1.0 / other, "steps/s");
    figure(
        "generate.cost_per_step_at_4_times_the_steps",
        other / one,
        "x",
    );
    if let Some(memory) = peak_memory() {
        figure("generate.peak_memory", memory, "MiB");
    }
    Ok(())
}

fn seconds_per_step(workflows: usize, steps: usize, runs: u32) -> Result<f64, Box<dyn Error>> {
    let package = tempfile::tempdir()?;
    corpus::write(package.path(), workflows, steps)?;
    let time = best(runs, || generate(package.path()))?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let count = (workflows * steps) as f64;
    Ok(time.as_secs_f64() / count)
}

/// All that a build script does but for writing.
fn generate(package: &Path) -> Result<usize, Box<dyn Error>> {
    let compilation = Config::new().workflows("workflows").load(package)?;
    if let Some(broken) = compilation
        .workflows()
        .iter()
        .find(|workflow| workflow.errors() > 0)
    {
        return Err(compilation.report(broken).into());
    }
    let code = compilation
        .workflows()
        .iter()
        .filter_map(dspipe_build::Workflow::code);
    Ok(code.map(|code| code.len()).sum())
}
