//! The file of one interaction.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::CassetteError;
use crate::lm::{LmName, Message, Params, Reply, Request};
use crate::media::{Attachment, Content};
use crate::secret;

/// What the files say of themselves; it changes when older ones can no longer be read.
const VERSION: u32 = 1;

/// Hexadecimal digits of the hash in a file's name: 64 bits.
const DIGITS: usize = 16;

/// A request and its reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interaction {
    version: u32,
    /// The LM that was asked, as `provider/model`.
    pub lm: String,
    /// The name of the schema, which is that of the step; empty for free text.
    #[serde(default)]
    pub schema_name: String,
    /// The schema of the reply.
    #[serde(default)]
    pub schema: serde_json::Value,
    /// How it was asked.
    pub params: Params,
    /// What was asked.
    pub messages: Vec<Message>,
    /// What was replied.
    pub reply: Reply,
}

impl Interaction {
    pub(super) fn new(name: &LmName, request: &Request, reply: &Reply) -> Self {
        let schema = request.schema.as_ref();
        let mut reply = reply.clone();
        // The key is that of the request as it was; what people read has no secrets in it.
        let messages = request
            .messages
            .iter()
            .map(|message| Message {
                content: secret::scrub_all(&message.content),
                media: message.media.iter().map(shown).collect(),
                ..message.clone()
            })
            .collect();
        reply.text = secret::scrub_all(&reply.text);
        Self {
            version: VERSION,
            lm: name.to_string(),
            schema_name: schema.map(|schema| schema.name.clone()).unwrap_or_default(),
            schema: schema
                .and_then(|schema| serde_json::from_str(&schema.json).ok())
                .unwrap_or_default(),
            params: request.params,
            messages,
            reply,
        }
    }
}

/// The name of the file of a request: what it is for, and its hash.
pub(super) fn name(lm: &LmName, request: &Request) -> String {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    };
    part(&lm.to_string());
    for message in &request.messages {
        part(role(message));
        part(&message.content);
        for media in &message.media {
            part("media");
            part(media.words());
            part(media.identity());
        }
    }
    part("schema");
    if let Some(schema) = &request.schema {
        part(&schema.json);
    }
    // Plain numbers always serialize.
    part(&serde_json::to_string(&request.params).unwrap_or_default());
    let mut digits = String::with_capacity(DIGITS);
    for byte in hash.finalize().iter().take(DIGITS / 2) {
        use std::fmt::Write as _;
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    let what = request
        .schema
        .as_ref()
        .map_or("text", |schema| &schema.name);
    format!("{what}-{digits}.json")
}

/// An image or a document as people read it: without its content, and without secrets.
fn shown(media: &Attachment) -> Attachment {
    let mut shown = media.clone();
    match &mut shown.content {
        Content::Url(url) => *url = secret::scrub_all(url),
        Content::Bytes { data, .. } => *data = None,
    }
    shown
}

pub(super) fn role(message: &Message) -> &'static str {
    match message.role {
        crate::lm::Role::System => "system",
        crate::lm::Role::User => "user",
        crate::lm::Role::Assistant => "assistant",
    }
}

pub(super) fn read(path: &Path) -> Result<Interaction, CassetteError> {
    let text = fs::read_to_string(path).map_err(|error| CassetteError::Io {
        path: path.to_owned(),
        doing: "read",
        reason: error.to_string(),
    })?;
    let malformed = |reason: String| CassetteError::Malformed {
        path: path.to_owned(),
        reason,
    };
    let found: Interaction =
        serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
    if found.version != VERSION {
        return Err(malformed(format!(
            "it has version {}, this is {VERSION}",
            found.version
        )));
    }
    Ok(found)
}

/// Writes a file whole or not at all.
pub(super) fn write(
    directory: &Path,
    name: &str,
    interaction: &Interaction,
) -> Result<(), CassetteError> {
    let path = directory.join(name);
    let io = |error: std::io::Error| CassetteError::Io {
        path: path.clone(),
        doing: "written",
        reason: error.to_string(),
    };
    fs::create_dir_all(directory).map_err(io)?;
    let mut text = serde_json::to_string_pretty(interaction).map_err(|error| io(error.into()))?;
    text.push('\n');
    let temporary = directory.join(format!(".{name}.{}", std::process::id()));
    let written = fs::File::create(&temporary)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&temporary, &path));
    if written.is_err() {
        // What is left of it is in nobody's way, but need not stay.
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(io)
}
