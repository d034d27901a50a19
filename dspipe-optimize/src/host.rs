//! What the bridge asks for while it searches, done by the engine.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dspipe_runtime::lm::{
    LmName, Message, Money, OutputSchema, Params, Request, Role as MessageRole,
};
use dspipe_runtime::{
    Change, Changes, Error, LmError, PromptText, SignatureDef, Value, WorkflowDef,
};
use futures_util::future::BoxFuture;
use sha2::{Digest as _, Sha256};

use crate::bridge::{
    Call, Candidate, Completed, Completion, CompletionFailure, CompletionFailureKind, FailureKind,
    Fields, Host, HostError, Log, Outcome, Progress, PromptTold, ReplyFormat, Role, Run,
    RunFailure, RunResult, Score, Scored, StepCall, StepResult, StepSetup,
};
use crate::data::Example;
use crate::engine::{Engine, Ran, hopeless, prompt_text};
use crate::error::OptimizeError;
use crate::program::RunError;
use crate::progress::Reporter;

/// The schema of a reply of which nothing is known but that it is an object.
const ANY_OBJECT: &str = r#"{"type":"object"}"#;

/// Answers the bridge for one job.
pub(crate) struct Searching {
    engine: Engine,
    examples: HashMap<String, Example>,
    /// The LM that optimizers ask, where their settings name none.
    proposer: LmName,
    reporter: Arc<Reporter>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By the id that the bridge has for it.
    prompts: HashMap<String, Arc<PromptText>>,
    /// What a run took, until it is scored.
    runs: HashMap<String, (Option<Money>, Duration)>,
    best: Option<Candidate>,
}

impl Searching {
    pub(crate) fn new(
        engine: Engine,
        examples: impl IntoIterator<Item = Example>,
        proposer: LmName,
        reporter: Arc<Reporter>,
    ) -> Self {
        Self {
            engine,
            examples: examples
                .into_iter()
                .map(|example| (example.id.clone(), example))
                .collect(),
            proposer,
            reporter,
            state: Mutex::default(),
        }
    }

    /// The best program so far.
    pub(crate) fn best(&self) -> Option<Candidate> {
        self.state().best.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that runs under the lock can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn def(&self, step: &str) -> Result<&'static SignatureDef, HostError> {
        let steps = self.engine.def().steps;
        let def = steps.iter().find(|def| def.step == step).copied();
        def.ok_or_else(|| HostError::fatal("unknown_step", format!("no step is called `{step}`")))
    }

    fn change(&self, setup: &StepSetup) -> Result<Change, HostError> {
        let prompt = self.state().prompts.get(&setup.prompt).cloned();
        let Some(prompt) = prompt else {
            let message = format!("prompt {} was never told", setup.prompt);
            return Err(HostError::fatal("unknown_prompt", message));
        };
        Ok(Change {
            prompt: Some(prompt),
            lm: setup.lm.as_deref().map(lm_name).transpose()?,
            temperature: setup.temperature,
            max_tokens: setup.max_tokens.map(tokens),
            repetition: repetition(setup.rollout_id, 0),
        })
    }

    async fn run_workflow(&self, run: Run) -> Result<RunResult, HostError> {
        let mut changes = Changes::none();
        for (step, setup) in &run.steps {
            let def = self.def(step)?;
            changes = changes.with(def.workflow, def.step, self.change(setup)?);
        }
        let ran = self.engine.run(&run.inputs, changes).await;
        self.state().runs.insert(run.run, (ran.cost, ran.latency));
        result(ran, self.engine.def())
    }

    async fn run_step(&self, call: StepCall) -> Result<StepResult, HostError> {
        let def = self.def(&call.step)?;
        let changes = Changes::none().with(def.workflow, def.step, self.change(&call.setup)?);
        let runner = self.engine.runner.clone().with_changes(changes);
        let output = runner
            .step_value(def, &Value::Object(call.inputs.clone()))
            .await;
        match output {
            Ok(output) => Ok(Outcome::Outputs(fields(output))),
            Err(error) => {
                let program = self.engine.def();
                failure(&error, Some(call.inputs), program).map(Outcome::Failure)
            }
        }
    }

    async fn score_run(&self, score: Score) -> Result<Scored, HostError> {
        let Some(example) = self.examples.get(&score.example) else {
            let message = format!("there is no example `{}`", score.example);
            return Err(HostError::fatal("unknown_example", message));
        };
        let took = score
            .run
            .as_ref()
            .and_then(|run| self.state().runs.get(run).copied());
        let (cost, latency) = took.unwrap_or_default();
        let outputs = score.outputs.clone().map(Value::Object);
        let scored = self
            .engine
            .score(example, outputs.as_ref(), cost, latency)
            .await
            .map_err(|error| host_error(&error))?;
        let feedback = match &score.call {
            Some(call) => step_feedback(example, call, scored.feedback),
            None => scored.feedback,
        };
        let objectives = scored.parts.into_iter();
        Ok(Scored {
            score: scored.value.get(),
            feedback,
            objectives: objectives
                .map(|part| (part.name, part.value.get()))
                .collect(),
        })
    }

    async fn ask(&self, completion: Completion) -> Result<Completed, HostError> {
        let lm = match &completion.lm {
            Some(name) => lm_name(name)?,
            None => self.proposer.clone(),
        };
        let request = request(completion);
        match self.engine.runner.complete(&lm, &request).await {
            Ok(reply) => Ok(Completed::Text(reply.text)),
            Err(error) => match &error {
                LmError::ContextLength { .. } => Ok(Completed::Failure(CompletionFailure {
                    message: error.to_string(),
                    kind: Some(CompletionFailureKind::ContextWindow),
                })),
                LmError::Refused { .. }
                | LmError::ContentFilter { .. }
                | LmError::BadRequest { .. } => Ok(Completed::Failure(CompletionFailure {
                    message: error.to_string(),
                    kind: None,
                })),
                _ => Err(lm_error(&error)),
            },
        }
    }
}

impl Host for Searching {
    fn run(&self, run: Run) -> BoxFuture<'_, Result<RunResult, HostError>> {
        Box::pin(self.run_workflow(run))
    }

    fn step(&self, step: StepCall) -> BoxFuture<'_, Result<StepResult, HostError>> {
        Box::pin(self.run_step(step))
    }

    fn score(&self, score: Score) -> BoxFuture<'_, Result<Scored, HostError>> {
        Box::pin(self.score_run(score))
    }

    fn complete(&self, completion: Completion) -> BoxFuture<'_, Result<Completed, HostError>> {
        Box::pin(self.ask(completion))
    }

    fn prompt(&self, told: PromptTold) {
        // A step that there is not is an error of the run that uses it.
        if let Ok(def) = self.def(&told.step) {
            let prompt = Arc::new(prompt_text(def, &told.content));
            self.state().prompts.insert(told.id, prompt);
        }
    }

    fn candidate(&self, candidate: Candidate) {
        let mut state = self.state();
        let better = state
            .best
            .as_ref()
            .is_none_or(|best| candidate.score >= best.score);
        if better {
            state.best = Some(candidate);
        }
    }

    fn progress(&self, progress: Progress) {
        self.reporter.progress(&progress);
    }

    fn log(&self, log: Log) {
        tracing::debug!(logger = log.logger, level = log.level, "{}", log.message);
    }
}

fn result(ran: Ran, program: &WorkflowDef) -> Result<RunResult, HostError> {
    let calls = ran.calls.into_iter();
    let calls = calls
        .map(|call| Call {
            step: call.step.to_owned(),
            inputs: fields(call.inputs),
            outputs: fields(call.outputs),
        })
        .collect();
    let outcome = match ran.outputs {
        Ok(outputs) => Outcome::Outputs(fields(outputs)),
        Err(RunError::Step(error)) => {
            let inputs = ran.failed_inputs.map(fields);
            Outcome::Failure(failure(&error, inputs, program)?)
        }
        Err(error @ (RunError::Inputs(_) | RunError::Outputs(_))) => Outcome::Failure(RunFailure {
            step: None,
            inputs: None,
            kind: FailureKind::Other,
            message: error.to_string(),
            reply: None,
        }),
    };
    Ok(RunResult { calls, outcome })
}

/// What an optimizer learns from; an error that every run would meet ends the job instead.
fn failure(
    error: &Error,
    inputs: Option<Fields>,
    program: &WorkflowDef,
) -> Result<RunFailure, HostError> {
    if let Some(hopeless) = hopeless(error) {
        return Err(lm_error(hopeless));
    }
    let (kind, reply) = match error {
        Error::Reply { raw, .. } => (FailureKind::Reply, Some(raw.clone())),
        _ => (FailureKind::Other, None),
    };
    let place = error.place();
    let (_, step) = place;
    // A workflow that is called is no part of the program, and its steps are not known to it.
    let mut steps = program.steps.iter();
    let own = steps.any(|def| (def.workflow, def.step) == place);
    Ok(RunFailure {
        step: own.then(|| step.to_owned()),
        inputs: inputs.filter(|_| own),
        kind,
        message: error.to_string(),
        reply,
    })
}

fn host_error(error: &OptimizeError) -> HostError {
    match error {
        OptimizeError::Lm(error) => lm_error(error),
        OptimizeError::Metric { .. } => HostError::fatal("metric", error.to_string()),
        _ => HostError::fatal("host", error.to_string()),
    }
}

fn lm_error(error: &LmError) -> HostError {
    match error {
        LmError::Budget { .. } => HostError::budget("budget", error.to_string()),
        _ if error.is_transient() => HostError::retry("lm", error.to_string()),
        _ => HostError::fatal("lm", error.to_string()),
    }
}

fn lm_name(name: &str) -> Result<LmName, HostError> {
    name.parse()
        .map_err(|error: dspipe_runtime::lm::NameError| HostError::fatal("lm", error.to_string()))
}

fn request(completion: Completion) -> Request {
    let messages = completion.messages.into_iter().map(|message| Message {
        role: match message.role {
            Role::System => MessageRole::System,
            Role::User => MessageRole::User,
            Role::Assistant => MessageRole::Assistant,
        },
        content: message.text,
        media: Vec::new(),
    });
    let schema = |json: String| OutputSchema {
        name: "reply".to_owned(),
        json: json.into(),
    };
    let repetition = repetition(completion.rollout_id, completion.draw);
    Request {
        messages: messages.collect(),
        schema: match completion.schema {
            ReplyFormat::Text => None,
            ReplyFormat::AnyObject => Some(schema(ANY_OBJECT.to_owned())),
            ReplyFormat::Schema(json) => Some(schema(Value::Object(json).to_string())),
        },
        params: Params {
            temperature: completion.temperature,
            max_tokens: completion.max_tokens.map(tokens),
            // Another sample on servers that would repeat themselves, and the same one in the same search.
            seed: Some(u64::from(repetition)),
            repetition,
        },
    }
}

/// Which sample of a call: 0 for the first one.
fn repetition(rollout: Option<i64>, draw: u64) -> u32 {
    if rollout.is_none() && draw == 0 {
        return 0;
    }
    let digest = Sha256::digest(format!("{rollout:?} {draw}"));
    let first = [digest[0], digest[1], digest[2], digest[3]];
    u32::from_le_bytes(first).max(1)
}

fn tokens(limit: u64) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}

fn fields(value: Value) -> Fields {
    match value {
        Value::Object(fields) => fields,
        // Outputs of steps and workflows are objects.
        other => std::iter::once(("value".to_owned(), other)).collect(),
    }
}

/// Feedback on one step: what the metric says, and what is known of this step's outputs.
fn step_feedback(
    example: &Example,
    call: &crate::bridge::ScoredCall,
    feedback: Option<String>,
) -> Option<String> {
    let mut lines: Vec<String> = feedback.into_iter().collect();
    if let (Some(labels), Some(outputs)) = (example.labels.get(&call.step), &call.outputs) {
        for (field, expected) in labels {
            let actual = outputs.get(field).unwrap_or(&Value::Null);
            let known = lines.iter().any(|line| line.contains(field.as_str()));
            if actual != expected && !known {
                lines.push(format!("`{field}` should be {expected}, and is {actual}"));
            }
        }
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}
