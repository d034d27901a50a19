//! One of a fixed set of values, however it is written.

use std::borrow::Cow;

use serde_json::Value;

use super::{Coercer, shown_node, shown_whole};
use crate::read::error::FieldErrorKind;
use crate::read::fold::{fold, is_slip, words};
use crate::read::number::{self, Reading};
use crate::read::repair::RepairKind;
use crate::read::schema::{Choice, NumberType};
use crate::read::tree::{Node, NodeKind};

/// What was found.
enum Found<'c> {
    One(&'c Value),
    Several(Vec<&'c Value>),
    None,
}

impl Coercer<'_> {
    pub(super) fn choice(&mut self, node: &Node, choices: &[Choice]) -> Option<Value> {
        let plain = node.to_value();
        let exact = choices.iter().find(|choice| is_same(&choice.value, &plain));
        if let NodeKind::Text(text) = &node.kind
            && text.cut
            && !self.strict
        {
            // `very` may have been on its way to `very high`.
            let longer: Vec<&Value> = choices
                .iter()
                .map(|choice| &choice.value)
                .filter(|value| {
                    value
                        .as_str()
                        .is_some_and(|choice| choice.starts_with(&text.text))
                })
                .collect();
            if exact.is_some() && longer.len() > 1 {
                return self.ambiguous(longer.into_iter().map(shown_whole).collect());
            }
        }
        if let Some(exact) = exact {
            // A number that is the same may be written otherwise.
            return Some(if self.strict {
                plain
            } else {
                exact.value.clone()
            });
        }
        if self.strict {
            return self.no_choice(node, choices);
        }
        let text = match &node.kind {
            NodeKind::Text(text) => text.text.trim().to_owned(),
            NodeKind::Number(number, _) => number.to_string(),
            NodeKind::Boolean(_) | NodeKind::Null => plain.to_string(),
            NodeKind::List(items) if items.len() == 1 => {
                self.repair(RepairKind::Single, node, "the one item of the list");
                return self.liberty(|this| this.choice(&items[0], choices));
            }
            _ => return self.no_choice(node, choices),
        };
        match find(&text, choices) {
            Found::One(value) => {
                let value = value.clone();
                self.repair(
                    RepairKind::Choice,
                    node,
                    format!("{} for {}", shown_whole(&value), shown_whole(&plain)),
                );
                Some(value)
            }
            Found::Several(values) => self.ambiguous(values.into_iter().map(shown_whole).collect()),
            Found::None => self.no_choice(node, choices),
        }
    }

    fn no_choice(&mut self, node: &Node, choices: &[Choice]) -> Option<Value> {
        let choices = choices.iter().map(|choice| match &choice.value {
            Value::String(text) => Cow::Owned(text.clone()),
            other => Cow::Owned(other.to_string()),
        });
        self.error(FieldErrorKind::NotOneOf {
            choices: choices.collect(),
            found: shown_node(node),
        });
        None
    }
}

/// Whether two values are the same in JSON Schema: 1 is 1.0.
fn is_same(choice: &Value, value: &Value) -> bool {
    match (choice, value) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64() == other.as_f64() && one.as_f64().is_some()
        }
        _ => choice == value,
    }
}

fn find<'c>(text: &str, choices: &'c [Choice]) -> Found<'c> {
    // The value itself, but for case, accents and punctuation; a boolean or a number that was written as a text.
    let folded = fold(text);
    if folded.is_empty() {
        return Found::None;
    }
    let by = |test: &dyn Fn(&Choice) -> bool| -> Vec<&'c Value> {
        let found = choices.iter().filter(|choice| test(choice));
        found.map(|choice| &choice.value).collect()
    };
    let same_case = by(&|choice| written(&choice.value).trim() == text);
    if let Some(found) = decided(same_case) {
        return found;
    }
    if let Some(found) = decided(by(&|choice| {
        is_textual(&choice.value, text) && fold(&written(&choice.value)) == folded
    })) {
        return found;
    }
    if let Some(found) = decided(by(&|choice| means(&choice.value, &folded))) {
        return found;
    }
    // What it is also called, alone or behind the value.
    let described = by(&|choice| {
        let value = fold(&written(&choice.value));
        let names: Vec<String> = choice.names.iter().map(|name| fold(name)).collect();
        let pair = |name: &String| {
            let rest = folded.strip_prefix(name.as_str());
            rest.is_some_and(|rest| rest == value || names.iter().any(|other| rest == other))
                || folded.strip_prefix(&value) == Some(name)
        };
        let mut names = names.iter().filter(|name| !name.is_empty());
        names.any(|name| *name == folded || pair(name))
    });
    if let Some(found) = decided(described) {
        return found;
    }
    let numeric = choices.iter().all(|choice| choice.value.is_number());
    if numeric && let Reading::One(number) = number::read(text, &NumberType::default()) {
        let number = Value::Number(number);
        if let Some(found) = decided(by(&|choice| is_same(&choice.value, &number))) {
            return found;
        }
    }
    match in_sentence(text, choices) {
        Found::None => {}
        found => return found,
    }
    decided(by(&|choice| {
        choice.value.is_string() && is_slip(&folded, &fold(&written(&choice.value)))
    }))
    .unwrap_or(Found::None)
}

/// The one that was found, or several; `None` if none was.
fn decided(mut values: Vec<&Value>) -> Option<Found<'_>> {
    match values.len() {
        0 => None,
        1 => values.pop().map(Found::One),
        _ => Some(Found::Several(values)),
    }
}

/// Folding takes the sign and the decimal point from numbers.
fn is_textual(choice: &Value, text: &str) -> bool {
    match choice {
        Value::Number(number) => {
            number.to_string() == text.trim_matches(['"', '\'', '*', '`', '.', ' '])
        }
        Value::String(choice) => {
            // `+1` and `-1`, `C` and `C++`: there, punctuation counts.
            let symbols = |text: &str| {
                text.chars()
                    .filter(|c| matches!(c, '+' | '#' | '<' | '>' | '='))
                    .count()
            };
            let signed = |text: &str| {
                text.trim().starts_with('-')
                    && text.trim()[1..].starts_with(|c: char| c.is_ascii_digit())
            };
            symbols(choice) == symbols(text) && signed(choice) == signed(text)
        }
        _ => true,
    }
}

/// `true` for `yes`, and the like.
fn means(choice: &Value, folded: &str) -> bool {
    let value = fold(&written(choice));
    matches!(
        (value.as_str(), folded),
        ("yes", "true") | ("no", "false") | ("true", "yes") | ("false", "no")
    )
}

fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The choices that are named in a sentence.
fn in_sentence<'c>(text: &str, choices: &'c [Choice]) -> Found<'c> {
    let spoken = words(text);
    let names: Vec<(usize, Vec<String>)> = choices
        .iter()
        .enumerate()
        .flat_map(|(index, choice)| {
            let names = choice.names.iter().cloned();
            let all = std::iter::once(written(&choice.value)).chain(names);
            all.map(move |name| {
                let name = words(&name).into_iter();
                (index, name.map(|(word, _)| word).collect())
            })
        })
        .collect();
    // Which were found, and whether as they are written in the schema.
    let mut found: Vec<(usize, bool)> = Vec::new();
    let mut at = 0;
    while at < spoken.len() {
        let mut longest: Option<(usize, usize)> = None;
        for (index, name) in &names {
            let length = matched(&spoken[at..], name);
            let written = &choices[*index].value;
            if length == 0
                || !is_meant(text, &spoken[at..at + length], written)
                || !is_answer(text, &spoken, at, written)
            {
                continue;
            }
            if longest.is_none_or(|(_, known)| length > known) {
                longest = Some((*index, length));
            }
        }
        match longest {
            Some((index, length)) => {
                if is_negated(text, &spoken, at) {
                    return Found::None;
                }
                let (first, last) = (&spoken[at].1, &spoken[at + length - 1].1);
                let exact = choices[index].value.as_str() == text.get(first.start..last.end);
                match found.iter_mut().find(|(known, _)| *known == index) {
                    Some((_, known)) => *known |= exact,
                    None => found.push((index, exact)),
                }
                at += length;
            }
            None => at += 1,
        }
    }
    // `TWO is one of them`: the other is a word of the sentence.
    let has_capitals = |index: usize| {
        let choice = choices[index].value.as_str();
        choice.is_some_and(|choice| choice.contains(char::is_uppercase))
    };
    let exact: Vec<usize> = found
        .iter()
        .filter(|(_, exact)| *exact)
        .map(|(index, _)| *index)
        .collect();
    if let [one] = exact[..]
        && found.iter().all(|(index, _)| has_capitals(*index))
    {
        return Found::One(&choices[one].value);
    }
    decided(
        found
            .into_iter()
            .map(|(index, _)| &choices[index].value)
            .collect(),
    )
    .unwrap_or(Found::None)
}

/// How many of the words a name takes, written together or apart; 0 if they do not begin with it.
fn matched(spoken: &[(String, std::ops::Range<usize>)], name: &[String]) -> usize {
    if name.is_empty() {
        return 0;
    }
    if spoken.len() >= name.len()
        && spoken
            .iter()
            .zip(name)
            .all(|((word, _), part)| word == part)
    {
        return name.len();
    }
    let whole = name.concat();
    let mut taken = String::new();
    for (count, (word, _)) in spoken.iter().enumerate().take(name.len().max(4)) {
        taken.push_str(word);
        if taken == whole && (count == 0 || name.len() == 1) {
            // `VeryHigh` for `very high`; `not spam` for `NotSpam`.
            return if count == 0 || has_humps(name) {
                count + 1
            } else {
                0
            };
        }
        if !whole.starts_with(&taken) {
            return 0;
        }
    }
    0
}

/// Whether a name may be several words written as one.
fn has_humps(name: &[String]) -> bool {
    name.iter().any(|part| part.len() > 5)
}

/// Whether `no` is an answer, and not a part of a sentence such as `no idea`.
fn is_answer(
    text: &str,
    spoken: &[(String, std::ops::Range<usize>)],
    at: usize,
    choice: &Value,
) -> bool {
    let is_no = choice.as_str().is_some_and(|choice| fold(choice) == "no");
    if !is_no || at + 1 == spoken.len() {
        return true;
    }
    at == 0
        && spoken
            .first()
            .is_some_and(|(_, range)| stands_alone(&text[range.end..]))
}

/// Whether what follows a word at the beginning shows that it is an answer of its own.
pub(super) fn stands_alone(after: &str) -> bool {
    let after = after.trim_start_matches(['*', '"', '\'', '`']);
    after.starts_with([',', '.', ':', ';', '!', '-', '–', '—', '\n', '('])
        || [" -", " –", " —", " ("]
            .iter()
            .any(|mark| after.starts_with(mark))
}

/// Whether words that are a choice stand for it: a single letter only as it is written, numbers only alone.
fn is_meant(text: &str, spoken: &[(String, std::ops::Range<usize>)], choice: &Value) -> bool {
    let (Some((_, first)), Some((_, last))) = (spoken.first(), spoken.last()) else {
        return false;
    };
    let here = &text[first.start..last.end];
    let before = text[..first.start].chars().next_back();
    let after = &text[last.end..];
    // `C` is not `C++`.
    let goes_on = |choice: &str| after.starts_with(['+', '#']) && !choice.ends_with(['+', '#']);
    match choice {
        Value::String(choice) if choice.chars().count() == 1 => {
            here == choice && !matches!(before, Some('\'' | '’')) && !goes_on(choice)
        }
        Value::Number(_) => {
            let decimal = after.starts_with(['.', ','])
                && after[1..].starts_with(|c: char| c.is_ascii_digit());
            !matches!(before, Some('.' | ',' | '-' | '−' | '/'))
                && !decimal
                && !after.starts_with('/')
        }
        Value::String(choice) => !goes_on(choice),
        _ => true,
    }
}

/// Whether the word at an index stands behind a word that turns it round.
pub(super) fn is_negated(
    text: &str,
    spoken: &[(String, std::ops::Range<usize>)],
    at: usize,
) -> bool {
    const NEGATIONS: [&str; 25] = [
        "not", "no", "non", "never", "neither", "nor", "without", "isn", "wasn", "aren", "don",
        "doesn", "didn", "cannot", "hardly", "isnt", "wasnt", "arent", "doesnt", "nicht", "kein",
        "keine", "pas", "than", "except",
    ];
    let Some((_, range)) = spoken.get(at) else {
        return false;
    };
    let mut end = range.start;
    // Articles and adverbs may stand between, but no other clause.
    for (word, range) in spoken[..at].iter().rev().take(4) {
        if text[range.end..end].contains([',', '.', ';', ':', '!', '?', '\n', '—']) {
            return false;
        }
        if NEGATIONS.contains(&word.as_str()) {
            return true;
        }
        let passes = matches!(
            word.as_str(),
            "a" | "an"
                | "the"
                | "really"
                | "very"
                | "quite"
                | "t"
                | "be"
                | "at"
                | "all"
                | "is"
                | "to"
                | "considered"
                | "necessarily"
                | "entirely"
                | "just"
        );
        if !passes {
            return false;
        }
        end = range.start;
    }
    false
}
