//! Media as messages hold them.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::MediaKind;

/// An image or a document in a message.
///
/// As JSON it has its type and its URL, or its size and hash: recordings do not hold the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// What it is.
    pub kind: MediaKind,
    /// Its type, as in `image/png`; `None` for a URL that does not tell it.
    pub media_type: Option<String>,
    /// The name of its file, if it has one.
    pub name: Option<String>,
    /// What is in it.
    pub content: Content,
}

/// What is in an image or a document.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// Where the provider gets it from.
    Url(String),
    /// The bytes themselves.
    Bytes {
        /// Their SHA-256, in hexadecimal digits.
        sha256: String,
        /// How many they are.
        size: u64,
        /// The bytes; `None` in a recording.
        data: Option<Arc<[u8]>>,
    },
}

impl Attachment {
    /// What prompts and logs call it: its type, or what it is.
    pub fn words(&self) -> &str {
        match (&self.media_type, self.kind) {
            (Some(media_type), _) => media_type,
            (None, MediaKind::Image) => "image",
            (None, MediaKind::Document) => "document",
        }
    }

    /// What tells its content from any other: the hash, or the URL.
    pub fn identity(&self) -> &str {
        match &self.content {
            Content::Url(url) => url,
            Content::Bytes { sha256, .. } => sha256,
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.debug_tuple("Url").field(url).finish(),
            Self::Bytes { sha256, size, .. } => {
                let mut shown = f.debug_struct("Bytes");
                shown.field("sha256", sha256).field("size", size);
                shown.finish_non_exhaustive()
            }
        }
    }
}

/// The JSON of an attachment.
#[derive(Serialize, Deserialize)]
struct Written {
    kind: MediaKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

impl Serialize for Attachment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (url, sha256, size) = match &self.content {
            Content::Url(url) => (Some(url.clone()), None, None),
            Content::Bytes { sha256, size, .. } => (None, Some(sha256.clone()), Some(*size)),
        };
        let written = Written {
            kind: self.kind,
            media_type: self.media_type.clone(),
            name: self.name.clone(),
            url,
            sha256,
            size,
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Attachment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        Ok(Self {
            kind: written.kind,
            media_type: written.media_type,
            name: written.name,
            content: match written.url {
                Some(url) => Content::Url(url),
                None => Content::Bytes {
                    sha256: written.sha256.unwrap_or_default(),
                    size: written.size.unwrap_or_default(),
                    data: None,
                },
            },
        })
    }
}
