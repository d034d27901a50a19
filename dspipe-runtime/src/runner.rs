//! Runs steps: render, ask, read.

use std::env;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use serde_json::Value;
use tracing::Instrument;

use crate::adapter::Adapter;
use crate::check::{CheckDef, CheckFailed};
use crate::error::Error;
use crate::lm::{
    Finish, Lm, LmDef, LmError, LmName, Lms, Message, Money, NameError, OutputSchema, Params,
    Prices, Reply, Request, Retry, Usage,
};
use crate::prompt;
use crate::read::{Read, ReadError, Repair, RepairKind, read_reply, read_value};
use crate::signature::{Signature, SignatureDef};
use crate::trace::{Exchange, Observer, StepRecord, StepReport};

/// The environment variable that names the LM of every step.
const LM_VARIABLE: &str = "DSPIPE_LM";

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

    /// Answers from recordings, as their mode says.
    #[cfg(feature = "cassettes")]
    #[must_use]
    pub fn with_cassettes(mut self, cassettes: crate::cassette::Cassettes) -> Self {
        self.cassettes = Some(cassettes);
        self
    }

    /// The LMs of a step as its workflow file describes them, unless another one was chosen.
    fn described(&self, def: &SignatureDef) -> &'static [LmDef] {
        match self.lm {
            Ok(None) => def.lms,
            _ => &[],
        }
    }

    fn lm_of(&self, def: &SignatureDef) -> Result<Arc<dyn Lm>, LmError> {
        let name = match (&self.lm, def.lm) {
            (Err(error), _) => return Err(error.clone().into()),
            (Ok(Some(name)), _) => name.clone(),
            (Ok(None), Some(name)) => name.parse()?,
            (Ok(None), None) => LmName::embedded(),
        };
        let described = self.described(def);
        let get = move |lms: &Lms, name: &LmName| match described {
            [] => lms.get(name),
            described => lms.described(described),
        };
        #[cfg(feature = "cassettes")]
        if let Some(cassettes) = &self.cassettes {
            let (lms, inner) = (self.lms.clone(), name.clone());
            return Ok(cassettes.wrap(name, move || get(&lms, &inner)));
        }
        get(&self.lms, &name)
    }

    /// The LM of a step as reports name it, also where it cannot be had.
    fn lm_shown(&self, def: &SignatureDef) -> String {
        match (&self.lm, def.lm) {
            (Ok(Some(name)), _) => name.to_string(),
            (Err(_), _) => format!("the LM in {LM_VARIABLE}"),
            (Ok(None), Some(name)) => name.to_owned(),
            (Ok(None), None) => LmName::embedded().to_string(),
        }
    }

    async fn observed<S: Signature>(&self, input: &S::Input) -> Result<S::Output, Error> {
        let def = S::def();
        let started = Instant::now();
        let mut call = Call {
            runner: self,
            def,
            replies: 0,
            usage: Usage::default(),
            cost: Some(Money::default()),
            repairs: Vec::new(),
            checks: Vec::new(),
        };
        let mut sent = Value::Null;
        let result = match serde_json::to_value(input) {
            Ok(value) => {
                sent = value;
                call.run::<S>(input, &sent).await
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
            checks: call.checks,
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
        for observer in &self.observers {
            observer.step_ended(&report, result.as_ref().err());
        }
        self.record::<S>(&report, &sent, &result);
        result
    }

    fn record<S: Signature>(
        &self,
        report: &StepReport,
        input: &Value,
        result: &Result<S::Output, Error>,
    ) {
        let mut wanting = self.observers.iter().filter(|one| one.wants_records());
        let Some(first) = wanting.next() else { return };
        // What is generated always serializes.
        let output = result
            .as_ref()
            .ok()
            .and_then(|output| serde_json::to_value(output).ok());
        let record = StepRecord {
            def: S::DEF,
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
    async fn step<S: Signature>(&self, input: &S::Input) -> Result<S::Output, Error> {
        let span = tracing::info_span!("step", workflow = S::DEF.workflow, step = S::DEF.step);
        // On the heap, so that the future of a whole workflow stays small.
        Box::pin(self.observed::<S>(input).instrument(span)).await
    }

    async fn join<A: Send, B: Send>(
        &self,
        a: impl Future<Output = Result<A, Error>> + Send,
        b: impl Future<Output = Result<B, Error>> + Send,
    ) -> Result<(A, B), Error> {
        futures_util::future::try_join(a, b).await
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
    checks: Vec<CheckFailed>,
}

/// A reply that the step cannot use.
struct Unusable {
    raw: String,
    error: ReadError,
    request_id: Option<String>,
}

impl Call<'_> {
    async fn run<S: Signature>(
        &mut self,
        typed: &S::Input,
        input: &Value,
    ) -> Result<S::Output, Error> {
        let prices = self.runner.prices.clone();
        let prices = prices.map_err(|error| self.failed(error))?;
        let lm = self
            .runner
            .lm_of(self.def)
            .map_err(|error| self.failed(error))?;
        let mut request =
            request(self.def, lm.name(), self.params(), input).map_err(|reason| Error::Input {
                workflow: self.def.workflow,
                step: self.def.step,
                reason,
            })?;
        let Unusable { raw, error, .. } =
            match self.ask::<S>(typed, &*lm, &request, &prices).await? {
                Ok(output) => return Ok(output),
                Err(unread) => unread,
            };
        tracing::info!(lm = %lm.name(), %error, "the reply cannot be used; asking once more");
        request.messages.push(Message::assistant(raw));
        request.messages.push(prompt::render_errors(&error));
        match self.ask::<S>(typed, &*lm, &request, &prices).await? {
            Ok(output) => Ok(output),
            Err(Unusable {
                raw,
                error,
                request_id,
            }) => Err(Error::Reply {
                workflow: self.def.workflow,
                step: self.def.step,
                lm: lm.name().clone(),
                source: error,
                raw,
                request_id,
            }),
        }
    }

    /// Asks and reads; the inner error is a reply that cannot be used.
    async fn ask<S: Signature>(
        &mut self,
        input: &S::Input,
        lm: &dyn Lm,
        request: &Request,
        prices: &Prices,
    ) -> Result<Result<S::Output, Unusable>, Error> {
        let started = Instant::now();
        let reply = self.runner.retry.complete(lm, request).await;
        for observer in &self.runner.observers {
            observer.asked(&Exchange {
                workflow: self.def.workflow,
                step: self.def.step,
                lm: lm.name(),
                request,
                reply: reply.as_ref(),
                latency: started.elapsed(),
            });
        }
        let reply: Reply = reply.map_err(|error| {
            if !error.is_free() {
                // Nobody knows what the LM did.
                self.cost = None;
            }
            self.failed(error)
        })?;
        self.replies += 1;
        self.usage += reply.usage;
        let by = reply.lm.as_ref().unwrap_or(lm.name());
        self.cost = match (self.cost, self.price(prices, by, &reply.usage)) {
            (Some(sum), Some(cost)) => Some(sum + cost),
            _ => None,
        };
        let read = read::<S::Output>(self.def, &reply.text);
        let is_whole = matches!(&read, Ok((_, repairs)) if !is_cut(repairs));
        if reply.finish == Finish::Length && !is_whole {
            // Asking again would be cut off again.
            return Err(self.failed(LmError::Truncated {
                lm: lm.name().clone(),
                output_tokens: reply.usage.output_tokens,
                max_tokens: request.params.max_tokens,
                request_id: reply.request_id,
            }));
        }
        let read = read.and_then(|(output, repairs)| {
            self.checks = check::<S>(input, &output)?;
            Ok((output, repairs))
        });
        Ok(match read {
            Ok((output, repairs)) => {
                if !repairs.is_empty() {
                    tracing::info!(lm = %lm.name(), ?repairs, "the reply was repaired");
                }
                self.repairs = repairs;
                Ok(output)
            }
            Err(error) => Err(Unusable {
                raw: reply.text,
                error,
                request_id: reply.request_id,
            }),
        })
    }

    /// How the first LM is to sample.
    fn params(&self) -> Params {
        match self.runner.described(self.def) {
            [first, ..] => first.params(),
            [] => Params {
                temperature: self.def.temperature,
                max_tokens: self.def.max_tokens,
                seed: None,
                repetition: 0,
            },
        }
    }

    /// What a reply cost, if the price of its LM is known.
    fn price(&self, prices: &Prices, by: &LmName, usage: &Usage) -> Option<Money> {
        let name = by.to_string();
        let mut described = self.runner.described(self.def).iter();
        let described = described.find(|def| def.lm == name);
        let price = prices.get_or(by, described.and_then(|def| def.price.as_ref()))?;
        Some(price.cost(usage))
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
fn request(
    def: &'static SignatureDef,
    lm: &LmName,
    params: Params,
    input: &Value,
) -> Result<Request, String> {
    let prompt = def.prompt_for(lm);
    let messages = match def.adapter {
        None => prompt::render(def, &prompt, input),
        Some(adapter) => {
            let def = SignatureDef {
                instructions: prompt.instructions,
                demos: prompt.demos,
                ..*def
            };
            adapter
                .messages(&def, input)
                .map_err(|error| error.to_string())?
        }
    };
    // A reply with DSPy's field marks is no JSON.
    let is_json = def.adapter != Some(Adapter::DspyChat);
    Ok(Request {
        messages,
        schema: is_json.then(|| OutputSchema {
            name: schema_name(def.step),
            json: def.output_schema.into(),
        }),
        params,
    })
}

/// Reads a reply by the adapter that asked for it.
fn read<T: Read>(def: &SignatureDef, text: &str) -> Result<(T, Vec<Repair>), ReadError> {
    let Some(adapter) = def.adapter else {
        return read_reply(def.output_schema, text);
    };
    let value = adapter
        .read(def, text)
        .map_err(|error| ReadError::Adapter(error.to_string()))?;
    Ok((read_value(value)?, Vec::new()))
}

/// The checks that do not hold.
///
/// # Errors
/// If asserts do not hold: those.
fn check<S: Signature>(
    input: &S::Input,
    output: &S::Output,
) -> Result<Vec<CheckFailed>, ReadError> {
    let held = S::checks(input, output);
    let all = S::DEF.checks.iter().zip(held);
    let failed: Vec<&CheckDef> = all
        .filter_map(|(def, held)| (!held).then_some(def))
        .collect();
    let of = |is_assert| {
        let failed = failed.iter().filter(move |def| def.is_assert == is_assert);
        failed
            .map(|def| CheckFailed::from(*def))
            .collect::<Vec<_>>()
    };
    match of(true) {
        asserts if asserts.is_empty() => Ok(of(false)),
        asserts => Err(ReadError::Asserts(asserts)),
    }
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
