//! Examples against their signature, and which of them the prompt shows.

use serde_json::{Map, Value};

use super::types::StepTypes;
use super::values::Values;
use crate::diag::{Code, Diagnostics};
use crate::ir::{Demo, Field, TypeDef};
use crate::spec::{self, DspyConfig};
use crate::yaml::Node;

/// Checks every example of a step; the first `few_shot_examples` become demos.
///
/// Examples are training data first: without that setting the prompt shows none,
/// until an optimizer picks some.
pub(super) fn check(
    step: &spec::Step,
    config: &DspyConfig,
    fields: &StepTypes,
    types: &[TypeDef],
    diagnostics: &mut Diagnostics,
) -> Vec<Demo> {
    let shown = config
        .few_shot_examples
        .as_ref()
        .map_or(0, |count| count.value as usize);
    let mut demos = Vec::new();
    for spec::Example { input, output } in &step.examples {
        if let Some(demo) = example(input, output, fields, types, diagnostics)
            && demos.len() < shown
        {
            demos.push(demo);
        }
    }
    demos
}

/// Checks one example against the signature of its step.
pub(super) fn example(
    input: &Node,
    output: &Node,
    fields: &StepTypes,
    types: &[TypeDef],
    diagnostics: &mut Diagnostics,
) -> Option<Demo> {
    // Against the types as declared: what a template gives may have a type of another step.
    let input = values(
        input,
        &fields.inputs,
        types,
        "the example's input",
        diagnostics,
    );
    let outputs = match fields.outputs.split_first() {
        // Examples say what is right, seldom why.
        Some((reasoning, rest)) if fields.reasons && !output.has(&reasoning.name.text) => rest,
        _ => &fields.outputs,
    };
    let output = values(output, outputs, types, "the example's output", diagnostics);
    Some(Demo {
        inputs: input?.into_iter().collect(),
        output: Value::Object(output?),
    })
}

/// Checks a mapping against fields of a step.
pub(super) fn values(
    node: &Node,
    fields: &[Field],
    types: &[TypeDef],
    what: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Map<String, Value>> {
    let mut reader = Values {
        types,
        code: Code::InvalidExample,
        partial: false,
        diagnostics,
    };
    reader.object(node, fields, what)
}
