//! Optimized prompts against the signatures that they are for.

use std::collections::HashMap;

use serde_json::Value;

use super::types::StepTypes;
use super::values::Values;
use crate::artifact::{Artifact, StepPrompt, Variant, WrittenDemo};
use crate::diag::{Code, Diagnostics};
use crate::ir::{Demo, Field, Prompt, Workflow};
use crate::source::Span;
use crate::words;
use crate::yaml::Node;

/// Gives the steps of a workflow the prompts that an optimizer found for them.
pub(super) fn apply(
    artifact: &Artifact,
    workflow: &mut Workflow,
    declared: &[StepTypes],
    diagnostics: &mut Diagnostics,
) {
    if let Some(name) = &artifact.workflow
        && name.value != workflow.name.text
    {
        diagnostics
            .error(
                Code::InvalidArtifact,
                name.span,
                format!(
                    "the prompts are of the workflow `{name}`, this one is `{}`",
                    workflow.name.text
                ),
            )
            .help("was the file copied, or the workflow renamed?");
        return;
    }
    let mut seen: HashMap<Option<&str>, Span> = HashMap::new();
    for variant in &artifact.variants {
        let lm = variant.lm.as_ref().map(|lm| lm.value.as_str());
        let place = variant.lm.as_ref().map_or(variant.span, |lm| lm.span);
        if let Some(first) = seen.insert(lm, place) {
            let of = lm.map_or("any LM".to_owned(), |lm| format!("`{lm}`"));
            diagnostics
                .error(Code::Duplicate, place, format!("two variants are for {of}"))
                .also(first, "the first one");
        }
        variant_of(variant, workflow, declared, diagnostics);
    }
}

fn variant_of(
    variant: &Variant,
    workflow: &mut Workflow,
    declared: &[StepTypes],
    diagnostics: &mut Diagnostics,
) {
    for written in &variant.steps {
        let Some(step) = (workflow.steps.iter()).position(|s| s.name.text == written.step.value)
        else {
            let names: Vec<&str> = workflow.steps.iter().map(|s| &*s.name.text).collect();
            diagnostics
                .warning(
                    Code::StaleArtifact,
                    written.step.span,
                    format!("optimized prompts of `{}`, which is no step", written.step),
                )
                .label("nothing uses this")
                .help(format!("the steps are {}", crate::diag::list(&names)));
            continue;
        };
        compare(written, workflow, step, diagnostics);
        let fields = &declared[step];
        let demos = written
            .demos
            .iter()
            .filter_map(|demo| check_demo(demo, fields, workflow, diagnostics))
            .collect();
        workflow.steps[step].optimized.push(Prompt {
            lm: variant.lm.as_ref().map(|lm| lm.value.clone()),
            instructions: written.instructions.value.clone(),
            demos,
        });
    }
}

/// Says what has changed since the prompt was found.
fn compare(written: &StepPrompt, workflow: &Workflow, step: usize, diagnostics: &mut Diagnostics) {
    let Some(from) = &written.optimized_from else {
        return;
    };
    let now = &workflow.steps[step];
    let mut stale = |span: Span, what: String, label: String| {
        diagnostics
            .warning(Code::StaleArtifact, span, what)
            .label(label)
            .help("the optimized prompt is used all the same; optimize again, or delete it");
    };
    let name = &now.name.text;
    if let Some(instructions) = &from.instructions
        && instructions.value.trim() != now.instructions.trim()
    {
        stale(
            instructions.span,
            format!("the instructions of step `{name}` have changed since they were optimized"),
            "these were the instructions".to_owned(),
        );
    }
    let inputs = now.inputs.iter().map(|input| &input.field).collect();
    let outputs = now.outputs.iter().collect();
    let sides: [(_, _, Vec<&Field>); 2] = [
        ("input", &from.inputs, inputs),
        ("output", &from.outputs, outputs),
    ];
    for (side, then, now) in sides {
        for (field, ty) in then {
            let found = now.iter().find(|now| now.name.text == field.value);
            match found.map(|found| words::describe(workflow, &found.ty)) {
                None => stale(
                    field.span,
                    format!("step `{name}` no longer has the {side} `{field}`"),
                    "it had when its prompt was optimized".to_owned(),
                ),
                Some(now) if now != ty.value => stale(
                    ty.span,
                    format!(
                        "the {side} `{field}` of step `{name}` has another type since its prompt was optimized"
                    ),
                    format!("it is {now} now"),
                ),
                Some(_) => {}
            }
        }
        let known = |field: &Field| then.iter().any(|(name, _)| name.value == field.name.text);
        for field in now.iter().filter(|field| !then.is_empty() && !known(field)) {
            stale(
                written.step.span,
                format!(
                    "step `{name}` has a new {side} `{}` since its prompt was optimized",
                    field.name.text
                ),
                "this prompt does not know it".to_owned(),
            );
        }
    }
}

fn check_demo(
    demo: &WrittenDemo,
    fields: &StepTypes,
    workflow: &Workflow,
    diagnostics: &mut Diagnostics,
) -> Option<Demo> {
    let mut reader = Values {
        types: &workflow.types,
        code: Code::InvalidArtifact,
        partial: false,
        diagnostics,
    };
    let known = |fields: &[Field], node: &Node| -> Vec<Field> {
        let all = fields.iter();
        all.filter(|field| demo.augmented || node.has(&field.name.text))
            .cloned()
            .collect()
    };
    let inputs = known(&fields.inputs, &demo.inputs);
    let outputs = known(&fields.outputs, &demo.outputs);
    let inputs = reader.object(&demo.inputs, &inputs, "the inputs of a demo");
    let outputs = reader.object(&demo.outputs, &outputs, "the outputs of a demo");
    Some(Demo {
        inputs: inputs?.into_iter().collect(),
        output: Value::Object(outputs?),
    })
}
