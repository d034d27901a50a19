//! What unit tests share.

use dspipe_runtime::{FieldDef, SignatureDef};

pub(crate) const DEF: SignatureDef = SignatureDef {
    workflow: "support",
    step: "triage",
    source: "support.yaml:4",
    description: "",
    instructions: "Rate the ticket.",
    inputs: &[FieldDef {
        name: "ticket",
        ty: "string",
        description: "",
        sensitive: false,
    }],
    outputs: &[FieldDef {
        name: "urgency",
        ty: "string",
        description: "",
        sensitive: false,
    }],
    input_schema: "{}",
    output_schema: "{}",
    demos: &[],
    optimized: &[],
    adapter: None,
    lm: None,
    temperature: None,
    max_tokens: None,
    lms: &[],
    checks: &[],
    module: dspipe_runtime::module::ModuleDef::Predict,
};

pub(crate) fn object(value: serde_json::Value) -> serde_json::Map<String, serde_json::Value> {
    match value {
        serde_json::Value::Object(fields) => fields,
        other => panic!("{other} is not an object"),
    }
}

pub(crate) fn example(
    inputs: serde_json::Value,
    outputs: serde_json::Value,
) -> crate::training::Example {
    crate::training::Example::new(object(inputs), object(outputs))
}
