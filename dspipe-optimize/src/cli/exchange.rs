//! Programs of Python DSPy, and prompts in workflow files.

use std::fs;
use std::path::Path;

use dspipe_runtime::adapter::{
    DspySignature, PyDict, PyValue, SavedStep, read_program, write_program,
};
use dspipe_runtime::{LmName, LocalRunner, Map, SignatureDef, Value};

use crate::artifact;
use crate::bridge::{Demo, Prompt, Prompts};
use crate::engine::compiled_prompts;
use crate::error::OptimizeError;
use crate::optimization::shown;
use crate::program::Program;

fn io(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> OptimizeError {
    let path = path.to_owned();
    move |source| OptimizeError::Io {
        path,
        doing,
        source,
    }
}

fn signature(step: &SignatureDef) -> Result<DspySignature, OptimizeError> {
    DspySignature::of(step).map_err(|error| OptimizeError::Settings(error.to_string()))
}

/// Writes the prompts in use as `program.save("….json")` does.
pub(super) fn export(
    program: &dyn Program,
    runner: &LocalRunner,
    output: &Path,
) -> Result<(), OptimizeError> {
    let def = program.def();
    let prompts = compiled_prompts(def, runner);
    let mut steps = Vec::new();
    for step in def.steps {
        let mut signature = signature(step)?;
        let mut demos = Vec::new();
        if let Some(prompt) = prompts.get(step.step) {
            signature.instructions = Some(prompt.instructions.clone());
            demos = prompt.demos.iter().map(saved_demo).collect();
        }
        steps.push(SavedStep {
            step: step.step.to_owned(),
            predictor: step.step.to_owned(),
            signature,
            demos,
        });
    }
    artifact::replace(output, &write_program(&steps)).map_err(io(output, "written"))?;
    println!(
        "{} is written; a dspy.Module with the same predictors loads it",
        shown(output)
    );
    Ok(())
}

fn saved_demo(demo: &Demo) -> PyDict {
    let fields = demo.inputs.iter().chain(&demo.outputs);
    let mut dict: PyDict = fields
        .map(|(name, value)| (name.clone(), PyValue::from(value)))
        .collect();
    if demo.augmented {
        dict.insert("augmented".to_owned(), PyValue::from(&Value::Bool(true)));
    }
    dict
}

/// Takes the prompts of a saved program into the file of optimized prompts.
pub(super) fn import(
    program: &dyn Program,
    workflow_file: &Path,
    saved: &Path,
    lm: Option<&LmName>,
) -> Result<(), OptimizeError> {
    let def = program.def();
    let text = fs::read_to_string(saved).map_err(io(saved, "read"))?;
    let signatures: Vec<(&str, DspySignature)> = def
        .steps
        .iter()
        .map(|step| Ok((step.step, signature(step)?)))
        .collect::<Result<_, OptimizeError>>()?;
    let by_name: Vec<(&str, &DspySignature)> = signatures
        .iter()
        .map(|(name, signature)| (*name, signature))
        .collect();
    let steps = read_program(&text, &by_name)
        .map_err(|error| OptimizeError::Data(format!("{}: {error}", saved.display())))?;
    let mut prompts = Prompts::new();
    for saved in steps {
        let Some(step) = def.steps.iter().find(|step| step.step == saved.step) else {
            continue;
        };
        let demos = saved.demos.into_iter().map(|demo| demo_of(step, demo));
        let prompt = Prompt {
            instructions: saved.signature.instructions.unwrap_or_default(),
            demos: demos.collect(),
        };
        prompts.insert(saved.step, prompt);
    }
    let path = artifact::path_of(workflow_file);
    artifact::import(&path, def, &prompts, lm)?;
    println!("{} is written; the next build compiles it in", shown(&path));
    Ok(())
}

fn demo_of(step: &SignatureDef, demo: PyDict) -> Demo {
    let mut values = match PyValue::Dict(demo).to_json() {
        Value::Object(values) => values,
        _ => Map::new(),
    };
    let mut take = |fields: &[dspipe_runtime::FieldDef]| -> Map<String, Value> {
        let fields = fields.iter();
        fields
            .filter_map(|field| Some((field.name.to_owned(), values.shift_remove(field.name)?)))
            .collect()
    };
    let (inputs, outputs) = (take(step.inputs), take(step.outputs));
    // Demos of the user may lack fields.
    let whole = inputs.len() == step.inputs.len() && outputs.len() == step.outputs.len();
    Demo {
        inputs,
        outputs,
        augmented: whole,
    }
}
