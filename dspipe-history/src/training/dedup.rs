//! Finds examples that are there already, exactly or nearly.
//!
//! Near ones are found by MinHash with banding (Broder 1997; Leskovec, Rajaraman and Ullman, *Mining of
//! Massive Datasets*, chapter 3) and confirmed by comparing the sets of words. The bands are chosen so that a
//! pair at the threshold is missed once in a million.

use std::collections::HashMap;

use super::Example;
use super::tokens::{Tokens, content_hash, mix};

/// How often a pair at the threshold may be missed.
const MISSED: f64 = 1e-6;

/// The most bands: below a similarity of about 0.1, more pairs are missed.
const MOST_BANDS: usize = 128;

/// What became of an example that was offered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kept {
    /// It is new.
    New,
    /// An example with the same inputs was kept before.
    Exact {
        /// The position of that one among the kept.
        of: usize,
    },
    /// An example with nearly the same inputs was kept before.
    Near {
        /// The position of that one among the kept.
        of: usize,
        /// How similar they are.
        similarity: f64,
    },
}

/// Keeps the first of examples with the same, or nearly the same, inputs.
#[derive(Debug)]
pub struct Deduplicator {
    exact: HashMap<u64, usize>,
    near: Option<NearIndex>,
    kept: usize,
}

impl Deduplicator {
    /// `threshold` is the similarity (see [`Tokens::similarity`]) from which on inputs are nearly the same;
    /// `None` looks for equal ones only.
    pub fn new(threshold: Option<f64>) -> Self {
        Self {
            exact: HashMap::new(),
            near: threshold.map(NearIndex::new),
            kept: 0,
        }
    }

    /// Keeps an example, if it is new.
    pub fn keep(&mut self, example: &Example) -> Kept {
        let hash = content_hash(&example.inputs);
        if let Some(&of) = self.exact.get(&hash) {
            return Kept::Exact { of };
        }
        if let Some(near) = &mut self.near {
            let tokens = Tokens::of(&example.inputs);
            if let Some((of, similarity)) = near.closest(&tokens) {
                return Kept::Near { of, similarity };
            }
            near.insert(tokens);
        }
        self.exact.insert(hash, self.kept);
        self.kept += 1;
        Kept::New
    }
}

/// Sets of words, found by their likes.
#[derive(Debug)]
pub(super) struct NearIndex {
    threshold: f64,
    rows: usize,
    bands: usize,
    /// Per band and its hash, the last set that has it.
    heads: HashMap<(usize, u64), usize>,
    /// Per set and band, the set before it with the same hash.
    before: Vec<Option<usize>>,
    sets: Vec<Tokens>,
}

impl NearIndex {
    pub(super) fn new(threshold: f64) -> Self {
        let threshold = threshold.clamp(0.0, 1.0);
        let rows = match threshold {
            t if t >= 0.7 => 4,
            t if t >= 0.4 => 2,
            _ => 1,
        };
        let mut bands = 1;
        let mut missed = 1.0 - threshold.powi(rows);
        let miss_of_one = missed;
        while missed > MISSED && bands < MOST_BANDS {
            bands += 1;
            missed *= miss_of_one;
        }
        Self {
            threshold,
            rows: rows.unsigned_abs() as usize,
            bands,
            heads: HashMap::new(),
            before: Vec::new(),
            sets: Vec::new(),
        }
    }

    /// The most similar of the sets that reach the threshold; of equally similar ones, the first.
    pub(super) fn closest(&self, tokens: &Tokens) -> Option<(usize, f64)> {
        let mut seen = std::collections::HashSet::new();
        let mut best: Option<(usize, f64)> = None;
        for (band, hash) in self.hashes(tokens).into_iter().enumerate() {
            let mut next = self.heads.get(&(band, hash)).copied();
            while let Some(index) = next {
                if seen.insert(index) {
                    let similarity = tokens.similarity(&self.sets[index]);
                    let better = best.is_none_or(|(of, most)| {
                        similarity > most || (similarity >= most && index < of)
                    });
                    if similarity >= self.threshold && better {
                        best = Some((index, similarity));
                    }
                }
                next = self.before[index * self.bands + band];
            }
        }
        best
    }

    pub(super) fn insert(&mut self, tokens: Tokens) {
        let index = self.sets.len();
        for (band, hash) in self.hashes(&tokens).into_iter().enumerate() {
            self.before.push(self.heads.insert((band, hash), index));
        }
        self.sets.push(tokens);
    }

    /// Per band, a hash of its rows: each row is the smallest hash of any word under one permutation.
    fn hashes(&self, tokens: &Tokens) -> Vec<u64> {
        let mut smallest = vec![u64::MAX; self.rows * self.bands];
        for token in tokens.iter() {
            for (permutation, smallest) in smallest.iter_mut().enumerate() {
                let salt = (permutation as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                *smallest = (*smallest).min(mix(u64::from(token) ^ salt));
            }
        }
        smallest
            .chunks(self.rows)
            .map(|rows| rows.iter().fold(0, |hash, row| mix(hash ^ row)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::test_support::example;

    fn text(text: &str) -> Example {
        example(json!({"text": text}), json!({}))
    }

    #[test]
    fn equal_and_similar_inputs_are_kept_once() {
        let mut kept = Deduplicator::new(Some(0.8));
        let words = "one two three four five six seven eight nine ten";
        assert_eq!(kept.keep(&text(words)), Kept::New);
        assert_eq!(kept.keep(&text(words)), Kept::Exact { of: 0 });
        assert_eq!(kept.keep(&text("something else")), Kept::New);
        assert_eq!(
            kept.keep(&text(&words.to_uppercase())),
            Kept::Near {
                of: 0,
                similarity: 1.0
            }
        );
        let changed = words.replace("ten", "zehn");
        assert!(matches!(
            kept.keep(&text(&changed)),
            Kept::Near { of: 0, .. }
        ));
        let mut exact = Deduplicator::new(None);
        assert_eq!(exact.keep(&text(words)), Kept::New);
        assert_eq!(exact.keep(&text(&changed)), Kept::New);
    }

    #[test]
    fn empty_inputs_are_all_the_same() {
        let mut kept = Deduplicator::new(Some(0.9));
        assert_eq!(kept.keep(&text("")), Kept::New);
        assert!(matches!(kept.keep(&text(" ?")), Kept::Near { of: 0, .. }));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_kept_is_apart_and_what_is_not_has_its_like(
            texts in prop::collection::vec("([a-f]{1,2} ){1,8}", 1..60),
            threshold in 0.3..0.95,
        ) {
            let mut deduplicator = Deduplicator::new(Some(threshold));
            let mut kept: Vec<Tokens> = Vec::new();
            for text in texts {
                let example = example(json!({"text": text}), json!({}));
                let tokens = Tokens::of(&example.inputs);
                let closest = kept
                    .iter()
                    .map(|other| tokens.similarity(other))
                    .fold(0.0, f64::max);
                match deduplicator.keep(&example) {
                    Kept::New => {
                        prop_assert!(closest < threshold, "{closest} {threshold}");
                        kept.push(tokens);
                    }
                    Kept::Exact { of } => {
                        prop_assert!(tokens.similarity(&kept[of]) >= 1.0);
                    }
                    Kept::Near { of, similarity } => {
                        prop_assert!(similarity >= threshold);
                        prop_assert_eq!(similarity.to_bits(), closest.to_bits());
                        prop_assert_eq!(similarity.to_bits(), tokens.similarity(&kept[of]).to_bits());
                    }
                }
            }
        }
    }
}
