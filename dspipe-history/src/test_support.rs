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
    }],
    outputs: &[FieldDef {
        name: "urgency",
        ty: "string",
        description: "",
    }],
    output_schema: "{}",
    demos: &[],
    lm: None,
    temperature: None,
    max_tokens: None,
};
