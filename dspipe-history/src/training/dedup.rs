//! Finds examples that are there already, exactly or nearly.
//!
//! Near ones are found by prefix filtering (Chaudhuri, Ganti and Kaushik 2006; Bayardo, Ma and Srikant 2007):
//! two sets that are similar enough have one of their rarest words in common, so only sets that do are
//! compared. No pair is missed. Which words are rare is looked at again whenever the number of sets has
//! doubled.

use std::collections::{HashMap, HashSet};

use super::Example;
use super::tokens::{Tokens, content_hash, ratio};

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
    sets: Vec<Tokens>,
    /// How many sets have a word.
    counts: HashMap<u32, usize>,
    /// The same, when the index was built last: it decides which words are rare.
    rarity: HashMap<u32, usize>,
    /// By each of its rare words, the sets.
    by_word: HashMap<u32, Vec<usize>>,
    /// The first set without words.
    empty: Option<usize>,
    /// Sets when the index was built last.
    built: usize,
}

impl NearIndex {
    pub(super) fn new(threshold: f64) -> Self {
        Self {
            threshold: threshold.clamp(0.0, 1.0),
            sets: Vec::new(),
            counts: HashMap::new(),
            rarity: HashMap::new(),
            by_word: HashMap::new(),
            empty: None,
            built: 0,
        }
    }

    /// The most similar of the sets that reach the threshold; of equally similar ones, the first. Sets
    /// without a common word are never similar.
    pub(super) fn closest(&self, tokens: &Tokens) -> Option<(usize, f64)> {
        if tokens.len() == 0 {
            return self.empty.map(|index| (index, 1.0));
        }
        let mut seen = HashSet::new();
        let mut best: Option<(usize, f64)> = None;
        for word in self.rare_words(tokens) {
            for &index in self.by_word.get(&word).into_iter().flatten() {
                let Some(other) = self.sets.get(index) else {
                    continue;
                };
                // Even if the smaller set were a part of the larger one.
                let most = ratio(tokens.len().min(other.len()), tokens.len().max(other.len()));
                if most < self.threshold || !seen.insert(index) {
                    continue;
                }
                let similarity = tokens.similarity(other);
                let better = best.is_none_or(|(of, most)| {
                    similarity > most || (similarity >= most && index < of)
                });
                if similarity >= self.threshold && better {
                    best = Some((index, similarity));
                }
            }
        }
        best
    }

    pub(super) fn insert(&mut self, tokens: Tokens) {
        let index = self.sets.len();
        if tokens.len() == 0 {
            self.empty.get_or_insert(index);
        }
        for word in tokens.iter() {
            *self.counts.entry(word).or_default() += 1;
        }
        self.sets.push(tokens);
        if self.sets.len() >= 2 * self.built.max(1) {
            self.built = self.sets.len();
            self.rarity = self.counts.clone();
            self.by_word.clear();
            for index in 0..self.sets.len() {
                self.list(index);
            }
        } else {
            self.list(index);
        }
    }

    fn list(&mut self, index: usize) {
        let words = self.sets.get(index).map(|tokens| self.rare_words(tokens));
        for word in words.into_iter().flatten() {
            self.by_word.entry(word).or_default().push(index);
        }
    }

    /// The rarest words of a set, so many that any set that is similar enough has one of them among its own:
    /// all but as many as they must have in common, and one.
    fn rare_words(&self, tokens: &Tokens) -> Vec<u32> {
        let mut words: Vec<u32> = tokens.iter().collect();
        words.sort_unstable_by_key(|word| (self.rarity.get(word).copied().unwrap_or(0), *word));
        let common = words
            .iter()
            .enumerate()
            // Rounding may ask for one word more than needed, never for one less.
            .take_while(|(index, _)| ratio(index + 1, words.len()) < self.threshold - 1e-9)
            .count();
        words.truncate(words.len() - common);
        words
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
            threshold in 0.01..1.0,
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
