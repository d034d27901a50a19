//! From what the runtime reports to rows.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use dspipe_runtime::lm::{Money, Usage};
use dspipe_runtime::{
    Error, Observer, SignatureDef, StepRecord, StepReport, Value, Workflow, WorkflowDef,
};
use serde::Serialize;

use crate::class::error_class;
use crate::error::HistoryError;
use crate::execution::{Time, millis};
use crate::redaction::{Redaction, scrub, scrub_text};
use crate::writer::{Pending, Writer};

/// What an LM costs, in US dollars per million tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    /// Of the messages.
    pub input: f64,
    /// Of the replies.
    pub output: f64,
}

impl Price {
    fn of(self, usage: Usage) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts of tokens are small")]
        let [input, output] = [usage.input_tokens as f64, usage.output_tokens as f64];
        (input * self.input + output * self.output) / 1e6
    }
}

/// Prices of LMs, by `provider/model`.
pub type Prices = HashMap<String, Price>;

/// An execution that something other than the runtime has done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewExecution {
    /// The workflow's name.
    pub workflow: String,
    /// The step's name; `None` for a run of the whole workflow.
    pub step: Option<String>,
    /// When it began; `None` is now.
    pub time: Option<Time>,
    /// How long it took, in milliseconds.
    pub latency_ms: u64,
    /// The LM, as `provider/model`.
    pub lm: Option<String>,
    /// What went in: an object.
    pub inputs: Value,
    /// What came out: an object; `None` if it failed.
    pub outputs: Option<Value>,
    /// What it took.
    pub usage: Usage,
    /// In US dollars.
    pub cost: Option<f64>,
    /// The class of the error.
    pub error: Option<String>,
    /// The message of the error.
    pub message: Option<String>,
    /// How good the output is, from 0 to 1.
    pub score: Option<f64>,
}

/// Records the steps of a runner, as its observer.
///
/// Steps then have no run of a workflow to belong to; [`start`](Self::start) gives them one.
/// Dropping the last recorder (and run) of a history waits until everything is written.
#[derive(Clone, Debug)]
pub struct Recorder {
    pub(crate) writer: Arc<Writer>,
    pub(crate) redaction: Arc<Redaction>,
    pub(crate) prices: Arc<Prices>,
    /// Keys and tokens of the environment. They have no business in inputs and outputs, but get there.
    pub(crate) keys: Arc<HashSet<String>>,
}

impl Recorder {
    /// Begins a run of a compiled workflow. Its steps belong to it if it is the observer of their runner:
    ///
    /// ```no_run
    /// # use std::sync::Arc;
    /// # use dspipe_history::{HistoryError, Recorder};
    /// # use dspipe_runtime::{LocalRunner, Workflow};
    /// # async fn example<W: Workflow>(recorder: Recorder, inputs: W::Inputs) -> Result<(), HistoryError> {
    /// // `W` is `workflows::triage::Workflow`.
    /// let run = Arc::new(recorder.start::<W>(&inputs)?);
    /// let runner = LocalRunner::from_env().with_observer(run.clone());
    /// let result = W::run(&runner, inputs).await;
    /// run.end(result.as_ref());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`HistoryError::Serialize`] if the inputs cannot be serialized. Those of compiled workflows can.
    pub fn start<W: Workflow>(&self, inputs: &W::Inputs) -> Result<Run, HistoryError> {
        let def = W::DEF;
        let own = Redaction::of_workflow(def);
        Ok(self.begin(def.name, Some(def), own, Some(json(def.name, inputs)?)))
    }

    /// Begins a run of something that was not compiled. What a step calls `sensitive` is kept out of the run's own row
    /// only if the step has run.
    ///
    /// # Errors
    /// [`HistoryError::Serialize`] if the inputs cannot be serialized.
    pub fn start_run(&self, workflow: &str, inputs: &impl Serialize) -> Result<Run, HistoryError> {
        let inputs = json(workflow, inputs)?;
        Ok(self.begin(workflow, None, Redaction::new(), Some(inputs)))
    }

    /// Begins steps of a workflow that belong together, without a run of the workflow: they have one key, and there is
    /// no row but theirs.
    pub fn start_steps(&self, workflow: &str) -> Run {
        self.begin(workflow, None, Redaction::new(), None)
    }

    fn begin(
        &self,
        workflow: &str,
        def: Option<&'static WorkflowDef>,
        own: Redaction,
        inputs: Option<Value>,
    ) -> Run {
        let mut secrets = HashSet::new();
        let redaction = own.and((*self.redaction).clone());
        if let Some(inputs) = inputs.as_ref().filter(|_| !redaction.is_empty()) {
            redaction.apply(workflow, None, &mut inputs.clone(), None, &mut secrets);
        }
        Run {
            recorder: self.clone(),
            key: run_key().into(),
            workflow: workflow.to_owned(),
            def,
            time: Time::now(),
            started: Instant::now(),
            state: Mutex::new(State {
                ended: inputs.is_none(),
                inputs: inputs.unwrap_or_default(),
                redaction,
                steps: Vec::new(),
                secrets,
                usage: Usage::default(),
                replies: 0,
                cost: None,
            }),
        }
    }

    /// Writes down how good the output of a run is, from 0 to 1, or those of one of its steps; `run` is
    /// [`Run::key`]. It may have ended long ago.
    pub fn score(&self, run: &str, step: Option<&str>, score: f64) {
        self.writer.score(run, step, score);
    }

    /// Records an execution that something else has done.
    pub fn record(&self, new: NewExecution) {
        let row = Pending {
            workflow: new.workflow,
            step: new.step,
            time: new.time.unwrap_or_else(Time::now).millis(),
            latency: i64::try_from(new.latency_ms).unwrap_or(i64::MAX),
            cost: new.cost.or_else(|| self.cost(new.lm.as_deref(), new.usage)),
            lm: new.lm,
            input_tokens: new.usage.input_tokens,
            output_tokens: new.usage.output_tokens,
            error: new.error,
            message: new.message,
            score: new.score,
            ..Pending::default()
        };
        let mut secrets = HashSet::new();
        self.send(row, &new.inputs, new.outputs.as_ref(), &mut secrets);
    }

    /// Waits until everything that was recorded is written. This blocks the thread.
    ///
    /// # Errors
    /// [`HistoryError::Lost`] if something could not be written since the last flush.
    pub fn flush(&self) -> Result<(), HistoryError> {
        self.writer.flush()
    }

    /// How many executions were written so far, and how many were lost.
    pub fn counts(&self) -> (u64, u64) {
        self.writer.counts()
    }

    fn cost(&self, lm: Option<&str>, usage: Usage) -> Option<f64> {
        self.prices.get(lm?).map(|price| price.of(usage))
    }

    fn step_row(&self, record: &StepRecord<'_>) -> Pending {
        let StepRecord {
            def, report, error, ..
        } = *record;
        let latency = millis(report.latency);
        Pending {
            workflow: def.workflow.to_owned(),
            step: Some(def.step.to_owned()),
            time: Time::now().millis().saturating_sub(latency),
            latency,
            lm: Some(report.lm.clone()),
            def: Some(def),
            input_tokens: report.usage.input_tokens,
            output_tokens: report.usage.output_tokens,
            replies: report.replies,
            cost: report
                .cost
                .map(Money::dollars)
                .or_else(|| self.cost(Some(&report.lm), report.usage)),
            error: error.map(|error| error_class(error).to_owned()),
            message: error.map(|error| self.message(def, error)),
            ..Pending::default()
        }
    }

    /// What is kept out of the rows of a step: what its workflow says, and what the history was told.
    fn redaction_of(&self, def: Option<&SignatureDef>) -> Cow<'_, Redaction> {
        match def.map(Redaction::of) {
            Some(own) if !own.is_empty() => Cow::Owned(own.and((*self.redaction).clone())),
            _ => Cow::Borrowed(&*self.redaction),
        }
    }

    fn has_key(&self, row: &Pending) -> bool {
        let mut texts = [
            Some(&row.inputs),
            row.outputs.as_ref(),
            row.message.as_ref(),
        ]
        .into_iter()
        .flatten();
        texts.any(|text| self.keys.iter().any(|key| text.contains(key)))
    }

    /// A reply that could not be read may have fields in it that are to be kept out.
    fn message(&self, def: &SignatureDef, error: &Error) -> String {
        match error {
            Error::Reply { lm, .. } if !self.redaction_of(Some(def)).is_empty() => {
                format!(
                    "the reply of {lm} cannot be used; it is not shown because fields are redacted"
                )
            }
            error => error.to_string(),
        }
    }

    /// Takes out what is to be kept out of the row of a step, and queues it.
    fn send(
        &self,
        row: Pending,
        inputs: &Value,
        outputs: Option<&Value>,
        secrets: &mut HashSet<String>,
    ) {
        let redaction = self.redaction_of(row.def);
        let (workflow, step) = (row.workflow.clone(), row.step.clone());
        let apply = |inputs: &mut Value, outputs: Option<&mut Value>, secrets: &mut _| {
            redaction.apply(&workflow, step.as_deref(), inputs, outputs, secrets)
        };
        let is_empty = redaction.is_empty();
        self.send_without(row, inputs, outputs, secrets, is_empty, apply);
    }

    /// Queues a row without what `apply` takes out, and without what quotes that.
    fn send_without(
        &self,
        mut row: Pending,
        inputs: &Value,
        outputs: Option<&Value>,
        secrets: &mut HashSet<String>,
        takes_nothing: bool,
        apply: impl FnOnce(&mut Value, Option<&mut Value>, &mut HashSet<String>) -> Vec<String>,
    ) {
        row.inputs = inputs.to_string();
        row.outputs = outputs.map(ToString::to_string);
        if takes_nothing && secrets.is_empty() && !self.has_key(&row) {
            "[]".clone_into(&mut row.redacted);
        } else {
            secrets.extend(self.keys.iter().cloned());
            let (mut inputs, mut outputs) = (inputs.clone(), outputs.cloned());
            let redacted = apply(&mut inputs, outputs.as_mut(), secrets);
            scrub(&mut inputs, secrets);
            if let Some(outputs) = &mut outputs {
                scrub(outputs, secrets);
            }
            if let Some(message) = &mut row.message {
                scrub_text(message, secrets);
            }
            row.inputs = inputs.to_string();
            row.outputs = outputs.map(|outputs| outputs.to_string());
            row.redacted = Value::from(redacted).to_string();
        }
        self.writer.send(row);
    }
}

/// A value as JSON.
fn json(workflow: &str, value: &impl Serialize) -> Result<Value, HistoryError> {
    serde_json::to_value(value).map_err(|error| HistoryError::Serialize {
        workflow: workflow.to_owned(),
        reason: error.to_string(),
    })
}

impl Observer for Recorder {
    fn step_ended(&self, _: &StepReport, _: Option<&Error>) {}

    fn wants_records(&self) -> bool {
        true
    }

    fn step_recorded(&self, record: &StepRecord<'_>) {
        let mut secrets = HashSet::new();
        self.send(
            self.step_row(record),
            record.input,
            record.output,
            &mut secrets,
        );
    }
}

/// One run of a workflow that is recorded. Dropped before its [`end`](Self::end), it is recorded as
/// `cancelled`.
#[derive(Debug)]
pub struct Run {
    recorder: Recorder,
    key: Arc<str>,
    workflow: String,
    def: Option<&'static WorkflowDef>,
    time: Time,
    started: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    inputs: Value,
    /// What is kept out of its own row: what is known of the workflow, and of the steps that ran.
    redaction: Redaction,
    /// The steps that ran, each once.
    steps: Vec<&'static SignatureDef>,
    /// Redacted texts of the run so far: later steps may quote them.
    secrets: HashSet<String>,
    usage: Usage,
    replies: u32,
    cost: Option<f64>,
    ended: bool,
}

impl Run {
    /// What its executions have in their field `run`.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Records how it ended. Only the first end counts.
    pub fn end<T: Serialize>(&self, result: Result<&T, &Error>) {
        match result {
            Ok(outputs) => match serde_json::to_value(outputs) {
                Ok(outputs) => self.finish(Some(&outputs), None, None),
                Err(error) => self.finish(None, Some("output"), Some(error.to_string())),
            },
            Err(error) => {
                let message = match error {
                    // The reply may have fields in it that the step's own row keeps out.
                    Error::Reply { step, lm, .. } => {
                        format!("step `{step}` cannot use the reply of {lm}; its own row has more")
                    }
                    error => error.to_string(),
                };
                self.finish(None, Some(error_class(error)), Some(message));
            }
        }
    }

    fn finish(&self, outputs: Option<&Value>, error: Option<&str>, message: Option<String>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut state.ended, true) {
            return;
        }
        let row = Pending {
            run: Some(Arc::clone(&self.key)),
            workflow: self.workflow.clone(),
            time: self.time.millis(),
            latency: millis(self.started.elapsed()),
            input_tokens: state.usage.input_tokens,
            output_tokens: state.usage.output_tokens,
            replies: state.replies,
            cost: state.cost,
            error: error.map(str::to_owned),
            message,
            workflow_def: self.def,
            ..Pending::default()
        };
        let State {
            inputs,
            redaction,
            steps,
            secrets,
            ..
        } = &mut *state;
        // It may have called others.
        let mut workflows = vec![self.workflow.as_str()];
        workflows.extend(steps.iter().map(|def| def.workflow));
        workflows.dedup();
        let is_empty = redaction.is_empty();
        self.recorder.send_without(
            row,
            inputs,
            outputs,
            secrets,
            is_empty,
            |inputs, outputs, secrets| redaction.apply_to_run(&workflows, inputs, outputs, secrets),
        );
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let message = "the run was dropped before its end".to_owned();
        self.finish(None, Some("cancelled"), Some(message));
    }
}

impl Observer for Run {
    fn step_ended(&self, _: &StepReport, _: Option<&Error>) {}

    fn wants_records(&self) -> bool {
        true
    }

    fn step_recorded(&self, record: &StepRecord<'_>) {
        let row = Pending {
            run: Some(Arc::clone(&self.key)),
            ..self.recorder.step_row(record)
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.steps.iter().any(|it| std::ptr::eq(*it, record.def)) {
            state.steps.push(record.def);
            let redaction = std::mem::take(&mut state.redaction);
            state.redaction = redaction.and(Redaction::of(record.def));
        }
        state.usage += record.report.usage;
        state.replies += record.report.replies;
        if let Some(cost) = row.cost {
            *state.cost.get_or_insert(0.0) += cost;
        }
        self.recorder
            .send(row, record.input, record.output, &mut state.secrets);
    }
}

/// A key that no other run has, in this process or another.
fn run_key() -> String {
    use std::hash::{BuildHasher, RandomState};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    // Its keys are random, and differ between processes.
    let random = RandomState::new().hash_one((count, std::process::id(), Time::now()));
    format!("{random:016x}")
}
