//! Lists, and what is written for one.

use std::borrow::Cow;

use serde_json::Value;

use super::{Coercer, shown_whole};
use crate::read::error::{Kind, Segment};
use crate::read::repair::RepairKind;
use crate::read::schema::{ListType, Shape};
use crate::read::tree::{Form, Node, NodeKind, Text};

/// A text of at most so many words on each side of a comma may be a list.
const SHORT: usize = 3;

impl Coercer<'_> {
    pub(super) fn list(&mut self, node: &Node, ty: &ListType) -> Option<Value> {
        match &node.kind {
            NodeKind::List(items) => self.whole_list(node, items, ty),
            _ if self.strict => self.no_list(node),
            NodeKind::Text(text) if text.form == Form::Empty => {
                self.repair(RepairKind::List, node, "an empty tag");
                self.check_list(&[], ty);
                Some(Value::Array(Vec::new()))
            }
            NodeKind::Text(text) => {
                let inside = self.embedded(node, text, |this, inner| {
                    let list = inner.list()?;
                    Some(this.inside(text, |this| {
                        if text.form == Form::Quoted {
                            this.repair(RepairKind::Encoded, node, "");
                        } else {
                            this.take_slips(node, &list.slips);
                        }
                        this.list(&list.node, ty)
                    }))
                });
                match inside {
                    Some(value) => value,
                    None => self.list_of_text(node, text, ty),
                }
            }
            NodeKind::Object(entries) => {
                let one = self.attempt(|this| this.list_of_one(node, ty));
                if one.is_some() {
                    return one;
                }
                // `{"items": [...]}` for the list.
                if self.path.is_empty()
                    && let [entry] = &entries[..]
                    && matches!(entry.node.kind, NodeKind::List(_))
                {
                    self.repair(
                        RepairKind::Wrapper,
                        node,
                        format!("the list in {:?}", entry.key),
                    );
                    return self.liberty(|this| this.list(&entry.node, ty));
                }
                self.list_of_one(node, ty)
            }
            NodeKind::Null | NodeKind::Nothing(_) => self.no_list(node),
            NodeKind::Boolean(_) | NodeKind::Number(..) => self.list_of_one(node, ty),
        }
    }

    fn whole_list(&mut self, node: &Node, items: &[Node], ty: &ListType) -> Option<Value> {
        let of_lists = ty
            .items
            .is_some_and(|id| matches!(self.schema.get(id).shape, Shape::List(_)));
        if let [inner] = items
            && let NodeKind::List(all) = &inner.kind
            && all.len() != 1
            && !self.strict
            && ty.first.is_empty()
            && ty.items.is_some_and(|id| {
                !self.schema.is_list(id) && !matches!(self.schema.get(id).shape, Shape::Any)
            })
        {
            // `[["a", "b"]]` for `["a", "b"]`.
            self.repair(RepairKind::List, node, "the one list of the list");
            return self.liberty(|this| this.list(inner, ty));
        }
        let flat = items.len() > 1
            && ty.first.is_empty()
            && !items
                .iter()
                .any(|item| matches!(item.kind, NodeKind::List(_) | NodeKind::Text(_)));
        if !(of_lists && flat) || self.strict {
            return self.items(items, ty);
        }
        // One list of all, or a list of each.
        let plain = node.to_value();
        let each: Value = items
            .iter()
            .map(|item| Value::Array(vec![item.to_value()]))
            .collect();
        self.ambiguous(vec![
            shown_whole(&Value::Array(vec![plain])),
            shown_whole(&each),
        ])
    }

    fn no_list(&mut self, node: &Node) -> Option<Value> {
        self.wrong(Cow::Borrowed(Kind::List.text()), node)
    }

    fn items(&mut self, items: &[Node], ty: &ListType) -> Option<Value> {
        let mut values = Some(Vec::with_capacity(items.len()));
        for (index, item) in items.iter().enumerate() {
            let value = self.within(Segment::Index(index), |this| {
                match ty.first.get(index).copied().or(ty.items) {
                    Some(id) => this.value(item, id),
                    None => {
                        this.error(crate::read::FieldErrorKind::Unexpected);
                        None
                    }
                }
            });
            match value {
                Some(value) => {
                    if let Some(values) = &mut values {
                        values.push(value);
                    }
                }
                None => values = None,
            }
        }
        let values = values?;
        self.check_list(&values, ty);
        Some(Value::Array(values))
    }

    /// Parts of a text as values of their own.
    fn parts_of(&self, node: &Node, parts: &[&str]) -> Vec<Node> {
        let part = |part: &&str| Node {
            id: self.shared.id(),
            span: node.span.clone(),
            kind: NodeKind::Text(Text {
                text: part.trim().to_owned(),
                form: Form::Bare,
                cut: false,
            }),
            cut: false,
        };
        parts.iter().map(part).collect()
    }

    fn list_of_one(&mut self, node: &Node, ty: &ListType) -> Option<Value> {
        let Some(item) = ty.first.first().copied().or(ty.items) else {
            return self.no_list(node);
        };
        // What is wrong is that there is no list, not what is wrong with an item.
        let value = self.liberty(|this| {
            this.attempt(|this| this.within(Segment::Index(0), |this| this.value(node, item)))
        });
        let Some(value) = value else {
            return self.no_list(node);
        };
        self.repair(RepairKind::List, node, "a list of one");
        let values = vec![value];
        self.check_list(&values, ty);
        Some(Value::Array(values))
    }

    /// A list from a text: its lines, what stands between its commas, or the text as its one item.
    fn list_of_text(&mut self, node: &Node, text: &Text, ty: &ListType) -> Option<Value> {
        let is_reply = text.form == Form::Block && self.path.is_empty();
        let by_line = self.embedded(node, text, |_, inner| inner.bullets(is_reply));
        if let Some(lines) = by_line {
            self.repair(RepairKind::List, node, format!("{} lines", lines.len()));
            return self.inside(text, |this| this.items(&lines, ty));
        }
        let lines: Vec<&str> = text
            .text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        if lines.len() > 1
            && let Some(id) = ty.items
            && self.schema.is_scalar(id)
            && !self.takes_text(id, &text.text)
        {
            let nodes = self.parts_of(node, &lines);
            let split = self.attempt(|this| {
                this.repair(RepairKind::List, node, format!("{} lines", nodes.len()));
                this.liberty(|this| this.items(&nodes, ty))
            });
            if split.is_some() {
                return split;
            }
        }
        if lines.is_empty() || is_reply && lines.len() > 1 {
            // Nothing, or prose, and no item.
            return self.no_list(node);
        }
        let item = ty.items.map(|id| &self.schema.get(id).shape);
        let parts = parts(&text.text);
        let wants_text = matches!(item, Some(Shape::Text(_) | Shape::Any));
        if lines.len() > 1 && wants_text {
            let whole = Value::Array(vec![Value::from(text.text.trim())]);
            let split = lines
                .into_iter()
                .map(|line| Value::from(line.trim()))
                .collect();
            return self.ambiguous(vec![shown_whole(&whole), shown_whole(&split)]);
        }
        if parts.len() > 1 && wants_text {
            let short = parts
                .iter()
                .all(|part| part.split_whitespace().count() <= SHORT);
            if short {
                // A list, or a text with commas in it.
                let whole = Value::Array(vec![Value::from(text.text.trim())]);
                let split = parts.into_iter().map(Value::from).collect();
                return self.ambiguous(vec![shown_whole(&whole), shown_whole(&split)]);
            }
        } else if parts.len() > 1 {
            let nodes = self.parts_of(node, &parts);
            let split = self.attempt(|this| this.liberty(|this| this.items(&nodes, ty)));
            let repairs = self.repairs.len();
            let one = self.attempt(|this| this.list_of_one(node, ty));
            if let (Some(one), Some(split)) = (&one, &split) {
                // `1,5`
                return self.ambiguous(vec![shown_whole(one), shown_whole(split)]);
            }
            if one.is_some() {
                return one;
            }
            self.repairs.truncate(repairs);
            self.repair(RepairKind::List, node, format!("{} parts", nodes.len()));
            if split.is_some() {
                return split;
            }
            return self.liberty(|this| this.items(&nodes, ty));
        }
        self.list_of_one(node, ty)
    }
}

/// What stands between commas.
fn parts(text: &str) -> Vec<&str> {
    let mark = if text.contains(';') { ';' } else { ',' };
    text.split(mark)
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect()
}
