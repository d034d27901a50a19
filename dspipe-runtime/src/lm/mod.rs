//! Language models behind one trait.
//!
//! A request is rendered messages, a schema and parameters; a reply is text. What the text means is read
//! elsewhere, so that a recording of requests and replies can stand in for any LM.
//!
//! [`Lms`] makes LMs of names and puts around them what the environment asks for. The parts are LMs
//! themselves, so a program can put them together in its own way:
//!
//! ```
//! use dspipe_runtime::lm::{
//!     Budget, BudgetLimits, Limiter, Limits, Lms, Money, Prices,
//! };
//! use dspipe_runtime::LocalRunner;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let five_dollars = BudgetLimits {
//!     money: Some(Money::from_dollars(5.0)),
//!     ..BudgetLimits::default()
//! };
//! let budget = Budget::new(five_dollars, Prices::from_env()?);
//! let eight_at_once = Limits {
//!     concurrency: Some(8),
//!     ..Limits::default()
//! };
//! let lms = Lms::new()
//!     .with_limits("anthropic", Limiter::new(eight_at_once))
//!     .with_fallbacks(
//!         "anthropic/claude-sonnet-4-5".parse()?,
//!         ["gemini/gemini-2.5-flash".parse()?],
//!     )
//!     .with_budget(budget.clone());
//! let runner = LocalRunner::from_env().with_lms(lms);
//! // … run workflows with it …
//! println!("{} so far", budget.spent().money);
//! # Ok(())
//! # }
//! ```

mod api;
mod breaker;
mod budget;
mod def;
mod error;
mod fallback;
mod gate;
mod limit;
#[cfg(feature = "local")]
mod local;
mod money;
mod name;
mod price;
mod provider;
mod registry;
mod retry;
#[cfg(feature = "http")]
mod schema;
#[cfg(test)]
mod testing;
#[cfg(feature = "http")]
mod wire;

use std::borrow::Cow;
use std::fmt;
use std::ops::AddAssign;
use std::pin::Pin;

use futures_util::{StreamExt, stream};

use serde::{Deserialize, Serialize};

pub use futures_util::Stream;

use crate::media::Attachment;

pub use api::Api;
pub use breaker::{Breaker, BreakerSettings};
pub use budget::{Budget, BudgetLimits, Spent};
pub use def::{LmDef, ServerDef};
pub(crate) use error::request_text;
pub use error::{BudgetKind, LmError, TimeLimit};
pub use fallback::Fallback;
pub use limit::{Limiter, Limits};
#[cfg(feature = "local")]
pub use local::LocalLm;
pub use money::Money;
pub use name::{LmName, NameError};
pub use price::{LongPrice, Price, Prices};
pub use registry::Lms;
pub use retry::Retry;
#[cfg(feature = "http")]
pub use wire::{HttpLm, Timeouts};

/// A future on the heap.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A stream on the heap.
pub type BoxStream<'a, T> = Pin<Box<dyn Stream<Item = T> + Send + 'a>>;

/// A language model.
pub trait Lm: Send + Sync + fmt::Debug {
    /// Its name, as messages and reports show it.
    fn name(&self) -> &LmName;

    /// Asks once. Repeating is for [`Retry`].
    ///
    /// # Errors
    /// [`LmError`] tells why there is no reply.
    fn complete<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, LmError>>;

    /// Asks once, for a reply in parts. The last chunk, and only the last, has an [`End`]; a stream ends
    /// after its first error. Nothing is sent before the stream is polled; dropping it takes back the
    /// request.
    ///
    /// An LM that knows no streams gives its reply in one chunk.
    fn stream<'a>(&'a self, request: &'a Request) -> BoxStream<'a, Result<Chunk, LmError>> {
        Box::pin(stream::once(async move {
            self.complete(request).await.map(Chunk::from)
        }))
    }
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
    /// What is shown with it, in messages of the user.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub media: Vec<Attachment>,
}

impl Message {
    fn of(role: Role, content: String) -> Self {
        Self {
            role,
            content,
            media: Vec::new(),
        }
    }

    /// A message of the program.
    pub fn system(content: impl Into<String>) -> Self {
        Self::of(Role::System, content.into())
    }

    /// A message of the user.
    pub fn user(content: impl Into<String>) -> Self {
        Self::of(Role::User, content.into())
    }

    /// A message of the LM.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::of(Role::Assistant, content.into())
    }

    /// Shows images and documents with it, before its text.
    #[must_use]
    pub fn with_media(mut self, media: impl IntoIterator<Item = Attachment>) -> Self {
        self.media.extend(media);
        self
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
    /// The LM that replied, if it is not the one that was asked: a [`Fallback`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lm: Option<LmName>,
    /// What the provider calls the request, if it said so. Recordings do without: it is of one answer only.
    #[serde(skip)]
    pub request_id: Option<String>,
}

impl Reply {
    /// The reply that a stream gives in parts.
    ///
    /// # Errors
    /// The error that ends the stream; [`LmError::Interrupted`] if it ends without an [`End`].
    pub async fn collect(
        mut chunks: BoxStream<'_, Result<Chunk, LmError>>,
    ) -> Result<Self, LmError> {
        let mut text = String::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            text.push_str(&chunk.text);
            if let Some(End {
                finish,
                usage,
                model,
                lm,
                request_id,
            }) = chunk.end
            {
                return Ok(Self {
                    text,
                    finish,
                    usage,
                    model,
                    lm,
                    request_id,
                });
            }
        }
        Err(LmError::no_end())
    }
}

/// A part of a reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// What the reply's text goes on with; may be empty.
    pub text: String,
    /// What the last chunk knows of the whole.
    pub end: Option<End>,
}

impl Chunk {
    /// More text, if there is any.
    #[cfg(feature = "http")]
    fn text(text: String) -> Option<Self> {
        (!text.is_empty()).then_some(Self { text, end: None })
    }
}

impl From<End> for Chunk {
    fn from(end: End) -> Self {
        Self {
            text: String::new(),
            end: Some(end),
        }
    }
}

impl From<Reply> for Chunk {
    fn from(reply: Reply) -> Self {
        Self {
            text: reply.text,
            end: Some(End {
                finish: reply.finish,
                usage: reply.usage,
                model: reply.model,
                lm: reply.lm,
                request_id: reply.request_id,
            }),
        }
    }
}

/// What is known of a reply at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Why it ends.
    pub finish: Finish,
    /// What it took.
    pub usage: Usage,
    /// The model that replied, in the provider's words.
    pub model: String,
    /// The LM that replied, if it is not the one that was asked.
    pub lm: Option<LmName>,
    /// What the provider calls the request, if it said so.
    pub request_id: Option<String>,
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
    /// Tokens of the messages, those from a cache included.
    pub input_tokens: u64,
    /// Tokens of the replies, those of reasoning included.
    pub output_tokens: u64,
    /// Of the input, what the provider had in its cache.
    #[serde(default)]
    pub cached_input_tokens: u64,
    /// Of the input, what the provider put into its cache, where that has a price.
    #[serde(default)]
    pub cache_write_tokens: u64,
    /// Of the output, what the LM thought before it answered.
    #[serde(default)]
    pub reasoning_tokens: u64,
}

impl Usage {
    /// Whether the server did not say it: no request takes nothing.
    pub(crate) fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        for (sum, more) in [
            (&mut self.input_tokens, other.input_tokens),
            (&mut self.output_tokens, other.output_tokens),
            (&mut self.cached_input_tokens, other.cached_input_tokens),
            (&mut self.cache_write_tokens, other.cache_write_tokens),
            (&mut self.reasoning_tokens, other.reasoning_tokens),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}
