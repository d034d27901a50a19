//! What a suite in a file runs: a compiled workflow or one of its steps.

use std::marker::PhantomData;

use dspipe_runtime::lm::BoxFuture;
use dspipe_runtime::read::read_value;
use dspipe_runtime::{Error, LocalRunner, Read, Runner as _, Signature, SignatureDef, Workflow};
use serde::Serialize;
use serde_json::Value;

use crate::history::{RecordedRun, Recording};
use crate::record::record;
use crate::result::Execution;

pub(crate) trait Target: Send + Sync {
    /// Runs it on an input that is not yet typed.
    fn run<'a>(
        &'a self,
        runner: &'a LocalRunner,
        history: Option<&'a Recording>,
        input: Value,
    ) -> BoxFuture<'a, Execution>;

    /// The steps that it may run.
    fn steps(&self) -> &'static [&'static SignatureDef];

    /// The workflow file.
    fn source(&self) -> &'static str;

    /// The step, if it is one.
    fn step(&self) -> Option<&'static str>;
}

pub(crate) struct OfWorkflow<W>(PhantomData<fn() -> W>);

pub(crate) struct OfStep<S>(PhantomData<fn() -> S>);

impl<W> OfWorkflow<W> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<S> OfStep<S> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<W: Workflow + 'static> Target for OfWorkflow<W> {
    fn run<'a>(
        &'a self,
        runner: &'a LocalRunner,
        history: Option<&'a Recording>,
        input: Value,
    ) -> BoxFuture<'a, Execution> {
        Box::pin(async move {
            match read_value::<W::Inputs>(input) {
                Ok(inputs) => {
                    let recorded = history.and_then(|it| it.of_workflow::<W>(&inputs));
                    watched(runner, recorded, async |runner| {
                        W::run(runner, inputs).await
                    })
                    .await
                }
                Err(error) => unread(&error),
            }
        })
    }

    fn steps(&self) -> &'static [&'static SignatureDef] {
        W::DEF.steps
    }

    fn source(&self) -> &'static str {
        file(W::DEF.source)
    }

    fn step(&self) -> Option<&'static str> {
        None
    }
}

impl<S> Target for OfStep<S>
where
    S: Signature + 'static,
    S::Input: Read,
{
    fn run<'a>(
        &'a self,
        runner: &'a LocalRunner,
        history: Option<&'a Recording>,
        input: Value,
    ) -> BoxFuture<'a, Execution> {
        Box::pin(async move {
            match read_value::<S::Input>(input) {
                Ok(input) => {
                    let recorded = history.map(|it| it.of_step(S::DEF));
                    watched(runner, recorded, async |runner| {
                        runner.step::<S>(&input).await
                    })
                    .await
                }
                Err(error) => unread(&error),
            }
        })
    }

    fn steps(&self) -> &'static [&'static SignatureDef] {
        const { &[S::DEF] }
    }

    fn source(&self) -> &'static str {
        file(S::DEF.source)
    }

    fn step(&self) -> Option<&'static str> {
        Some(S::DEF.step)
    }
}

/// Runs something that the history may be told of.
async fn watched<T: Serialize>(
    runner: &LocalRunner,
    recorded: Option<RecordedRun>,
    run: impl AsyncFnOnce(&LocalRunner) -> Result<T, Error>,
) -> Execution {
    let Some(recorded) = recorded else {
        return record(runner, run).await;
    };
    let runner = recorded.watch(runner);
    let run = async |runner: &LocalRunner| {
        let result = run(runner).await;
        recorded.end(result.as_ref());
        result
    };
    Execution {
        run: Some(recorded.key()),
        ..record(&runner, run).await
    }
}

/// `workflows/triage.yaml:12` without the line.
fn file(source: &'static str) -> &'static str {
    source.rsplit_once(':').map_or(source, |(file, _)| file)
}

fn unread(error: &dyn std::fmt::Display) -> Execution {
    Execution {
        output: Err(error.to_string()),
        steps: Vec::new(),
        cost: Some(0.0),
        latency: 0.0,
        run: None,
    }
}
