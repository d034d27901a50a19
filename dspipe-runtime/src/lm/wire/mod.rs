//! LMs behind HTTP endpoints: one client, four formats.
//!
//! A format is a module with three parts: the body of a request, the reading of a reply, and the reading of
//! a stream. What they share is here: [`target`] sends, [`failure`] says what a refusal means.

mod anthropic;
mod cache;
mod chat;
mod embed;
mod failure;
mod frame;
mod gemini;
pub(super) mod http;
mod json;
mod media;
mod params;
mod responses;
mod sse;
mod stream;
mod target;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::Value;

pub use embed::Embedder;
pub use http::Timeouts;
pub(super) use target::Target;

use super::provider::{KeyHeader, Provider, Structured};
use super::schema::{Form, Forms};
use super::{Api, BoxFuture, BoxStream, Chunk, Lm, LmError, LmName, Params, Reply, Request, Usage};
use crate::Secret;

impl Api {
    /// Its name in messages.
    const fn title(self) -> &'static str {
        match self {
            Self::OpenAiChat => "OpenAI chat",
            Self::OpenAiResponses => "OpenAI responses",
            Self::AnthropicMessages => "Anthropic Messages",
            Self::GeminiGenerateContent => "Gemini generateContent",
        }
    }

    /// Where a request goes, below the path of the base URL.
    fn path(self, base_path: &str, model: &str, stream: bool) -> String {
        match self {
            Self::OpenAiChat => "chat/completions".to_owned(),
            Self::OpenAiResponses => "responses".to_owned(),
            Self::AnthropicMessages => anthropic::path(base_path),
            Self::GeminiGenerateContent => gemini::path(base_path, model, stream),
        }
    }

    fn body(self, call: &Call<'_>) -> Result<Vec<u8>, LmError> {
        match self {
            Self::OpenAiChat => chat::body(call),
            Self::OpenAiResponses => responses::body(call),
            Self::AnthropicMessages => anthropic::body(call),
            Self::GeminiGenerateContent => gemini::body(call),
        }
    }

    fn reply(self, target: &Target, body: &[u8]) -> Result<Reply, LmError> {
        match self {
            Self::OpenAiChat => chat::reply(target, body),
            Self::OpenAiResponses => responses::reply(target, body),
            Self::AnthropicMessages => anthropic::reply(target, body),
            Self::GeminiGenerateContent => gemini::reply(target, body),
        }
    }

    /// The headers besides `content-type`. The key is marked, so that nobody shows it.
    fn headers(
        self,
        key: Option<&Secret>,
        key_variable: &str,
        key_header: KeyHeader,
    ) -> Result<http::Headers, LmError> {
        let mut headers = Vec::new();
        if self == Self::AnthropicMessages {
            headers.push((
                "anthropic-version",
                HeaderValue::from_static(anthropic::VERSION),
            ));
        }
        if let Some(key) = key {
            let (name, text) = match self {
                _ if key_header == KeyHeader::ApiKey => ("api-key", key.reveal().to_owned()),
                Self::OpenAiChat | Self::OpenAiResponses => {
                    ("authorization", format!("Bearer {}", key.reveal()))
                }
                Self::AnthropicMessages => ("x-api-key", key.reveal().to_owned()),
                Self::GeminiGenerateContent => ("x-goog-api-key", key.reveal().to_owned()),
            };
            let mut value = HeaderValue::from_str(&text).map_err(|_| LmError::Setting {
                variable: key_variable.to_owned(),
                reason: "it has characters that no HTTP header may have".to_owned(),
            })?;
            value.set_sensitive(true);
            headers.push((name, value));
        }
        Ok(headers)
    }
}

/// What the body of a request is made of.
struct Call<'a> {
    lm: &'a LmName,
    request: &'a Request,
    /// Those of the request that the model takes.
    params: Params,
    api: Api,
    structured: Structured,
    forms: &'a Forms,
    stream: bool,
}

impl Call<'_> {
    /// The output schema as the endpoint takes it, if there is one; `rewrite` makes it, and says whether it is
    /// strict.
    fn form(
        &self,
        rewrite: impl FnOnce(Value) -> (bool, Value),
    ) -> Result<Option<Arc<Form>>, LmError> {
        let wanted = self.request.schema.as_ref();
        wanted
            .map(|wanted| self.forms.of(&wanted.json, rewrite))
            .transpose()
    }
}

/// An LM behind an HTTP endpoint.
#[derive(Debug)]
pub struct HttpLm {
    name: LmName,
    client: Client,
    target: Target,
}

impl HttpLm {
    /// An LM that is asked in this format below this URL, as in `https://api.openai.com/v1`.
    ///
    /// # Errors
    /// [`LmError::Setting`] if the URL is none, or if the system's certificates cannot be used.
    pub fn new(
        name: LmName,
        api: Api,
        base_url: &str,
        key: Option<Secret>,
    ) -> Result<Self, LmError> {
        let provider = Provider {
            api,
            base_url: base_url.to_owned(),
            key,
            key_variable: "the key".to_owned(),
            key_header: KeyHeader::OfApi,
            structured: Structured::Schema,
        };
        Self::of(name, provider, http::client(http::CONNECT_TIMEOUT)?)
    }

    pub(super) fn of(name: LmName, provider: Provider, client: Client) -> Result<Self, LmError> {
        Ok(Self {
            target: Target::new(provider, name.model())?,
            name,
            client,
        })
    }

    /// Says the output schema in words, for a server that knows no schemas.
    #[must_use]
    pub fn with_schema_in_words(mut self) -> Self {
        self.target.structured = Structured::Words;
        self
    }

    /// The URL that is asked, without credentials.
    pub fn endpoint(&self) -> &str {
        &self.target.endpoint.shown
    }

    /// Gives up on a reply that is not whole after this time; five minutes otherwise.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.target.timeouts.total = timeout;
        self
    }

    /// Gives up after these times.
    ///
    /// # Errors
    /// [`LmError::Setting`] if the system's certificates cannot be used.
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Result<Self, LmError> {
        if timeouts.connect != self.target.timeouts.connect {
            self.client = http::client(timeouts.connect)?;
        }
        self.target.timeouts = timeouts;
        Ok(self)
    }
}

impl Lm for HttpLm {
    fn name(&self) -> &LmName {
        &self.name
    }

    fn complete<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, LmError>> {
        Box::pin(self.target.complete(&self.client, &self.name, request))
    }

    fn stream<'a>(&'a self, request: &'a Request) -> BoxStream<'a, Result<Chunk, LmError>> {
        self.target.stream(&self.client, &self.name, request)
    }
}

/// Reads what may be `null` where a value is expected.
fn null_as_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// The body of a request.
fn to_json(body: &impl serde::Serialize) -> Result<Vec<u8>, LmError> {
    serde_json::to_vec(body).map_err(|error| LmError::Setting {
        variable: "the request".to_owned(),
        reason: error.to_string(),
    })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_false(value: &bool) -> bool {
    !*value
}
