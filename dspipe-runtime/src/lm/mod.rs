//! Language models behind one trait.
//!
//! A request is rendered messages, a schema and parameters; a reply is text. What the text means is read
//! elsewhere, so that a recording of requests and replies can stand in for any LM.

mod error;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "local")]
mod local;
mod name;
#[cfg(feature = "http")]
mod openai;
mod provider;
mod registry;
mod retry;
#[cfg(feature = "http")]
mod schema;

use std::borrow::Cow;
use std::fmt;
use std::ops::AddAssign;
use std::pin::Pin;

use serde::{Deserialize, Serialize};

pub use error::LmError;
#[cfg(feature = "local")]
pub use local::LocalLm;
pub use name::{LmName, NameError};
#[cfg(feature = "http")]
pub use openai::OpenAiChat;
pub use registry::Lms;
pub use retry::Retry;

/// A future on the heap.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A language model.
pub trait Lm: Send + Sync + fmt::Debug {
    /// Its name, as messages and reports show it.
    fn name(&self) -> &LmName;

    /// Asks once. Repeating is for [`Retry`].
    ///
    /// # Errors
    /// [`LmError`] tells why there is no reply.
    fn complete<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, LmError>>;
}

/// What an LM is asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Request {
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// The form that the reply must have; `None` for free text.
    pub schema: Option<OutputSchema>,
    /// How to sample.
    pub params: Params,
}

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A message of the program.
    pub fn system(content: impl Into<String>) -> Self {
        Self {
            role: Role::System,
            content: content.into(),
        }
    }

    /// A message of the user.
    pub fn user(content: impl Into<String>) -> Self {
        Self {
            role: Role::User,
            content: content.into(),
        }
    }

    /// A message of the LM.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self {
            role: Role::Assistant,
            content: content.into(),
        }
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The program: instructions.
    System,
    /// The user: inputs.
    User,
    /// The LM: replies.
    Assistant,
}

/// The form of a reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutputSchema {
    /// A name for it, of letters, digits, `_` and `-`, at most 64 of them.
    pub name: String,
    /// JSON Schema, as text.
    pub json: Cow<'static, str>,
}

/// How to sample. `None` leaves a setting to the provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Params {
    /// The sampling temperature.
    pub temperature: Option<f64>,
    /// The longest reply, in tokens.
    pub max_tokens: Option<u32>,
    /// The seed of the sampler, for providers that have one.
    pub seed: Option<u64>,
    /// Which of several replies to one request is wanted, from 0. Providers are not told; recordings are
    /// told apart by it.
    #[serde(default, skip_serializing_if = "is_first")]
    pub repetition: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_first(repetition: &u32) -> bool {
    *repetition == 0
}

/// What an LM replied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The text.
    pub text: String,
    /// Why it ends.
    pub finish: Finish,
    /// What it took.
    pub usage: Usage,
    /// The model that replied, in the provider's words.
    pub model: String,
}

/// Why a reply ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The LM was done.
    Stop,
    /// `max_tokens` or the context was reached.
    Length,
    /// Something else, or unknown.
    #[default]
    Other,
}

/// Tokens of one or more calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the messages.
    pub input_tokens: u64,
    /// Tokens of the replies.
    pub output_tokens: u64,
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
    }
}
