//! What a reply looks like before it is held against a schema: values with their places.

use std::ops::Range;

use serde_json::{Map, Number, Value};

use super::error::Segment;
use super::repair::RepairKind;
use super::scan::Shared;

/// A value as it is written.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Its number, unique in a reply.
    pub(super) id: u32,
    pub(super) span: Range<usize>,
    pub(super) kind: NodeKind,
    /// Whether its closing bracket is missing.
    pub(super) cut: bool,
}

#[derive(Clone, Debug)]
pub(super) enum NodeKind {
    Null,
    /// `undefined`, `NaN` and other words for nothing that is known.
    Nothing(&'static str),
    Boolean(bool),
    /// A number, and how it is written where that is not how JSON would write it.
    Number(Number, Option<Box<str>>),
    Text(Text),
    List(Vec<Node>),
    Object(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) form: Form,
    /// Whether the reply ends inside it.
    pub(super) cut: bool,
}

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Between quotation marks.
    Quoted,
    /// Without them, where a value stands.
    Bare,
    /// As the content of a field that is not JSON, or as the whole reply.
    Block,
    /// As nothing between a tag and its end.
    Empty,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) node: Node,
}

/// A slip of the form.
#[derive(Clone, Debug)]
pub(super) struct Slip {
    pub(super) kind: RepairKind,
    pub(super) span: Range<usize>,
}

impl Node {
    /// A value that was read, as something to be read.
    pub(super) fn of(value: &Value, shared: &Shared) -> Self {
        let kind = match value {
            Value::Null => NodeKind::Null,
            Value::Bool(value) => NodeKind::Boolean(*value),
            Value::Number(number) => NodeKind::Number(number.clone(), None),
            Value::String(text) => NodeKind::Text(Text {
                text: text.clone(),
                form: Form::Quoted,
                cut: false,
            }),
            Value::Array(items) => {
                NodeKind::List(items.iter().map(|item| Self::of(item, shared)).collect())
            }
            Value::Object(map) => {
                let entry = |(key, value): (&String, &Value)| Entry {
                    key: key.clone(),
                    key_span: 0..0,
                    node: Self::of(value, shared),
                };
                NodeKind::Object(map.iter().map(entry).collect())
            }
        };
        Self {
            id: shared.id(),
            span: 0..0,
            kind,
            cut: false,
        }
    }

    /// The path to the innermost value at a position.
    pub(super) fn path_at(&self, position: usize) -> Vec<Segment> {
        let mut path = Vec::new();
        let mut node = self;
        loop {
            match &node.kind {
                NodeKind::List(items) => {
                    let at = items.partition_point(|item| item.span.end <= position);
                    match items.get(at) {
                        Some(item) if item.span.contains(&position) => {
                            path.push(Segment::Index(at));
                            node = item;
                        }
                        _ => return path,
                    }
                }
                NodeKind::Object(entries) => {
                    let at = entries.partition_point(|entry| entry.node.span.end <= position);
                    match entries.get(at) {
                        Some(entry)
                            if (entry.key_span.start..entry.node.span.end).contains(&position) =>
                        {
                            path.push(Segment::Key(entry.key.clone()));
                            node = &entry.node;
                        }
                        _ => return path,
                    }
                }
                _ => return path,
            }
        }
    }

    /// The value as it stands, where nothing is known of what it should be.
    pub(super) fn to_value(&self) -> Value {
        match &self.kind {
            NodeKind::Null | NodeKind::Nothing(_) => Value::Null,
            NodeKind::Boolean(value) => Value::Bool(*value),
            // Numbers do not begin with zeros; codes do.
            NodeKind::Number(_, Some(written)) if is_code(written) => {
                Value::String(written.to_string())
            }
            NodeKind::Number(number, _) => Value::Number(number.clone()),
            NodeKind::Text(text) => Value::String(text.text.clone()),
            NodeKind::List(items) => items.iter().map(Self::to_value).collect(),
            NodeKind::Object(entries) => {
                let entries = entries.iter();
                let map: Map<String, Value> = entries
                    .map(|entry| (entry.key.clone(), entry.node.to_value()))
                    .collect();
                Value::Object(map)
            }
        }
    }
}

fn is_code(written: &str) -> bool {
    let digits = written.strip_prefix('0').unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit())
}
