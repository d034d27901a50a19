//! What the bridge asks of its host while a job runs, and tells it.

use futures_util::future::BoxFuture;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use dspipe_runtime::Value;

use super::error::ErrorClass;
use super::params::{Fields, Prompt, Prompts, Stats};

/// Does the work of one job.
///
/// Requests of the job run at the same time, each in a task of its own that ends with the job. What the
/// bridge only tells comes in its order, and a prompt before the requests that name it; these functions
/// must not block.
///
/// An `Err` ends the job, whatever the optimizer. What may fail without ending anything, such as a reply
/// that cannot be read, is an `Ok` with a failure. A panic is an error of the class `fatal`.
pub trait Host: Send + Sync {
    /// Runs the whole workflow once, `run`.
    fn run(&self, run: Run) -> BoxFuture<'_, Result<RunResult, HostError>>;

    /// Runs one step alone, `step.complete`.
    fn step(&self, step: StepCall) -> BoxFuture<'_, Result<StepResult, HostError>>;

    /// Scores a run, `metric.score`.
    fn score(&self, score: Score) -> BoxFuture<'_, Result<Scored, HostError>>;

    /// Calls the optimizer's own LM, `lm.complete`.
    fn complete(&self, completion: Completion) -> BoxFuture<'_, Result<Completed, HostError>>;

    /// From now on the id stands for this prompt.
    fn prompt(&self, prompt: PromptTold) {
        let _ = prompt;
    }

    /// A new best program of a stage. It can be adopted whatever happens afterwards.
    fn candidate(&self, candidate: Candidate) {
        let _ = candidate;
    }

    /// How far the job is.
    fn progress(&self, progress: Progress) {
        let _ = progress;
    }

    /// What DSPy or an optimizer logged. It belongs to the bridge: all jobs in flight are told.
    fn log(&self, log: Log) {
        let _ = log;
    }
}

/// Why the host ends a job. The class, the code and the message come back in
/// [`BridgeError::Job`](super::BridgeError::Job).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// It may succeed if the job is asked for again.
    #[error("{message}")]
    Retry {
        /// For programs.
        code: String,
        /// For people.
        message: String,
    },
    /// Something is wrong, and asking again would not help.
    #[error("{message}")]
    Fatal {
        /// For programs.
        code: String,
        /// For people.
        message: String,
    },
    /// The user wanted it.
    #[error("the user cancelled it")]
    Cancelled,
    /// A limit of calls, tokens, money or time is reached.
    #[error("{message}")]
    Budget {
        /// For programs, as in `calls`.
        code: String,
        /// For people.
        message: String,
    },
}

impl HostError {
    /// A limit is reached; `code` says which, as in `calls`.
    pub fn budget(code: &str, message: impl Into<String>) -> Self {
        Self::Budget {
            code: code.to_owned(),
            message: message.into(),
        }
    }

    /// Something is wrong.
    pub fn fatal(code: &str, message: impl Into<String>) -> Self {
        Self::Fatal {
            code: code.to_owned(),
            message: message.into(),
        }
    }

    /// It may succeed later.
    pub fn retry(code: &str, message: impl Into<String>) -> Self {
        Self::Retry {
            code: code.to_owned(),
            message: message.into(),
        }
    }

    /// What to do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Retry { .. } => ErrorClass::Retry,
            Self::Fatal { .. } => ErrorClass::Fatal,
            Self::Cancelled => ErrorClass::Cancelled,
            Self::Budget { .. } => ErrorClass::Budget,
        }
    }

    /// For programs.
    pub fn code(&self) -> &str {
        match self {
            Self::Retry { code, .. } | Self::Fatal { code, .. } | Self::Budget { code, .. } => code,
            Self::Cancelled => "cancelled",
        }
    }
}

/// How a step is to be run, where that differs from what the workflow says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepSetup {
    /// The id of a prompt that was told.
    pub prompt: String,
    /// `provider/model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lm: Option<String>,
    /// The sampling temperature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// The longest reply, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Part of the call's identity, for caches and records: with another one it is another sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout_id: Option<i64>,
}

/// One run of the workflow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its name, for [`Score`].
    pub run: String,
    /// Inputs of the workflow.
    pub inputs: Fields,
    /// By step; those that are not here run as they are.
    pub steps: IndexMap<String, StepSetup>,
}

/// What a run gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// Calls of steps that succeeded, in the order of the program, not of time.
    pub calls: Vec<Call>,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// One call of a step that succeeded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The step.
    pub step: String,
    /// Its inputs.
    pub inputs: Fields,
    /// Its outputs.
    pub outputs: Fields,
}

/// How a run ended, or a step alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The outputs: of the workflow, for the metric, or of the step.
    Outputs(Fields),
    /// It scores 0, and the job goes on.
    Failure(RunFailure),
}

/// What a step alone gave.
pub type StepResult = Outcome;

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFailure {
    /// Where, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The step's inputs, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Fields>,
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// For people, and for LMs that reflect on it.
    pub message: String,
    /// The reply that did not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
}

/// What optimizers tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureKind {
    /// There was a reply, and it did not fit the outputs.
    Reply,
    /// Anything else.
    Other,
}

/// One step alone, if the program's [`runs`](super::Program::runs) is a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepCall {
    /// The step.
    pub step: String,
    /// Its inputs.
    pub inputs: Fields,
    /// How it is to be run.
    #[serde(flatten)]
    pub setup: StepSetup,
}

/// A run to be scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The id of the example.
    pub example: String,
    /// The run, if it has one.
    pub run: Option<String>,
    /// What it gave; `None` if it failed.
    pub outputs: Option<Fields>,
    /// Whether the run becomes a demo if it is good enough.
    pub bootstrap: bool,
    /// The call that feedback is wanted on.
    pub call: Option<ScoredCall>,
}

/// One call of a step in a run that is scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoredCall {
    /// The step.
    pub step: String,
    /// Its inputs.
    pub inputs: Fields,
    /// Its outputs; `None` if its reply did not fit.
    pub outputs: Option<Fields>,
}

/// What the metric says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// 0 to 1; of the run, also if feedback on a call was wanted.
    pub score: f64,
    /// For the LM that proposes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<String>,
    /// Scores by name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub objectives: IndexMap<String, f64>,
}

/// A call of the optimizer's own LM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Completion {
    /// `provider/model`; `None` is the one that the host has for this.
    pub lm: Option<String>,
    /// The question.
    pub messages: Vec<LmMessage>,
    /// The sampling temperature, if it matters.
    pub temperature: Option<f64>,
    /// The longest reply, in tokens, if it matters.
    pub max_tokens: Option<u64>,
    /// What the reply is to be.
    pub schema: ReplyFormat,
    /// Part of the call's identity, for caches and records.
    pub rollout_id: Option<i64>,
    /// Part of the call's identity: counts the replies to one question, from 0.
    pub draw: u64,
}

/// One message of a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LmMessage {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub text: String,
}

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The frame.
    System,
    /// The one who asks.
    User,
    /// The LM.
    Assistant,
}

/// What a reply is to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum ReplyFormat {
    /// Plain text, `null`.
    Text,
    /// Any JSON object, `true`.
    AnyObject,
    /// What fits a JSON Schema.
    Schema(Fields),
}

impl TryFrom<Value> for ReplyFormat {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        match value {
            Value::Null => Ok(Self::Text),
            Value::Bool(true) => Ok(Self::AnyObject),
            Value::Object(schema) => Ok(Self::Schema(schema)),
            _ => Err("`schema` is neither null, nor true, nor an object"),
        }
    }
}

impl From<ReplyFormat> for Value {
    fn from(format: ReplyFormat) -> Self {
        match format {
            ReplyFormat::Text => Self::Null,
            ReplyFormat::AnyObject => Self::Bool(true),
            ReplyFormat::Schema(schema) => Self::Object(schema),
        }
    }
}

/// What the optimizer's own LM gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Completed {
    /// The reply.
    Text(String),
    /// What it does depends on the optimizer.
    Failure(CompletionFailure),
}

/// Why the optimizer's own LM gave no reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletionFailure {
    /// For people.
    pub message: String,
    /// Set if the optimizer can do something about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<CompletionFailureKind>,
}

/// What an optimizer can do something about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompletionFailureKind {
    /// The question was too long.
    ContextWindow,
}

/// A prompt that later requests name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PromptTold {
    /// Its id, valid until the job's end.
    #[serde(rename = "prompt")]
    pub id: String,
    /// Of which step.
    pub step: String,
    /// What it is.
    #[serde(flatten)]
    pub content: Prompt,
}

/// A program that was scored on all examples that decide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// From 1; 0 is the program as it came.
    pub stage: u64,
    /// Its number in the stage, from 1.
    pub candidate: u64,
    /// The mean score, 0 to 1.
    pub score: f64,
    /// On how many examples.
    pub examples: u64,
    /// Its prompts, by step.
    pub prompts: Prompts,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Progress {
    /// An optimizer begins.
    Stage {
        /// From 1.
        stage: u64,
        /// Its name.
        optimizer: String,
    },
    /// An evaluation begins.
    Evaluating {
        /// From 1; 0 is the program as it came.
        stage: u64,
        /// On how many examples.
        examples: u64,
        /// What was asked of the host so far.
        #[serde(flatten)]
        stats: Stats,
    },
    /// A candidate was scored on all examples.
    Scored {
        /// From 1; 0 is the program as it came.
        stage: u64,
        /// Its number in the stage, from 1.
        candidate: u64,
        /// The mean score, 0 to 1.
        score: f64,
        /// The best score of the stage.
        best: f64,
        /// What was asked of the host so far.
        #[serde(flatten)]
        stats: Stats,
    },
}

/// A line of DSPy's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// As Python has them: `debug`, `info`, `warning`, `error`, `critical`.
    pub level: String,
    /// Who says it, as in `dspy.evaluate.evaluate`.
    pub logger: String,
    /// What it says.
    pub message: String,
}
