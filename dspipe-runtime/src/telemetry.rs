//! Spans of `tracing`: a `run` has `step`s, a step asks its LM in an `lm_call`, and that takes one `attempt`
//! or more.
//!
//! What is said here, and in events, has no content: neither prompts nor replies, nor messages of errors,
//! which may quote them. With the feature `otel`, an `lm_call` also has the attributes of OpenTelemetry's conventions for
//! generative AI, and content if that is asked for.

#[cfg(feature = "otel")]
mod otel;

use futures_util::FutureExt;
use tracing::field::Empty;
use tracing::{Instrument, Span, info_span};

use crate::error::Error;
use crate::lm::{LmError, LmName, Money, Reply};
use crate::runner::Runner;
use crate::signature::{Signature, SignatureDef, WorkflowDef};
use crate::trace::StepReport;

#[cfg(feature = "otel")]
pub(crate) use otel::{content, content_from_env};

/// A runner whose steps stand in the span of a run.
#[derive(Debug)]
pub struct InRun<'r, R> {
    runner: &'r R,
    span: Span,
}

/// The runner for one run of a workflow.
pub fn in_run<'r, R: Runner>(runner: &'r R, def: &'static WorkflowDef) -> InRun<'r, R> {
    let span = info_span!(
        "run",
        workflow = def.name,
        status = Empty,
        "error.type" = Empty,
        "otel.status_code" = Empty,
    );
    InRun { runner, span }
}

impl<R: Runner> Runner for InRun<'_, R> {
    fn step<S: Signature>(
        &self,
        input: &S::Input,
    ) -> impl Future<Output = Result<S::Output, Error>> + Send {
        let span = self.span.clone();
        let step = self.runner.step::<S>(input).instrument(span.clone());
        step.inspect(move |result| {
            if let Err(error) = result {
                failed(&span, error.class());
            }
        })
    }

    fn join<A: Send, B: Send>(
        &self,
        a: impl Future<Output = Result<A, Error>> + Send,
        b: impl Future<Output = Result<B, Error>> + Send,
    ) -> impl Future<Output = Result<(A, B), Error>> + Send {
        // Not an `async fn`, which would keep both parts twice.
        self.runner.join(a, b)
    }

    fn all<T: Send>(
        &self,
        limit: usize,
        parts: Vec<impl Future<Output = Result<T, Error>> + Send>,
    ) -> impl Future<Output = Result<Vec<T>, Error>> + Send {
        self.runner.all(limit, parts)
    }

    fn round(&self, of: &'static str, index: usize) -> impl Runner + Send {
        InRound {
            runner: self.runner.round(of, index),
            span: self.span.clone(),
        }
    }
}

/// A runner for a round of a loop, whose steps stand in the span of the run.
struct InRound<R> {
    runner: R,
    span: Span,
}

impl<R: Runner> InRound<R> {
    fn in_run(&self) -> InRun<'_, R> {
        InRun {
            runner: &self.runner,
            span: self.span.clone(),
        }
    }
}

impl<R: Runner> Runner for InRound<R> {
    async fn step<S: Signature>(&self, input: &S::Input) -> Result<S::Output, Error> {
        self.in_run().step::<S>(input).await
    }

    fn join<A: Send, B: Send>(
        &self,
        a: impl Future<Output = Result<A, Error>> + Send,
        b: impl Future<Output = Result<B, Error>> + Send,
    ) -> impl Future<Output = Result<(A, B), Error>> + Send {
        self.runner.join(a, b)
    }

    fn all<T: Send>(
        &self,
        limit: usize,
        parts: Vec<impl Future<Output = Result<T, Error>> + Send>,
    ) -> impl Future<Output = Result<Vec<T>, Error>> + Send {
        self.runner.all(limit, parts)
    }

    fn round(&self, of: &'static str, index: usize) -> impl Runner + Send {
        InRound {
            runner: self.runner.round(of, index),
            span: self.span.clone(),
        }
    }
}

/// A step on an LM, whose name is only asked for where somebody listens.
pub(crate) fn step(def: &SignatureDef, lm: impl FnOnce() -> String) -> Span {
    info_span!(
        "step",
        workflow = def.workflow,
        step = def.step,
        lm = lm(),
        status = Empty,
        replies = Empty,
        repairs = Empty,
        input_tokens = Empty,
        output_tokens = Empty,
        cost = Empty,
        "error.type" = Empty,
        "otel.status_code" = Empty,
    )
}

pub(crate) fn step_ended(span: &Span, report: &StepReport, error: Option<&Error>) {
    span.record("replies", count(report.replies));
    span.record("repairs", count(report.repairs.len()));
    span.record("input_tokens", count(report.usage.input_tokens));
    span.record("output_tokens", count(report.usage.output_tokens));
    span.record("cost", report.cost.map(Money::dollars));
    match error {
        None => succeeded(span),
        Some(error) => failed(span, error.class()),
    }
}

/// The span of a call, with these fields besides its own.
macro_rules! call_span {
    ($lm:expr $(, $($more:tt)*)?) => {
        info_span!(
            "lm_call",
            lm = %$lm,
            status = Empty,
            model = Empty,
            input_tokens = Empty,
            output_tokens = Empty,
            cached_input_tokens = Empty,
            cost = Empty,
            "error.type" = Empty,
            "otel.status_code" = Empty,
            $($($more)*)?
        )
    };
}
#[cfg(feature = "otel")]
use call_span;

/// A request and its reply.
#[cfg(not(feature = "otel"))]
pub(crate) fn call(lm: &LmName, _: &crate::lm::Request) -> Span {
    call_span!(lm)
}

#[cfg(feature = "otel")]
pub(crate) use otel::call;

pub(crate) fn call_ended(span: &Span, reply: Result<&Reply, &LmError>, cost: Option<Money>) {
    let reply = match reply {
        Ok(reply) => reply,
        Err(error) => return failed(span, error.class()),
    };
    succeeded(span);
    span.record("model", &*reply.model);
    span.record("input_tokens", count(reply.usage.input_tokens));
    span.record("output_tokens", count(reply.usage.output_tokens));
    span.record(
        "cached_input_tokens",
        count(reply.usage.cached_input_tokens),
    );
    span.record("cost", cost.map(Money::dollars));
    #[cfg(feature = "otel")]
    otel::replied(span, reply);
}

/// One try of a call; the first is 1.
pub(crate) fn attempt(lm: &LmName, attempt: u32) -> Span {
    info_span!(
        "attempt",
        %lm,
        attempt = count(attempt),
        status = Empty,
        "error.type" = Empty,
        "otel.status_code" = Empty,
    )
}

pub(crate) fn attempt_ended(span: &Span, error: Option<&LmError>) {
    match error {
        None => succeeded(span),
        Some(error) => failed(span, error.class()),
    }
}

/// A number as exporters know it: they make texts of unsigned ones.
fn count(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

fn succeeded(span: &Span) {
    span.record("status", "ok");
}

fn failed(span: &Span, class: &str) {
    span.record("status", "error");
    span.record("error.type", class);
    // What OpenTelemetry's layer makes the span's status of.
    span.record("otel.status_code", "ERROR");
}
