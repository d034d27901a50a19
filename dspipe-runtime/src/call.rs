//! One run of a step: render, ask, read, and once more if need be.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use serde_json::Value;
use tracing::Instrument;

use crate::adapter::Adapter;
use crate::changes::Chosen;
use crate::check::{CheckDef, CheckFailed};
use crate::error::Error;
use crate::lm::{Finish, LmError, Message, Money, OutputSchema, Params, Reply, Request, Usage};
use crate::media::Shown;
use crate::module::{Plan, Shelf, Turn};
use crate::prompt;
use crate::read::{
    ReadError, Repair, RepairKind, Strictness, parse, read_reply, read_value, schema_of,
};
use crate::runner::LocalRunner;
use crate::setup::Setup;
use crate::signature::{Signature, SignatureDef};
use crate::stream::Replies;
use crate::task::{Instead, Task};
use crate::telemetry;
use crate::trace::{CallReport, Exchange};

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
    pub(crate) calls: Vec<CallReport>,
    pub(crate) turns: Vec<Turn>,
    /// The images and documents of the input.
    pub(crate) media: Arc<[Shown]>,
}

/// What is being asked for.
#[derive(Clone, Copy)]
struct Asking<'a> {
    setup: &'a Setup,
    task: &'a Task<'a>,
    input: &'a Value,
}

/// A reply that the step cannot use.
struct Unusable {
    raw: String,
    error: ReadError,
    request_id: Option<String>,
}

impl<'a> Call<'a> {
    /// Nothing is asked yet.
    pub(crate) fn new(runner: &'a LocalRunner, def: &'static SignatureDef) -> Self {
        Self {
            runner,
            def,
            replies: 0,
            usage: Usage::default(),
            cost: Some(Money::default()),
            repairs: Vec::new(),
            checks: Vec::new(),
            calls: Vec::new(),
            turns: Vec::new(),
            media: Arc::default(),
        }
    }

    /// What was asked by another part of the same run.
    pub(crate) fn absorb(&mut self, other: Call<'_>) {
        self.replies += other.replies;
        self.usage += other.usage;
        self.cost = match (self.cost, other.cost) {
            (Some(sum), Some(more)) => Some(sum + more),
            _ => None,
        };
        self.repairs = other.repairs;
        self.checks = other.checks;
        self.calls.extend(other.calls);
    }
}

impl Call<'_> {
    /// Comes to an output as the plan says.
    pub(crate) async fn run<T: Serialize + Send>(
        &mut self,
        plan: Plan<'_>,
        input: &Value,
        reading: &impl Reading<T>,
        replies: &mut impl Replies,
    ) -> Result<T, Error> {
        if let Plan::Predict = plan {
            let setup = self.setup().map_err(|error| self.failed(error))?;
            let params = self.params();
            return self
                .answer(&setup, &Task::OUTPUT, params, input, reading, replies)
                .await;
        }
        let kept = Shelf::new(reading);
        let place = Box::pin(self.by_module(plan, input, &kept)).await?;
        kept.take(place).ok_or_else(|| Error::Input {
            workflow: self.def.workflow,
            step: self.def.step,
            reason: "its module chose an output that there is not".to_owned(),
        })
    }

    /// The LM and all else that the step's requests need.
    pub(crate) fn setup(&self) -> Result<Arc<Setup>, LmError> {
        self.runner.setups.of(self.runner, self.def)
    }

    /// Asks for a task, and once more if the reply cannot be used.
    pub(crate) async fn answer<T>(
        &mut self,
        setup: &Setup,
        task: &Task<'_>,
        params: Params,
        input: &Value,
        reading: &(impl Reading<T> + ?Sized),
        replies: &mut impl Replies,
    ) -> Result<T, Error> {
        let lm = &*setup.lm;
        let mut request = request(self.def, task, &setup.prompt, params, (input, &self.media))
            .map_err(|reason| Error::Input {
                workflow: self.def.workflow,
                step: self.def.step,
                reason,
            })?;
        let asking = Asking { setup, task, input };
        let Unusable { raw, error, .. } =
            match self.ask(&asking, &request, reading, replies).await? {
                Ok(output) => return Ok(output),
                Err(unread) => unread,
            };
        let errors = error.lines().len();
        tracing::info!(lm = %lm.name(), errors, "the reply cannot be used; asking once more");
        request.messages.push(Message::assistant(raw));
        request.messages.push(prompt::render_errors(&error));
        match self.ask(&asking, &request, reading, replies).await? {
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
        asking: &Asking<'_>,
        request: &Request,
        reading: &(impl Reading<T> + ?Sized),
        replies: &mut impl Replies,
    ) -> Result<Result<T, Unusable>, Error> {
        let Asking { setup, task, input } = *asking;
        let lm = &*setup.lm;
        let started = Instant::now();
        let span = telemetry::call(lm.name(), request);
        let reply = replies
            .reply(&self.runner.retry, lm, request)
            .instrument(span.clone())
            .await;
        let cost = match &reply {
            Ok(reply) => setup.cost(self.runner, self.def, reply),
            Err(error) => error.is_free().then(Money::default),
        };
        telemetry::call_ended(&span, reply.as_ref(), cost);
        let exchange = Exchange {
            workflow: self.def.workflow,
            step: self.def.step,
            def: self.def,
            input,
            prompt: &setup.prompt,
            task,
            media: &self.media,
            purpose: task.purpose,
            lm: lm.name(),
            request,
            reply: reply.as_ref(),
            latency: started.elapsed(),
        };
        #[cfg(feature = "otel")]
        if self.runner.otel_content {
            telemetry::content(&span, &exchange);
        }
        for observer in self.runner.observers.iter().chain(&setup.log) {
            observer.asked(&exchange);
        }
        self.calls.push(CallReport {
            purpose: task.purpose,
            lm: lm.name().clone(),
            repetition: request.params.repetition,
            latency: exchange.latency,
            usage: reply.as_ref().map(|reply| reply.usage).unwrap_or_default(),
            cost,
            error: reply.as_ref().err().map(LmError::class),
        });
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
        self.cost = match (self.cost, cost) {
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
    pub(crate) fn params(&self) -> Params {
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

    pub(crate) fn failed(&self, source: LmError) -> Error {
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
    task: &Task<'_>,
    prompt: &Chosen,
    params: Params,
    (input, media): (&Value, &[Shown]),
) -> Result<Request, String> {
    let media = if task.takes_inputs() { media } else { &[] };
    let input = &*in_words(input, media);
    if def.adapter.is_some() && !media.is_empty() {
        return Err(
            "the prompts of DSPy's adapters have no place for images and documents".to_owned(),
        );
    }
    let mut messages = match def.adapter {
        None => prompt::render(def, task, prompt, input),
        Some(adapter) => adapter
            .messages_for(def, task, prompt, input)
            .map_err(|error| error.to_string())?,
    };
    if let Some(last) = messages.last_mut() {
        last.media = media.iter().map(|shown| shown.attachment.clone()).collect();
    }
    // A reply with DSPy's field marks is no JSON.
    let is_json = def.adapter != Some(Adapter::DspyChat);
    Ok(Request {
        messages,
        schema: is_json.then(|| OutputSchema {
            name: schema_name(def.step),
            json: match &task.instead {
                None => def.output_schema.into(),
                Some(instead) => instead.schema().into(),
            },
        }),
        params,
    })
}

/// The input with words in the place of what cannot be said in text.
fn in_words<'i>(input: &'i Value, media: &[Shown]) -> Cow<'i, Value> {
    if media.is_empty() {
        return Cow::Borrowed(input);
    }
    let mut input = input.clone();
    for (at, shown) in media.iter().enumerate() {
        let words = format!("(attachment {}, {})", at + 1, shown.attachment.words());
        if let Some(value) = input.get_mut(shown.field) {
            *value = Value::from(words);
        }
    }
    Cow::Owned(input)
}

/// What makes an output of a reply.
pub(crate) trait Reading<T>: Sync {
    fn read(&self, def: &SignatureDef, text: &str) -> Result<(T, Vec<Repair>), ReadError>;

    /// The checks that do not hold.
    ///
    /// # Errors
    /// If asserts do not hold: those.
    fn check(&self, def: &SignatureDef, output: &T) -> Result<Vec<CheckFailed>, ReadError>;

    /// How good the output is; `None` if nobody can say.
    fn reward(&self, def: &SignatureDef, output: &T) -> Option<f64> {
        let _ = (def, output);
        None
    }
}

/// As the types of a step.
pub(crate) struct Typed<'a, S: Signature> {
    pub(crate) input: &'a S::Input,
    /// In place of the reward of the workflow file.
    pub(crate) reward: Option<&'a Reward<'a, S>>,
}

/// Says how good an output is.
pub(crate) type Reward<'a, S> =
    dyn Fn(&<S as Signature>::Input, &<S as Signature>::Output) -> f64 + Send + Sync + 'a;

impl<S: Signature> Reading<S::Output> for Typed<'_, S> {
    fn read(&self, def: &SignatureDef, text: &str) -> Result<(S::Output, Vec<Repair>), ReadError> {
        match def.adapter {
            None => read_reply(def.output_schema, text),
            Some(adapter) => Ok((read_value(read_dspy(adapter, def, text)?)?, Vec::new())),
        }
    }

    fn check(&self, def: &SignatureDef, output: &S::Output) -> Result<Vec<CheckFailed>, ReadError> {
        let held = S::checks(self.input, output);
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

    fn reward(&self, def: &SignatureDef, output: &S::Output) -> Option<f64> {
        if let Some(reward) = self.reward {
            return Some(reward(self.input, output));
        }
        S::reward(self.input, output).or_else(|| {
            let held = S::checks(self.input, output);
            let checks = def.checks.iter().zip(held);
            let held: Vec<bool> = checks
                .filter_map(|(def, held)| (!def.is_assert).then_some(held))
                .collect();
            share(&held)
        })
    }
}

/// The share of what is true; `None` of nothing.
fn share(all: &[bool]) -> Option<f64> {
    let count = |number: usize| u32::try_from(number).map_or(f64::MAX, f64::from);
    let held = all.iter().filter(|held| **held).count();
    (!all.is_empty()).then(|| count(held) / count(all.len()))
}

/// By the schema alone.
pub(crate) struct Untyped;

impl Reading<Value> for Untyped {
    fn read(&self, def: &SignatureDef, text: &str) -> Result<(Value, Vec<Repair>), ReadError> {
        let text = match def.adapter {
            None => text.to_owned(),
            Some(adapter) => read_dspy(adapter, def, text)?.to_string(),
        };
        by_schema(def.output_schema, &text)
    }

    fn check(&self, _: &SignatureDef, _: &Value) -> Result<Vec<CheckFailed>, ReadError> {
        Ok(Vec::new())
    }
}

/// Of something else than the step's output, by a schema that takes more than what is asked for.
pub(crate) struct TaskReading<'a> {
    pub(crate) instead: &'a Instead<'a>,
    pub(crate) schema: &'static str,
}

impl Reading<Value> for TaskReading<'_> {
    fn read(&self, def: &SignatureDef, text: &str) -> Result<(Value, Vec<Repair>), ReadError> {
        let text = match def.adapter {
            None => text.to_owned(),
            Some(adapter) => adapter
                .read_task(self.instead, text)
                .map_err(|error| ReadError::Adapter(error.to_string()))?
                .to_string(),
        };
        by_schema(self.schema, &text)
    }

    fn check(&self, _: &SignatureDef, _: &Value) -> Result<Vec<CheckFailed>, ReadError> {
        Ok(Vec::new())
    }
}

fn by_schema(schema: &'static str, text: &str) -> Result<(Value, Vec<Repair>), ReadError> {
    let schema = schema_of(schema).map_err(|error| ReadError::Adapter(error.to_string()))?;
    let parsed = parse(&schema, text, Strictness::Lenient)?;
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

fn is_cut(repairs: &[Repair]) -> bool {
    repairs
        .iter()
        .any(|repair| repair.kind == RepairKind::Unfinished)
}
