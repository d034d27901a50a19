//! What is known about workflow and steps, as constants.

use serde_json::Value;

use super::printer::{Printer, float, string};
use super::{Emitter, checks, lms, media, module, schema};
use crate::ir::{Adapter, Demo, Field, Prompt, Step};
use crate::words;

/// `WORKFLOW`.
pub(super) fn workflow(emitter: &Emitter<'_>, out: &mut Printer) {
    let workflow = emitter.workflow;
    out.blank();
    out.doc("What is known about the workflow.");
    out.open("pub const WORKFLOW: WorkflowDef = WorkflowDef {");
    out.setting("name", &workflow.name.text);
    out.setting("description", &workflow.description);
    out.setting("source", &workflow.source);
    let inputs = workflow.inputs.iter().map(|input| &input.field);
    fields(emitter, "inputs", inputs.clone(), out);
    let input_schema = schema::of_fields(workflow, inputs);
    out.setting("input_schema", &input_schema);
    let steps: Vec<String> = workflow
        .steps
        .iter()
        .map(|step| format!("&{}::SIGNATURE", step.name.ident))
        .collect();
    out.flow(["steps: &[", &steps.join(", "), "],"]);
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
    out.open(["impl ", runtime, "::Workflow for Workflow {"]);
    out.line(["type Inputs = ", &inputs, ";"]);
    out.line(["type Outputs = ", &outputs, ";"]);
    out.line("const DEF: &'static WorkflowDef = &WORKFLOW;");
    out.blank();
    out.open("fn run<R: Runner>(");
    out.line("runner: &R,");
    out.line(["inputs: ", &inputs, ","]);
    out.close([
        ") -> impl Future<Output = Result<",
        &outputs,
        ", Error>> + Send {",
    ]);
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
    out.doc(["What is known about step `", name, "`."]);
    out.open("pub const SIGNATURE: SignatureDef = SignatureDef {");
    for (key, text) in [
        ("workflow", &workflow.name.text),
        ("step", name),
        ("source", &step.source),
        ("description", &step.description),
        ("instructions", &step.instructions),
    ] {
        out.setting(key, text);
    }
    let inputs = step.inputs.iter().map(|input| &input.field);
    fields(emitter, "inputs", inputs.clone(), out);
    fields(emitter, "outputs", step.outputs.iter(), out);
    let input_schema = schema::of_fields(workflow, inputs);
    out.setting("input_schema", &input_schema);
    let output_schema = schema::of_fields(workflow, step.outputs.iter());
    out.setting("output_schema", &output_schema);
    demos(&step.demos, out);
    optimized(&step.optimized, out);
    let adapter = match step.adapter {
        Adapter::Dspipe => None,
        dspy => Some(format!("Adapter::{dspy:?}")),
    };
    out.line(["adapter: ", &optional(adapter), ","]);
    let lm = step.lm.as_deref().map(string);
    out.line(["lm: ", &optional(lm), ","]);
    let temperature = step.temperature.map(float);
    out.line(["temperature: ", &optional(temperature), ","]);
    let max_tokens = step.max_tokens.map(|limit| limit.to_string());
    out.line(["max_tokens: ", &optional(max_tokens), ","]);
    lms::list(emitter, &step.lms, out);
    checks::list(emitter, &step.checks, out);
    module::definition(emitter, &step.module, out);
    out.close("};");

    out.blank();
    out.doc(["Step `", name, "` as a type."]);
    out.line("#[derive(Clone, Copy, Debug)]");
    out.line("pub struct Step;");
    out.blank();
    out.open("impl Signature for Step {");
    out.line(["type Input = ", &emitter.type_name("Input"), ";"]);
    out.line(["type Output = ", &emitter.type_name("Output"), ";"]);
    out.line("const DEF: &'static SignatureDef = &SIGNATURE;");
    checks::function(emitter, &step.checks, out);
    module::function(emitter, &step.module, out);
    media::function(emitter, step, out);
    out.close("}");
}

fn fields<'f>(
    emitter: &Emitter<'_>,
    key: &str,
    fields: impl Iterator<Item = &'f Field>,
    out: &mut Printer,
) {
    out.open([key, ": &["]);
    for field in fields {
        out.open("FieldDef {");
        out.setting("name", &field.name.text);
        let ty = words::describe(emitter.workflow, &field.ty);
        out.setting("ty", &ty);
        out.setting("description", &field.description);
        out.line(if field.sensitive {
            "sensitive: true,"
        } else {
            "sensitive: false,"
        });
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
        out.line(["lm: ", &optional(lm), ","]);
        out.setting("instructions", &prompt.instructions);
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
            out.line(["(", &string(name), ", ", &string(&text), "),"]);
        }
        out.close("],");
        out.line(["output: ", &string(&demo.output.to_string()), ","]);
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
