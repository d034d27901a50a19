//! Anthropic Messages, `POST {base}/v1/messages`.
//!
//! As in Anthropic's API reference of November 2026, `anthropic-version: 2023-06-01`. A schema is sent as
//! `output_config.format`; models from before structured outputs are made to call a tool whose input it is.
//! The API has no seed.

mod stream;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(super) use stream::Stream;

use super::target::Target;
use super::{Call, Usage, json, media, null_as_default};
use crate::lm::{Finish, LmError, Message, Reply, Role, schema};
use crate::media::{Attachment, MediaKind};

pub(super) const VERSION: &str = "2023-06-01";

/// The API needs a limit. This is what all current models can write, and enough for their thinking.
const MAX_TOKENS: u32 = 16_000;
/// The same for models of 2024.
const OLD_MAX_TOKENS: u32 = 4096;

/// Anthropic's own libraries take the base URL without `/v1`; both are understood.
pub(super) fn path(base_path: &str) -> String {
    if base_path.ends_with("/v1") {
        "messages".to_owned()
    } else {
        "v1/messages".to_owned()
    }
}

/// How a model is made to answer in a form.
enum Form<'a> {
    Free,
    Format(Value),
    Tool(&'a str, Value),
    Words(&'a str),
}

impl<'a> Form<'a> {
    fn new(call: &Call<'a>) -> Result<Self, LmError> {
        let Some(wanted) = &call.request.schema else {
            return Ok(Self::Free);
        };
        let schema = schema::parse(&wanted.json)?;
        Ok(if is_old(call.lm.model()) {
            // The input of a tool may have any schema.
            Self::Tool(&wanted.name, schema)
        } else {
            match schema::anthropic(&schema) {
                Some(schema) => Self::Format(schema),
                None => Self::Words(&wanted.json),
            }
        })
    }
}

/// Whether a model is from before structured outputs, which came with the 4.5 family. Later models refuse
/// forced tools in their turn.
fn is_old(model: &str) -> bool {
    let is_4 = |family: &str| {
        model.strip_prefix(family).is_some_and(|version| {
            // As in `claude-sonnet-4`, `claude-sonnet-4-0` and `claude-sonnet-4-20250514`.
            matches!(version, "" | "-0") || version.starts_with("-20") || version.starts_with("-1")
        })
    };
    model.starts_with("claude-2")
        || model.starts_with("claude-3")
        || is_4("claude-sonnet-4")
        || is_4("claude-opus-4")
}

pub(super) fn body(call: &Call<'_>) -> Result<Vec<u8>, LmError> {
    let form = Form::new(call)?;
    let in_words;
    let messages = match &form {
        Form::Words(schema) => {
            in_words = schema::in_words(&call.request.messages, schema);
            &in_words
        }
        _ => &call.request.messages,
    };
    let (system, turns) = turns(call, messages)?;
    let (output_config, tools, tool_choice) = match form {
        Form::Free | Form::Words(_) => (None, None, None),
        Form::Format(schema) => (
            Some(json!({"format": {"type": "json_schema", "schema": schema}})),
            None,
            None,
        ),
        Form::Tool(name, schema) => (
            None,
            Some(json!([{
                "name": name, "description": "Takes the answer.", "input_schema": schema,
            }])),
            Some(json!({"type": "tool", "name": name})),
        ),
    };
    let usual = if call.lm.model().starts_with("claude-3") {
        OLD_MAX_TOKENS
    } else {
        MAX_TOKENS
    };
    super::to_json(&Body {
        model: call.lm.model(),
        max_tokens: call.params.max_tokens.unwrap_or(usual),
        system,
        messages: turns,
        temperature: call.params.temperature,
        output_config,
        tools,
        tool_choice,
        stream: call.stream,
    })
}

/// System messages stand apart, consecutive ones of one role are one turn, and empty texts, which the API
/// refuses, are left out. The marker for the prompt cache is on the last block before the last turn: up to
/// there, calls of the same step are the same.
fn turns<'a>(call: &Call<'_>, messages: &'a [Message]) -> Result<Turns<'a>, LmError> {
    let mut system: Vec<Block> = Vec::new();
    let mut turns: Vec<Turn> = Vec::new();
    for message in messages
        .iter()
        .filter(|message| !message.content.is_empty() || !message.media.is_empty())
    {
        let shown = message.media.iter().map(|media| shown(call, media));
        let mut blocks = shown.collect::<Result<Vec<_>, _>>()?;
        if !message.content.is_empty() {
            blocks.push(Block {
                text: Some(&message.content),
                ..Block::of("text")
            });
        }
        let role = match message.role {
            Role::System => {
                system.extend(blocks);
                continue;
            }
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        match turns.last_mut() {
            Some(turn) if turn.role == role => turn.content.extend(blocks),
            _ => turns.push(Turn {
                role,
                content: blocks,
            }),
        }
    }
    let last = match &mut *turns {
        [.., before, _] => before.content.last_mut(),
        _ => system.last_mut(),
    };
    if let Some(block) = last {
        block.cache_control = Some(CacheControl {
            r#type: "ephemeral",
        });
    }
    Ok((system, turns))
}

/// System blocks, and turns.
type Turns<'a> = (Vec<Block<'a>>, Vec<Turn<'a>>);

/// All images that the API takes.
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];
const PDF: &str = "application/pdf";

fn shown<'a>(call: &Call<'_>, shown: &'a Attachment) -> Result<Block<'a>, LmError> {
    let refused = |reason| Err(media::refused(call, shown, reason));
    let is_pdf = |media_type: Option<&str>| media_type.is_none_or(|media_type| media_type == PDF);
    let source = match (shown.kind, media::source(call, shown)?) {
        (MediaKind::Document, media::Source::Url(_)) if !is_pdf(shown.media_type.as_deref()) => {
            return refused("of URLs, Anthropic reads images and PDFs; give its bytes");
        }
        (_, media::Source::Url(url)) => Source {
            url: Some(url),
            ..Source::of("url")
        },
        (MediaKind::Image, media::Source::Data(media_type, _)) if !IMAGES.contains(&media_type) => {
            return refused("Anthropic takes JPEG, PNG, GIF and WebP");
        }
        // Texts stand in the request as they are.
        (MediaKind::Document, media::Source::Data(media_type, data))
            if media::is_text(media_type) =>
        {
            Source {
                media_type: Some("text/plain"),
                data: Some(String::from_utf8_lossy(data).into_owned()),
                ..Source::of("text")
            }
        }
        (MediaKind::Document, media::Source::Data(media_type, _)) if media_type != PDF => {
            return refused("Anthropic takes PDFs and texts");
        }
        (_, media::Source::Data(media_type, data)) => Source {
            media_type: Some(media_type),
            data: Some(media::base64(data)),
            ..Source::of("base64")
        },
    };
    let kind = match shown.kind {
        MediaKind::Image => "image",
        MediaKind::Document => "document",
    };
    Ok(Block {
        source: Some(source),
        ..Block::of(kind)
    })
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'a>>,
    messages: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "super::is_false")]
    stream: bool,
}

#[derive(Serialize)]
struct Turn<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

#[derive(Serialize)]
struct Block<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheControl>,
}

impl Block<'_> {
    fn of(r#type: &'static str) -> Self {
        Self {
            r#type,
            text: None,
            source: None,
            cache_control: None,
        }
    }
}

#[derive(Serialize)]
struct Source<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
}

impl Source<'_> {
    fn of(r#type: &'static str) -> Self {
        Self {
            r#type,
            media_type: None,
            data: None,
            url: None,
        }
    }
}

#[derive(Serialize)]
struct CacheControl {
    r#type: &'static str,
}

pub(super) fn reply(target: &Target, body: &[u8]) -> Result<Reply, LmError> {
    let answer: Answer = json::read(body).map_err(|error| target.unreadable(&error))?;
    let Some(content) = answer.content else {
        return Err(target
            .failure_in(body)
            .unwrap_or_else(|| target.protocol("its reply has no `content`".to_owned())));
    };
    let mut text = String::new();
    for part in content {
        match part {
            Part::Text { text: more } => text.push_str(&more),
            Part::ToolUse { input } => text.push_str(&input.to_string()),
            Part::Other => {}
        }
    }
    Ok(Reply {
        finish: finish(
            target,
            answer.stop_reason.as_deref(),
            answer.stop_details,
            &text,
        )?,
        text,
        usage: answer.usage.into(),
        model: answer.model,
        lm: None,
        request_id: None,
    })
}

fn finish(
    target: &Target,
    reason: Option<&str>,
    details: Option<StopDetails>,
    text: &str,
) -> Result<Finish, LmError> {
    match reason {
        Some("end_turn" | "stop_sequence" | "tool_use") => Ok(Finish::Stop),
        Some("max_tokens" | "model_context_window_exceeded") => Ok(Finish::Length),
        Some("refusal") => {
            let words = details.and_then(|details| details.explanation);
            Err(target.refused(words.as_deref().unwrap_or(text)))
        }
        _ => Ok(Finish::Other),
    }
}

#[derive(Deserialize)]
struct Answer {
    content: Option<Vec<Part>>,
    stop_reason: Option<String>,
    stop_details: Option<StopDetails>,
    #[serde(default, deserialize_with = "null_as_default")]
    usage: Tokens,
    #[serde(default, deserialize_with = "null_as_default")]
    model: String,
}

#[derive(Deserialize)]
struct StopDetails {
    explanation: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part {
    Text {
        text: String,
    },
    ToolUse {
        input: Value,
    },
    /// Thinking, which is not part of the answer.
    #[serde(other)]
    Other,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tokens {
    #[serde(deserialize_with = "null_as_default")]
    input_tokens: u64,
    #[serde(deserialize_with = "null_as_default")]
    cache_creation_input_tokens: u64,
    #[serde(deserialize_with = "null_as_default")]
    cache_read_input_tokens: u64,
    #[serde(deserialize_with = "null_as_default")]
    output_tokens: u64,
    #[serde(deserialize_with = "null_as_default")]
    output_tokens_details: OutputDetails,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    #[serde(deserialize_with = "null_as_default")]
    thinking_tokens: u64,
}

impl From<Tokens> for Usage {
    /// The API counts what came from the cache, what went into it, and the rest, apart.
    fn from(tokens: Tokens) -> Self {
        Self {
            input_tokens: tokens
                .input_tokens
                .saturating_add(tokens.cache_read_input_tokens)
                .saturating_add(tokens.cache_creation_input_tokens),
            output_tokens: tokens.output_tokens,
            cached_input_tokens: tokens.cache_read_input_tokens,
            cache_write_tokens: tokens.cache_creation_input_tokens,
            reasoning_tokens: tokens.output_tokens_details.thinking_tokens,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_models_before_structured_outputs_are_old() {
        for old in [
            "claude-3-haiku-20240307",
            "claude-3-7-sonnet-latest",
            "claude-sonnet-4-20250514",
            "claude-sonnet-4-0",
            "claude-opus-4-1",
            "claude-opus-4-1-20250805",
        ] {
            assert!(is_old(old), "{old}");
        }
        for new in [
            "claude-sonnet-4-5",
            "claude-haiku-4-5-20251001",
            "claude-opus-4-6",
            "claude-sonnet-5-5",
            "something-else",
        ] {
            assert!(!is_old(new), "{new}");
        }
    }

    #[test]
    fn the_base_url_may_end_in_v1_or_not() {
        assert_eq!(path("/v1"), "messages");
        assert_eq!(path("/proxy/v1"), "messages");
        assert_eq!(path("/"), "v1/messages");
        assert_eq!(path(""), "v1/messages");
    }
}
