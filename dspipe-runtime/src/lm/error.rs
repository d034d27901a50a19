//! Why there is no reply, each with the way out.

use std::time::Duration;

use super::LmName;

/// Why an LM gave no reply that can be used.
///
/// `endpoint` is the URL that was asked, without credentials; `message` is what the server said,
/// shortened and without secrets.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LmError {
    /// The reply is not recorded, or the recording cannot be used.
    #[cfg(feature = "cassettes")]
    #[error(transparent)]
    Cassette(#[from] crate::cassette::CassetteError),
    /// `DSPIPE_LM` or a name in the code is not `provider/model`.
    #[error(transparent)]
    Name(#[from] super::NameError),

    /// The provider needs a key and there is none.
    #[error(
        "{variable} is not set; set it to a key of {provider}, or set \
         DSPIPE_LM=local/smollm2-135m-instruct to run on the embedded model"
    )]
    MissingKey {
        /// The provider.
        provider: String,
        /// The environment variable that should hold the key.
        variable: String,
    },

    /// There is no such provider.
    #[error(
        "there is no provider `{provider}`; known are {known}; for another OpenAI-compatible server set \
         {variable} to its URL"
    )]
    UnknownProvider {
        /// The provider.
        provider: String,
        /// The ones that exist.
        known: String,
        /// The environment variable that would make it known.
        variable: String,
    },

    /// This build of the runtime lacks a part.
    #[error(
        "`{lm}` needs the feature `{feature}` of dspipe-runtime, which this program is built without"
    )]
    NotBuilt {
        /// The LM.
        lm: LmName,
        /// The Cargo feature.
        feature: &'static str,
    },

    /// An environment variable does not hold what it should.
    #[error("{variable} cannot be used: {reason}")]
    Setting {
        /// The variable.
        variable: String,
        /// What is wrong with it.
        reason: String,
    },

    /// The key was refused.
    #[error("{endpoint} refused the key ({status}): {message}; check {variable}")]
    Auth {
        /// The URL.
        endpoint: String,
        /// HTTP status.
        status: u16,
        /// What the server said.
        message: String,
        /// Where the key comes from.
        variable: String,
    },

    /// Too many requests.
    #[error("{endpoint} limits the rate: {message}; ask less often, or raise the limit there")]
    RateLimited {
        /// The URL.
        endpoint: String,
        /// What the server said.
        message: String,
        /// How long to wait, if the server said so.
        retry_after: Option<Duration>,
    },

    /// There is no credit left.
    #[error(
        "{endpoint} has no credit left for this key: {message}; top it up there, or use another LM"
    )]
    QuotaExceeded {
        /// The URL.
        endpoint: String,
        /// What the server said.
        message: String,
    },

    /// The server has too much to do.
    #[error("{endpoint} is overloaded ({status}): {message}; try again later, or use another LM")]
    Overloaded {
        /// The URL.
        endpoint: String,
        /// HTTP status.
        status: u16,
        /// What the server said.
        message: String,
        /// How long to wait, if the server said so.
        retry_after: Option<Duration>,
    },

    /// The messages are longer than the LM can take.
    #[error(
        "the request is longer than the context of the LM at {endpoint}: {message}; shorten the inputs, show \
         fewer demos, or use an LM with a larger context"
    )]
    ContextLength {
        /// The URL.
        endpoint: String,
        /// What the server said.
        message: String,
    },

    /// The LM declined to answer.
    #[error("the LM at {endpoint} declined to answer: {message}")]
    Refused {
        /// The URL.
        endpoint: String,
        /// Its words.
        message: String,
    },

    /// The provider's filter held the answer back.
    #[error("a content filter at {endpoint} held the answer back: {message}")]
    ContentFilter {
        /// The URL.
        endpoint: String,
        /// What the server said.
        message: String,
    },

    /// The server finds the request wrong.
    #[error("{endpoint} does not accept the request ({status}): {message}")]
    BadRequest {
        /// The URL.
        endpoint: String,
        /// HTTP status.
        status: u16,
        /// What the server said.
        message: String,
    },

    /// The reply was cut off before the answer was whole.
    #[error("the reply of {lm} was cut off after {output_tokens} tokens{}; raise `max_tokens` of the step", limit_text(*.max_tokens))]
    Truncated {
        /// The LM.
        lm: LmName,
        /// How long the reply was.
        output_tokens: u64,
        /// The limit that the step sets, if any.
        max_tokens: Option<u32>,
    },

    /// Nothing came in time.
    #[error("{endpoint} did not answer within {after:?}; try again, or use a faster LM")]
    Timeout {
        /// The URL.
        endpoint: String,
        /// How long it was waited for.
        after: Duration,
    },

    /// The server could not be reached.
    #[error(
        "{endpoint} cannot be reached: {reason}; check that it runs, and the network and proxy settings"
    )]
    Unreachable {
        /// The URL.
        endpoint: String,
        /// What happened.
        reason: String,
    },

    /// The server failed.
    #[error("{endpoint} failed ({status}): {message}; try again later")]
    Server {
        /// The URL.
        endpoint: String,
        /// HTTP status.
        status: u16,
        /// What the server said.
        message: String,
    },

    /// The server's answer is not what its API promises.
    #[error(
        "{endpoint} did not answer as the OpenAI chat API does: {reason}; is it the right URL?"
    )]
    Protocol {
        /// The URL.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },

    /// The embedded model is not available.
    #[cfg(feature = "local")]
    #[error(transparent)]
    Local(#[from] crate::local::LocalError),
}

impl LmError {
    /// Whether the same request may succeed if it is sent again. A reply that took too long is not
    /// asked for again: it would be paid for twice, and most likely take as long.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::RateLimited { .. }
                | Self::Overloaded { .. }
                | Self::Unreachable { .. }
                | Self::Server { .. }
        )
    }

    /// How long the server asks to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Overloaded { retry_after, .. } => {
                *retry_after
            }
            _ => None,
        }
    }
}

fn limit_text(max_tokens: Option<u32>) -> String {
    max_tokens.map_or_else(String::new, |limit| format!(" (`max_tokens` is {limit})"))
}
