//! The OpenAI chat completions API, which most servers of LMs speak.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::http::{self, Endpoint};
use super::provider::{Provider, Structured};
use super::{BoxFuture, Finish, Lm, LmError, LmName, Message, Reply, Request, Usage, schema};
use crate::Secret;

/// Characters of a server's message that an error shows.
const LONGEST_MESSAGE: usize = 400;

/// An LM behind an OpenAI-compatible endpoint.
#[derive(Debug)]
pub struct OpenAiChat {
    name: LmName,
    client: Client,
    target: Target,
}

impl OpenAiChat {
    /// Gives up on a reply that is not whole after this time; five minutes otherwise.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.target.timeout = timeout;
        self
    }

    /// An LM at `{base_url}/chat/completions`. A schema is sent as `response_format`.
    ///
    /// # Errors
    /// [`LmError::Setting`] if the URL is none, or if the system's certificates cannot be used.
    pub fn new(name: LmName, base_url: &str, key: Option<Secret>) -> Result<Self, LmError> {
        let provider = Provider {
            base_url: base_url.to_owned(),
            key,
            key_variable: "the key".to_owned(),
            structured: Structured::Schema,
        };
        Self::of(name, provider, http::client()?)
    }

    pub(super) fn of(name: LmName, provider: Provider, client: Client) -> Result<Self, LmError> {
        Ok(Self {
            name,
            client,
            target: Target::new(provider)?,
        })
    }
}

impl Lm for OpenAiChat {
    fn name(&self) -> &LmName {
        &self.name
    }

    fn complete<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, LmError>> {
        Box::pin(self.target.chat(&self.client, &self.name, request))
    }
}

/// An endpoint and what it needs.
#[derive(Clone, Debug)]
pub(super) struct Target {
    endpoint: Endpoint,
    key: Option<Secret>,
    key_variable: String,
    structured: Structured,
    timeout: Duration,
}

impl Target {
    pub(super) fn new(provider: Provider) -> Result<Self, LmError> {
        Ok(Self {
            endpoint: Endpoint::below(&provider.base_url, "chat/completions")?,
            key: provider.key,
            key_variable: provider.key_variable,
            structured: provider.structured,
            timeout: http::TIMEOUT,
        })
    }

    /// Asks once.
    pub(super) async fn chat(
        &self,
        client: &Client,
        lm: &LmName,
        request: &Request,
    ) -> Result<Reply, LmError> {
        let body = Body::new(lm, request, self.structured)?;
        let body = serde_json::to_vec(&body).map_err(|error| self.protocol(error.to_string()))?;
        let mut call = client
            .post(self.endpoint.url.clone())
            .timeout(self.timeout)
            .header("content-type", "application/json")
            .body(body);
        if let Some(key) = &self.key {
            call = call.bearer_auth(key.reveal());
        }
        let response = call
            .send()
            .await
            .map_err(|error| self.endpoint.failed(&error, self.timeout))?;
        let status = response.status();
        let retry_after = http::retry_after(response.headers());
        let location = response
            .headers()
            .get("location")
            .and_then(|value| value.to_str().ok().map(|text| self.shown(text)));
        let body = self.endpoint.body(response, self.timeout).await?;
        if status.is_success() {
            self.reply(&body)
        } else if let (true, Some(location)) = (status.is_redirection(), location) {
            Err(self.protocol(format!("it redirects to {location}")))
        } else {
            Err(self.refusal(status, retry_after, &body))
        }
    }

    fn reply(&self, body: &[u8]) -> Result<Reply, LmError> {
        let completion: Completion = serde_json::from_slice(body)
            .map_err(|error| self.protocol(format!("its reply cannot be read: {error}")))?;
        let Some(choice) = completion.choices.into_iter().next() else {
            // Some gateways report failures of the server behind them with status 200.
            return Err(match serde_json::from_slice::<Value>(body) {
                Ok(value) if value.get("error").is_some() => {
                    let status = value["error"]["code"]
                        .as_u64()
                        .and_then(|code| u16::try_from(code).ok())
                        .and_then(|code| StatusCode::from_u16(code).ok())
                        .unwrap_or(StatusCode::BAD_GATEWAY);
                    self.refusal(status, None, body)
                }
                _ => self.protocol("its reply has no `choices`".to_owned()),
            });
        };
        if let Some(refusal) = choice.message.refusal {
            return Err(LmError::Refused {
                endpoint: self.endpoint.shown.clone(),
                message: self.shown(&refusal),
            });
        }
        let finish = match choice.finish_reason.as_deref() {
            Some("stop") => Finish::Stop,
            Some("length") => Finish::Length,
            Some("content_filter") => {
                return Err(LmError::ContentFilter {
                    endpoint: self.endpoint.shown.clone(),
                    message: "the reply was filtered".to_owned(),
                });
            }
            _ => Finish::Other,
        };
        Ok(Reply {
            text: choice.message.content.unwrap_or_default(),
            finish,
            usage: Usage {
                input_tokens: completion.usage.prompt_tokens,
                output_tokens: completion.usage.completion_tokens,
            },
            model: completion.model,
        })
    }

    /// What an answer that is not a success means.
    fn refusal(&self, status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> LmError {
        let said = Said::read(body);
        let message = self.shown(&said.message);
        let endpoint = self.endpoint.shown.clone();
        let code = status.as_u16();
        match code {
            401 | 403 => LmError::Auth {
                endpoint,
                status: code,
                message,
                variable: self.key_variable.clone(),
            },
            402 => LmError::QuotaExceeded { endpoint, message },
            429 if said.is("insufficient_quota") => LmError::QuotaExceeded { endpoint, message },
            429 => LmError::RateLimited {
                endpoint,
                message,
                retry_after,
            },
            503 | 529 => LmError::Overloaded {
                endpoint,
                status: code,
                message,
                retry_after,
            },
            500..=599 | 408 => LmError::Server {
                endpoint,
                status: code,
                message,
            },
            _ if said.is("content_filter") => LmError::ContentFilter { endpoint, message },
            _ if said.is("context_length_exceeded") || said.is("exceed_context_size_error") => {
                LmError::ContextLength { endpoint, message }
            }
            _ => LmError::BadRequest {
                endpoint,
                status: code,
                message,
            },
        }
    }

    /// A text of the server's, fit for a message: short, on one line, without the key.
    fn shown(&self, text: &str) -> String {
        let text = match &self.key {
            Some(key) => key.scrub(text),
            None => text.to_owned(),
        };
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() {
            return "no message".to_owned();
        }
        match line.char_indices().nth(LONGEST_MESSAGE) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }

    fn protocol(&self, reason: String) -> LmError {
        LmError::Protocol {
            endpoint: self.endpoint.shown.clone(),
            reason,
        }
    }
}

/// What a server says of a failure. `error` is an object with a message, or a text; the rest varies.
struct Said {
    message: String,
    kinds: Vec<String>,
}

impl Said {
    fn read(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let Ok(value) = serde_json::from_str::<Value>(&text) else {
            return Self {
                message: text.into_owned(),
                kinds: Vec::new(),
            };
        };
        // Gemini wraps the object in a list.
        let value = value.get(0).unwrap_or(&value);
        let error = value.get("error").unwrap_or(value);
        let message = [error.get("message"), Some(error), value.get("message")]
            .into_iter()
            .flatten()
            .find_map(Value::as_str)
            .map_or_else(|| text.to_string(), str::to_owned);
        let kinds = ["code", "type", "status"]
            .iter()
            .filter_map(|key| error.get(key)?.as_str().map(str::to_owned))
            .collect();
        Self { message, kinds }
    }

    fn is(&self, kind: &str) -> bool {
        self.kinds.iter().any(|found| found == kind)
    }
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: &'a [Message],
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    /// The name that OpenAI gives the limit now; its reasoning models refuse the old one.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
}

impl<'a> Body<'a> {
    fn new(lm: &'a LmName, request: &'a Request, structured: Structured) -> Result<Self, LmError> {
        let is_openai = lm.provider() == "openai";
        let limit = request.params.max_tokens;
        Ok(Self {
            model: lm.model(),
            messages: &request.messages,
            temperature: request.params.temperature,
            max_tokens: limit.filter(|_| !is_openai),
            max_completion_tokens: limit.filter(|_| is_openai),
            seed: request.params.seed,
            response_format: ResponseFormat::new(request, structured)?,
        })
    }
}

#[derive(Serialize)]
struct ResponseFormat<'a> {
    r#type: &'static str,
    json_schema: JsonSchema<'a>,
}

#[derive(Serialize)]
struct JsonSchema<'a> {
    name: &'a str,
    strict: bool,
    schema: Value,
}

impl<'a> ResponseFormat<'a> {
    fn new(request: &'a Request, structured: Structured) -> Result<Option<Self>, LmError> {
        let (Some(wanted), false) = (&request.schema, structured == Structured::Prompt) else {
            return Ok(None);
        };
        let schema = schema::parse(&wanted.json)?;
        let (strict, schema) = match structured {
            Structured::Strict => match schema::strict(&schema) {
                Some(strict) => (true, strict),
                None => (false, schema),
            },
            _ => (false, schema),
        };
        Ok(Some(Self {
            r#type: "json_schema",
            json_schema: JsonSchema {
                name: &wanted.name,
                strict,
                schema,
            },
        }))
    }
}

#[derive(Deserialize)]
struct Completion {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default, deserialize_with = "null_as_default")]
    usage: Tokens,
    #[serde(default, deserialize_with = "null_as_default")]
    model: String,
}

#[derive(Deserialize)]
struct Choice {
    message: Answer,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    content: Option<String>,
    refusal: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tokens {
    prompt_tokens: u64,
    completion_tokens: u64,
}

fn null_as_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
