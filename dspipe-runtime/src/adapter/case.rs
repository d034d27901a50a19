//! A call as JSON: what a signature is asked, to try adapters without a workflow.

use super::Adapter;
use super::json::{self, JsonError};
use super::parse::ParseFailure;
use super::render::RenderError;
use super::signature::DspySignature;
use super::value::{PyDict, PyValue};
use crate::lm::Message;

/// A signature with demos and inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The signature.
    pub signature: DspySignature,
    /// The demos, in order; each has one key per field that it has.
    pub demos: Vec<PyDict>,
    /// The inputs, one key per field.
    pub inputs: PyDict,
    /// A reply to be read.
    pub reply: Option<String>,
}

/// A text that is not a case.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaseError {
    /// It is not JSON.
    #[error("not JSON: {0}")]
    Json(#[from] JsonError),
    /// The signature is not described well.
    #[error("`signature`: {0}")]
    Signature(#[source] serde_json::Error),
    /// A part has another form.
    #[error("`{part}` must be {form}")]
    Form {
        /// The part.
        part: &'static str,
        /// What it must be.
        form: &'static str,
    },
}

impl Case {
    /// Reads `{"signature": …, "demos": […], "inputs": {…}, "reply": "…"}`, all but the signature optional.
    /// The form of a signature is shown at [`DspySignature`]. Other keys are left alone.
    ///
    /// # Errors
    /// [`CaseError`] says which part is wrong.
    pub fn from_json(text: &str) -> Result<Self, CaseError> {
        let dict = |value, part| match value {
            PyValue::Dict(dict) => Ok(dict),
            _ => Err(CaseError::Form {
                part,
                form: "an object",
            }),
        };
        let mut case = dict(json::read(text)?, "the case")?;
        let mut take = |part: &str| case.shift_remove(part);
        let signature = take("signature").ok_or(CaseError::Form {
            part: "signature",
            form: "there",
        })?;
        let demos = match take("demos") {
            None => Vec::new(),
            Some(PyValue::List(demos)) => demos
                .into_iter()
                .map(|demo| dict(demo, "demos"))
                .collect::<Result<_, _>>()?,
            Some(_) => {
                return Err(CaseError::Form {
                    part: "demos",
                    form: "a list",
                });
            }
        };
        let reply = match take("reply") {
            None => None,
            Some(PyValue::Str(text)) => Some(text),
            Some(_) => {
                return Err(CaseError::Form {
                    part: "reply",
                    form: "a text",
                });
            }
        };
        Ok(Self {
            signature: serde_json::from_value(signature.to_json()).map_err(CaseError::Signature)?,
            demos,
            inputs: take("inputs")
                .map_or_else(|| Ok(PyDict::new()), |inputs| dict(inputs, "inputs"))?,
            reply,
        })
    }

    /// The messages of an adapter.
    ///
    /// # Errors
    /// As [`Adapter::render`].
    pub fn render(&self, adapter: Adapter) -> Result<Vec<Message>, RenderError> {
        adapter.render(&self.signature, &self.demos, &self.inputs)
    }

    /// The fields that an adapter reads from the reply; `None` if there is none.
    pub fn parse(&self, adapter: Adapter) -> Option<Result<PyDict, ParseFailure>> {
        let reply = self.reply.as_deref()?;
        Some(adapter.parse(&self.signature, reply))
    }
}
