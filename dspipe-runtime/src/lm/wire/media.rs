//! Images and documents as the formats have them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Call;
use crate::lm::{Api, LmError};
use crate::media::{Attachment, Content};

/// Where the content comes from.
pub(super) enum Source<'a> {
    /// The provider fetches it.
    Url(&'a str),
    /// Its type and its bytes.
    Data(&'a str, &'a [u8]),
}

/// Where the content of an image or a document comes from.
pub(super) fn source<'a>(call: &Call<'_>, shown: &'a Attachment) -> Result<Source<'a>, LmError> {
    match &shown.content {
        Content::Url(url) if url.starts_with("gs://") && call.api != Api::GeminiGenerateContent => {
            Err(refused(call, shown, "only Gemini fetches what is at gs://"))
        }
        Content::Url(url) => Ok(Source::Url(url)),
        Content::Bytes {
            data: Some(data), ..
        } => {
            // What was read has a type.
            let media_type = shown.media_type.as_deref();
            Ok(Source::Data(
                media_type.unwrap_or("application/octet-stream"),
                data,
            ))
        }
        Content::Bytes { data: None, .. } => Err(refused(
            call,
            shown,
            "only its hash is known, from a recording",
        )),
    }
}

/// The URL, or one that holds the data.
pub(super) fn url(call: &Call<'_>, shown: &Attachment) -> Result<String, LmError> {
    Ok(match source(call, shown)? {
        Source::Url(url) => url.to_owned(),
        Source::Data(media_type, data) => format!("data:{media_type};base64,{}", base64(data)),
    })
}

/// Whether the content of this type is text.
pub(super) fn is_text(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.starts_with("text/")
        || ["application/json", "application/xml", "application/yaml"].contains(&essence)
        || essence.ends_with("+json")
        || essence.ends_with("+xml") && !essence.starts_with("image/")
}

pub(super) fn base64(data: &[u8]) -> String {
    STANDARD.encode(data)
}

/// A name for the file, where a format asks for one.
pub(super) fn file_name(shown: &Attachment) -> String {
    let unnamed = || match shown.media_type.as_deref() {
        Some("application/pdf") => "document.pdf".to_owned(),
        _ => "document.txt".to_owned(),
    };
    shown.name.clone().unwrap_or_else(unnamed)
}

/// The error for what an LM does not take.
pub(super) fn refused(call: &Call<'_>, shown: &Attachment, reason: &'static str) -> LmError {
    LmError::Media {
        lm: call.lm.clone(),
        what: format!("{} ({})", shown.kind, shown.words()),
        reason,
    }
}
