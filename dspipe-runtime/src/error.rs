//! What a run can fail with.

use std::fmt;

use crate::lm::{LmError, LmName, request_text};
use crate::read::ReadError;
use crate::tool::MissingTool;

/// Characters of a reply that a message shows; the error holds all of it.
const LONGEST: usize = 300;

/// Why a step, and with it the workflow, did not give its output.
///
/// `Debug` writes the message too, because that is what `unwrap` and a `main` that returns a `Result` show;
/// `{:#?}` writes the fields.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The LM gave no reply.
    #[error("step `{step}` of `{workflow}` has no reply of {lm}: {source}")]
    Lm {
        /// The workflow.
        workflow: &'static str,
        /// The step.
        step: &'static str,
        /// The LM as it is named, or the text that should name one.
        lm: String,
        /// Why.
        source: LmError,
    },

    /// The LM's reply is not what the step asks for, also after it was told what is wrong.
    #[error(
        "step `{step}` of `{workflow}` cannot use the reply of {lm}{}: {source}\nthe reply was: {}",
        request_text(.request_id.as_deref()), shown(.raw)
    )]
    Reply {
        /// The workflow.
        workflow: &'static str,
        /// The step.
        step: &'static str,
        /// The LM.
        lm: LmName,
        /// All that is wrong with the last reply.
        source: ReadError,
        /// The last reply, as it came.
        raw: String,
        /// What the provider calls the request of the last reply, if it said so.
        request_id: Option<String>,
    },

    /// The input could not be serialized, or an image or a document of it cannot be read.
    #[error("step `{step}` of `{workflow}` cannot take its input: {reason}")]
    Input {
        /// The workflow.
        workflow: &'static str,
        /// The step.
        step: &'static str,
        /// What serde said.
        reason: String,
    },

    /// The step names a tool that the runner does not have. Nothing was asked.
    #[error("step `{step}` of `{workflow}` cannot run: {source}")]
    Tool {
        /// The workflow.
        workflow: &'static str,
        /// The step.
        step: &'static str,
        /// Which tool, and what to do.
        source: MissingTool,
    },
}

impl Error {
    /// What kind of error it is, in a word for logs and figures: that of the LM's error, `unreadable_reply`,
    /// `input` or `missing_tool`.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Lm { source, .. } => source.class(),
            Self::Reply { .. } => "unreadable_reply",
            Self::Input { .. } => "input",
            Self::Tool { .. } => "missing_tool",
        }
    }

    /// The workflow and the step that failed.
    pub fn place(&self) -> (&'static str, &'static str) {
        match self {
            Self::Lm { workflow, step, .. }
            | Self::Reply { workflow, step, .. }
            | Self::Input { workflow, step, .. }
            | Self::Tool { workflow, step, .. } => (workflow, step),
        }
    }

    /// What the provider calls the request that failed, if it said so: what its support asks for.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Lm { source, .. } => source.request_id(),
            Self::Reply { request_id, .. } => request_id.as_deref(),
            Self::Input { .. } | Self::Tool { .. } => None,
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return fmt::Display::fmt(self, f);
        }
        let mut fields = match self {
            Self::Lm { lm, source, .. } => {
                let mut fields = f.debug_struct("Lm");
                fields.field("lm", lm).field("source", source);
                fields
            }
            Self::Reply {
                lm,
                source,
                raw,
                request_id,
                ..
            } => {
                let mut fields = f.debug_struct("Reply");
                fields.field("lm", lm).field("source", source);
                fields.field("raw", raw).field("request_id", request_id);
                fields
            }
            Self::Input { reason, .. } => {
                let mut fields = f.debug_struct("Input");
                fields.field("reason", reason);
                fields
            }
            Self::Tool { source, .. } => {
                let mut fields = f.debug_struct("Tool");
                fields.field("source", source);
                fields
            }
        };
        let (workflow, step) = self.place();
        fields.field("workflow", &workflow).field("step", &step);
        fields.finish()
    }
}

fn shown(raw: &str) -> String {
    match raw.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &raw[..end]),
        None => raw.to_owned(),
    }
}
