//! Images and documents that LMs are shown.

mod attachment;
mod kind;
mod memory;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::read::{Read, Reader};

pub use attachment::{Attachment, Content};
pub use kind::MediaKind;

/// The largest image or document, in bytes, unless it is said otherwise: what all providers take, encoded.
const LIMIT: u64 = 20 * 1024 * 1024;

/// An image or a document: a file, bytes, or a URL that the provider fetches.
///
/// Nothing is read before it is needed, and then once. As JSON it is its type with a SHA-256 hash or its
/// URL, never its content. Cloning is cheap.
///
/// ```
/// use dspipe_runtime::lm::Message;
/// use dspipe_runtime::media::Media;
///
/// let dot = Media::from_bytes("image/gif", *b"GIF89a\x01\0\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\0;");
/// let message = Message::user("What is on it?").with_media([dot.image()?]);
/// # Ok::<(), dspipe_runtime::media::MediaError>(())
/// ```
#[derive(Clone)]
pub struct Media {
    source: Source,
    media_type: Option<String>,
    limit: u64,
    read: Arc<OnceLock<Result<Known, MediaError>>>,
}

#[derive(Clone, PartialEq, Eq)]
enum Source {
    Path(PathBuf),
    Bytes(Arc<[u8]>),
    Url(String),
}

/// An image or a document that an input has in a field.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// The field.
    pub name: &'static str,
    /// What is asked for.
    pub kind: MediaKind,
    /// What is given, if anything is.
    pub media: Option<&'a Media>,
}

/// An image or a document of a step's input.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) field: &'static str,
    pub(crate) attachment: Attachment,
}

/// What the fields show.
///
/// # Errors
/// The first that cannot be shown, with its field.
pub(crate) fn shown(fields: &[Field<'_>]) -> Result<Arc<[Shown]>, (&'static str, MediaError)> {
    let mut shown = Vec::with_capacity(fields.len());
    for field in fields {
        if let Some(media) = field.media {
            let attachment = media.attach(field.kind);
            shown.push(Shown {
                field: field.name,
                attachment: attachment.map_err(|error| (field.name, error))?,
            });
        }
    }
    Ok(shown.into())
}

/// What was read.
#[derive(Clone)]
struct Known {
    media_type: Option<String>,
    content: Content,
}

/// Why an image or a document cannot be shown to an LM.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// The file cannot be read.
    #[error("{} cannot be read: {reason}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// There is more of it than is allowed.
    #[error(
        "{what} has {bytes} bytes, and {limit} are allowed; make it smaller, or allow more with `Media::with_limit`"
    )]
    TooLarge {
        /// The file, or `the data`.
        what: String,
        /// How many it has.
        bytes: u64,
        /// How many it may have.
        limit: u64,
    },
    /// There is nothing in it.
    #[error("{what} is empty")]
    Empty {
        /// The file, or `the data`.
        what: String,
    },
    /// Nobody knows what it is.
    #[error("{what} has no media type that is known; say it with `Media::with_media_type`")]
    UnknownType {
        /// The file, or `the data`.
        what: String,
    },
    /// An image where a document is wanted, or the other way round.
    #[error("{what} is {media_type}, where {wanted} is wanted")]
    WrongKind {
        /// The file, the URL or `the data`.
        what: String,
        /// What it is.
        media_type: String,
        /// What is wanted.
        wanted: MediaKind,
    },
    /// The URL is none that a provider would fetch.
    #[error("`{url}` is not a URL that begins with http://, https:// or gs://")]
    NoUrl {
        /// The text.
        url: String,
    },
    /// The data in a URL cannot be read.
    #[error("the data cannot be read: {reason}")]
    BadData {
        /// What is wrong.
        reason: String,
    },
    /// Only the hash of a recorded one is known.
    #[error("the content of {sha256} was not recorded; give the file, the bytes or the URL")]
    NotRecorded {
        /// The hash.
        sha256: String,
    },
}

impl Media {
    fn of(source: Source, media_type: Option<String>) -> Self {
        Self {
            source,
            media_type,
            limit: LIMIT,
            read: Arc::default(),
        }
    }

    /// A file. Its type is told by its content, else by its extension.
    pub fn from_path(path: impl Into<PathBuf>) -> Self {
        Self::of(Source::Path(path.into()), None)
    }

    /// Bytes of a type such as `image/png` or `application/pdf`.
    pub fn from_bytes(media_type: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes: Vec<u8> = bytes.into();
        Self::of(Source::Bytes(bytes.into()), Some(media_type.into()))
    }

    /// What is at a URL. It is the provider that fetches it. Where its type matters, the end of its path
    /// tells it.
    pub fn from_url(url: impl Into<String>) -> Self {
        Self::of(Source::Url(url.into()), None)
    }

    /// Says the type, as in `application/pdf`.
    #[must_use]
    pub fn with_media_type(mut self, media_type: impl Into<String>) -> Self {
        self.media_type = Some(media_type.into());
        self.read = Arc::default();
        self
    }

    /// Allows so many bytes; 20 MiB without it.
    #[must_use]
    pub fn with_limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self.read = Arc::default();
        self
    }

    /// As an image.
    ///
    /// # Errors
    /// [`MediaError`] if it cannot be read, is too large, or is no image.
    pub fn image(&self) -> Result<Attachment, MediaError> {
        self.attach(MediaKind::Image)
    }

    /// As a document.
    ///
    /// # Errors
    /// [`MediaError`] if it cannot be read, is too large, or is an image.
    pub fn document(&self) -> Result<Attachment, MediaError> {
        self.attach(MediaKind::Document)
    }

    /// As what is wanted.
    ///
    /// # Errors
    /// As [`image`](Self::image) and [`document`](Self::document).
    pub fn attach(&self, kind: MediaKind) -> Result<Attachment, MediaError> {
        let known = self.read.get_or_init(|| self.read()).clone()?;
        if let Some(media_type) = &known.media_type
            && MediaKind::of(media_type) != kind
        {
            return Err(MediaError::WrongKind {
                what: self.what(),
                media_type: media_type.clone(),
                wanted: kind,
            });
        }
        Ok(Attachment {
            kind,
            media_type: known.media_type,
            name: self.name(),
            content: known.content,
        })
    }

    fn read(&self) -> Result<Known, MediaError> {
        let bytes: Arc<[u8]> = match &self.source {
            Source::Url(url) => return self.at_url(url),
            Source::Bytes(bytes) => Arc::clone(bytes),
            Source::Path(path) => {
                let unreadable = |error: std::io::Error| MediaError::Unreadable {
                    path: path.clone(),
                    reason: error.to_string(),
                };
                // Not to fill the memory with what will be refused.
                self.check(fs::metadata(path).map_err(unreadable)?.len())?;
                fs::read(path).map_err(unreadable)?.into()
            }
        };
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.check(size)?;
        if bytes.is_empty() {
            return Err(MediaError::Empty { what: self.what() });
        }
        let by_name = || match &self.source {
            Source::Path(path) => kind::of_name(&path.to_string_lossy()),
            _ => None,
        };
        let told = self.media_type.clone();
        let found = told.or_else(|| {
            let found = kind::of_content(&bytes).or_else(by_name);
            found.map(str::to_owned)
        });
        let Some(media_type) = found else {
            return Err(MediaError::UnknownType { what: self.what() });
        };
        let sha256 = hash(&bytes);
        memory::note(&sha256, &bytes);
        Ok(Known {
            media_type: Some(media_type),
            content: Content::Bytes {
                sha256,
                size,
                data: Some(bytes),
            },
        })
    }

    fn at_url(&self, url: &str) -> Result<Known, MediaError> {
        let is_one = ["http://", "https://", "gs://"]
            .iter()
            .any(|scheme| url.len() > scheme.len() && url.starts_with(scheme));
        if !is_one {
            return Err(MediaError::NoUrl {
                url: shortened(url),
            });
        }
        let path = url.split(['?', '#']).next().unwrap_or(url);
        let media_type = self.media_type.clone();
        Ok(Known {
            media_type: media_type.or_else(|| kind::of_name(path).map(str::to_owned)),
            content: Content::Url(url.to_owned()),
        })
    }

    fn check(&self, bytes: u64) -> Result<(), MediaError> {
        if bytes > self.limit {
            return Err(MediaError::TooLarge {
                what: self.what(),
                bytes,
                limit: self.limit,
            });
        }
        Ok(())
    }

    /// What it is called in messages.
    fn what(&self) -> String {
        match &self.source {
            Source::Path(path) => path.display().to_string(),
            Source::Url(url) => url.clone(),
            Source::Bytes(_) => "the data".to_owned(),
        }
    }

    /// The file's name, which some providers want to know.
    fn name(&self) -> Option<String> {
        match &self.source {
            Source::Path(path) => file_name(path),
            Source::Url(_) | Source::Bytes(_) => None,
        }
    }

    /// From JSON: a URL as text, also one that holds the data (`data:image/png;base64,…`), or an object with
    /// `url` and `media_type`. Not a path: whoever sends JSON must not choose files of this machine.
    ///
    /// # Errors
    /// [`MediaError`] if it is none of them.
    pub fn from_json(value: &Value) -> Result<Self, MediaError> {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let url: &str = match value {
            Value::String(url) => url,
            value => match (text("url"), text("sha256")) {
                (Some(url), _) => url,
                (None, Some(sha256)) => return Self::in_use(sha256, text("media_type")),
                (None, None) => {
                    return Err(MediaError::NoUrl {
                        url: shortened(&value.to_string()),
                    });
                }
            },
        };
        let media = match url.strip_prefix("data:") {
            Some(data) => Self::of_data(data)?,
            None => Self::from_url(url),
        };
        let media = match text("media_type") {
            Some(media_type) => media.with_media_type(media_type),
            None => media,
        };
        if let Source::Url(url) = &media.source {
            media.at_url(url)?;
        }
        Ok(media)
    }

    /// One that this process has in its hands, by its hash.
    fn in_use(sha256: &str, media_type: Option<&str>) -> Result<Self, MediaError> {
        match (memory::find(sha256), media_type) {
            (Some(data), Some(media_type)) => {
                Ok(Self::of(Source::Bytes(data), Some(media_type.to_owned())))
            }
            _ => Err(MediaError::NotRecorded {
                sha256: sha256.to_owned(),
            }),
        }
    }

    /// What follows `data:` in a URL.
    fn of_data(data: &str) -> Result<Self, MediaError> {
        let bad = |reason: String| MediaError::BadData { reason };
        let (head, encoded) = data
            .split_once(";base64,")
            .ok_or_else(|| bad("it is not `data:<media type>;base64,…`".to_owned()))?;
        let bytes = STANDARD
            .decode(encoded.trim())
            .map_err(|error| bad(error.to_string()))?;
        let media_type = head.split(';').next().unwrap_or(head);
        Ok(Self::from_bytes(media_type, bytes))
    }
}

/// Characters of something wrong that a message shows.
const SHOWN: usize = 80;

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn file_name(path: &Path) -> Option<String> {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
}

/// SHA-256 in hexadecimal digits.
fn hash(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut digits = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

impl Serialize for Media {
    /// As its type with a hash or a URL, for which a file is read.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let known = self.read.get_or_init(|| self.read()).clone();
        let known = known.map_err(serde::ser::Error::custom)?;
        let kind = known.media_type.as_deref().map(MediaKind::of);
        let attachment = Attachment {
            kind: kind.unwrap_or(MediaKind::Document),
            media_type: known.media_type,
            name: self.name(),
            content: known.content,
        };
        attachment.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Media {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_json(&value).map_err(serde::de::Error::custom)
    }
}

impl Read for Media {
    fn read(from: Reader<'_>) -> Option<Self> {
        from.value_by(|value| Self::from_json(value).map_err(|error| error.to_string()))
    }
}

impl PartialEq for Media {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.media_type == other.media_type
    }
}

impl Eq for Media {}

impl fmt::Debug for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Media");
        match &self.source {
            Source::Path(path) => shown.field("path", path),
            Source::Url(url) => shown.field("url", url),
            Source::Bytes(bytes) => shown.field("bytes", &bytes.len()),
        };
        shown.field("media_type", &self.media_type);
        shown.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
