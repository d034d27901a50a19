//! What is known about workflow and steps, as constants.

use serde_json::Value;

use super::printer::{Printer, float, string};
use super::{Emitter, checks, lms, schema};
use crate::ir::{Adapter, Demo, Field, Prompt, Step};
use crate::words;

/// `WORKFLOW`.
pub(super) fn workflow(emitter: &Emitter<'_>, out: &mut Printer) {
    let workflow = emitter.workflow;
    out.blank();
    out.doc("What is known about the workflow.");
    out.open("pub const WORKFLOW: WorkflowDef = WorkflowDef {");
    out.line(format_args!("name: {},", string(&workflow.name.text)));
    out.line(format_args!(
        "description: {},",
        string(&workflow.description)
    ));
    out.line(format_args!("source: {},", string(&workflow.source)));
    let inputs = workflow.inputs.iter().map(|input| &input.field);
    fields(emitter, "inputs", inputs.clone(), out);
    let input_schema = schema::of_fields(workflow, inputs);
    out.line(format_args!("input_schema: {},", string(&input_schema)));
    let steps: Vec<String> = workflow
        .steps
        .iter()
        .map(|step| format!("&{}::SIGNATURE", step.name.ident))
        .collect();
    out.flow(format_args!("steps: &[{}],", steps.join(", ")));
    out.close("};");
}

/// The workflow as a type.
pub(super) fn implementation(emitter: &Emitter<'_>, out: &mut Printer) {
    let runtime = &emitter.options.runtime;
    let (inputs, outputs) = (emitter.type_name("Inputs"), emitter.type_name("Outputs"));
    out.blank();
    out.doc("The workflow as a type.");
    out.line("#[derive(Clone, Copy, Debug)]");
    out.line("pub struct Workflow;");
    out.blank();
    out.open(format_args!("impl {runtime}::Workflow for Workflow {{"));
    out.line(format_args!("type Inputs = {inputs};"));
    out.line(format_args!("type Outputs = {outputs};"));
    out.line("const DEF: &'static WorkflowDef = &WORKFLOW;");
    out.blank();
    out.open("fn run<R: Runner>(");
    out.line("runner: &R,");
    out.line(format_args!("inputs: {inputs},"));
    out.close(format_args!(
        ") -> impl Future<Output = Result<{outputs}, Error>> + Send {{"
    ));
    out.indent();
    out.line("run_with(runner, inputs)");
    out.close("}");
    out.close("}");
}

/// `SIGNATURE` and the type that stands for the step.
pub(super) fn signature(emitter: &Emitter<'_>, step: &Step, out: &mut Printer) {
    let workflow = emitter.workflow;
    let name = &step.name.text;
    out.blank();
    out.doc(format_args!("What is known about step `{name}`."));
    out.open("pub const SIGNATURE: SignatureDef = SignatureDef {");
    for (key, text) in [
        ("workflow", &workflow.name.text),
        ("step", name),
        ("source", &step.source),
        ("description", &step.description),
        ("instructions", &step.instructions),
    ] {
        out.line(format_args!("{key}: {},", string(text)));
    }
    let inputs = step.inputs.iter().map(|input| &input.field);
    fields(emitter, "inputs", inputs.clone(), out);
    fields(emitter, "outputs", step.outputs.iter(), out);
    let input_schema = schema::of_fields(workflow, inputs);
    out.line(format_args!("input_schema: {},", string(&input_schema)));
    let output_schema = schema::of_fields(workflow, step.outputs.iter());
    out.line(format_args!("output_schema: {},", string(&output_schema)));
    demos(&step.demos, out);
    optimized(&step.optimized, out);
    let adapter = match step.adapter {
        Adapter::Dspipe => None,
        dspy => Some(format!("Adapter::{dspy:?}")),
    };
    out.line(format_args!("adapter: {},", optional(adapter)));
    let lm = step.lm.as_deref().map(string);
    out.line(format_args!("lm: {},", optional(lm)));
    let temperature = step.temperature.map(float);
    out.line(format_args!("temperature: {},", optional(temperature)));
    let max_tokens = step.max_tokens.map(|limit| limit.to_string());
    out.line(format_args!("max_tokens: {},", optional(max_tokens)));
    lms::list(emitter, &step.lms, out);
    checks::list(emitter, &step.checks, out);
    out.close("};");

    out.blank();
    out.doc(format_args!("Step `{name}` as a type."));
    out.line("#[derive(Clone, Copy, Debug)]");
    out.line("pub struct Step;");
    out.blank();
    out.open("impl Signature for Step {");
    out.line(format_args!("type Input = {};", emitter.type_name("Input")));
    out.line(format_args!(
        "type Output = {};",
        emitter.type_name("Output")
    ));
    out.line("const DEF: &'static SignatureDef = &SIGNATURE;");
    checks::function(emitter, &step.checks, out);
    out.close("}");
}

fn fields<'f>(
    emitter: &Emitter<'_>,
    key: &str,
    fields: impl Iterator<Item = &'f Field>,
    out: &mut Printer,
) {
    out.open(format_args!("{key}: &["));
    for field in fields {
        out.open("FieldDef {");
        out.line(format_args!("name: {},", string(&field.name.text)));
        let ty = words::describe(emitter.workflow, &field.ty);
        out.line(format_args!("ty: {},", string(&ty)));
        out.line(format_args!("description: {},", string(&field.description)));
        out.line(format_args!("sensitive: {},", field.sensitive));
        out.close("},");
    }
    out.close("],");
}

fn optimized(prompts: &[Prompt], out: &mut Printer) {
    if prompts.is_empty() {
        out.line("optimized: &[],");
        return;
    }
    out.open("optimized: &[");
    for prompt in prompts {
        out.open("Prompt {");
        let lm = prompt.lm.as_deref().map(string);
        out.line(format_args!("lm: {},", optional(lm)));
        out.line(format_args!(
            "instructions: {},",
            string(&prompt.instructions)
        ));
        demos(&prompt.demos, out);
        out.close("},");
    }
    out.close("],");
}

fn demos(demos: &[Demo], out: &mut Printer) {
    if demos.is_empty() {
        out.line("demos: &[],");
        return;
    }
    out.open("demos: &[");
    for demo in demos {
        out.open("Demo {");
        out.open("inputs: &[");
        for (name, value) in &demo.inputs {
            let text = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            out.line(format_args!("({}, {}),", string(name), string(&text)));
        }
        out.close("],");
        out.line(format_args!(
            "output: {},",
            string(&demo.output.to_string())
        ));
        out.close("},");
    }
    out.close("],");
}

pub(super) fn optional(literal: Option<String>) -> String {
    match literal {
        Some(literal) => format!("Some({literal})"),
        None => "None".to_owned(),
    }
}
