//! What examples are compared by: the sets of words in their values.

use std::cmp::Ordering;

use serde_json::{Map, Value};

/// Scripts without spaces begin here: each of their characters is a word.
const FIRST_WITHOUT_SPACES: char = '\u{2e80}';

/// The distinct words of some values, as hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens(Box<[u32]>);

impl Tokens {
    /// The words of all texts in the fields, without regard to case and punctuation. Other values count
    /// with their key, as in `age=3`.
    pub fn of(fields: &Map<String, Value>) -> Self {
        let mut tokens = Vec::new();
        for (key, value) in fields {
            add(key, value, &mut tokens);
        }
        tokens.sort_unstable();
        tokens.dedup();
        Self(tokens.into())
    }

    /// How much two sets have in common, from 0 to 1: the size of their intersection by that of their union
    /// (Jaccard). Two empty sets are the same.
    pub fn similarity(&self, other: &Self) -> f64 {
        let (mut a, mut b, mut common) = (0, 0, 0_usize);
        while let (Some(x), Some(y)) = (self.0.get(a), other.0.get(b)) {
            match x.cmp(y) {
                Ordering::Less => a += 1,
                Ordering::Greater => b += 1,
                Ordering::Equal => {
                    (a, b, common) = (a + 1, b + 1, common + 1);
                }
            }
        }
        let all = self.0.len() + other.0.len() - common;
        if all == 0 { 1.0 } else { ratio(common, all) }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().copied()
    }
}

/// A quotient of counts.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of examples and words are small"
)]
pub(super) fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

fn add(key: &str, value: &Value, tokens: &mut Vec<u32>) {
    match value {
        Value::String(text) => words(text, tokens),
        Value::Array(items) => items.iter().for_each(|item| add(key, item, tokens)),
        Value::Object(fields) => {
            for (key, value) in fields {
                add(key, value, tokens);
            }
        }
        other => tokens.push(short(hash(format!("{key}={other}").bytes()))),
    }
}

fn words(text: &str, tokens: &mut Vec<u32>) {
    for word in text.split(|c: char| !c.is_alphanumeric()) {
        let mut rest = String::new();
        for c in word.chars().flat_map(char::to_lowercase) {
            if c >= FIRST_WITHOUT_SPACES {
                let mut buffer = [0; 4];
                tokens.push(short(hash(c.encode_utf8(&mut buffer).bytes())));
            } else {
                rest.push(c);
            }
        }
        if !rest.is_empty() {
            tokens.push(short(hash(rest.bytes())));
        }
    }
}

/// FNV-1a, mixed: the same on every machine and in every version.
pub(super) fn hash(bytes: impl IntoIterator<Item = u8>) -> u64 {
    let hash = bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    mix(hash)
}

/// Spreads the bits of a number (the finalizer of `SplitMix64`).
pub(super) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

fn short(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// A hash of fields and values that does not depend on the order of keys.
pub(super) fn content_hash(fields: &Map<String, Value>) -> u64 {
    let mut text = String::new();
    canonical_object(fields, &mut text);
    let mut hash = crate::fingerprint::Hash::default();
    hash.part(&text);
    hash.number()
}

fn canonical_object(fields: &Map<String, Value>, text: &mut String) {
    let mut sorted: Vec<_> = fields.iter().collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    text.push('{');
    for (key, value) in sorted {
        text.push_str(&Value::from(key.as_str()).to_string());
        text.push(':');
        canonical(value, text);
        text.push(',');
    }
    text.push('}');
}

fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => canonical_object(fields, text),
        Value::Array(items) => {
            text.push('[');
            for item in items {
                canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::test_support::object;

    fn tokens(value: Value) -> Tokens {
        Tokens::of(&object(value))
    }

    #[test]
    fn case_and_punctuation_do_not_matter_but_numbers_do() {
        let a = tokens(json!({"text": "Where is my parcel?", "age": 3}));
        let b = tokens(json!({"text": ["where", "IS, my parcel"], "age": 3}));
        assert_eq!(a, b);
        let c = tokens(json!({"text": "Where is my parcel?", "age": 4}));
        assert_eq!(a.similarity(&c).to_bits(), (4.0_f64 / 6.0).to_bits());
    }

    #[test]
    fn scripts_without_spaces_have_words_too() {
        let a = tokens(json!({"text": "我的包裹在哪里"}));
        let b = tokens(json!({"text": "我的包裹呢"}));
        let similarity = a.similarity(&b);
        assert!(similarity > 0.4 && similarity < 1.0, "{similarity}");
    }

    #[test]
    fn the_order_of_keys_does_not_change_the_hash() {
        let a = object(json!({"a": 1, "b": {"c": [1, 2], "d": null}}));
        let b = object(json!({"b": {"d": null, "c": [1, 2]}, "a": 1}));
        assert_eq!(content_hash(&a), content_hash(&b));
        let c = object(json!({"b": {"d": null, "c": [2, 1]}, "a": 1}));
        assert_ne!(content_hash(&a), content_hash(&c));
    }

    #[test]
    fn hashes_stay_the_same_between_versions() {
        // Splits depend on it.
        let fields = object(json!({"ticket": "It burns"}));
        assert_eq!(
            format!("{:016x}", content_hash(&fields)),
            "01efdf1c425d8e86"
        );
    }
}
