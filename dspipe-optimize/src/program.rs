//! A compiled workflow behind one type, for code that works on any of them.

use std::marker::PhantomData;

use dspipe_runtime::lm::BoxFuture;
use dspipe_runtime::read::read_value;
use dspipe_runtime::{Error, LocalRunner, ReadError, Value, Workflow, WorkflowDef};

/// What can be optimized.
pub(crate) trait Program: Send + Sync {
    fn def(&self) -> &'static WorkflowDef;

    /// Runs the workflow on JSON; its outputs are by step.
    fn run<'a>(
        &'a self,
        runner: &'a LocalRunner,
        inputs: Value,
    ) -> BoxFuture<'a, Result<Value, RunError>>;
}

/// Why a run gave no outputs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("the inputs do not fit the workflow: {0}")]
    Inputs(ReadError),
    #[error(transparent)]
    Step(#[from] Error),
    #[error("the outputs cannot be written as JSON: {0}")]
    Outputs(serde_json::Error),
}

/// A workflow as [`dspipe_runtime::Workflow`] has it.
pub(crate) struct Compiled<W>(PhantomData<fn() -> W>);

impl<W> Compiled<W> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<W: Workflow> Program for Compiled<W> {
    fn def(&self) -> &'static WorkflowDef {
        W::DEF
    }

    fn run<'a>(
        &'a self,
        runner: &'a LocalRunner,
        inputs: Value,
    ) -> BoxFuture<'a, Result<Value, RunError>> {
        Box::pin(async move {
            let inputs = read_value(inputs).map_err(RunError::Inputs)?;
            let outputs = W::run(runner, inputs).await?;
            serde_json::to_value(outputs).map_err(RunError::Outputs)
        })
    }
}
