//! OpenAI responses, `POST {base}/responses`.
//!
//! As in OpenAI's API reference of November 2026; the API has no version besides `/v1`. Nothing is stored
//! there (`store: false`). It has no seed.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::failure::Said;
use super::sse::Event;
use super::stream::Events;
use super::target::Target;
use super::{Call, Usage, cache, json, media, null_as_default};
use crate::lm::schema::{self, Form};
use crate::lm::{Chunk, End, Finish, LmError, Message, Reply, Role};
use crate::media::{Attachment, MediaKind};

pub(super) fn body(call: &Call<'_>) -> Result<Vec<u8>, LmError> {
    let form = call.form(schema::strict_or_as_is)?;
    let wanted = call.request.schema.as_ref().zip(form.as_deref());
    let text = wanted.map(|(wanted, form)| Text {
        format: Format {
            r#type: "json_schema",
            name: &wanted.name,
            strict: form.strict,
            schema: form,
        },
    });
    // What the LM said has no place for a mark.
    let marked = cache::marked(call, |message| message.role != Role::Assistant);
    super::to_json(&Body {
        model: call.lm.model(),
        input: messages(call, marked)?,
        prompt_cache_options: cache::options(marked),
        temperature: call.params.temperature,
        max_output_tokens: call.params.max_tokens,
        text,
        store: false,
        stream: call.stream,
    })
}

/// The marked one is marked at its end.
fn messages<'a>(call: &Call<'a>, marked: Option<usize>) -> Result<Vec<Told<'a>>, LmError> {
    let told = |(index, message): (usize, &'a Message)| -> Result<Told<'a>, LmError> {
        let is_marked = marked == Some(index);
        let content = if message.media.is_empty() && !is_marked {
            Input::Text(&message.content)
        } else {
            let shown = message.media.iter().map(|media| part(call, media));
            let mut parts = shown.collect::<Result<Vec<_>, _>>()?;
            if !message.content.is_empty() {
                parts.push(InputPart::Text {
                    text: &message.content,
                    prompt_cache_breakpoint: is_marked.then_some(cache::BREAKPOINT),
                });
            }
            Input::Parts(parts)
        };
        Ok(Told {
            role: message.role,
            content,
        })
    };
    call.request.messages.iter().enumerate().map(told).collect()
}

fn part<'a>(call: &Call<'_>, shown: &'a Attachment) -> Result<InputPart<'a>, LmError> {
    Ok(match (shown.kind, media::source(call, shown)?) {
        (MediaKind::Image, _) => InputPart::Image {
            image_url: media::url(call, shown)?,
            detail: "auto",
        },
        (MediaKind::Document, media::Source::Url(url)) => InputPart::File {
            filename: None,
            file_data: None,
            file_url: Some(url),
        },
        (MediaKind::Document, media::Source::Data(..)) => InputPart::File {
            filename: Some(media::file_name(shown)),
            file_data: Some(media::url(call, shown)?),
            file_url: None,
        },
    })
}

#[derive(Serialize)]
struct Told<'a> {
    role: Role,
    content: Input<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Input<'a> {
    Text(&'a str),
    Parts(Vec<InputPart<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum InputPart<'a> {
    #[serde(rename = "input_text")]
    Text {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        prompt_cache_breakpoint: Option<cache::Mode>,
    },
    #[serde(rename = "input_image")]
    Image {
        image_url: String,
        detail: &'static str,
    },
    #[serde(rename = "input_file")]
    File {
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_data: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_url: Option<&'a str>,
    },
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    input: Vec<Told<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_options: Option<cache::Mode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text<'a>>,
    store: bool,
    #[serde(skip_serializing_if = "super::is_false")]
    stream: bool,
}

#[derive(Serialize)]
struct Text<'a> {
    format: Format<'a>,
}

#[derive(Serialize)]
struct Format<'a> {
    r#type: &'static str,
    name: &'a str,
    strict: bool,
    schema: &'a Form,
}

pub(super) fn reply(target: &Target, body: &[u8]) -> Result<Reply, LmError> {
    let response: Response = json::read(body).map_err(|error| target.unreadable(&error))?;
    if response.status.is_none() && response.output.is_empty() {
        return Err(target
            .failure_in(body)
            .unwrap_or_else(|| target.protocol("its reply has no `output`".to_owned())));
    }
    response.reply(target)
}

/// The state of a stream: events have a `type`, the last one holds the whole response.
#[derive(Default)]
pub(super) struct Stream {
    begun: bool,
    /// The places of messages that are no part of the answer.
    commentary: Vec<u64>,
}

impl Events for Stream {
    fn event(&mut self, target: &Target, event: &Event) -> Result<Option<Chunk>, LmError> {
        let update: Update =
            serde_json::from_str(&event.data).map_err(|error| target.unreadable(&error))?;
        match update {
            Update::Item { output_index, item } => {
                if item.is_commentary() {
                    self.commentary.push(output_index);
                }
                Ok(None)
            }
            Update::Text { output_index, .. } if self.commentary.contains(&output_index) => {
                Ok(None)
            }
            Update::Text { delta, .. } => {
                self.begun |= !delta.is_empty();
                Ok(Chunk::text(delta))
            }
            Update::Refusal { refusal } => Err(target.refused(&refusal)),
            Update::Ended { response } => {
                let mut chunk = Chunk::from(response.reply(target)?);
                if self.begun {
                    // It was said already.
                    chunk.text.clear();
                }
                Ok(Some(chunk))
            }
            Update::Error(error) => {
                Err(target.failure(None, &Said::of(&error, &error.to_string())))
            }
            Update::Other => Ok(None),
        }
    }

    fn closed(&mut self) -> Option<End> {
        None
    }
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Update {
    #[serde(rename = "response.output_item.added")]
    Item {
        #[serde(default)]
        output_index: u64,
        item: Item,
    },
    #[serde(rename = "response.output_text.delta")]
    Text {
        #[serde(default)]
        output_index: u64,
        delta: String,
    },
    #[serde(rename = "response.refusal.done")]
    Refusal { refusal: String },
    #[serde(
        rename = "response.completed",
        alias = "response.incomplete",
        alias = "response.failed",
        alias = "response.cancelled"
    )]
    Ended { response: Response },
    #[serde(rename = "error")]
    Error(Value),
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Response {
    status: Option<String>,
    error: Option<Value>,
    incomplete_details: Option<Incomplete>,
    #[serde(default, deserialize_with = "null_as_default")]
    output: Vec<Item>,
    #[serde(default, deserialize_with = "null_as_default")]
    usage: Tokens,
    #[serde(default, deserialize_with = "null_as_default")]
    model: String,
}

impl Response {
    fn reply(self, target: &Target) -> Result<Reply, LmError> {
        if let Some(error) = self.error {
            return Err(target.failure(None, &Said::of(&error, &error.to_string())));
        }
        let (commentary, answer): (Vec<_>, Vec<_>) =
            self.output.into_iter().partition(Item::is_commentary);
        let has_answer = answer.iter().any(|item| !item.content.is_empty());
        let said = if has_answer { answer } else { commentary };
        let mut text = String::new();
        for part in said.into_iter().flat_map(|item| item.content) {
            match part {
                Part::OutputText { text: more } => text.push_str(&more),
                Part::Refusal { refusal } => return Err(target.refused(&refusal)),
                Part::Other => {}
            }
        }
        let reason = self.incomplete_details.and_then(|details| details.reason);
        let finish = match (self.status.as_deref(), reason.as_deref()) {
            (Some("completed"), _) => Finish::Stop,
            (Some("incomplete"), Some("content_filter")) => {
                return Err(target.filtered("the reply was filtered"));
            }
            // `max_output_tokens`; some servers do not say it.
            (Some("incomplete"), _) => Finish::Length,
            (Some(status @ ("failed" | "cancelled")), _) => {
                return Err(target.failed_upstream(format!("the response is {status}")));
            }
            _ => Finish::Other,
        };
        Ok(Reply {
            text,
            finish,
            usage: self.usage.into(),
            model: self.model,
            lm: None,
            request_id: None,
        })
    }
}

#[derive(Deserialize)]
struct Incomplete {
    reason: Option<String>,
}

/// A message, reasoning, or something else; only messages have parts that are texts.
#[derive(Deserialize)]
struct Item {
    phase: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    content: Vec<Part>,
}

impl Item {
    /// Whether it is what the LM says on its way to the answer.
    fn is_commentary(&self) -> bool {
        self.phase.as_deref() == Some("commentary")
    }
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part {
    OutputText {
        text: String,
    },
    Refusal {
        refusal: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tokens {
    input_tokens: u64,
    output_tokens: u64,
    #[serde(deserialize_with = "null_as_default")]
    input_tokens_details: InputDetails,
    #[serde(deserialize_with = "null_as_default")]
    output_tokens_details: OutputDetails,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct InputDetails {
    cached_tokens: u64,
    #[serde(deserialize_with = "null_as_default")]
    cache_write_tokens: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: u64,
}

impl From<Tokens> for Usage {
    fn from(tokens: Tokens) -> Self {
        Self {
            input_tokens: tokens.input_tokens,
            output_tokens: tokens.output_tokens,
            cached_input_tokens: tokens.input_tokens_details.cached_tokens,
            cache_write_tokens: tokens.input_tokens_details.cache_write_tokens,
            reasoning_tokens: tokens.output_tokens_details.reasoning_tokens,
        }
    }
}
