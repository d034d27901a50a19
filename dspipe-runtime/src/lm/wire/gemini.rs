//! Google Gemini, `POST {base}/models/{model}:generateContent`.
//!
//! As in the reference of the Gemini API of November 2026, version `v1beta`. The key is sent in a header, not in
//! the URL, where logs would show it.

use serde::{Deserialize, Serialize};

use super::sse::Event;
use super::stream::Events;
use super::target::Target;
use super::{Call, Usage, json, media, null_as_default};
use crate::lm::schema::{self, Form};
use crate::lm::{Chunk, End, Finish, LmError, Message, Reply, Role};
use crate::media::Attachment;

const VERSION: &str = "v1beta";

/// Google's own libraries take the base URL without the version; both are understood.
pub(super) fn path(base_path: &str, model: &str, stream: bool) -> String {
    let last = base_path.rsplit('/').next().unwrap_or_default();
    let has_version = last
        .strip_prefix('v')
        .is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()));
    let version = if has_version {
        String::new()
    } else {
        format!("{VERSION}/")
    };
    // As in `tunedModels/mine`.
    let kind = if model.contains('/') { "" } else { "models/" };
    let method = if stream {
        "streamGenerateContent"
    } else {
        "generateContent"
    };
    format!("{version}{kind}{model}:{method}")
}

pub(super) fn body(call: &Call<'_>) -> Result<Vec<u8>, LmError> {
    let params = call.params;
    let form = call.form(|schema| (false, schema::gemini(&schema)))?;
    let schema = form.as_deref();
    let (system, contents) = contents(call, &call.request.messages)?;
    super::to_json(&Body {
        system_instruction: (!system.is_empty()).then_some(Content {
            role: None,
            parts: system,
        }),
        contents,
        generation_config: Config {
            temperature: params.temperature,
            max_output_tokens: params.max_tokens,
            // The API's seeds have 32 bits, one of them for the sign.
            seed: params.seed.map(|seed| seed & 0x7fff_ffff),
            response_mime_type: schema.as_ref().map(|_| "application/json"),
            response_json_schema: schema,
        },
    })
}

/// System messages stand apart, consecutive ones of one role are one turn, and empty texts, which the API
/// refuses, are left out.
fn contents<'a>(call: &Call<'_>, messages: &'a [Message]) -> Result<Contents<'a>, LmError> {
    let mut system = Vec::new();
    let mut contents: Vec<Content> = Vec::new();
    for message in messages {
        let shown = message.media.iter().map(|media| shown(call, media));
        let mut parts = shown.collect::<Result<Vec<_>, _>>()?;
        if !message.content.is_empty() {
            parts.push(Part {
                text: Some(&message.content),
                ..Part::default()
            });
        }
        if parts.is_empty() {
            continue;
        }
        let role = match message.role {
            Role::System => {
                system.extend(parts);
                continue;
            }
            Role::User => "user",
            Role::Assistant => "model",
        };
        match contents.last_mut() {
            Some(content) if content.role == Some(role) => content.parts.extend(parts),
            _ => contents.push(Content {
                role: Some(role),
                parts,
            }),
        }
    }
    Ok((system, contents))
}

/// System parts, and turns.
type Contents<'a> = (Vec<Part<'a>>, Vec<Content<'a>>);

fn shown<'a>(call: &Call<'_>, shown: &'a Attachment) -> Result<Part<'a>, LmError> {
    Ok(match media::source(call, shown)? {
        media::Source::Url(file_uri) => {
            let Some(mime_type) = shown.media_type.as_deref() else {
                let reason = "Gemini must be told the type of what is at a URL; say it with `Media::with_media_type`";
                return Err(media::refused(call, shown, reason));
            };
            Part {
                file_data: Some(FileData {
                    mime_type,
                    file_uri,
                }),
                ..Part::default()
            }
        }
        media::Source::Data(mime_type, data) => Part {
            inline_data: Some(InlineData {
                mime_type,
                data: media::base64(data),
            }),
            ..Part::default()
        },
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Content<'a>>,
    contents: Vec<Content<'a>>,
    generation_config: Config<'a>,
}

#[derive(Serialize)]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    parts: Vec<Part<'a>>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inline_data: Option<InlineData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<FileData<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InlineData<'a> {
    mime_type: &'a str,
    data: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileData<'a> {
    mime_type: &'a str,
    file_uri: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<&'a Form>,
}

pub(super) fn reply(target: &Target, body: &[u8]) -> Result<Reply, LmError> {
    let answer: Answer = json::read(body).map_err(|error| target.unreadable(&error))?;
    answer.blocked(target)?;
    let Some(candidate) = answer.candidates.into_iter().next() else {
        return Err(target
            .failure_in(body)
            .unwrap_or_else(|| target.protocol("its reply has no `candidates`".to_owned())));
    };
    let finish = candidate.finish(target)?;
    Ok(Reply {
        text: candidate.text(),
        finish: finish.unwrap_or(Finish::Other),
        usage: answer.usage_metadata.unwrap_or_default().into(),
        model: answer.model_version,
        lm: None,
        request_id: answer.response_id,
    })
}

/// The state of a stream: events are answers, and nothing marks the last one but its `finishReason`.
#[derive(Default)]
pub(super) struct Stream {
    finish: Option<Finish>,
    usage: Usage,
    model: String,
    response_id: Option<String>,
}

impl Events for Stream {
    fn event(&mut self, target: &Target, event: &Event) -> Result<Option<Chunk>, LmError> {
        let answer: Answer =
            serde_json::from_str(&event.data).map_err(|error| target.unreadable(&error))?;
        answer.blocked(target)?;
        if answer.candidates.is_empty()
            && let Some(error) = target.failure_in(event.data.as_bytes())
        {
            return Err(error);
        }
        // Each count is that of the whole so far.
        if let Some(tokens) = answer.usage_metadata {
            self.usage = tokens.into();
        }
        self.response_id = answer.response_id.or(self.response_id.take());
        if !answer.model_version.is_empty() {
            self.model = answer.model_version;
        }
        let Some(candidate) = answer.candidates.into_iter().next() else {
            return Ok(None);
        };
        self.finish = candidate.finish(target)?.or(self.finish);
        Ok(Chunk::text(candidate.text()))
    }

    fn closed(&mut self) -> Option<End> {
        self.finish.map(|finish| End {
            finish,
            usage: self.usage,
            model: std::mem::take(&mut self.model),
            lm: None,
            request_id: self.response_id.take(),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default, deserialize_with = "null_as_default")]
    candidates: Vec<Candidate>,
    prompt_feedback: Option<Feedback>,
    usage_metadata: Option<Tokens>,
    #[serde(default, deserialize_with = "null_as_default")]
    model_version: String,
    /// Google has no header for it.
    #[serde(default)]
    response_id: Option<String>,
}

impl Answer {
    /// An error if the prompt was not let through.
    fn blocked(&self, target: &Target) -> Result<(), LmError> {
        let feedback = self.prompt_feedback.as_ref();
        match feedback.and_then(|feedback| feedback.block_reason.as_deref()) {
            Some(reason) => Err(target.filtered(&format!("the prompt was blocked ({reason})"))),
            None => Ok(()),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback {
    block_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    content: Option<Said>,
    finish_reason: Option<String>,
    finish_message: Option<String>,
}

impl Candidate {
    /// `None` while it has not ended.
    fn finish(&self, target: &Target) -> Result<Option<Finish>, LmError> {
        let Some(reason) = self.finish_reason.as_deref() else {
            return Ok(None);
        };
        Ok(Some(match reason {
            "STOP" => Finish::Stop,
            // The second one is the limit of a single request.
            "MAX_TOKENS" | "CONTINUATION" => Finish::Length,
            "SAFETY"
            | "RECITATION"
            | "LANGUAGE"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION"
            | "ESCALATION"
            | "PUP_LIMITED_DISABLED"
            | "MODEL_ARMOR" => {
                let message = self.finish_message.as_deref().unwrap_or("no message");
                return Err(target.filtered(&format!("{message} ({reason})")));
            }
            _ => Finish::Other,
        }))
    }

    /// The answer, without the thoughts.
    fn text(self) -> String {
        let parts = self.content.map(|content| content.parts);
        let parts = parts.into_iter().flatten();
        parts
            .filter(|part| !part.thought)
            .map(|part| part.text)
            .collect()
    }
}

#[derive(Deserialize)]
struct Said {
    #[serde(default, deserialize_with = "null_as_default")]
    parts: Vec<SaidPart>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct SaidPart {
    text: String,
    thought: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Tokens {
    prompt_token_count: u64,
    cached_content_token_count: u64,
    candidates_token_count: u64,
    thoughts_token_count: u64,
}

impl From<Tokens> for Usage {
    /// The API counts thoughts apart from the answer.
    fn from(tokens: Tokens) -> Self {
        Self {
            input_tokens: tokens.prompt_token_count,
            output_tokens: tokens
                .candidates_token_count
                .saturating_add(tokens.thoughts_token_count),
            cached_input_tokens: tokens.cached_content_token_count,
            reasoning_tokens: tokens.thoughts_token_count,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_url_may_have_a_version_and_the_model_a_collection() {
        let path = |base_path, model| path(base_path, model, false);
        assert_eq!(path("/v1beta", "m"), "models/m:generateContent");
        assert_eq!(path("/proxy/v1", "m"), "models/m:generateContent");
        assert_eq!(path("", "m"), "v1beta/models/m:generateContent");
        assert_eq!(
            path("/v1beta", "tunedModels/m"),
            "tunedModels/m:generateContent"
        );
    }
}
