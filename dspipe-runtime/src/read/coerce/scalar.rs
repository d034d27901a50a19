//! Numbers, booleans and texts.

use std::borrow::Cow;

use serde_json::{Number, Value};

use super::{Coercer, shown_whole};
use crate::read::error::Kind;
use crate::read::fold;
use crate::read::number::{self, Reading};
use crate::read::repair::RepairKind;
use crate::read::schema::{NumberType, TextType};
use crate::read::tree::{Form, Node, NodeKind, Text};

impl Coercer<'_> {
    pub(super) fn number(&mut self, node: &Node, ty: &NumberType) -> Option<Value> {
        let expected = Cow::Borrowed(
            if ty.integer {
                Kind::Integer
            } else {
                Kind::Number
            }
            .text(),
        );
        let number = match &node.kind {
            NodeKind::Number(number, _) => number.clone(),
            // Digits that were cut off may be missing.
            NodeKind::Text(text) if text.cut => return self.wrong(expected, node),
            NodeKind::Text(text) if self.in_list() && number::is_spaced(text) => {
                // One number, or several without commas.
                let all = text.text.split_whitespace().collect::<String>();
                let first = text.text.split_whitespace().take(1).collect();
                return self.ambiguous(vec![all, first]);
            }
            NodeKind::Text(text) if !self.strict => match number::read(&text.text, ty) {
                Reading::One(number) => {
                    self.repair(
                        RepairKind::Number,
                        node,
                        format!("{number} for {}", quoted(&text.text)),
                    );
                    number
                }
                Reading::Either(one, other) => {
                    return self.ambiguous(vec![one.to_string(), other.to_string()]);
                }
                Reading::No => return self.wrong(expected, node),
            },
            NodeKind::List(items) if !self.strict && items.len() == 1 => {
                self.repair(RepairKind::Single, node, "the one item of the list");
                return self.liberty(|this| this.number(&items[0], ty));
            }
            _ => return self.wrong(expected, node),
        };
        if ty.integer && !is_exact(&number) {
            return self.wrong(expected, node);
        }
        self.check_number(&number, ty);
        if ty.integer && !self.strict {
            return Some(Value::Number(number::whole(number)));
        }
        Some(Value::Number(number))
    }

    pub(super) fn boolean(&mut self, node: &Node) -> Option<Value> {
        let value = match &node.kind {
            NodeKind::Boolean(value) => return Some(Value::Bool(*value)),
            _ if self.strict => None,
            NodeKind::Number(number, _) => match number.as_f64() {
                Some(0.0) => Some(false),
                Some(1.0) => Some(true),
                _ => None,
            },
            NodeKind::Text(text) => match said(&text.text) {
                (true, true) => return self.ambiguous(vec!["true".to_owned(), "false".to_owned()]),
                (true, false) => Some(true),
                (false, true) => Some(false),
                (false, false) => None,
            },
            NodeKind::List(items) if items.len() == 1 => {
                self.repair(RepairKind::Single, node, "the one item of the list");
                return self.liberty(|this| this.boolean(&items[0]));
            }
            _ => None,
        };
        match value {
            Some(value) => {
                let found = shown_whole(&node.to_value());
                self.repair(RepairKind::Boolean, node, format!("{value} for {found}"));
                Some(Value::Bool(value))
            }
            None => self.wrong(Cow::Borrowed(Kind::Boolean.text()), node),
        }
    }

    /// What stands in the reply for an object, if its place is known.
    fn written(&self, node: &Node) -> Option<String> {
        let text = self.reply.get(node.span.clone())?;
        (self.levels == 0 && text.starts_with('{') && text.ends_with('}')).then(|| text.to_owned())
    }

    pub(super) fn text(&mut self, node: &Node, ty: &TextType) -> Option<Value> {
        let text = match &node.kind {
            NodeKind::Text(text) => plain_text(text),
            _ if self.strict => return self.wrong(Cow::Borrowed(Kind::String.text()), node),
            NodeKind::Number(number, written) => {
                let text = written
                    .as_deref()
                    .map_or_else(|| number.to_string(), str::to_owned);
                self.repair(RepairKind::Text, node, format!("the text of {text}"));
                text
            }
            // `t` was cut off, and may have been on its way to anything.
            NodeKind::Boolean(_) if node.span.len() < "true".len() => {
                return self.wrong(Cow::Borrowed(Kind::String.text()), node);
            }
            NodeKind::Boolean(value) => {
                self.repair(RepairKind::Text, node, format!("the text of {value}"));
                value.to_string()
            }
            NodeKind::List(items) if items.len() == 1 => {
                self.repair(RepairKind::Single, node, "the one item of the list");
                return self.liberty(|this| this.text(&items[0], ty));
            }
            NodeKind::Object(_) if is_loose(node) => {
                let Some(text) = self.written(node) else {
                    return self.wrong(Cow::Borrowed(Kind::String.text()), node);
                };
                self.repair(RepairKind::Text, node, "as it stands in the reply");
                text
            }
            _ => return self.wrong(Cow::Borrowed(Kind::String.text()), node),
        };
        self.check_text(&text, ty);
        Some(Value::String(text))
    }
}

/// Whether what looks like an object is a text with braces: `{title: string, onClick: () => void}`. None of its values
/// is one of JSON.
fn is_loose(node: &Node) -> bool {
    match &node.kind {
        NodeKind::Object(entries) => {
            !node.cut && !entries.is_empty() && entries.iter().all(|entry| is_loose(&entry.node))
        }
        NodeKind::Text(text) => text.form == Form::Bare && !text.cut,
        _ => false,
    }
}

/// What is between the first and the last line of a text that is one fence.
pub(in crate::read) fn unfenced(text: &str) -> &str {
    let fenced = || {
        let inner = text.strip_prefix("```")?.strip_suffix("```")?;
        let Some((label, inner)) = inner.split_once('\n') else {
            // On one line, only JSON is told from its label.
            let json = &inner[inner.find(['{', '['])?..];
            let label = &inner[..inner.len() - json.len()];
            let is_label = label.trim_end().chars().all(char::is_alphanumeric);
            return (is_label && !json.contains("```")).then(|| json.trim_end());
        };
        let one = !inner.contains("```") && !label.trim().contains(' ');
        one.then(|| inner.trim_end_matches(['\n', '\r']))
    };
    fenced().unwrap_or(text)
}

/// Whether an integer is held exactly.
fn is_exact(number: &Number) -> bool {
    number.is_i64()
        || number.is_u64()
        || number
            .as_f64()
            .is_some_and(|value| value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0)
}

fn quoted(text: &str) -> String {
    shown_whole(&Value::from(text.trim()))
}

/// Whether a text says true, and whether it says false.
fn said(text: &str) -> (bool, bool) {
    let text = text.trim();
    match text {
        // As minified JavaScript has it.
        "!0" => return (true, false),
        "!1" => return (false, true),
        _ => {}
    }
    match fold::fold(text).as_str() {
        "true" | "yes" | "y" | "on" | "t" | "1" | "ja" | "oui" | "si" => return (true, false),
        "false" | "no" | "n" | "off" | "f" | "0" | "nein" | "non" => return (false, true),
        _ => {}
    }
    if matches!(text, "✓" | "✔" | "✅" | "☑") {
        return (true, false);
    }
    if matches!(text, "✗" | "✘" | "❌" | "☐") {
        return (false, true);
    }
    let words = fold::words(text);
    let says = |which: &str| words.iter().any(|(word, _)| word == which);
    if says("yes") && says("no") {
        return (true, true);
    }
    let mut yes = false;
    let mut no = false;
    for (index, (word, range)) in words.iter().enumerate() {
        let (is_yes, is_no) = match word.as_str() {
            "true" | "yes" if word == "true" || index > 0 => (true, false),
            "false" => (false, true),
            // As an answer in front, not as a part of the sentence.
            "no" if index > 0 && index + 1 == words.len() => (false, true),
            "yes" | "no" if index == 0 => {
                let alone = super::choice::stands_alone(&text[range.end..]);
                (word == "yes" && alone, word == "no" && alone)
            }
            _ => continue,
        };
        if !(is_yes || is_no) {
            continue;
        }
        if super::choice::is_negated(text, &words, index) {
            // `not true`: neither is certain.
            return (false, false);
        }
        yes |= is_yes;
        no |= is_no;
    }
    (yes, no)
}

/// A text without what only shows where it begins and ends.
fn plain_text(text: &Text) -> String {
    if text.form == Form::Block {
        let inner = unfenced(text.text.trim());
        if inner.starts_with('"')
            && let Ok(inner) = serde_json::from_str::<String>(inner)
        {
            return inner;
        }
        // YAML doubles the marks inside.
        if let Some(between) = inner
            .strip_prefix('\'')
            .and_then(|rest| rest.strip_suffix('\''))
            && between.contains("''")
        {
            let single = between.replace("''", "\u{0}");
            if !single.contains('\'') && !between.contains('\u{0}') {
                return single.replace('\u{0}', "'");
            }
        }
        for (open, close) in [
            ('"', '"'),
            ('\'', '\''),
            ('`', '`'),
            ('“', '”'),
            ('‘', '’'),
            ('«', '»'),
            ('「', '」'),
        ] {
            let between = inner
                .strip_prefix(open)
                .and_then(|rest| rest.strip_suffix(close));
            if let Some(between) = between.filter(|between| !between.contains([open, close])) {
                return between.to_owned();
            }
        }
        return inner.to_owned();
    }
    text.text.clone()
}
