//! OpenAI chat completions, `POST {base}/chat/completions`, which most servers of LMs speak.
//!
//! As in OpenAI's API reference of November 2026; the API has no version besides `/v1`. Errors in place of a
//! reply, and in the middle of one, are those of `OpenRouter` too.

use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::sse::Event;
use super::stream::Events;
use super::target::Target;
use super::{Call, Usage, cache, json, media, null_as_default};
use crate::lm::provider::Structured;
use crate::lm::schema::{self, Form};
use crate::lm::{Chunk, End, Finish, LmError, Message, Reply, Role};
use crate::media::{Attachment, MediaKind};

pub(super) fn body(call: &Call<'_>) -> Result<Vec<u8>, LmError> {
    let params = call.params;
    let form = call.form(|schema| match call.structured {
        Structured::Strict => schema::strict_or_as_is(schema),
        _ => (false, schema),
    })?;
    let marked = cache::marked(call, |_| true);
    let is_openai = matches!(call.lm.provider(), "openai" | "azure");
    let body = Body {
        model: call.lm.model(),
        messages: messages(call, marked)?,
        prompt_cache_options: cache::options(marked),
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

/// The marked one is marked at its end.
fn messages<'a>(call: &Call<'a>, marked: Option<usize>) -> Result<Vec<Said<'a>>, LmError> {
    let said = |(index, message): (usize, &'a Message)| -> Result<Said<'a>, LmError> {
        let is_marked = marked == Some(index);
        let content = if message.media.is_empty() && !is_marked {
            Content::Text(&message.content)
        } else {
            let shown = message.media.iter().enumerate();
            let shown = shown.map(|(index, media)| part(call, index, media));
            let mut parts = shown.collect::<Result<Vec<_>, _>>()?;
            if !message.content.is_empty() {
                parts.push(Part::Text {
                    text: Cow::Borrowed(&message.content),
                    prompt_cache_breakpoint: is_marked.then_some(cache::BREAKPOINT),
                });
            }
            Content::Parts(parts)
        };
        Ok(Said {
            role: message.role,
            content,
        })
    };
    call.request.messages.iter().enumerate().map(said).collect()
}

/// Servers that speak this API and have no documents in it.
const WITHOUT_DOCUMENTS: [&str; 4] = ["groq", "llamacpp", "ollama", "vllm"];

fn part<'a>(call: &Call<'_>, index: usize, shown: &Attachment) -> Result<Part<'a>, LmError> {
    let provider = call.lm.provider();
    if provider == "local" {
        return Err(media::refused(
            call,
            shown,
            "the embedded model reads text only",
        ));
    }
    if shown.kind == MediaKind::Image {
        let url = media::url(call, shown)?;
        return Ok(Part::ImageUrl {
            image_url: ImageUrl { url },
        });
    }
    if WITHOUT_DOCUMENTS.contains(&provider) {
        return Err(media::refused(call, shown, "its server takes no documents"));
    }
    match media::source(call, shown)? {
        media::Source::Url(_) => {
            let reason = "OpenAI chat completions take the bytes of documents, not their URLs";
            return Err(media::refused(call, shown, reason));
        }
        // Files are PDFs here. The prompt has the same words in the place of a text.
        media::Source::Data(media_type, data) if media::is_text(media_type) => {
            let (number, text) = (index + 1, String::from_utf8_lossy(data));
            return Ok(Part::Text {
                text: format!("(attachment {number}, {})\n{text}", shown.words()).into(),
                prompt_cache_breakpoint: None,
            });
        }
        media::Source::Data(..) => {}
    }
    Ok(Part::File {
        file: File {
            filename: media::file_name(shown),
            file_data: media::url(call, shown)?,
        },
    })
}

#[derive(Serialize)]
struct Said<'a> {
    role: Role,
    content: Content<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(&'a str),
    Parts(Vec<Part<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'a> {
    Text {
        text: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        prompt_cache_breakpoint: Option<cache::Mode>,
    },
    ImageUrl {
        image_url: ImageUrl,
    },
    File {
        file: File,
    },
}

#[derive(Serialize)]
struct ImageUrl {
    url: String,
}

#[derive(Serialize)]
struct File {
    filename: String,
    file_data: String,
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<Said<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_options: Option<cache::Mode>,
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
    let completion: Completion = json::read(body).map_err(|error| target.unreadable(&error))?;
    if let Some(error) = completion.failure(target) {
        return Err(error);
    }
    let Some(choice) = completion.choices.into_iter().next() else {
        return Err(target.protocol("its reply has no `choices`".to_owned()));
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
        Some("error") => Err(target.failed_upstream("it stopped with an error".to_owned())),
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
        if let Some(error) = completion.failure(target) {
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
        let answer = choice.delta.or(choice.message).unwrap_or_default();
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
    #[serde(default, deserialize_with = "null_as_default")]
    choices: Vec<Choice>,
    /// In place of choices, or besides them.
    error: Option<Value>,
    usage: Option<Tokens>,
    #[serde(default, deserialize_with = "null_as_default")]
    model: String,
}

impl Completion {
    fn failure(&self, target: &Target) -> Option<LmError> {
        let of_choice = self.choices.iter().find_map(|choice| choice.error.as_ref());
        let error = self.error.as_ref().or(of_choice)?;
        Some(target.failure_said(error))
    }
}

#[derive(Deserialize)]
struct Choice {
    message: Option<Answer>,
    /// What a stream adds.
    delta: Option<Answer>,
    finish_reason: Option<String>,
    error: Option<Value>,
}

#[derive(Default, Deserialize)]
struct Answer {
    #[serde(default, deserialize_with = "text")]
    content: Option<String>,
    refusal: Option<String>,
}

/// A text, or a list of parts, as Mistral's models that think have it; only some of them are texts.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    struct SaidPart {
        #[serde(default)]
        r#type: String,
        #[serde(default)]
        text: String,
    }
    let raw = <&RawValue>::deserialize(deserializer)?;
    if !raw.get().starts_with('[') {
        return json::read_text(raw).map_err(D::Error::custom);
    }
    let parts: Vec<SaidPart> = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
    let texts = parts.into_iter().filter(|part| part.r#type == "text");
    Ok(Some(texts.map(|part| part.text).collect()))
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
