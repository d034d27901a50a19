//! The tree of a document.

use serde_json::Value;

use crate::source::Span;

/// One node and its byte range.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) kind: Kind,
}

/// What a node is. Scalars stay text: what they mean depends on the type asked for,
/// so `no` is a fine string and `1.0` a fine version.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    /// Entries in the order of the file, keys unique.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) span: Span,
}

impl Node {
    /// What to call this kind of node in a message.
    pub(crate) fn describe(&self) -> String {
        match &self.kind {
            Kind::Scalar { .. } if self.is_null() => "nothing".to_owned(),
            Kind::Scalar { text, plain } if text.len() <= 40 && !text.contains('\n') => {
                // Quoted, a `1` is no number.
                let is_text = *plain || plain_scalar(text).is_string();
                format!("{}`{text}`", if is_text { "" } else { "the text " })
            }
            Kind::Scalar { .. } => "a text".to_owned(),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a mapping".to_owned(),
        }
    }

    /// Whether this is a mapping with a key.
    pub(crate) fn has(&self, name: &str) -> bool {
        matches!(&self.kind, Kind::Map(entries) if entries.iter().any(|(key, _)| key.text == name))
    }

    /// `~`, `null`, or nothing at all.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The node as JSON, scalars read by the core schema of YAML 1.2.
    pub(crate) fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Scalar { text, plain: false } => Value::String(text.clone()),
            Kind::Scalar { text, plain: true } => plain_scalar(text),
            Kind::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Kind::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, value)| (key.text.clone(), value.to_json()))
                    .collect(),
            ),
        }
    }
}

fn plain_scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    if let Some(number) = core_integer(text) {
        return Value::from(number);
    }
    if let Some(number) = core_float(text) {
        return Value::from(number);
    }
    Value::String(text.to_owned())
}

/// An integer of the core schema: decimal, `0o` or `0x`.
pub(crate) fn core_integer(text: &str) -> Option<i64> {
    if let Some(digits) = text.strip_prefix("0x") {
        return i64::from_str_radix(unsigned(digits)?, 16).ok();
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return i64::from_str_radix(unsigned(digits)?, 8).ok();
    }
    text.parse().ok()
}

fn unsigned(digits: &str) -> Option<&str> {
    (!digits.starts_with(['+', '-'])).then_some(digits)
}

/// A finite float of the core schema; Rust's parser alone would take `inf` and `nan` too.
pub(crate) fn core_float(text: &str) -> Option<f64> {
    let numeric = text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    let number: f64 = text.parse().ok()?;
    (numeric && number.is_finite()).then_some(number)
}
