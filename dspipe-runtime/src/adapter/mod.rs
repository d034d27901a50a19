//! DSPy's own prompts: what its `ChatAdapter` and `JSONAdapter` send, and how they read replies.
//!
//! A prompt that was optimized in Python is only worth what it was measured at if the model sees the same
//! bytes. [`Adapter::render`] gives the messages that DSPy 3.4.1 gives for the same signature, demos and
//! inputs, and [`Adapter::parse`] the fields that it reads from a reply. Both are held against vectors that
//! DSPy itself wrote (`python/tools/dspy_vectors.py`).
//!
//! What DSPy does in requests beyond the messages (`response_format`, native function calls) is not done
//! here, nor are its types for images, tools and the like.

mod annotation;
mod case;
mod coerce;
mod description;
mod from_schema;
mod json;
mod json_schema;
mod parse;
mod prefix;
mod print;
mod python_literal;
mod render;
mod repair;
mod repair_text;
mod repair_tuple;
mod saved;
mod signature;
mod text;
mod types;
mod value;

use std::fmt;

pub use annotation::AnnotationError;
pub use case::{Case, CaseError};
pub use json::JsonError;
pub use parse::ParseFailure;
pub use render::RenderError;
pub use saved::{SavedError, SavedStep, read_program, write_program};
pub use signature::{DspyField, DspySignature, SchemaError};
pub use types::{PyEnum, PyModel, PyModelField, PySchema, PyType};
pub use value::{PyDict, PyValue};

use serde_json::Value;

use crate::changes::Chosen;
use crate::lm::Message;
use crate::signature::{Prompt, SignatureDef};
use crate::task::{Instead, Task};

/// Which of DSPy's adapters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Adapter {
    /// `dspy.ChatAdapter`: fields stand under `[[ ## name ## ]]`.
    DspyChat,
    /// `dspy.JSONAdapter`: as above, but the reply is a JSON object.
    DspyJson,
}

impl Adapter {
    /// The adapter of this name, as workflow files have it.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::DspyChat, Self::DspyJson]
            .into_iter()
            .find(|adapter| adapter.name() == name)
    }

    /// Its name in workflow files: `dspy_chat` or `dspy_json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::DspyChat => "dspy_chat",
            Self::DspyJson => "dspy_json",
        }
    }

    /// The messages for a compiled step with its own demos. `input` is the serialized input.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn messages(self, def: &SignatureDef, input: &Value) -> Result<Vec<Message>, AdapterError> {
        let prompt = Chosen::from(Prompt {
            lm: None,
            instructions: def.instructions,
            demos: def.demos,
        });
        self.messages_for(def, &Task::OUTPUT, &prompt, input)
    }

    /// The messages for a task of a compiled step with these instructions and demos.
    pub(crate) fn messages_for(
        self,
        def: &SignatureDef,
        task: &Task<'_>,
        prompt: &Chosen,
        input: &Value,
    ) -> Result<Vec<Message>, AdapterError> {
        let mut signature = DspySignature::of(def)?;
        let mut demos = Vec::new();
        match &task.instead {
            None => {
                let instructions = prompt.instructions();
                signature.instructions =
                    (!instructions.is_empty()).then(|| instructions.to_owned());
                demos = signature.demos(&prompt.demos());
            }
            Some(instead) => signature.become_task(instead),
        }
        let mut inputs = match PyValue::from(input) {
            PyValue::Dict(inputs) => inputs,
            _ => PyDict::new(),
        };
        for more in &task.more {
            signature.add_input(&more.name, more.description);
            inputs.insert(more.name.to_string(), PyValue::from(&*more.text));
        }
        Ok(self.render(&signature, &demos, &inputs)?)
    }

    /// The fields of a reply to something else than a step's output.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub(crate) fn read_task(
        self,
        instead: &Instead<'_>,
        reply: &str,
    ) -> Result<Value, AdapterError> {
        let mut signature = DspySignature {
            instructions: None,
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        signature.become_task(instead);
        for output in &mut signature.outputs {
            // What is none of the choices is for the step to see.
            if matches!(output.ty, PyType::Literal(_)) {
                output.ty = PyType::Str;
            }
        }
        let fields = self.parse(&signature, reply)?;
        Ok(PyValue::Dict(fields).to_json())
    }

    /// The output of a compiled step in a reply, as JSON that its types then read.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn read(self, def: &SignatureDef, reply: &str) -> Result<Value, AdapterError> {
        let fields = self.parse(&DspySignature::of(def)?, reply)?;
        Ok(PyValue::Dict(fields).to_json())
    }

    /// The messages that DSPy sends: system, demos, what was said before, inputs.
    ///
    /// Inputs that the signature does not have are left out, as are missing ones; so are demos without
    /// any input or any output of the signature. Incomplete demos come first.
    ///
    /// # Errors
    /// [`RenderError`] where DSPy raises an exception, or sends something else than text.
    pub fn render(
        self,
        signature: &DspySignature,
        demos: &[PyDict],
        inputs: &PyDict,
    ) -> Result<Vec<Message>, RenderError> {
        render::render(self, signature, demos, inputs)
    }

    /// The output fields of a reply, in the order of the signature.
    ///
    /// The types' values come as JSON has them: the fields of models, the values of enums.
    ///
    /// # Errors
    /// [`ParseFailure`] where DSPy raises `AdapterParseError`.
    pub fn parse(self, signature: &DspySignature, reply: &str) -> Result<PyDict, ParseFailure> {
        parse::parse(self, signature, reply)
    }
}

/// Why an adapter has no messages or no fields for a step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterError {
    /// The step is not as the compiler writes it.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// There are no messages.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The reply cannot be read.
    #[error(transparent)]
    Parse(#[from] ParseFailure),
}

impl fmt::Display for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::signature::{Demo, FieldDef};

    const DEF: SignatureDef = SignatureDef {
        workflow: "support",
        step: "triage",
        source: "workflows/support.yaml:4",
        description: "",
        instructions: "Rate the ticket.\nBe strict.\n",
        inputs: &[
            FieldDef {
                name: "ticket",
                ty: "string",
                description: "What the customer wrote",
                sensitive: false,
            },
            FieldDef {
                name: "tags",
                ty: "list of string",
                description: "",
                sensitive: false,
            },
        ],
        outputs: &[
            FieldDef {
                name: "urgency",
                ty: "\"low\" | \"high\"",
                description: "",
                sensitive: false,
            },
            FieldDef {
                name: "score",
                ty: "integer",
                description: "How sure",
                sensitive: false,
            },
        ],
        input_schema: r#"{"type":"object","properties":{"ticket":{"type":"string"},"tags":{"type":"array","items":{"type":"string"}}}}"#,
        output_schema: r#"{"type":"object","properties":{"urgency":{"type":"string","enum":["low","high"]},"score":{"type":"integer","minimum":0,"maximum":10}}}"#,
        demos: &[Demo {
            inputs: &[("ticket", "12"), ("tags", "[\"fire\"]")],
            output: r#"{"urgency":"high","score":9}"#,
        }],
        optimized: &[],
        adapter: None,
        lm: None,
        temperature: None,
        max_tokens: None,
        lms: &[],
        checks: &[],
        module: crate::module::ModuleDef::Predict,
    };

    #[test]
    fn a_compiled_step_is_the_signature_that_one_would_write() {
        let signature = DspySignature::of(&DEF).unwrap();
        let described = json!({
            "instructions": "Rate the ticket.\nBe strict.\n",
            "fields": [
                {"name": "ticket", "io": "input", "type": "str", "desc": "What the customer wrote"},
                {"name": "tags", "io": "input", "type": "list[str]"},
                {"name": "urgency", "io": "output", "type": "Literal['low', 'high']"},
                {"name": "score", "io": "output", "type": "int", "desc": "How sure",
                 "constraints": {"ge": 0, "le": 10}},
            ],
        });
        assert_eq!(signature, serde_json::from_value(described).unwrap());
        let demos: Vec<PyValue> = signature
            .demos(&DEF.demos.iter().map(Into::into).collect::<Vec<_>>())
            .into_iter()
            .map(PyValue::Dict)
            .collect();
        assert_eq!(
            serde_json::to_value(demos).unwrap(),
            json!([{"ticket": "12", "tags": ["fire"], "urgency": "high", "score": 9}])
        );
        let messages = Adapter::DspyChat.messages(&DEF, &json!({"ticket": "x", "tags": []}));
        assert_eq!(messages.unwrap().len(), 4);
    }

    #[test]
    fn a_reply_becomes_what_the_types_read() {
        let reply = "[[ ## urgency ## ]]\n'low'\n\n[[ ## score ## ]] 7.0\n[[ ## completed ## ]]";
        let read = Adapter::DspyChat.read(&DEF, reply).unwrap();
        assert_eq!(read, json!({"urgency": "low", "score": 7}));
        let read =
            Adapter::DspyJson.read(&DEF, "```json\n{'score': '7', 'urgency': \"low\",}\n```");
        assert_eq!(read.unwrap(), json!({"urgency": "low", "score": 7}));
    }

    #[test]
    fn an_unreadable_reply_says_what_is_wrong() {
        let error =
            |adapter: Adapter, reply: &str| adapter.read(&DEF, reply).unwrap_err().to_string();
        assert_eq!(
            error(Adapter::DspyChat, "[[ ## score ## ]]\n7"),
            "the reply lacks `urgency`"
        );
        assert_eq!(
            error(Adapter::DspyChat, "[[ ## urgency ## ]]\nmiddling"),
            "field `urgency`: 'middling' is not one of 'low', 'high'"
        );
        assert_eq!(
            error(Adapter::DspyJson, "I don't know."),
            "the reply holds no JSON object"
        );
    }

    #[test]
    fn names_are_those_of_workflow_files() {
        for adapter in [Adapter::DspyChat, Adapter::DspyJson] {
            assert_eq!(Adapter::from_name(adapter.name()), Some(adapter));
        }
        assert_eq!(Adapter::from_name("chat"), None);
    }
}
