//! What is known about workflow and steps, as constants.

use proc_macro2::{Literal, TokenStream};
use quote::quote;
use serde_json::Value;

use super::{Emitter, doc, ident, schema, string};
use crate::ir::{Demo, Field, Step};

/// `WORKFLOW`.
pub(super) fn workflow(emitter: &Emitter<'_>) -> TokenStream {
    let workflow = emitter.workflow;
    let (name, description, source) =
        (&workflow.name.text, &workflow.description, &workflow.source);
    let steps = workflow.steps.iter().map(|step| {
        let module = ident(&step.name.ident);
        quote!(&#module::SIGNATURE)
    });
    let docs = doc::lines(&["What is known about the workflow."]);
    quote! {
        #docs
        pub const WORKFLOW: WorkflowDef = WorkflowDef {
            name: #name,
            description: #description,
            source: #source,
            steps: &[#(#steps,)*],
        };
    }
}

/// `SIGNATURE` and the type that stands for the step.
pub(super) fn signature(emitter: &Emitter<'_>, step: &Step) -> TokenStream {
    let workflow = emitter.workflow;
    let inputs = step.inputs.iter().map(|input| field(emitter, &input.field));
    let outputs = step.outputs.iter().map(|output| field(emitter, output));
    let demos = step.demos.iter().map(demo);
    let lm = optional(step.lm.as_deref().map(Literal::string));
    let temperature = optional(step.temperature.map(Literal::f64_unsuffixed));
    let max_tokens = optional(step.max_tokens.map(Literal::u32_unsuffixed));
    let input_fields = step.inputs.iter().map(|input| &input.field);
    let input_schema = string(&schema::of_fields(workflow, input_fields));
    let output_schema = string(&schema::of_fields(workflow, &step.outputs));
    let (workflow_name, name) = (&workflow.name.text, &step.name.text);
    let (source, description) = (&step.source, &step.description);
    let instructions = &step.instructions;
    let (input, output) = (emitter.type_name("Input"), emitter.type_name("Output"));
    let docs = doc::lines(&[&format!("What is known about step `{name}`.")]);
    let step_docs = doc::lines(&[&format!("Step `{name}` as a type.")]);
    quote! {
        #docs
        pub const SIGNATURE: SignatureDef = SignatureDef {
            workflow: #workflow_name,
            step: #name,
            source: #source,
            description: #description,
            instructions: #instructions,
            inputs: &[#(#inputs,)*],
            outputs: &[#(#outputs,)*],
            input_schema: #input_schema,
            output_schema: #output_schema,
            demos: &[#(#demos,)*],
            lm: #lm,
            temperature: #temperature,
            max_tokens: #max_tokens,
        };

        #step_docs
        #[derive(Clone, Copy, Debug)]
        pub struct Step;

        impl Signature for Step {
            type Input = #input;
            type Output = #output;
            const DEF: &'static SignatureDef = &SIGNATURE;
        }
    }
}

fn field(emitter: &Emitter<'_>, field: &Field) -> TokenStream {
    let (name, description) = (&field.name.text, &field.description);
    let ty = string(&schema::describe(emitter.workflow, &field.ty));
    quote!(FieldDef { name: #name, ty: #ty, description: #description })
}

fn demo(demo: &Demo) -> TokenStream {
    let inputs = demo.inputs.iter().map(|(name, value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let text = string(&text);
        quote!((#name, #text))
    });
    let output = string(&demo.output.to_string());
    quote!(Demo { inputs: &[#(#inputs,)*], output: #output })
}

fn optional(literal: Option<Literal>) -> TokenStream {
    match literal {
        Some(literal) => quote!(Some(#literal)),
        None => quote!(None),
    }
}
