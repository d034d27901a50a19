//! What the compiler knows about a step, as constants in the generated code.

use serde::Serialize;

use crate::read::Read;

/// A step as a type: what goes in, what comes out, and how it is asked for.
///
/// The compiler implements it for the type `Step` in each step's module.
pub trait Signature {
    /// What the step takes. It serializes to an object with one key per input field.
    type Input: Serialize + Send + Sync;
    /// What the step gives. It serializes to an object with one key per output field.
    type Output: Read + Serialize + Send;
    /// What is known about the step.
    const DEF: &'static SignatureDef;
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
    /// The JSON Schema of the reply, an object with one property per output field.
    pub output_schema: &'static str,
    /// Examples that are shown to the LM.
    pub demos: &'static [Demo],
    /// The LM as `provider/model`; `None` is the one of the environment.
    pub lm: Option<&'static str>,
    /// The sampling temperature; `None` is the provider's default.
    pub temperature: Option<f64>,
    /// The longest reply, in tokens; `None` is the provider's default.
    pub max_tokens: Option<u32>,
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
    /// Its steps, in the order of the workflow file.
    pub steps: &'static [&'static SignatureDef],
}
