//! What kinds of media there are, and how they are told apart.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What LMs can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A PDF or a text.
    Document,
}

impl MediaKind {
    /// The kind of a media type.
    pub(crate) fn of(media_type: &str) -> Self {
        if media_type.starts_with("image/") {
            Self::Image
        } else {
            Self::Document
        }
    }
}

impl fmt::Display for MediaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image => "an image",
            Self::Document => "a document",
        })
    }
}

/// How files begin.
const BEGINNINGS: [(&[u8], &str); 5] = [
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"RIFF", "image/webp"),
];

const EXTENSIONS: [(&str, &str); 11] = [
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("pdf", "application/pdf"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("html", "text/html"),
    ("csv", "text/csv"),
    ("json", "application/json"),
];

/// The media type, by how the content begins.
pub(super) fn of_content(bytes: &[u8]) -> Option<&'static str> {
    let (start, media_type) = BEGINNINGS
        .iter()
        .find(|(start, _)| bytes.starts_with(start))?;
    // Other formats begin with `RIFF`, too.
    let is_other = *start == b"RIFF" && bytes.get(8..12) != Some(b"WEBP");
    (!is_other).then_some(media_type)
}

/// The media type, by the extension of a name.
pub(super) fn of_name(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    EXTENSIONS
        .iter()
        .find(|(known, _)| extension.eq_ignore_ascii_case(known))
        .map(|(_, media_type)| *media_type)
}
