//! What the compiler knows about a step, as constants in the generated code.

use serde::Serialize;

use crate::adapter::Adapter;
use crate::check::CheckDef;
use crate::error::Error;
use crate::lm::{LmDef, LmName};
use crate::media;
use crate::module::ModuleDef;
use crate::read::Read;
use crate::runner::Runner;

/// A step as a type: what goes in, what comes out, and how it is asked for.
///
/// The compiler implements it for the type `Step` in each step's module, and `#[dspy_signature]` for the
/// struct that it stands on.
pub trait Signature {
    /// What the step takes. It serializes to an object with one key per input field.
    type Input: Serialize + Send + Sync;
    /// What the step gives. It serializes to an object with one key per output field.
    type Output: Read + Serialize + Send;
    /// What is known about the step when it is compiled.
    const DEF: &'static SignatureDef;

    /// All that is known about the step. For a signature with types that dspipe did not generate, that is
    /// [`DEF`](Self::DEF) with what their schemas say, which only a running program can tell.
    fn def() -> &'static SignatureDef {
        Self::DEF
    }

    /// Whether each of the [`checks`](SignatureDef::checks) holds, in their order.
    fn checks(input: &Self::Input, output: &Self::Output) -> Vec<bool> {
        let _ = (input, output);
        Vec::new()
    }

    /// The images and documents of an input.
    fn media(input: &Self::Input) -> Vec<media::Field<'_>> {
        let _ = input;
        Vec::new()
    }

    /// How good an output is, for a [`module`](SignatureDef::module) that has a reward.
    fn reward(input: &Self::Input, output: &Self::Output) -> Option<f64> {
        let _ = (input, output);
        None
    }
}

/// A workflow as a type, for code that runs any of them.
///
/// The compiler implements it for the type `Workflow` in each workflow's module.
pub trait Workflow {
    /// What the workflow takes.
    type Inputs: Read + Serialize + Send;
    /// What each step gave.
    type Outputs: Read + Serialize + Send;
    /// What is known about the workflow.
    const DEF: &'static WorkflowDef;

    /// Runs the workflow, its steps on this runner.
    ///
    /// # Errors
    /// That of the first step that fails.
    fn run<R: Runner>(
        runner: &R,
        inputs: Self::Inputs,
    ) -> impl Future<Output = Result<Self::Outputs, Error>> + Send;
}

/// What is known about a step before it runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignatureDef {
    /// The workflow's name.
    pub workflow: &'static str,
    /// The step's name.
    pub step: &'static str,
    /// Where the step is defined, as in `workflows/triage.yaml:12`.
    pub source: &'static str,
    /// What the step is for; may be empty.
    pub description: &'static str,
    /// What the LM is told to do; may be empty.
    pub instructions: &'static str,
    /// The input fields, in the order of the workflow file.
    pub inputs: &'static [FieldDef],
    /// The output fields, in the order of the workflow file.
    pub outputs: &'static [FieldDef],
    /// The JSON Schema of the input, an object with one property per input field.
    pub input_schema: &'static str,
    /// The JSON Schema of the reply, an object with one property per output field.
    pub output_schema: &'static str,
    /// Examples that are shown to the LM.
    pub demos: &'static [Demo],
    /// Better prompts, found by an optimizer: at most one for each LM, and one for all others.
    pub optimized: &'static [Prompt],
    /// Whose prompts are rendered and replies read; `None` is dspipe's own.
    pub adapter: Option<Adapter>,
    /// The LM as `provider/model`; `None` is the one of the environment.
    pub lm: Option<&'static str>,
    /// The sampling temperature; `None` is the provider's default.
    pub temperature: Option<f64>,
    /// The longest reply, in tokens; `None` is the provider's default.
    pub max_tokens: Option<u32>,
    /// The LM as the workflow file describes it, with the parameters for this step, and after it those that
    /// are asked where it fails. Empty where the file says no more than `lm`. Not for an LM that the
    /// environment or the program has chosen.
    pub lms: &'static [LmDef],
    /// What should hold for its output, in the order of the workflow file.
    pub checks: &'static [CheckDef],
    /// How the step comes to its output.
    pub module: ModuleDef,
}

impl SignatureDef {
    /// The prompt for an LM: what was optimized for it, else what was optimized first, else what the
    /// workflow file says.
    pub fn prompt_for(&self, lm: &LmName) -> Prompt {
        let mut optimized = self.optimized.iter();
        let found = optimized
            .find(|prompt| prompt.lm.is_some_and(|name| lm.is(name)))
            .or_else(|| self.optimized.iter().find(|prompt| prompt.lm.is_none()))
            .or_else(|| self.optimized.first());
        found.copied().unwrap_or(Prompt {
            lm: None,
            instructions: self.instructions,
            demos: self.demos,
        })
    }
}

/// What an optimizer changes of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The LM that it was found for, as `provider/model`; `None` is any.
    pub lm: Option<&'static str>,
    /// In place of the signature's instructions.
    pub instructions: &'static str,
    /// In place of the signature's demos.
    pub demos: &'static [Demo],
}

/// An input or output field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldDef {
    /// Its name, as in the workflow file and in JSON.
    pub name: &'static str,
    /// Its type in words, as in `list of string` or `"low" | "high"`.
    pub ty: &'static str,
    /// What it holds; may be empty.
    pub description: &'static str,
    /// Whether its values are kept out of recordings of executions.
    pub sensitive: bool,
}

/// An example of a step's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demo {
    /// Name and value of the input fields, the values as [`text`](crate::generated::text) has them.
    pub inputs: &'static [(&'static str, &'static str)],
    /// The reply, as JSON.
    pub output: &'static str,
}

/// What is known about a workflow before it runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WorkflowDef {
    /// Its name.
    pub name: &'static str,
    /// What it is for; may be empty.
    pub description: &'static str,
    /// Where it is defined, as in `workflows/triage.yaml:1`.
    pub source: &'static str,
    /// What its caller gives.
    pub inputs: &'static [FieldDef],
    /// The JSON Schema of the inputs, an object with one property per input.
    pub input_schema: &'static str,
    /// Its steps, in the order of the workflow file.
    pub steps: &'static [&'static SignatureDef],
}
