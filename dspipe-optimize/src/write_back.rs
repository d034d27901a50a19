//! Adopted prompts in the workflow file itself, beside the file of optimized prompts.

use std::fs;
use std::path::Path;

use dspipe_build::StepText;
use dspipe_runtime::{SignatureDef, WorkflowDef};

use crate::artifact;
use crate::bridge::{Prompt, Prompts};
use crate::error::OptimizeError;

/// Puts prompts into a workflow file, with its comments, and says in the file of optimized prompts that they are
/// for the instructions that are there now. Steps whose prompt is that of the workflow file stay as they are.
///
/// # Errors
/// If the file cannot be read or written, or the prompts cannot be put into it; it is then as it was.
pub(crate) fn write_back(
    workflow_file: &Path,
    def: &WorkflowDef,
    before: &Prompts,
    after: &Prompts,
) -> Result<(), OptimizeError> {
    let io = |doing| {
        move |source| OptimizeError::Io {
            path: workflow_file.to_owned(),
            doing,
            source,
        }
    };
    let is_new = |step: &SignatureDef, prompt: &Prompt| {
        !step.optimized.is_empty() || before.get(step.step) != Some(prompt)
    };
    let steps: Vec<StepText> = def
        .steps
        .iter()
        .filter_map(|step| Some((step, after.get(step.step)?)))
        .filter(|(step, prompt)| is_new(step, prompt))
        .map(|(step, prompt)| text_of(step, prompt))
        .collect();
    let old = fs::read_to_string(workflow_file).map_err(io("read"))?;
    let new = dspipe_build::write_back(workflow_file, &old, &steps)?;
    if new != old {
        artifact::replace(workflow_file, &new).map_err(io("written"))?;
    }
    artifact::follow(&artifact::path_of(workflow_file), def, &steps)
}

fn text_of(step: &SignatureDef, prompt: &Prompt) -> StepText {
    let demos = prompt.demos.iter();
    StepText {
        step: step.step.to_owned(),
        instructions: prompt.instructions.clone(),
        examples: demos
            .map(|demo| (demo.inputs.clone(), demo.outputs.clone()))
            .collect(),
    }
}
