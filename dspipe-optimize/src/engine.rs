//! Runs and scores candidates: the same runner, renderer and reader that the program has in production.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dspipe_eval::metric::{Metric, Sample, Score};
use dspipe_runtime::lm::Money;
use dspipe_runtime::{
    Change, Changes, DemoText, Error, LmError, LocalRunner, Map, Observer,
    Prompt as CompiledPrompt, PromptText, Round, SignatureDef, StepRecord, StepReport, Value,
    WorkflowDef,
};
use futures_util::{StreamExt as _, stream};

use crate::bridge::{Demo, Prompt, Prompts};
use crate::data::Example;
use crate::error::OptimizeError;
use crate::program::{Program, RunError};
use crate::validate::{EvaluatedCase, Evaluation};

/// A workflow, what runs it, and what scores it.
#[derive(Clone)]
pub(crate) struct Engine {
    pub(crate) program: Arc<dyn Program>,
    pub(crate) runner: LocalRunner,
    pub(crate) metric: Arc<dyn Metric>,
}

/// What a run did.
#[derive(Debug)]
pub(crate) struct Ran {
    /// By step, then by field.
    pub(crate) outputs: Result<Value, RunError>,
    /// The calls of steps that succeeded, in the order of the program.
    pub(crate) calls: Vec<Call>,
    /// The input of the step that failed.
    pub(crate) failed_inputs: Option<Value>,
    pub(crate) cost: Option<Money>,
    pub(crate) latency: Duration,
}

/// A call of a step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) step: &'static str,
    pub(crate) inputs: Value,
    pub(crate) outputs: Value,
}

impl Engine {
    pub(crate) fn def(&self) -> &'static WorkflowDef {
        self.program.def()
    }

    pub(crate) async fn run(&self, inputs: &Map<String, Value>, changes: Changes) -> Ran {
        let observer = Arc::new(Recorder::of(self.def().name));
        let runner = self
            .runner
            .clone()
            .with_changes(changes)
            .with_observer(Arc::<Recorder>::clone(&observer));
        let started = Instant::now();
        let outputs = self
            .program
            .run(&runner, Value::Object(inputs.clone()))
            .await;
        let latency = started.elapsed();
        let mut recorded = observer.take();
        in_program_order(&mut recorded.calls, self.def().steps);
        Ran {
            outputs,
            calls: recorded.calls.into_iter().map(|(_, call)| call).collect(),
            failed_inputs: recorded.failed_inputs,
            cost: (!recorded.unpriced).then_some(recorded.cost),
            latency,
        }
    }

    /// The score of a run; 0 if it failed.
    ///
    /// # Errors
    /// [`OptimizeError::Metric`] if there is no telling.
    pub(crate) async fn score(
        &self,
        example: &Example,
        outputs: Option<&Value>,
        cost: Option<Money>,
        latency: Duration,
    ) -> Result<Score, OptimizeError> {
        let Some(actual) = outputs else {
            return Ok(Score::default());
        };
        let input = Value::Object(example.inputs.clone());
        let expected = example.expected();
        let sample = Sample {
            input: &input,
            expected: Some(&expected),
            actual,
            latency,
            cost: cost.map(Money::dollars),
        };
        // What runs before the future does is inside of it too.
        let score = std::panic::AssertUnwindSafe(async { self.metric.score(&sample).await });
        let reason = match futures_util::FutureExt::catch_unwind(score).await {
            Ok(Ok(score)) => return Ok(score),
            Ok(Err(error)) => error.to_string(),
            Err(panic) => format!("it panicked: {}", panic_text(&*panic)),
        };
        Err(OptimizeError::Metric {
            example: example.source.clone(),
            reason,
        })
    }

    /// Runs and scores each example, so many at a time; `done` is told of each.
    ///
    /// # Errors
    /// The first error that would be the same for every example, such as a key that is missing.
    pub(crate) async fn evaluate(
        &self,
        examples: &[Example],
        prompts: Option<&Prompts>,
        threads: usize,
        done: &(dyn Fn(f64) + Send + Sync),
    ) -> Result<Evaluation, OptimizeError> {
        let changes = prompts.map_or_else(Changes::none, |prompts| changes(self.def(), prompts));
        // A stream of owned futures: closures over references are too much for the compiler here.
        let cases: Vec<_> = examples
            .iter()
            .map(|example| self.case(example, changes.clone()))
            .collect();
        let mut cases = stream::iter(cases).buffered(threads.max(1));
        let mut found = Vec::with_capacity(examples.len());
        while let Some(case) = cases.next().await {
            let case = case?;
            done(case.score);
            found.push(case);
        }
        Ok(Evaluation { cases: found })
    }

    /// Runs and scores one example.
    ///
    /// # Errors
    /// As [`Self::evaluate`].
    pub(crate) async fn case(
        &self,
        example: &Example,
        changes: Changes,
    ) -> Result<EvaluatedCase, OptimizeError> {
        let ran = self.run(&example.inputs, changes).await;
        if let Err(RunError::Step(error)) = &ran.outputs
            && let Some(hopeless) = hopeless(error)
        {
            return Err(hopeless.clone().into());
        }
        let outputs = ran.outputs.as_ref().ok();
        let score = self.score(example, outputs, ran.cost, ran.latency).await?;
        Ok(EvaluatedCase {
            example: example.id.clone(),
            score: score.value.get(),
            feedback: score.feedback,
            outputs: ran.outputs.map_err(|error| error.to_string()),
            cost: ran.cost,
            latency: ran.latency.as_secs_f64(),
        })
    }
}

/// Sorts calls as the program makes them when nothing runs at the same time: in the order of the file, and
/// round for round where they are in loops.
fn in_program_order(calls: &mut [(Vec<Round>, Call)], steps: &[&SignatureDef]) {
    let place = |call: &Call| steps.iter().position(|def| def.step == call.step);
    // A loop stands where the first of its steps does.
    let mut loops: HashMap<&str, Option<usize>> = HashMap::new();
    for (rounds, call) in &*calls {
        for round in rounds {
            let first = loops.entry(round.of).or_insert_with(|| place(call));
            *first = (*first).min(place(call));
        }
    }
    calls.sort_by_cached_key(|(rounds, call)| {
        let rounds = rounds
            .iter()
            .map(|it| (loops.get(it.of).copied().flatten(), it.index));
        let own = (place(call), 0);
        rounds.chain([own]).collect::<Vec<_>>()
    });
}

/// What runs a workflow with these prompts, in place of its own.
pub(crate) fn changes(def: &WorkflowDef, prompts: &Prompts) -> Changes {
    let mut changes = Changes::none();
    for step in def.steps {
        if let Some(found) = prompts.get(step.step) {
            let change = Change {
                prompt: Some(Arc::new(prompt_text(step, found))),
                ..Change::default()
            };
            changes = changes.with(step.workflow, step.step, change);
        }
    }
    changes
}

pub(crate) fn prompt_text(def: &SignatureDef, found: &Prompt) -> PromptText {
    let demos = found.demos.iter().map(|demo| {
        let (inputs, outputs) = (demo.inputs.clone(), demo.outputs.clone());
        DemoText::new(def, &Value::Object(inputs), &Value::Object(outputs))
    });
    PromptText {
        instructions: found.instructions.clone(),
        demos: demos.collect(),
    }
}

/// The prompts that a program has as it is compiled, for an LM.
pub(crate) fn compiled_prompts(def: &WorkflowDef, runner: &LocalRunner) -> Prompts {
    prompts_of(def, |step| {
        let lm = runner.lm_name(step).ok()?;
        Some(step.prompt_for(&lm))
    })
}

/// The prompts of the workflow file, whatever an optimizer found.
pub(crate) fn written_prompts(def: &WorkflowDef) -> Prompts {
    prompts_of(def, |step| {
        Some(CompiledPrompt {
            lm: None,
            instructions: step.instructions,
            demos: step.demos,
        })
    })
}

fn prompts_of(
    def: &WorkflowDef,
    prompt_of: impl Fn(&SignatureDef) -> Option<CompiledPrompt>,
) -> Prompts {
    let mut prompts = Prompts::new();
    for step in def.steps {
        let Some(prompt) = prompt_of(step) else {
            continue;
        };
        let demos = prompt.demos.iter().map(|demo| {
            let inputs = demo.inputs.iter();
            Demo {
                inputs: inputs
                    .map(|(name, text)| ((*name).to_owned(), value_of(step, name, text)))
                    .collect(),
                outputs: match serde_json::from_str(demo.output) {
                    Ok(Value::Object(outputs)) => outputs,
                    // The compiler writes nothing else.
                    _ => Map::new(),
                },
                augmented: false,
            }
        });
        let found = Prompt {
            instructions: prompt.instructions.to_owned(),
            demos: demos.collect(),
        };
        prompts.insert(step.step.to_owned(), found);
    }
    prompts
}

/// The value that stands as text in a demo: strings as they are, everything else as JSON.
fn value_of(def: &SignatureDef, field: &str, text: &str) -> Value {
    let schema: Value = serde_json::from_str(def.input_schema).unwrap_or_default();
    let ty = &schema["properties"][field]["type"];
    match serde_json::from_str(text) {
        Ok(value) if ty != "string" => value,
        _ => Value::String(text.to_owned()),
    }
}

/// The error of a step that every other run would meet too.
pub(crate) fn hopeless(error: &Error) -> Option<&LmError> {
    let Error::Lm { source, .. } = error else {
        return None;
    };
    let of_one_request = matches!(
        source,
        LmError::ContextLength { .. }
            | LmError::Refused { .. }
            | LmError::ContentFilter { .. }
            | LmError::BadRequest { .. }
            | LmError::Truncated { .. }
            | LmError::Timeout { .. }
            | LmError::Deadline { .. }
            | LmError::Interrupted { .. }
            | LmError::Protocol { .. }
            | LmError::Server { .. }
    );
    (!of_one_request).then_some(source)
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a message")
}

/// Keeps the calls of a run. Those of workflows that are called are no part of the program: their prompts are
/// not searched here.
#[derive(Debug)]
struct Recorder {
    workflow: &'static str,
    recorded: Mutex<Recorded>,
}

#[derive(Debug, Default)]
struct Recorded {
    /// With the rounds of loops that each ran in.
    calls: Vec<(Vec<Round>, Call)>,
    failed_inputs: Option<Value>,
    cost: Money,
    unpriced: bool,
}

impl Recorder {
    fn of(workflow: &'static str) -> Self {
        Self {
            workflow,
            recorded: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Recorded {
        std::mem::take(&mut self.lock())
    }
}

impl Observer for Recorder {
    fn step_ended(&self, report: &StepReport, _: Option<&Error>) {
        let mut recorded = self.lock();
        match report.cost {
            Some(cost) => recorded.cost += cost,
            None => recorded.unpriced = true,
        }
    }

    fn wants_records(&self) -> bool {
        true
    }

    fn step_recorded(&self, record: &StepRecord<'_>) {
        if record.def.workflow != self.workflow {
            return;
        }
        let mut recorded = self.lock();
        match record.output {
            Some(output) => {
                let call = Call {
                    step: record.def.step,
                    inputs: record.input.clone(),
                    outputs: output.clone(),
                };
                recorded.calls.push((record.report.rounds.clone(), call));
            }
            None => recorded.failed_inputs = Some(record.input.clone()),
        }
    }
}
