//! Comparing lists.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;

use super::json::canonical;
use super::text::{common_subsequence, f1, normalized};
use super::{Score, shown};
use crate::path::{NULL, Path};
use crate::unit::Unit;

/// The most items that a feedback names.
const NAMED: usize = 5;

/// F1 over the distinct items of two lists, in any order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SetF1 {
    pub(super) by: By,
}

/// F1 over the items of two lists, each as often as it occurs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListF1 {
    pub(super) by: By,
    /// Whether the order counts.
    pub(super) ordered: bool,
}

/// What of an item is compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct By {
    /// The place in an object that identifies it; all of it otherwise.
    pub(super) key: Option<Path>,
    /// Whether texts are normalized.
    pub(super) normalize: bool,
}

impl By {
    fn of(&self, item: &Value) -> String {
        let value = self.key.as_ref().map_or(item, |key| key.get(item));
        match value {
            Value::String(text) if self.normalize => canonical(&Value::String(normalized(text))),
            value => canonical(value),
        }
    }

    fn all(&self, value: &Value) -> Vec<String> {
        items(value).iter().map(|item| self.of(item)).collect()
    }
}

impl SetF1 {
    pub(super) fn score(&self, expected: &Value, actual: &Value) -> Score {
        let expected: BTreeSet<String> = self.by.all(expected).into_iter().collect();
        let actual: BTreeSet<String> = self.by.all(actual).into_iter().collect();
        let value = f1(
            expected.intersection(&actual).count(),
            expected.len(),
            actual.len(),
        );
        difference(
            value,
            expected.difference(&actual),
            actual.difference(&expected),
        )
    }
}

impl ListF1 {
    pub(super) fn score(&self, expected: &Value, actual: &Value) -> Score {
        let (expected, actual) = (self.by.all(expected), self.by.all(actual));
        let mut left: BTreeMap<&String, usize> = BTreeMap::new();
        for item in &expected {
            *left.entry(item).or_default() += 1;
        }
        let mut extra = Vec::new();
        for item in &actual {
            match left.get_mut(item).filter(|count| **count > 0) {
                Some(count) => *count -= 1,
                None => extra.push(item),
            }
        }
        let missing: Vec<&String> = left
            .into_iter()
            .flat_map(|(item, count)| std::iter::repeat_n(item, count))
            .collect();
        let common = if self.ordered {
            common_subsequence(&expected, &actual)
        } else {
            actual.len() - extra.len()
        };
        let value = f1(common, expected.len(), actual.len());
        if value < Unit::ONE && missing.is_empty() && extra.is_empty() {
            return Score::with_feedback(value, "the items are in another order");
        }
        difference(value, missing, extra)
    }
}

/// The items of a list; nothing is an empty list, anything else a list of one.
fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        Value::Null => &[],
        _ => std::slice::from_ref(value),
    }
}

fn difference<'a>(
    value: Unit,
    missing: impl IntoIterator<Item = &'a String>,
    extra: impl IntoIterator<Item = &'a String>,
) -> Score {
    if value == Unit::ONE {
        return Score::perfect();
    }
    let texts = [named("missing", missing), named("not expected", extra)];
    let texts: Vec<String> = texts.into_iter().flatten().collect();
    Score::with_feedback(value, texts.join(", "))
}

fn named<'a>(what: &str, items: impl IntoIterator<Item = &'a String>) -> Option<String> {
    let mut items: VecDeque<&String> = items.into_iter().collect();
    if items.is_empty() {
        return None;
    }
    let more = items.len().saturating_sub(NAMED);
    items.truncate(NAMED);
    let names: Vec<String> = items
        .iter()
        // They are canonical JSON, so they can be read.
        .map(|item| shown(&serde_json::from_str(item).unwrap_or(NULL.clone())))
        .collect();
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    Some(format!("{what}: {}{more}", names.join(", ")))
}
