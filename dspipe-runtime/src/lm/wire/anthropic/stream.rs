//! A reply in parts: `message_start`, deltas of content blocks, `message_delta`, `message_stop`.

use serde::Deserialize;

use super::super::null_as_default;
use super::super::sse::Event;
use super::super::stream::Events;
use super::super::target::Target;
use super::{OutputDetails, StopDetails, Tokens, finish};
use crate::lm::{Chunk, End, LmError};

/// The state of a stream: the beginning has the input tokens, `message_delta` the reason for the end and
/// the output tokens.
#[derive(Default)]
pub(in crate::lm::wire) struct Stream {
    text: String,
    stop_reason: Option<String>,
    stop_details: Option<StopDetails>,
    tokens: Tokens,
    model: String,
}

impl Events for Stream {
    fn event(&mut self, target: &Target, event: &Event) -> Result<Option<Chunk>, LmError> {
        let update: Update =
            serde_json::from_str(&event.data).map_err(|error| target.unreadable(&error))?;
        match update {
            Update::MessageStart { message } => {
                self.tokens = message.usage;
                self.model = message.model;
                Ok(None)
            }
            // Blocks of text begin empty as a rule.
            Update::ContentBlockStart {
                content_block: Block::Text { text },
            }
            | Update::ContentBlockDelta {
                delta: Delta::Text { text } | Delta::Json { partial_json: text },
            } => {
                self.text.push_str(&text);
                Ok(Chunk::text(text))
            }
            Update::MessageDelta { delta, usage } => {
                self.stop_reason = delta.stop_reason;
                self.stop_details = delta.stop_details;
                self.tokens.update(usage);
                Ok(None)
            }
            Update::MessageStop => self.end(target).map(|end| Some(end.into())),
            Update::Error => Err(target
                .failure_in(event.data.as_bytes())
                .unwrap_or_else(|| target.protocol("it failed without saying why".to_owned()))),
            Update::ContentBlockStart { .. } | Update::ContentBlockDelta { .. } | Update::Other => {
                Ok(None)
            }
        }
    }

    fn closed(&mut self) -> Option<End> {
        None
    }
}

impl Stream {
    fn end(&mut self, target: &Target) -> Result<End, LmError> {
        let reason = self.stop_reason.as_deref();
        Ok(End {
            finish: finish(target, reason, self.stop_details.take(), &self.text)?,
            usage: std::mem::take(&mut self.tokens).into(),
            model: std::mem::take(&mut self.model),
            lm: None,
            request_id: None,
        })
    }
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Update {
    MessageStart {
        message: Start,
    },
    ContentBlockStart {
        content_block: Block,
    },
    ContentBlockDelta {
        delta: Delta,
    },
    MessageDelta {
        delta: Stop,
        #[serde(default, deserialize_with = "null_as_default")]
        usage: TokensUpdate,
    },
    MessageStop,
    Error,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Start {
    #[serde(default, deserialize_with = "null_as_default")]
    usage: Tokens,
    #[serde(default, deserialize_with = "null_as_default")]
    model: String,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        #[serde(default)]
        text: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "input_json_delta")]
    Json { partial_json: String },
    /// Thinking and its signature.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Stop {
    stop_reason: Option<String>,
    stop_details: Option<StopDetails>,
}

/// What the end of a stream says again is the whole count, not more of it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct TokensUpdate {
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
}

impl Tokens {
    fn update(&mut self, update: TokensUpdate) {
        for (count, update) in [
            (&mut self.input_tokens, update.input_tokens),
            (
                &mut self.cache_creation_input_tokens,
                update.cache_creation_input_tokens,
            ),
            (
                &mut self.cache_read_input_tokens,
                update.cache_read_input_tokens,
            ),
            (&mut self.output_tokens, update.output_tokens),
        ] {
            if let Some(update) = update {
                *count = update;
            }
        }
        if let Some(details) = update.output_tokens_details {
            self.output_tokens_details = details;
        }
    }
}
