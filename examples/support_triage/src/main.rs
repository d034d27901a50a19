//! Optimizes the prompt of a workflow that sorts support tickets, and evaluates it.

use std::process::ExitCode;

use dspipe_optimize::Commands;

/// The compiled workflow.
mod workflows {
    dspipe_runtime::include_workflows!();
}

#[tokio::main]
async fn main() -> ExitCode {
    Commands::new(env!("CARGO_MANIFEST_DIR"))
        .workflow::<workflows::triage::Workflow>()
        .run()
        .await
}
