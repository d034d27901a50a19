//! Runs steps: render, ask, read.

use std::env;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use futures_util::TryFutureExt as _;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use serde_json::Value;
use tracing::{Instrument, Span};

use crate::artifacts::Artifacts;
use crate::call::{Call, Reading, Reward, Typed, Untyped};
use crate::changes::{Changes, Chosen};
use crate::error::Error;
use crate::lm::{
    Budget, Lm, LmDef, LmError, LmName, Lms, Money, NameError, Prices, Reply, Request, Retry,
};
use crate::media::{self, Shown};
use crate::module::Plan;
use crate::prompt_log;
use crate::read::read_value;
use crate::setup::Setups;
use crate::signature::{FieldDef, Signature, SignatureDef};
use crate::stream::{AtOnce, InParts, OutputStream, Replies, Streamed, Streaming};
use crate::telemetry;
use crate::tool::{Tool, Tools};
use crate::trace::{Observer, Round, StepRecord, StepReport};

/// The environment variable that names the LM of every step.
const LM_VARIABLE: &str = "DSPIPE_LM";

/// The environment variable that names optimized prompts to be read while the program runs.
const ARTIFACTS_VARIABLE: &str = "DSPIPE_ARTIFACTS";

/// What generated control flow asks of its host.
///
/// `run` of a compiled workflow is generic over it, so that another host (a durable engine, say) can
/// run the same code.
pub trait Runner: Sync {
    /// Runs one step.
    ///
    /// # Errors
    /// [`Error`] tells why there is no output.
    fn step<S: Signature>(
        &self,
        input: &S::Input,
    ) -> impl Future<Output = Result<S::Output, Error>> + Send;

    /// Runs two parts at the same time. The first error cancels the other part.
    ///
    /// # Errors
    /// The first error.
    fn join<A: Send, B: Send>(
        &self,
        a: impl Future<Output = Result<A, Error>> + Send,
        b: impl Future<Output = Result<B, Error>> + Send,
    ) -> impl Future<Output = Result<(A, B), Error>> + Send;

    /// Runs parts at the same time, at most `limit` of them. What they give is in their order; the first error
    /// cancels the others.
    ///
    /// # Errors
    /// The first error.
    fn all<T: Send>(
        &self,
        limit: usize,
        parts: Vec<impl Future<Output = Result<T, Error>> + Send>,
    ) -> impl Future<Output = Result<Vec<T>, Error>> + Send {
        let numbered = parts.into_iter().enumerate();
        let numbered: Vec<_> = numbered
            .map(|(place, part)| part.map_ok(move |value| (place, value)))
            .collect();
        // Whichever comes next, so that an error is seen at once.
        let found = stream::iter(numbered)
            .buffer_unordered(limit.max(1))
            .try_collect::<Vec<_>>();
        found.map_ok(|mut found| {
            found.sort_unstable_by_key(|(place, _)| *place);
            found.into_iter().map(|(_, value)| value).collect()
        })
    }

    /// The runner for a round of a loop, the rounds counted from 0.
    fn round(&self, of: &'static str, index: usize) -> impl Runner + Send {
        let _ = (of, index);
        self
    }
}

impl<R: Runner + ?Sized> Runner for &R {
    fn step<S: Signature>(
        &self,
        input: &S::Input,
    ) -> impl Future<Output = Result<S::Output, Error>> + Send {
        (**self).step::<S>(input)
    }

    fn join<A: Send, B: Send>(
        &self,
        a: impl Future<Output = Result<A, Error>> + Send,
        b: impl Future<Output = Result<B, Error>> + Send,
    ) -> impl Future<Output = Result<(A, B), Error>> + Send {
        (**self).join(a, b)
    }

    fn all<T: Send>(
        &self,
        limit: usize,
        parts: Vec<impl Future<Output = Result<T, Error>> + Send>,
    ) -> impl Future<Output = Result<Vec<T>, Error>> + Send {
        (**self).all(limit, parts)
    }

    fn round(&self, of: &'static str, index: usize) -> impl Runner + Send {
        (**self).round(of, index)
    }
}

/// Runs steps in this process. Cloning is cheap and shares the LMs.
///
/// The LM of a step is, in this order: the override (`DSPIPE_LM`, or [`with_lm`](Self::with_lm)), the
/// one that the workflow file names, the embedded model. Dropping the future of a step closes its
/// connection.
#[derive(Clone)]
pub struct LocalRunner {
    lms: Lms,
    lm: Result<Option<LmName>, NameError>,
    pub(crate) retry: Retry,
    pub(crate) prices: Result<Prices, LmError>,
    pub(crate) observers: Vec<Arc<dyn Observer>>,
    pub(crate) changes: Changes,
    artifacts: Option<Artifacts>,
    /// The rounds of loops that this runner is for.
    rounds: Vec<Round>,
    pub(crate) tools: Tools,
    /// What `DSPIPE_LOG` asks for.
    pub(crate) log: Result<Option<Arc<dyn Observer>>, LmError>,
    #[cfg(feature = "otel")]
    pub(crate) otel_content: bool,
    #[cfg(feature = "cassettes")]
    cassettes: Option<crate::cassette::Cassettes>,
    /// What its steps ask with, as the settings above say.
    pub(crate) setups: Setups,
}

impl fmt::Debug for LocalRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalRunner")
            .field("lm", &self.lm)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

impl LocalRunner {
    /// With the settings of the environment. What is wrong with them, the first step says.
    pub fn from_env() -> Self {
        let lm = match env::var(LM_VARIABLE) {
            Ok(name) if !name.trim().is_empty() => name.trim().parse().map(Some),
            _ => Ok(None),
        };
        Self {
            lm,
            prices: Prices::from_env(),
            artifacts: env::var_os(ARTIFACTS_VARIABLE)
                .filter(|path| !path.is_empty())
                .map(Artifacts::open),
            ..Self::new()
        }
    }

    /// With LMs as the workflow files name them, whatever `DSPIPE_LM` says.
    pub fn new() -> Self {
        Self {
            lms: Lms::new(),
            lm: Ok(None),
            retry: Retry::default(),
            prices: Ok(Prices::builtin()),
            observers: Vec::new(),
            changes: Changes::none(),
            artifacts: None,
            rounds: Vec::new(),
            tools: Tools::default(),
            log: prompt_log::from_env(),
            #[cfg(feature = "otel")]
            otel_content: telemetry::content_from_env(),
            #[cfg(feature = "cassettes")]
            cassettes: None,
            setups: Setups::default(),
        }
    }

    /// Whether a step may be asked otherwise the next time, with these settings.
    pub(crate) fn asks_anew(&self) -> bool {
        #[cfg(feature = "cassettes")]
        if self.cassettes.is_some() {
            return true;
        }
        self.artifacts.is_some()
    }

    /// How often the program has put LMs in place of others.
    pub(crate) fn lms_changed(&self) -> usize {
        self.lms.changed()
    }

    /// With settings that nothing was worked out from.
    fn changed(mut self) -> Self {
        self.setups = Setups::default();
        self
    }

    /// Runs every step on this LM.
    #[must_use]
    pub fn with_lm(mut self, name: LmName) -> Self {
        self.lm = Ok(Some(name));
        self.changed()
    }

    /// Takes LMs from here, instead of making its own.
    #[must_use]
    pub fn with_lms(mut self, lms: Lms) -> Self {
        self.lms = lms;
        self.changed()
    }

    /// Holds its LMs to a budget.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.lms = self.lms.with_budget(budget);
        self.changed()
    }

    /// Sends requests again as this says.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Takes the cost of steps from these prices.
    #[must_use]
    pub fn with_prices(mut self, prices: Prices) -> Self {
        self.prices = Ok(prices);
        self.changed()
    }

    /// Tells an observer of every step, besides those that are told already.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observers.push(observer);
        self
    }

    /// Takes optimized prompts from files, where they fit, in place of those that were compiled in.
    #[must_use]
    pub fn with_artifacts(mut self, artifacts: Artifacts) -> Self {
        self.artifacts = Some(artifacts);
        self.changed()
    }

    /// Has a tool for steps with `module: react`, in place of an earlier one of its name.
    #[must_use]
    pub fn with_tool(mut self, tool: Tool) -> Self {
        self.tools.add(tool);
        self
    }

    /// Runs steps otherwise than they were compiled.
    #[must_use]
    pub fn with_changes(mut self, changes: Changes) -> Self {
        self.changes = changes;
        self.changed()
    }

    /// Whether spans of calls have prompts and replies among their attributes, without secrets and values of
    /// sensitive fields; as `DSPIPE_OTEL_CONTENT=1` says if this is not called.
    #[cfg(feature = "otel")]
    #[must_use]
    pub fn with_otel_content(mut self, yes: bool) -> Self {
        self.otel_content = yes;
        self
    }

    /// Answers from recordings, as their mode says.
    #[cfg(feature = "cassettes")]
    #[must_use]
    pub fn with_cassettes(mut self, cassettes: crate::cassette::Cassettes) -> Self {
        self.cassettes = Some(cassettes);
        self
    }

    /// The LM that a step runs on.
    ///
    /// # Errors
    /// [`LmError::Name`](LmError) if what names it does not.
    pub fn lm_name(&self, def: &SignatureDef) -> Result<LmName, LmError> {
        let changed = self.changes.of(def).and_then(|change| change.lm.as_ref());
        Ok(match (changed, &self.lm, def.lm) {
            (None, Err(error), _) => return Err(error.clone().into()),
            (Some(name), _, _) | (None, Ok(Some(name)), _) => name.clone(),
            (None, Ok(None), Some(name)) => name.parse()?,
            (None, Ok(None), None) => LmName::embedded(),
        })
    }

    /// Asks an LM for something that is no step, with the recordings and the retries of this runner.
    ///
    /// # Errors
    /// [`LmError`] tells why there is no reply.
    pub async fn complete(&self, lm: &LmName, request: &Request) -> Result<Reply, LmError> {
        let lm = self.lm(lm, &[])?;
        self.retry.complete(&*lm, request).await
    }

    /// The LMs of a step as its workflow file describes them, unless another one was chosen.
    pub(crate) fn described(&self, def: &SignatureDef) -> &'static [LmDef] {
        let changed = self
            .changes
            .of(def)
            .is_some_and(|change| change.lm.is_some());
        match self.lm {
            Ok(None) if !changed => def.lms,
            _ => &[],
        }
    }

    /// An LM by its name, or as it is described.
    pub(crate) fn lm(
        &self,
        name: &LmName,
        described: &'static [LmDef],
    ) -> Result<Arc<dyn Lm>, LmError> {
        let get = move |lms: &Lms, name: &LmName| match described {
            [] => lms.get(name),
            described => lms.described(described),
        };
        #[cfg(feature = "cassettes")]
        if let Some(cassettes) = &self.cassettes {
            let (lms, inner) = (self.lms.clone(), name.clone());
            return Ok(cassettes.wrap(name.clone(), move || get(&lms, &inner)));
        }
        get(&self.lms, name)
    }

    /// The prompt of a step: that of a change, of a file that is read while the program runs, or the compiled one.
    pub(crate) fn prompt(&self, def: &SignatureDef, lm: &LmName) -> Chosen {
        let change = self.changes.of(def);
        if let Some(prompt) = change.and_then(|change| change.prompt.as_ref()) {
            return Arc::clone(prompt).into();
        }
        let artifacts = self.artifacts.as_ref();
        match artifacts.and_then(|artifacts| artifacts.prompt(def, lm)) {
            Some(prompt) => prompt.into(),
            None => def.prompt_for(lm).into(),
        }
    }

    /// The LM of a step as reports name it, also where it cannot be had.
    pub(crate) fn lm_shown(&self, def: &SignatureDef) -> String {
        let changed = self.changes.of(def).and_then(|change| change.lm.as_ref());
        match (changed, &self.lm, def.lm) {
            (Some(name), _, _) | (None, Ok(Some(name)), _) => name.to_string(),
            (None, Err(_), _) => format!("the LM in {LM_VARIABLE}"),
            (None, Ok(None), Some(name)) => name.to_owned(),
            (None, Ok(None), None) => LmName::embedded().to_string(),
        }
    }

    /// Runs a step on values that no type has read. The output is held to the step's schema; checks of the
    /// workflow file are for types, and are left out, and so are rewards: such a step is asked for one output.
    ///
    /// # Errors
    /// As a run of the step.
    pub async fn step_value(
        &self,
        def: &'static SignatureDef,
        input: &Value,
    ) -> Result<Value, Error> {
        let span = telemetry::step(def, || self.lm_shown(def));
        // Who cannot say what an output is worth does not choose among several.
        let plan = match Plan::of(&def.module) {
            Plan::BestOfN(_) | Plan::Refine(_) => Plan::Predict,
            plan => plan,
        };
        let read = (&Untyped, &mut AtOnce);
        // Their content is not in the value.
        let is_media = |field: &FieldDef| {
            matches!(field.ty.trim_end_matches(" or null"), "image" | "document")
        };
        let given = if def.inputs.iter().any(is_media) {
            Err("images and documents are given to steps that have types".to_owned())
        } else {
            Ok(Given {
                input: input.clone(),
                media: Arc::default(),
            })
        };
        let run = self.observed(def, plan, given, read, &span);
        Box::pin(run.instrument(span.clone())).await
    }

    /// Runs one step, with its output while it comes: any number of partial outputs, then the whole one or
    /// an error. Nothing is sent before the stream is polled; dropping it closes the connection.
    ///
    /// All LMs can be streamed; one that cannot give parts, or a recording, gives its reply at once.
    pub fn stream<S: Streaming>(&self, input: &S::Input) -> OutputStream<S> {
        let (runner, given) = (self.clone(), Given::of::<S>(input));
        OutputStream::new(|giver| {
            Box::pin(async move {
                let replies = &mut InParts::<S>::new(giver);
                let span = telemetry::step(S::DEF, || runner.lm_shown(S::DEF));
                let typed = given.as_ref().map(|given| read_value(given.input.clone()));
                let typed: Result<S::Input, Error> = match typed {
                    Ok(Ok(typed)) => Ok(typed),
                    Ok(Err(error)) => Err(unread_input(S::DEF, &error)),
                    Err(reason) => Err(unread_input(S::DEF, reason)),
                };
                let typed = typed?;
                let reading = Typed::<S> {
                    input: &typed,
                    reward: None,
                };
                let read = (&reading, replies);
                let output = runner.observed(S::def(), Plan::Predict, given, read, &span);
                let output = output.instrument(span.clone()).await;
                output.map(Streamed::Done)
            })
        })
    }

    /// Runs a step by a module, with a reward in place of that of the workflow file.
    pub(crate) async fn planned<S: Signature>(
        &self,
        plan: Plan<'_>,
        input: &S::Input,
        reward: Option<&Reward<'_, S>>,
    ) -> Result<S::Output, Error> {
        let span = telemetry::step(S::DEF, || self.lm_shown(S::DEF));
        let reading = Typed::<S> { input, reward };
        let read = (&reading, &mut AtOnce);
        let given = Given::of::<S>(input);
        // On the heap, so that the future of a whole workflow stays small.
        let output = Box::pin(self.observed(S::def(), plan, given, read, &span));
        output.instrument(span.clone()).await
    }

    async fn observed<T: Serialize + Send>(
        &self,
        def: &'static SignatureDef,
        plan: Plan<'_>,
        given: Result<Given, String>,
        (reading, replies): (&impl Reading<T>, &mut impl Replies),
        span: &Span,
    ) -> Result<T, Error> {
        let started = Instant::now();
        let mut call = Call::new(self, def);
        let mut sent = Value::Null;
        let result = match given {
            Ok(given) => {
                sent = given.input;
                call.media = given.media;
                call.run(plan, &sent, reading, replies).await
            }
            Err(error) => Err(Error::Input {
                workflow: def.workflow,
                step: def.step,
                reason: error,
            }),
        };
        let report = StepReport {
            workflow: def.workflow,
            step: def.step,
            rounds: self.rounds.clone(),
            lm: self.lm_shown(def),
            latency: started.elapsed(),
            replies: call.replies,
            usage: call.usage,
            cost: call.cost,
            repairs: call.repairs,
            checks: call.checks,
            calls: call.calls,
            turns: call.turns,
            succeeded: result.is_ok(),
        };
        tracing::debug!(
            lm = report.lm,
            latency_ms = report.latency.as_millis(),
            input_tokens = report.usage.input_tokens,
            output_tokens = report.usage.output_tokens,
            cost = report.cost.map(Money::dollars),
            replies = report.replies,
            succeeded = report.succeeded,
            "step ended"
        );
        telemetry::step_ended(span, &report, result.as_ref().err());
        for observer in &self.observers {
            observer.step_ended(&report, result.as_ref().err());
        }
        self.record(def, &report, &sent, &result);
        result
    }

    fn record<T: Serialize>(
        &self,
        def: &'static SignatureDef,
        report: &StepReport,
        input: &Value,
        result: &Result<T, Error>,
    ) {
        let mut wanting = self.observers.iter().filter(|one| one.wants_records());
        let Some(first) = wanting.next() else { return };
        // What is generated always serializes.
        let output = result
            .as_ref()
            .ok()
            .and_then(|output| serde_json::to_value(output).ok());
        let record = StepRecord {
            def,
            report,
            input,
            output: output.as_ref(),
            error: result.as_ref().err(),
        };
        for observer in std::iter::once(first).chain(wanting) {
            observer.step_recorded(&record);
        }
    }
}

impl Default for LocalRunner {
    fn default() -> Self {
        Self::new()
    }
}

impl Runner for LocalRunner {
    fn step<S: Signature>(
        &self,
        input: &S::Input,
    ) -> impl Future<Output = Result<S::Output, Error>> + Send {
        let (runner, typed) = (self, input);
        async move {
            let plan = Plan::of(&S::DEF.module);
            runner.planned::<S>(plan, typed, None).await
        }
    }

    fn join<A: Send, B: Send>(
        &self,
        a: impl Future<Output = Result<A, Error>> + Send,
        b: impl Future<Output = Result<B, Error>> + Send,
    ) -> impl Future<Output = Result<(A, B), Error>> + Send {
        // Not an `async fn`, which would keep both parts twice.
        futures_util::future::try_join(a, b)
    }

    fn round(&self, of: &'static str, index: usize) -> impl Runner + Send {
        let mut runner = self.clone();
        runner.rounds.push(Round { of, index });
        runner
    }
}

/// The input of a step, and what cannot be said in JSON.
struct Given {
    input: Value,
    media: Arc<[Shown]>,
}

impl Given {
    fn of<S: Signature>(input: &S::Input) -> Result<Self, String> {
        let media = media::shown(&S::media(input));
        let media = media.map_err(|(field, error)| format!("field `{field}`: {error}"))?;
        Ok(Self {
            input: serde_json::to_value(input).map_err(|error| error.to_string())?,
            media,
        })
    }
}

fn unread_input(def: &SignatureDef, reason: &dyn fmt::Display) -> Error {
    Error::Input {
        workflow: def.workflow,
        step: def.step,
        reason: reason.to_string(),
    }
}

/// The runner of `run` in compiled workflows: one for the process, with the settings of the environment
/// at its first use.
pub fn default_runner() -> &'static LocalRunner {
    static RUNNER: LazyLock<LocalRunner> = LazyLock::new(LocalRunner::from_env);
    &RUNNER
}
