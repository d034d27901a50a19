//! Maps that are written as lists of keys and values, because their keys are not known beforehand.

use std::borrow::Cow;

use super::Coercer;
use crate::read::fold::fold;
use crate::read::layout::{self, Names};
use crate::read::schema::ObjectType;
use crate::read::tree::{Entry, Form, Node, NodeKind};

impl Coercer<'_> {
    /// The entries of a map: `[{"key": "a", "value": 1}]`, or `<entry><key>a</key><value>1</value></entry>`.
    pub(super) fn pairs(&self, node: &Node, ty: &ObjectType) -> Option<Vec<Entry>> {
        let is_map = ty.properties.is_empty() && ty.is_open();
        if self.strict || !is_map {
            return None;
        }
        let items = match &node.kind {
            NodeKind::List(items) => &items[..],
            NodeKind::Object(entries) => match &entries[..] {
                [entry]
                    if is_one_of(&entry.key, &["entry", "entries", "item", "items", "pair"]) =>
                {
                    match &entry.node.kind {
                        NodeKind::List(items) => &items[..],
                        _ => std::slice::from_ref(&entry.node),
                    }
                }
                _ => return None,
            },
            _ => return None,
        };
        let pairs: Option<Vec<Entry>> = items.iter().map(|item| self.pair(item)).collect();
        pairs.filter(|pairs| !pairs.is_empty())
    }

    fn pair(&self, node: &Node) -> Option<Entry> {
        let entries = match &node.kind {
            NodeKind::Object(entries) => Cow::Borrowed(&entries[..]),
            NodeKind::Text(text) if text.form == Form::Block => {
                let names = Names::words(&["key", "name", "value"]);
                let inside = layout::tags(&text.text, node.span.start, &names, self.shared)?;
                match inside.node.kind {
                    NodeKind::Object(entries) => Cow::Owned(entries),
                    _ => return None,
                }
            }
            _ => return None,
        };
        let [one, other] = &entries[..] else {
            return None;
        };
        let is_key = |entry: &Entry| is_one_of(&entry.key, &["key", "name", "k"]);
        let is_value = |entry: &Entry| is_one_of(&entry.key, &["value", "val", "v"]);
        let (key, value) = if is_key(one) && is_value(other) {
            (one, other)
        } else if is_key(other) && is_value(one) {
            (other, one)
        } else {
            return None;
        };
        let name = match &key.node.kind {
            NodeKind::Text(text) if !text.cut => text.text.clone(),
            NodeKind::Number(number, _) => number.to_string(),
            _ => return None,
        };
        Some(Entry {
            key: name,
            key_span: key.node.span.clone(),
            node: value.node.clone(),
        })
    }
}

fn is_one_of(key: &str, names: &[&str]) -> bool {
    names.contains(&fold(key).as_str())
}
