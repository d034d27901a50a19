//! One run of a step: render, ask, read, and once more if need be.

use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tracing::Instrument;

use crate::adapter::Adapter;
use crate::changes::Chosen;
use crate::check::{CheckDef, CheckFailed};
use crate::error::Error;
use crate::lm::{
    Finish, Lm, LmError, LmName, Message, Money, OutputSchema, Params, Prices, Reply, Request,
    Usage,
};
use crate::prompt;
use crate::read::{
    ReadError, Repair, RepairKind, Strictness, parse, read_reply, read_value, schema_of,
};
use crate::runner::LocalRunner;
use crate::signature::{Signature, SignatureDef};
use crate::stream::Replies;
use crate::telemetry;
use crate::trace::{Exchange, Observer};

/// The longest name of a schema that providers take.
const SCHEMA_NAME: usize = 64;

/// One run of a step.
pub(crate) struct Call<'a> {
    pub(crate) runner: &'a LocalRunner,
    pub(crate) def: &'static SignatureDef,
    pub(crate) replies: u32,
    pub(crate) usage: Usage,
    pub(crate) cost: Option<Money>,
    pub(crate) repairs: Vec<Repair>,
    pub(crate) checks: Vec<CheckFailed>,
}

/// A reply that the step cannot use.
struct Unusable {
    raw: String,
    error: ReadError,
    request_id: Option<String>,
}

impl Call<'_> {
    pub(crate) async fn run<T>(
        &mut self,
        input: &Value,
        reading: &impl Reading<T>,
        replies: &mut impl Replies,
    ) -> Result<T, Error> {
        let log = self.runner.log.clone();
        let log = log.map_err(|error| self.failed(error))?;
        let prices = self.runner.prices.clone();
        let prices = prices.map_err(|error| self.failed(error))?;
        let lm = self
            .runner
            .lm_name(self.def)
            .and_then(|name| self.runner.lm(&name, self.runner.described(self.def)))
            .map_err(|error| self.failed(error))?;
        let prompt = self.runner.prompt(self.def, lm.name());
        let mut request =
            request(self.def, &prompt, self.params(), input).map_err(|reason| Error::Input {
                workflow: self.def.workflow,
                step: self.def.step,
                reason,
            })?;
        let with = (input, &prompt, &prices, log.as_ref());
        let Unusable { raw, error, .. } =
            match self.ask(&*lm, &request, with, reading, replies).await? {
                Ok(output) => return Ok(output),
                Err(unread) => unread,
            };
        let errors = error.lines().len();
        tracing::info!(lm = %lm.name(), errors, "the reply cannot be used; asking once more");
        request.messages.push(Message::assistant(raw));
        request.messages.push(prompt::render_errors(&error));
        match self.ask(&*lm, &request, with, reading, replies).await? {
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
    async fn ask<T>(
        &mut self,
        lm: &dyn Lm,
        request: &Request,
        (input, prompt, prices, log): (&Value, &Chosen, &Prices, Option<&Arc<dyn Observer>>),
        reading: &impl Reading<T>,
        replies: &mut impl Replies,
    ) -> Result<Result<T, Unusable>, Error> {
        let started = Instant::now();
        let span = telemetry::call(lm.name(), request);
        let reply = replies.reply(&self.runner.retry, lm, request);
        let reply = reply.instrument(span.clone()).await;
        let (runner, def) = (self.runner, self.def);
        let cost = |reply: &Reply| {
            let by = reply.lm.as_ref().unwrap_or(lm.name());
            price(runner, def, prices, by, &reply.usage)
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
        let read = reading.read(self.def, &reply.text);
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
            self.checks = reading.check(self.def, &output)?;
            Ok((output, repairs))
        });
        Ok(match read {
            Ok((output, repairs)) => {
                if !repairs.is_empty() {
                    let kinds: Vec<RepairKind> = repairs.iter().map(|repair| repair.kind).collect();
                    tracing::info!(lm = %lm.name(), ?kinds, "the reply was repaired");
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
        let mut params = match self.runner.described(self.def) {
            [first, ..] => first.params(),
            [] => Params {
                temperature: self.def.temperature,
                max_tokens: self.def.max_tokens,
                seed: None,
                repetition: 0,
            },
        };
        if let Some(change) = self.runner.changes.of(self.def) {
            params.temperature = change.temperature.or(params.temperature);
            params.max_tokens = change.max_tokens.or(params.max_tokens);
            if change.repetition != 0 {
                params.repetition = change.repetition;
                // Servers that repeat themselves give another sample, and the same one when it is asked for again.
                params.seed = Some(u64::from(change.repetition));
            }
        }
        params
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

/// What a reply cost, if the price of its LM is known.
fn price(
    runner: &LocalRunner,
    def: &SignatureDef,
    prices: &Prices,
    by: &LmName,
    usage: &Usage,
) -> Option<Money> {
    let name = by.to_string();
    let mut described = runner.described(def).iter();
    let described = described.find(|def| def.lm == name);
    let price = prices.get_or(by, described.and_then(|def| def.price.as_ref()))?;
    Some(price.cost(usage))
}

/// What a step asks; an error says why DSPy's adapter cannot ask it.
pub(crate) fn request(
    def: &'static SignatureDef,
    prompt: &Chosen,
    params: Params,
    input: &Value,
) -> Result<Request, String> {
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
        params,
    })
}

/// What makes an output of a reply.
pub(crate) trait Reading<T>: Sync {
    fn read(&self, def: &SignatureDef, text: &str) -> Result<(T, Vec<Repair>), ReadError>;

    /// The checks that do not hold.
    ///
    /// # Errors
    /// If asserts do not hold: those.
    fn check(&self, def: &SignatureDef, output: &T) -> Result<Vec<CheckFailed>, ReadError>;
}

/// As the types of a step, whose input this is.
pub(crate) struct Typed<'a, S: Signature>(pub(crate) &'a S::Input);

impl<S: Signature> Reading<S::Output> for Typed<'_, S> {
    fn read(&self, def: &SignatureDef, text: &str) -> Result<(S::Output, Vec<Repair>), ReadError> {
        match def.adapter {
            None => read_reply(def.output_schema, text),
            Some(adapter) => Ok((read_value(read_dspy(adapter, def, text)?)?, Vec::new())),
        }
    }

    fn check(&self, def: &SignatureDef, output: &S::Output) -> Result<Vec<CheckFailed>, ReadError> {
        let held = S::checks(self.0, output);
        let all = def.checks.iter().zip(held);
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
}

/// By the schema alone.
pub(crate) struct Untyped;

impl Reading<Value> for Untyped {
    fn read(&self, def: &SignatureDef, text: &str) -> Result<(Value, Vec<Repair>), ReadError> {
        let text = match def.adapter {
            None => text.to_owned(),
            Some(adapter) => read_dspy(adapter, def, text)?.to_string(),
        };
        let schema =
            schema_of(def.output_schema).map_err(|error| ReadError::Adapter(error.to_string()))?;
        let parsed = parse(&schema, &text, Strictness::Lenient)?;
        Ok((parsed.value, parsed.repairs))
    }

    fn check(&self, _: &SignatureDef, _: &Value) -> Result<Vec<CheckFailed>, ReadError> {
        Ok(Vec::new())
    }
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

fn is_cut(repairs: &[Repair]) -> bool {
    repairs
        .iter()
        .any(|repair| repair.kind == RepairKind::Unfinished)
}
