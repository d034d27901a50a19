//! What a step asks its LM for: its output, or something on the way to it.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::shown::HIDDEN;
use crate::signature::SignatureDef;

/// What a step asks its LM for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// The step's output.
    Output,
    /// The next thought and tool of `module: react`.
    Turn,
    /// Advice on an output that was not good enough, of `module: refine`.
    Advice,
}

/// What one request is rendered from, besides the signature, its prompt and the step's inputs.
#[derive(Debug)]
pub(crate) struct Task<'a> {
    pub(crate) purpose: Purpose,
    /// Inputs that the signature does not have, after its own.
    pub(crate) more: Vec<More<'a>>,
    /// What is asked for in place of the step's output.
    pub(crate) instead: Option<Instead<'a>>,
}

/// An input, a text, that the signature does not have.
#[derive(Clone, Debug)]
pub(crate) struct More<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) description: &'a str,
    pub(crate) text: Cow<'a, str>,
}

/// Something else than the step's output.
#[derive(Clone, Debug)]
pub(crate) struct Instead<'a> {
    pub(crate) instructions: &'a str,
    /// Whether the step's own inputs are shown.
    pub(crate) takes_inputs: bool,
    pub(crate) outputs: &'a [Asked<'a>],
}

/// A field of something else than the step's output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) kind: AskedKind<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum AskedKind<'a> {
    Text,
    /// One of these.
    Choice(&'a [&'a str]),
    /// A JSON object with any keys.
    Object,
}

impl Task<'_> {
    /// The step's output.
    pub(crate) const OUTPUT: Task<'static> = Task {
        purpose: Purpose::Output,
        more: Vec::new(),
        instead: None,
    };

    /// The task with nothing in it that came from inputs or replies.
    pub(crate) fn hidden(&self) -> Task<'_> {
        let more = self.more.iter().map(|more| More {
            text: Cow::Borrowed(HIDDEN),
            ..more.clone()
        });
        Task {
            purpose: self.purpose,
            more: more.collect(),
            instead: self.instead.clone(),
        }
    }

    pub(crate) fn takes_inputs(&self) -> bool {
        self.instead
            .as_ref()
            .is_none_or(|instead| instead.takes_inputs)
    }
}

impl Instead<'_> {
    /// The JSON Schema of the reply.
    pub(crate) fn schema(&self) -> String {
        let names: Vec<&str> = self.outputs.iter().map(|asked| asked.name).collect();
        let properties: Map<String, Value> = self
            .outputs
            .iter()
            .map(|asked| (asked.name.to_owned(), asked.kind.schema()))
            .collect();
        json!({
            "type": "object",
            "properties": properties,
            "required": names,
            "additionalProperties": false,
        })
        .to_string()
    }
}

impl AskedKind<'_> {
    fn schema(self) -> Value {
        match self {
            Self::Text => json!({"type": "string"}),
            Self::Choice(values) => json!({"type": "string", "enum": values}),
            Self::Object => json!({"type": "object"}),
        }
    }

    /// As prompts call it.
    pub(crate) fn words(self) -> Cow<'static, str> {
        match self {
            Self::Text => Cow::Borrowed("string"),
            Self::Choice(values) => {
                let values: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
                Cow::Owned(values.join(" | "))
            }
            Self::Object => Cow::Borrowed("object"),
        }
    }
}

/// A name for an input that the signature does not have.
pub(crate) fn free_name(def: &SignatureDef, wanted: &'static str) -> Cow<'static, str> {
    let mut fields = def.inputs.iter().chain(def.outputs);
    if fields.all(|field| field.name != wanted) {
        return Cow::Borrowed(wanted);
    }
    let mut name = wanted.to_owned();
    while def
        .inputs
        .iter()
        .chain(def.outputs)
        .any(|field| field.name == name)
    {
        name.push('_');
    }
    Cow::Owned(name)
}
