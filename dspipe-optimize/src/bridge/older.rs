//! The older interface: one signature alone, and test cases, by other names.

use dspipe_runtime::Value;
use serde::{Deserialize, Serialize};

use super::params::{Fields, Program, Prompt, Stats};

/// Optimizes the prompt of one signature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OptimizePrompt {
    /// Its name, in all messages of the job.
    pub job: String,
    /// The signature.
    pub signature: OlderSignature,
    /// Which optimizer, and how.
    pub config: OlderConfig,
    /// The data.
    pub context: OlderContext,
    /// How many runs are in flight; `None` is 8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
}

/// A signature in the older interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OlderSignature {
    /// Its name.
    pub name: String,
    /// What it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The instructions to start with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// Its inputs.
    pub input_fields: Vec<OlderField>,
    /// Its outputs.
    pub output_fields: Vec<OlderField>,
}

/// A field in the older interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OlderField {
    /// Its name.
    pub name: String,
    /// A type of JSON Schema, as in `string`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its JSON Schema; `None` is what the type says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

/// The settings of the older interface, with the spellings of `dspy_config`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OlderConfig {
    /// Not looked at by the bridge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimization_enabled: Option<bool>,
    /// The optimizer, if `optimizer` does not name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation_mode: Option<String>,
    /// The optimizer; `bootstrap_few_shot` if nothing names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<String>,
    /// Its settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimizer_settings: Option<Fields>,
    /// So many examples from the start are for training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training_size: Option<u64>,
    /// So many examples after those decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_size: Option<u64>,
    /// The most demos.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub few_shot_examples: Option<u64>,
    /// The most rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap_iterations: Option<u64>,
    /// The host's business.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimization_target: Option<String>,
    /// The host's business.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation_metric: Option<String>,
    /// As in [`Optimize`](super::Optimize).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// The data of [`OptimizePrompt`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OlderContext {
    /// The examples; the id of each is its place, from 0.
    pub examples: Vec<OlderExample>,
}

/// An example in the older interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OlderExample {
    /// Inputs by name.
    pub input: Fields,
    /// Outputs by name.
    pub output: Fields,
}

/// The result of [`OptimizePrompt`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OptimizedPrompt {
    /// Always true: what fails is an error.
    pub success: bool,
    /// The prompt.
    pub optimized_prompt: Prompt,
    /// How good it is.
    pub metrics: OlderMetrics,
}

/// How good a prompt is, and what finding it took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OlderMetrics {
    /// The mean score, 0 to 1, if it was evaluated.
    pub score: Option<f64>,
    /// What was asked of the host.
    #[serde(flatten)]
    pub stats: Stats,
}

/// Scores a program on test cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluateProgram {
    /// Its name, in all messages of the job.
    pub job: String,
    /// What is scored.
    pub program: Program,
    /// The cases; the example's id of each is its place, from 0.
    pub test_cases: Vec<TestCase>,
    /// How many runs are in flight; `None` is 8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
}

/// Inputs with the outputs that are right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestCase {
    /// Inputs by name.
    pub input: Fields,
    /// Outputs by name.
    pub expected: Fields,
}

/// The result of [`EvaluateProgram`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluatedProgram {
    /// Always true: what fails is an error.
    pub success: bool,
    /// The mean score, 0 to 1.
    pub score: f64,
    /// By test case, in their order.
    pub results: Vec<TestResult>,
}

/// What one test case gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestResult {
    /// Inputs by name.
    pub input: Fields,
    /// The outputs that are right.
    pub expected: Fields,
    /// The outputs; `None` if the run failed.
    pub actual: Option<Fields>,
    /// 0 to 1.
    pub score: f64,
}
