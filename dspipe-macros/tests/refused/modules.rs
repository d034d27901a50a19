//! Modules.

use dspipe_runtime::dspy_signature;

#[dspy_signature]
mod which {}

#[dspy_signature(workflow = "workflows/triage.yaml", temperature = 0.5)]
mod settings {}

#[dspy_signature(workflow = "workflows/triage.yaml", runtme = "::dspipe_runtime")]
mod misspelt {}

#[dspy_signature(workflow = "workflows/triage.yaml", step = "srt")]
mod misspelt_step {}

#[dspy_signature(workflow = "workflows/triage.yaml", step = "answer")]
mod no_such_step {}

#[dspy_signature(workflow = "workflows/none.yaml", step = "sort")]
mod missing {}

fn main() {}
