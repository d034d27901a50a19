//! Runs steps: render, ask, read.

use std::env;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use serde::Serialize;
use serde_json::Value;
use tracing::{Instrument, Span};

use crate::adapter::Adapter;
use crate::artifacts::Artifacts;
use crate::changes::{Change, Changes, Chosen};
use crate::error::Error;
use crate::lm::{
    Budget, Finish, Lm, LmError, LmName, Lms, Message, Money, NameError, OutputSchema, Params,
    Prices, Reply, Request, Retry, Usage,
};
use crate::prompt;
use crate::prompt_log;
use crate::read::{
    Read, ReadError, Repair, RepairKind, Strictness, parse, read_reply, read_value, schema_of,
};
use crate::signature::{Signature, SignatureDef};
use crate::stream::{AtOnce, InParts, OutputStream, Replies, Streamed, Streaming};
use crate::telemetry;
use crate::trace::{Exchange, Observer, StepRecord, StepReport};

/// The environment variable that names the LM of every step.
const LM_VARIABLE: &str = "DSPIPE_LM";

/// The environment variable that names optimized prompts to be read while the program runs.
const ARTIFACTS_VARIABLE: &str = "DSPIPE_ARTIFACTS";

/// The longest name of a schema that providers take.
const SCHEMA_NAME: usize = 64;

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
    retry: Retry,
    prices: Result<Prices, LmError>,
    observers: Vec<Arc<dyn Observer>>,
    changes: Changes,
    artifacts: Option<Artifacts>,
    /// What `DSPIPE_LOG` asks for.
    log: Result<Option<Arc<dyn Observer>>, LmError>,
    #[cfg(feature = "otel")]
    otel_content: bool,
    #[cfg(feature = "cassettes")]
    cassettes: Option<crate::cassette::Cassettes>,
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
            log: prompt_log::from_env(),
            #[cfg(feature = "otel")]
            otel_content: telemetry::content_from_env(),
            #[cfg(feature = "cassettes")]
            cassettes: None,
        }
    }

    /// Runs every step on this LM.
    #[must_use]
    pub fn with_lm(mut self, name: LmName) -> Self {
        self.lm = Ok(Some(name));
        self
    }

    /// Takes LMs from here, instead of making its own.
    #[must_use]
    pub fn with_lms(mut self, lms: Lms) -> Self {
        self.lms = lms;
        self
    }

    /// Holds its LMs to a budget.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.lms = self.lms.with_budget(budget);
        self
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
        self
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
        self
    }

    /// Runs steps otherwise than they were compiled.
    #[must_use]
    pub fn with_changes(mut self, changes: Changes) -> Self {
        self.changes = changes;
        self
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
    pub async fn complete(&self, lm: LmName, request: &Request) -> Result<Reply, LmError> {
        let lm = self.lm(lm)?;
        self.retry.complete(&*lm, request).await
    }

    fn lm(&self, name: LmName) -> Result<Arc<dyn Lm>, LmError> {
        #[cfg(feature = "cassettes")]
        if let Some(cassettes) = &self.cassettes {
            let (lms, inner) = (self.lms.clone(), name.clone());
            return Ok(cassettes.wrap(name, move || lms.get(&inner)));
        }
        self.lms.get(&name)
    }

    /// The prompt of a step: that of a change, of a file that is read while the program runs, or the compiled one.
    fn prompt(&self, def: &SignatureDef, change: Option<&Change>, lm: &LmName) -> Chosen {
        if let Some(prompt) = change.and_then(|change| change.prompt.as_ref()) {
            return Chosen::Given(Arc::clone(prompt));
        }
        let artifacts = self.artifacts.as_ref();
        match artifacts.and_then(|artifacts| artifacts.prompt(def, lm)) {
            Some(prompt) => Chosen::Given(prompt),
            None => Chosen::Compiled(def.prompt_for(lm)),
        }
    }

    /// The LM of a step as reports name it, also where it cannot be had.
    fn lm_shown(&self, def: &SignatureDef) -> String {
        let changed = self.changes.of(def).and_then(|change| change.lm.as_ref());
        match (changed, &self.lm, def.lm) {
            (Some(name), _, _) | (None, Ok(Some(name)), _) => name.to_string(),
            (None, Err(_), _) => format!("the LM in {LM_VARIABLE}"),
            (None, Ok(None), Some(name)) => name.to_owned(),
            (None, Ok(None), None) => LmName::embedded().to_string(),
        }
    }

    /// Runs a step on values that no type has read. The output is held to the step's schema.
    ///
    /// # Errors
    /// As a run of the step.
    pub async fn step_value(
        &self,
        def: &'static SignatureDef,
        input: &Value,
    ) -> Result<Value, Error> {
        let span = telemetry::step(def, &self.lm_shown(def));
        let mut replies = AtOnce;
        let run = self.observed(def, Ok(input.clone()), read_untyped, &mut replies, &span);
        Box::pin(run.instrument(span.clone())).await
    }

    /// Runs one step, with its output while it comes: any number of partial outputs, then the whole one or
    /// an error. Nothing is sent before the stream is polled; dropping it closes the connection.
    ///
    /// All LMs can be streamed; one that cannot give parts, or a recording, gives its reply at once.
    pub fn stream<S: Streaming>(&self, input: &S::Input) -> OutputStream<S> {
        let (runner, input) = (self.clone(), serde_json::to_value(input));
        OutputStream::new(|giver| {
            Box::pin(async move {
                let replies = &mut InParts::<S>::new(giver);
                let span = telemetry::step(S::DEF, &runner.lm_shown(S::DEF));
                let output = runner.observed(S::def(), input, read::<S::Output>, replies, &span);
                let output = output.instrument(span.clone()).await;
                output.map(Streamed::Done)
            })
        })
    }

    async fn observed<T: Serialize>(
        &self,
        def: &'static SignatureDef,
        input: serde_json::Result<Value>,
        read: ReadReply<T>,
        replies: &mut impl Replies,
        span: &Span,
    ) -> Result<T, Error> {
        let started = Instant::now();
        let mut call = Call {
            runner: self,
            def,
            replies: 0,
            usage: Usage::default(),
            cost: Some(Money::default()),
            repairs: Vec::new(),
        };
        let mut sent = Value::Null;
        let result = match input {
            Ok(input) => {
                sent = input;
                call.run(&sent, read, replies).await
            }
            Err(error) => Err(Error::Input {
                workflow: def.workflow,
                step: def.step,
                reason: error.to_string(),
            }),
        };
        let report = StepReport {
            workflow: def.workflow,
            step: def.step,
            lm: self.lm_shown(def),
            latency: started.elapsed(),
            replies: call.replies,
            usage: call.usage,
            cost: call.cost,
            repairs: call.repairs,
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
        let (runner, input) = (self, serde_json::to_value(input));
        // On the heap, so that the future of a whole workflow stays small.
        Box::pin(async move {
            let span = telemetry::step(S::DEF, &runner.lm_shown(S::DEF));
            let replies = &mut AtOnce;
            let output = runner.observed(S::def(), input, read::<S::Output>, replies, &span);
            output.instrument(span.clone()).await
        })
    }

    fn join<A: Send, B: Send>(
        &self,
        a: impl Future<Output = Result<A, Error>> + Send,
        b: impl Future<Output = Result<B, Error>> + Send,
    ) -> impl Future<Output = Result<(A, B), Error>> + Send {
        // Not an `async fn`, which would keep both parts twice.
        futures_util::future::try_join(a, b)
    }
}

/// One run of a step.
struct Call<'a> {
    runner: &'a LocalRunner,
    def: &'static SignatureDef,
    replies: u32,
    usage: Usage,
    cost: Option<Money>,
    repairs: Vec<Repair>,
}

impl Call<'_> {
    async fn run<T>(
        &mut self,
        input: &Value,
        read: ReadReply<T>,
        replies: &mut impl Replies,
    ) -> Result<T, Error> {
        let log = self.runner.log.clone();
        let log = log.map_err(|error| self.failed(error))?;
        let prices = self.runner.prices.clone();
        let prices = prices.map_err(|error| self.failed(error))?;
        let lm = self
            .runner
            .lm_name(self.def)
            .and_then(|name| self.runner.lm(name))
            .map_err(|error| self.failed(error))?;
        let change = self.runner.changes.of(self.def);
        let prompt = self.runner.prompt(self.def, change, lm.name());
        let mut request =
            request(self.def, change, &prompt, input).map_err(|reason| Error::Input {
                workflow: self.def.workflow,
                step: self.def.step,
                reason,
            })?;
        let with = (input, &prompt, &prices, log.as_ref());
        let (raw, error) = match self.ask(&*lm, &request, with, read, replies).await? {
            Ok(output) => return Ok(output),
            Err(unread) => unread,
        };
        let errors = error.lines().len();
        tracing::info!(lm = %lm.name(), errors, "the reply cannot be used; asking once more");
        request.messages.push(Message::assistant(raw));
        request.messages.push(prompt::render_errors(&error));
        match self.ask(&*lm, &request, with, read, replies).await? {
            Ok(output) => Ok(output),
            Err((raw, source)) => Err(Error::Reply {
                workflow: self.def.workflow,
                step: self.def.step,
                lm: lm.name().clone(),
                source,
                raw,
            }),
        }
    }

    /// Asks and reads; the inner error is a reply that cannot be read.
    async fn ask<T>(
        &mut self,
        lm: &dyn Lm,
        request: &Request,
        (input, prompt, prices, log): (&Value, &Chosen, &Prices, Option<&Arc<dyn Observer>>),
        read: ReadReply<T>,
        replies: &mut impl Replies,
    ) -> Result<Result<T, (String, ReadError)>, Error> {
        let started = Instant::now();
        let span = telemetry::call(lm.name(), request);
        let reply = replies.reply(&self.runner.retry, lm, request);
        let reply = reply.instrument(span.clone()).await;
        let cost = |reply: &Reply| {
            let by = reply.lm.as_ref().unwrap_or(lm.name());
            prices.cost(by, &reply.usage)
        };
        telemetry::call_ended(&span, reply.as_ref(), cost);
        let exchange = Exchange {
            workflow: self.def.workflow,
            step: self.def.step,
            def: self.def,
            input,
            prompt,
            lm: lm.name(),
            request,
            reply: reply.as_ref(),
            latency: started.elapsed(),
        };
        #[cfg(feature = "otel")]
        if self.runner.otel_content {
            telemetry::content(&span, &exchange);
        }
        for observer in self.runner.observers.iter().chain(log) {
            observer.asked(&exchange);
        }
        drop(span);
        let reply: Reply = reply.map_err(|error| {
            if !error.is_free() {
                // Nobody knows what the LM did.
                self.cost = None;
            }
            self.failed(error)
        })?;
        self.replies += 1;
        self.usage += reply.usage;
        self.cost = match (self.cost, cost(&reply)) {
            (Some(sum), Some(cost)) => Some(sum + cost),
            _ => None,
        };
        let read = read(self.def, &reply.text);
        let is_whole = matches!(&read, Ok((_, repairs)) if !is_cut(repairs));
        if reply.finish == Finish::Length && !is_whole {
            // Asking again would be cut off again.
            return Err(self.failed(LmError::Truncated {
                lm: lm.name().clone(),
                output_tokens: reply.usage.output_tokens,
                max_tokens: request.params.max_tokens,
            }));
        }
        Ok(match read {
            Ok((output, repairs)) => {
                if !repairs.is_empty() {
                    let kinds: Vec<RepairKind> = repairs.iter().map(|repair| repair.kind).collect();
                    tracing::info!(lm = %lm.name(), ?kinds, "the reply was repaired");
                }
                self.repairs = repairs;
                Ok(output)
            }
            Err(error) => Err((reply.text, error)),
        })
    }

    fn failed(&self, source: LmError) -> Error {
        Error::Lm {
            workflow: self.def.workflow,
            step: self.def.step,
            lm: self.runner.lm_shown(self.def),
            source,
        }
    }
}

/// What a step asks; an error says why DSPy's adapter cannot ask it.
pub(crate) fn request(
    def: &'static SignatureDef,
    change: Option<&Change>,
    prompt: &Chosen,
    input: &Value,
) -> Result<Request, String> {
    let unchanged = Change::default();
    let change = change.unwrap_or(&unchanged);
    let messages = match def.adapter {
        None => prompt::render(def, prompt, input),
        Some(adapter) => adapter
            .messages_for(def, prompt, input)
            .map_err(|error| error.to_string())?,
    };
    // A reply with DSPy's field marks is no JSON.
    let is_json = def.adapter != Some(Adapter::DspyChat);
    Ok(Request {
        messages,
        schema: is_json.then(|| OutputSchema {
            name: schema_name(def.step),
            json: def.output_schema.into(),
        }),
        params: Params {
            temperature: change.temperature.or(def.temperature),
            max_tokens: change.max_tokens.or(def.max_tokens),
            // Servers that repeat themselves give another sample, and the same one when it is asked for again.
            seed: (change.repetition != 0).then_some(u64::from(change.repetition)),
            repetition: change.repetition,
        },
    })
}

/// What makes an output of a reply.
type ReadReply<T> = fn(&SignatureDef, &str) -> Result<(T, Vec<Repair>), ReadError>;

/// Reads a reply by the adapter that asked for it.
fn read<T: Read>(def: &SignatureDef, text: &str) -> Result<(T, Vec<Repair>), ReadError> {
    match def.adapter {
        None => read_reply(def.output_schema, text),
        Some(adapter) => Ok((read_value(read_dspy(adapter, def, text)?)?, Vec::new())),
    }
}

/// The same by the schema alone.
fn read_untyped(def: &SignatureDef, text: &str) -> Result<(Value, Vec<Repair>), ReadError> {
    let text = match def.adapter {
        None => text.to_owned(),
        Some(adapter) => read_dspy(adapter, def, text)?.to_string(),
    };
    let schema =
        schema_of(def.output_schema).map_err(|error| ReadError::Adapter(error.to_string()))?;
    let parsed = parse(&schema, &text, Strictness::Lenient)?;
    Ok((parsed.value, parsed.repairs))
}

fn read_dspy(adapter: Adapter, def: &SignatureDef, text: &str) -> Result<Value, ReadError> {
    adapter
        .read(def, text)
        .map_err(|error| ReadError::Adapter(error.to_string()))
}

fn schema_name(step: &str) -> String {
    step.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .take(SCHEMA_NAME)
        .collect()
}

/// The runner of `run` in compiled workflows: one for the process, with the settings of the environment
/// at its first use.
pub fn default_runner() -> &'static LocalRunner {
    static RUNNER: LazyLock<LocalRunner> = LazyLock::new(LocalRunner::from_env);
    &RUNNER
}

fn is_cut(repairs: &[Repair]) -> bool {
    repairs
        .iter()
        .any(|repair| repair.kind == RepairKind::Unfinished)
}
