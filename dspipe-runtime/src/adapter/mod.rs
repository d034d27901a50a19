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

use crate::lm::Message;

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

impl fmt::Display for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
