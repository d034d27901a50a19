//! What the host asks for, and what it gets: the parameters and results of its requests.

use dspipe_runtime::{Map, Value};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Values by the names of their fields.
pub type Fields = Map<String, Value>;

/// Instructions and demos by the names of their steps.
pub type Prompts = IndexMap<String, Prompt>;

/// Runs optimizers, one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Optimize {
    /// Its name, in all messages of the job.
    pub job: String,
    /// What is optimized.
    pub program: Program,
    /// Examples to learn from.
    pub train: Vec<Example>,
    /// Examples that decide; `None` lets each optimizer take its share of `train`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val: Option<Vec<Example>>,
    /// The optimizers.
    pub stages: Vec<Stage>,
    /// Orders the training examples, and is the seed of each optimizer that takes one; `None` is 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// How many runs are in flight; `None` is 8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
}

/// Scores a program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluate {
    /// Its name, in all messages of the job.
    pub job: String,
    /// What is scored.
    pub program: Program,
    /// On which examples.
    pub examples: Vec<Example>,
    /// Prompts by step, instead of those in the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompts: Option<Prompts>,
    /// How many runs are in flight; `None` is 8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
}

/// A workflow as the optimizers see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// The workflow's inputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Field>,
    /// The steps that are optimized; others need not be here.
    pub steps: Vec<Step>,
    /// What it does.
    #[serde(default)]
    pub description: String,
    /// The control flow for people; optimizers show it to the LM that proposes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub outline: String,
    /// What a run is.
    #[serde(default, skip_serializing_if = "Runs::is_workflow")]
    pub runs: Runs,
}

/// What the host runs for one example.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runs {
    /// The whole workflow, asked for by [`Host::run`](super::Host::run).
    #[default]
    Workflow,
    /// The program's only step, asked for by [`Host::step`](super::Host::step).
    Step,
}

impl Runs {
    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde hands it by reference"
    )]
    fn is_workflow(&self) -> bool {
        *self == Self::Workflow
    }
}

/// A step that is optimized.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Its inputs.
    pub inputs: Vec<Field>,
    /// Its outputs, at least one.
    pub outputs: Vec<Field>,
    /// The instructions to start with.
    pub instructions: String,
    /// What it does.
    #[serde(default)]
    pub description: String,
    /// The demos to start with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub demos: Vec<Demo>,
}

/// A field of a step or a workflow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Its JSON Schema, as the compiler made it.
    pub schema: Value,
}

/// What optimizers change of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prompt {
    /// The task in words.
    pub instructions: String,
    /// The examples that are shown to the LM.
    pub demos: Vec<Demo>,
}

/// An example in a prompt. May lack fields, unless it is augmented.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Demo {
    /// Inputs by name.
    pub inputs: Fields,
    /// Outputs by name.
    pub outputs: Fields,
    /// Whether a run made it rather than the user.
    #[serde(default)]
    pub augmented: bool,
}

/// An example of a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// Its name in [`Score`](super::Score) and in the results; unique in its set.
    pub id: String,
    /// Inputs of the workflow.
    pub inputs: Fields,
    /// What is known of the outputs, by field.
    pub labels: Fields,
    /// By step, the values of its fields that are known.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub steps: IndexMap<String, Fields>,
}

/// One optimizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Its name, as in `bootstrap_few_shot`.
    pub optimizer: String,
    /// Its settings, as in `optimizer_settings` of a workflow file.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub settings: Fields,
}

/// The result of [`Optimize`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Optimized {
    /// The best prompts, by step.
    pub prompts: Prompts,
    /// Their mean score, 0 to 1, if they were evaluated.
    pub score: Option<f64>,
    /// What each optimizer found.
    pub stages: Vec<StageResult>,
    /// What was asked of the host.
    pub stats: Stats,
}

/// What one optimizer found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageResult {
    /// Its name.
    pub optimizer: String,
    /// The mean score of its result, 0 to 1, if it was evaluated.
    pub score: Option<f64>,
    /// Its result, by step.
    pub prompts: Prompts,
    /// All programs with a full evaluation, the best first.
    pub candidates: Vec<Evaluation>,
}

/// A program that was scored on all examples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The mean score, 0 to 1.
    pub score: f64,
    /// On how many examples.
    pub examples: u64,
    /// Its prompts, by step.
    pub prompts: Prompts,
}

/// How often the bridge asked for what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Runs of the workflow.
    pub runs: u64,
    /// Runs of a step alone.
    pub steps: u64,
    /// Calls of the optimizer's own LM.
    pub lm_calls: u64,
    /// Scores.
    pub metric_calls: u64,
}

/// The result of [`Evaluate`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluated {
    /// The mean score, 0 to 1.
    pub score: f64,
    /// By example, in their order.
    pub results: Vec<ExampleResult>,
    /// What was asked of the host.
    pub stats: Stats,
}

/// What one example gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExampleResult {
    /// Its id.
    pub example: String,
    /// 0 to 1.
    pub score: f64,
    /// The outputs; `None` if the run failed.
    pub outputs: Option<Fields>,
}
