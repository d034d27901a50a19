//! OpenAI chat completions, `POST {base}/chat/completions`, which most servers of LMs speak.
//!
//! As in OpenAI's API reference of autumn 2026; the API has no version besides `/v1`.

use serde::{Deserialize, Serialize};

use super::sse::Event;
use super::stream::Events;
use super::target::Target;
use super::{Call, Usage, null_as_default};
use crate::lm::provider::Structured;
use crate::lm::schema::{self, Form};
use crate::lm::{Chunk, End, Finish, LmError, Message, Reply};

pub(super) fn body(call: &Call<'_>) -> Result<Vec<u8>, LmError> {
    let params = call.request.params;
    let form = call.form(|schema| match call.structured {
        Structured::Strict => schema::strict_or_as_is(schema),
        _ => (false, schema),
    })?;
    let is_openai = call.lm.provider() == "openai";
    let body = Body {
        model: call.lm.model(),
        messages: &call.request.messages,
        temperature: params.temperature,
        max_tokens: params.max_tokens.filter(|_| !is_openai),
        max_completion_tokens: params.max_tokens.filter(|_| is_openai),
        seed: params.seed,
        response_format: ResponseFormat::new(call, form.as_deref()),
        stream: call.stream,
        stream_options: call.stream.then_some(StreamOptions {
            include_usage: true,
        }),
    };
    super::to_json(&body)
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
    #[serde(skip_serializing_if = "super::is_false")]
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
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
    schema: &'a Form,
}

impl<'a> ResponseFormat<'a> {
    fn new(call: &Call<'a>, form: Option<&'a Form>) -> Option<Self> {
        let (wanted, form) = call.request.schema.as_ref().zip(form)?;
        Some(Self {
            r#type: "json_schema",
            json_schema: JsonSchema {
                name: &wanted.name,
                strict: form.strict,
                schema: form,
            },
        })
    }
}

pub(super) fn reply(target: &Target, body: &[u8]) -> Result<Reply, LmError> {
    let completion: Completion =
        serde_json::from_slice(body).map_err(|error| target.unreadable(&error))?;
    let Some(choice) = completion.choices.into_iter().next() else {
        return Err(target
            .failure_in(body)
            .unwrap_or_else(|| target.protocol("its reply has no `choices`".to_owned())));
    };
    let Some(answer) = choice.message else {
        return Err(target.protocol("its reply has no `message`".to_owned()));
    };
    if let Some(refusal) = answer.refusal {
        return Err(target.refused(&refusal));
    }
    Ok(Reply {
        text: answer.content.unwrap_or_default(),
        finish: finish(target, choice.finish_reason.as_deref())?,
        usage: completion.usage.unwrap_or_default().into(),
        model: completion.model,
        lm: None,
        request_id: None,
    })
}

fn finish(target: &Target, reason: Option<&str>) -> Result<Finish, LmError> {
    match reason {
        Some("stop") => Ok(Finish::Stop),
        Some("length") => Ok(Finish::Length),
        Some("content_filter") => Err(target.filtered("the reply was filtered")),
        _ => Ok(Finish::Other),
    }
}

/// The state of a stream: events are completions whose choices have a `delta`, the last one is `[DONE]`.
#[derive(Default)]
pub(super) struct Stream {
    refusal: String,
    finish: Option<Finish>,
    usage: Usage,
    model: String,
}

impl Events for Stream {
    fn event(&mut self, target: &Target, event: &Event) -> Result<Option<Chunk>, LmError> {
        if event.data == "[DONE]" {
            let finish = self.finish.unwrap_or(Finish::Other);
            return Ok(Some(self.end(finish).into()));
        }
        let completion: Completion =
            serde_json::from_str(&event.data).map_err(|error| target.unreadable(&error))?;
        if completion.choices.is_empty()
            && let Some(error) = target.failure_in(event.data.as_bytes())
        {
            return Err(error);
        }
        if !completion.model.is_empty() {
            self.model = completion.model;
        }
        if let Some(usage) = completion.usage {
            self.usage = usage.into();
        }
        let Some(choice) = completion.choices.into_iter().next() else {
            return Ok(None);
        };
        let answer = choice.message.unwrap_or_default();
        self.refusal
            .push_str(answer.refusal.as_deref().unwrap_or_default());
        if let Some(reason) = choice.finish_reason {
            if !self.refusal.is_empty() {
                return Err(target.refused(&self.refusal));
            }
            self.finish = Some(finish(target, Some(&reason))?);
        }
        Ok(Chunk::text(answer.content.unwrap_or_default()))
    }

    /// Some servers do not say that they are done.
    fn closed(&mut self) -> Option<End> {
        self.finish.map(|finish| self.end(finish))
    }
}

impl Stream {
    fn end(&mut self, finish: Finish) -> End {
        End {
            finish,
            usage: self.usage,
            model: std::mem::take(&mut self.model),
            lm: None,
            request_id: None,
        }
    }
}

#[derive(Deserialize)]
struct Completion {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Tokens>,
    #[serde(default, deserialize_with = "null_as_default")]
    model: String,
}

#[derive(Deserialize)]
struct Choice {
    /// The whole of it, or what a stream adds.
    #[serde(alias = "delta")]
    message: Option<Answer>,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Answer {
    content: Option<String>,
    refusal: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tokens {
    prompt_tokens: u64,
    completion_tokens: u64,
    #[serde(deserialize_with = "null_as_default")]
    prompt_tokens_details: InputDetails,
    #[serde(deserialize_with = "null_as_default")]
    completion_tokens_details: OutputDetails,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct InputDetails {
    #[serde(deserialize_with = "null_as_default")]
    cached_tokens: u64,
    #[serde(deserialize_with = "null_as_default")]
    cache_write_tokens: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    #[serde(deserialize_with = "null_as_default")]
    reasoning_tokens: u64,
}

impl From<Tokens> for Usage {
    fn from(tokens: Tokens) -> Self {
        Self {
            input_tokens: tokens.prompt_tokens,
            output_tokens: tokens.completion_tokens,
            cached_input_tokens: tokens.prompt_tokens_details.cached_tokens,
            cache_write_tokens: tokens.prompt_tokens_details.cache_write_tokens,
            reasoning_tokens: tokens.completion_tokens_details.reasoning_tokens,
        }
    }
}
