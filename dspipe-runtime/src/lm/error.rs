//! Why there is no reply, each with the way out.

use std::fmt;
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
    #[error(
        "{endpoint} refused the key ({status}): {message}{}; check {variable}",
        request_text(.request_id.as_deref())
    )]
    Auth {
        /// The URL.
        endpoint: String,
        /// HTTP status.
        status: u16,
        /// What the server said.
        message: String,
        /// Where the key comes from.
        variable: String,
        /// What the provider calls the request, if it said so.
        request_id: Option<String>,
    },

    /// Too many requests.
    #[error(
        "{endpoint} limits the rate: {message}{}; ask less often, or raise the limit there",
        request_text(.request_id.as_deref())
    )]
    RateLimited {
        /// The URL.
        endpoint: String,
        /// What the server said.
        message: String,
        /// How long to wait, if the server said so.
        retry_after: Option<Duration>,
        /// What the provider calls the request, if it said so.
        request_id: Option<String>,
    },

    /// There is no credit left.
    #[error(
        "{endpoint} has no credit left for this key: {message}{}; top it up there, or use another LM",
        request_text(.request_id.as_deref())
    )]
    QuotaExceeded {
        /// The URL.
        endpoint: String,
        /// What the server said.
        message: String,
        /// What the provider calls the request, if it said so.
        request_id: Option<String>,
    },

    /// The server has too much to do.
    #[error(
        "{endpoint} is overloaded ({status}): {message}{}; try again later, or use another LM",
        request_text(.request_id.as_deref())
    )]
    Overloaded {
        /// The URL.
        endpoint: String,
        /// HTTP status.
        status: u16,
        /// What the server said.
        message: String,
        /// How long to wait, if the server said so.
        retry_after: Option<Duration>,
        /// What the provider calls the request, if it said so.
        request_id: Option<String>,
    },

    /// The messages are longer than the LM can take.
    #[error(
        "the request is longer than the context of the LM at {endpoint}: {message}{}; shorten the inputs, show \
         fewer demos, or use an LM with a larger context",
        request_text(.request_id.as_deref())
    )]
    ContextLength {
        /// The URL.
        endpoint: String,
        /// What the server said.
        message: String,
        /// What the provider calls the request, if it said so.
        request_id: Option<String>,
    },

    /// The LM declined to answer.
    #[error("the LM at {endpoint} declined to answer: {message}{}", request_text(.request_id.as_deref()))]
    Refused {
        /// The URL.
        endpoint: String,
        /// Its words.
        message: String,
        /// What the provider calls the request, if it said so.
        request_id: Option<String>,
    },

    /// The provider's filter held the answer back.
    #[error("a content filter at {endpoint} held the answer back: {message}{}", request_text(.request_id.as_deref()))]
    ContentFilter {
        /// The URL.
        endpoint: String,
        /// What the server said.
        message: String,
        /// What the provider calls the request, if it said so.
        request_id: Option<String>,
    },

    /// An image or a document that the LM, or its API, does not take.
    #[error("{lm} cannot be shown {what}: {reason}; use another LM, or give it as text")]
    Media {
        /// The LM.
        lm: LmName,
        /// What it cannot be shown.
        what: String,
        /// Why.
        reason: &'static str,
    },

    /// The server finds the request wrong.
    #[error("{endpoint} does not accept the request ({status}): {message}{}", request_text(.request_id.as_deref()))]
    BadRequest {
        /// The URL.
        endpoint: String,
        /// HTTP status.
        status: u16,
        /// What the server said.
        message: String,
        /// What the provider calls the request, if it said so.
        request_id: Option<String>,
    },

    /// The reply was cut off before the answer was whole.
    #[error("the reply of {lm} was cut off after {output_tokens} tokens{}{}; raise `max_tokens` of the step", limit_text(*.max_tokens), request_text(.request_id.as_deref()))]
    Truncated {
        /// The LM.
        lm: LmName,
        /// How long the reply was.
        output_tokens: u64,
        /// The limit that the step sets, if any.
        max_tokens: Option<u32>,
        /// What the provider calls the request, if it said so.
        request_id: Option<String>,
    },

    /// Nothing came in time.
    #[error("{endpoint} {limit} within {after:?}; try again, or use a faster LM")]
    Timeout {
        /// The URL.
        endpoint: String,
        /// What took too long.
        limit: TimeLimit,
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
        /// Whether there was a connection, so that the server may have read the request.
        connected: bool,
    },

    /// A stream ended before the reply was whole.
    #[error("the reply of {endpoint} broke off: {reason}{}; try again", request_text(.request_id.as_deref()))]
    Interrupted {
        /// The URL.
        endpoint: String,
        /// What happened.
        reason: String,
        /// What the provider calls the request, if it said so.
        request_id: Option<String>,
    },

    /// No try gave a reply in the time that the program allows.
    #[error("{lm} gave no reply within {after:?}; allow more time, or use a faster LM")]
    Deadline {
        /// The LM.
        lm: LmName,
        /// How long it was waited for.
        after: Duration,
    },

    /// The server failed too often, and is left alone for a while.
    #[error(
        "{endpoint} failed again and again and is not asked for {retry_after:?}; try again later, or use \
         another LM"
    )]
    CircuitOpen {
        /// The URL.
        endpoint: String,
        /// How long until it may be asked again.
        retry_after: Duration,
    },

    /// The budget has not enough left for the call.
    #[error(
        "the budget of {limit} does not allow it: {spent} spent, {reserved} reserved for calls under way, up \
         to {need} needed; raise the budget, or lower `max_tokens`"
    )]
    Budget {
        /// What there is not enough of.
        kind: BudgetKind,
        /// The budget.
        limit: String,
        /// What calls took that have ended.
        spent: String,
        /// What calls under way may take.
        reserved: String,
        /// What this call may take.
        need: String,
    },

    /// A budget in money cannot hold for a model of unknown price.
    #[error(
        "the price of {lm} is not known, so no budget in money can hold; name it in the file of \
         DSPIPE_PRICES, or with `Prices::with`"
    )]
    NoPrice {
        /// The LM.
        lm: LmName,
    },

    /// None of several LMs replied.
    #[error("no LM replied: {}", tried_text(.tried))]
    AllFailed {
        /// Each LM and why it did not reply, in the order in which they were asked.
        tried: Vec<(LmName, LmError)>,
    },

    /// The server failed.
    #[error("{endpoint} failed ({status}): {message}{}; try again later", request_text(.request_id.as_deref()))]
    Server {
        /// The URL.
        endpoint: String,
        /// HTTP status.
        status: u16,
        /// What the server said.
        message: String,
        /// What the provider calls the request, if it said so.
        request_id: Option<String>,
    },

    /// The server's answer is not what its API promises.
    #[error(
        "{endpoint} did not answer as the {api} API does: {reason}{}; is it the right URL?",
        request_text(.request_id.as_deref())
    )]
    Protocol {
        /// The URL.
        endpoint: String,
        /// The API that is asked for.
        api: &'static str,
        /// What is wrong with it.
        reason: String,
        /// What the provider calls the request, if it said so.
        request_id: Option<String>,
    },

    /// The embedded model is not available.
    #[cfg(feature = "local")]
    #[error(transparent)]
    Local(#[from] crate::local::LocalError),
}

/// What a budget limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetKind {
    /// Calls.
    Calls,
    /// Tokens.
    Tokens,
    /// Money.
    Money,
}

/// Which time-out it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeLimit {
    /// There was no connection.
    Connect,
    /// No bytes came.
    Read,
    /// The reply was not whole.
    Total,
}

impl fmt::Display for TimeLimit {
    /// What did not happen, after the name of the server.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "took no connection",
            Self::Read => "sent nothing more",
            Self::Total => "did not answer",
        })
    }
}

impl LmError {
    /// For a stream that stops without an [`End`](super::End).
    pub(crate) fn no_end() -> Self {
        Self::Interrupted {
            endpoint: "the LM".to_owned(),
            reason: "its stream has no end".to_owned(),
            request_id: None,
        }
    }

    /// What kind of error it is, in a word for logs and figures.
    pub fn class(&self) -> &'static str {
        match self {
            #[cfg(feature = "cassettes")]
            Self::Cassette(_) => "cassette",
            Self::Name(_) => "name",
            Self::MissingKey { .. } => "missing_key",
            Self::UnknownProvider { .. } => "unknown_provider",
            Self::NotBuilt { .. } => "not_built",
            Self::Setting { .. } => "setting",
            Self::Auth { .. } => "auth",
            Self::RateLimited { .. } => "rate_limited",
            Self::QuotaExceeded { .. } => "quota_exceeded",
            Self::Overloaded { .. } => "overloaded",
            Self::ContextLength { .. } => "context_length",
            Self::Refused { .. } => "refused",
            Self::ContentFilter { .. } => "content_filter",
            Self::Media { .. } => "unsupported_media",
            Self::BadRequest { .. } => "bad_request",
            Self::Truncated { .. } => "truncated",
            Self::Timeout { .. } => "timeout",
            Self::Unreachable { .. } => "unreachable",
            Self::Interrupted { .. } => "interrupted",
            Self::Deadline { .. } => "deadline",
            Self::CircuitOpen { .. } => "circuit_open",
            Self::Budget { .. } => "budget",
            Self::NoPrice { .. } => "no_price",
            Self::AllFailed { .. } => "all_failed",
            Self::Server { .. } => "server",
            Self::Protocol { .. } => "protocol",
            #[cfg(feature = "local")]
            Self::Local(_) => "local",
        }
    }

    /// Whether the same request may succeed if it is sent again. A reply that took too long is not
    /// asked for again: it would be paid for twice, and most likely take as long.
    pub fn is_transient(&self) -> bool {
        if let Self::AllFailed { tried } = self {
            return tried.iter().any(|(_, error)| error.is_transient());
        }
        matches!(
            self,
            Self::RateLimited { .. }
                | Self::Overloaded { .. }
                | Self::Unreachable { .. }
                | Self::Server { .. }
                | Self::Interrupted { .. }
                | Self::CircuitOpen { .. }
                | Self::Timeout {
                    limit: TimeLimit::Connect,
                    ..
                }
        )
    }

    /// How long the server asks to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Overloaded { retry_after, .. } => {
                *retry_after
            }
            Self::CircuitOpen { retry_after, .. } => Some(*retry_after),
            // It is worth another try as soon as one of them is.
            Self::AllFailed { tried } => {
                let transient = tried.iter().filter(|(_, error)| error.is_transient());
                let waits = transient.map(|(_, error)| error.retry_after().unwrap_or_default());
                waits.min()
            }
            _ => None,
        }
    }

    /// Whether the LM has surely done nothing that is paid for: it was not asked, could not be reached, or
    /// did not take the request.
    pub fn is_free(&self) -> bool {
        match self {
            Self::Refused { .. }
            | Self::ContentFilter { .. }
            | Self::Truncated { .. }
            | Self::Interrupted { .. }
            | Self::Deadline { .. }
            | Self::Protocol { .. }
            | Self::Unreachable {
                connected: true, ..
            }
            | Self::Timeout {
                limit: TimeLimit::Read | TimeLimit::Total,
                ..
            } => false,
            Self::AllFailed { tried } => tried.iter().all(|(_, error)| error.is_free()),
            _ => true,
        }
    }

    /// What the provider calls the request: what its support asks for. `None` where no server answered, or
    /// it did not say.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::AllFailed { tried } => {
                tried.iter().rev().find_map(|(_, error)| error.request_id())
            }
            Self::Auth { request_id, .. }
            | Self::RateLimited { request_id, .. }
            | Self::QuotaExceeded { request_id, .. }
            | Self::Overloaded { request_id, .. }
            | Self::ContextLength { request_id, .. }
            | Self::Refused { request_id, .. }
            | Self::ContentFilter { request_id, .. }
            | Self::BadRequest { request_id, .. }
            | Self::Truncated { request_id, .. }
            | Self::Interrupted { request_id, .. }
            | Self::Server { request_id, .. }
            | Self::Protocol { request_id, .. } => request_id.as_deref(),
            _ => None,
        }
    }

    /// The error of an answer with this id, unless it has one already.
    #[cfg(feature = "http")]
    pub(crate) fn with_request_id(mut self, id: Option<&str>) -> Self {
        match &mut self {
            Self::Auth { request_id, .. }
            | Self::RateLimited { request_id, .. }
            | Self::QuotaExceeded { request_id, .. }
            | Self::Overloaded { request_id, .. }
            | Self::ContextLength { request_id, .. }
            | Self::Refused { request_id, .. }
            | Self::ContentFilter { request_id, .. }
            | Self::BadRequest { request_id, .. }
            | Self::Truncated { request_id, .. }
            | Self::Interrupted { request_id, .. }
            | Self::Server { request_id, .. }
            | Self::Protocol { request_id, .. }
                if request_id.is_none() =>
            {
                *request_id = id.map(str::to_owned);
            }
            _ => {}
        }
        self
    }
}

/// The id of a request as messages show it, after what they quote.
pub(crate) fn request_text(id: Option<&str>) -> String {
    id.map_or_else(String::new, |id| format!(" (request {id})"))
}

fn limit_text(max_tokens: Option<u32>) -> String {
    max_tokens.map_or_else(String::new, |limit| format!(" (`max_tokens` is {limit})"))
}

fn tried_text(tried: &[(LmName, LmError)]) -> String {
    let tried: Vec<String> = tried
        .iter()
        .map(|(lm, error)| format!("{lm}: {error}"))
        .collect();
    tried.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_asked_again_and_what_may_be_paid_for() {
        let unreachable = |connected| LmError::Unreachable {
            endpoint: String::new(),
            reason: String::new(),
            connected,
        };
        let timeout = |limit| LmError::Timeout {
            endpoint: String::new(),
            limit,
            after: Duration::ZERO,
        };
        let interrupted = LmError::Interrupted {
            endpoint: String::new(),
            reason: String::new(),
            request_id: None,
        };
        let limited = LmError::RateLimited {
            endpoint: String::new(),
            message: String::new(),
            retry_after: Some(Duration::from_secs(9)),
            request_id: None,
        };
        let open = LmError::CircuitOpen {
            endpoint: String::new(),
            retry_after: Duration::from_secs(5),
        };
        for (error, is_transient, is_free) in [
            (unreachable(false), true, true),
            (unreachable(true), true, false),
            (timeout(TimeLimit::Connect), true, true),
            (timeout(TimeLimit::Read), false, false),
            (timeout(TimeLimit::Total), false, false),
            (interrupted, true, false),
            (limited.clone(), true, true),
            (open.clone(), true, true),
        ] {
            assert_eq!(
                (error.is_transient(), error.is_free()),
                (is_transient, is_free),
                "{error:?}"
            );
        }
        let all = |tried: &[&LmError]| LmError::AllFailed {
            tried: tried
                .iter()
                .map(|error| (LmName::embedded(), (*error).clone()))
                .collect(),
        };
        let last = timeout(TimeLimit::Total);
        let some = all(&[&limited, &last, &open]);
        assert_eq!(some.retry_after(), Some(Duration::from_secs(5)));
        assert!(some.is_transient() && !some.is_free());
        assert!(!all(&[&last]).is_transient());
    }
}
