//! Comparing texts.

use std::collections::HashMap;

use regex::Regex;
use std::sync::LazyLock;
use unicode_normalization::UnicodeNormalization;

use crate::unit::Unit;

/// A text as `SQuAD`'s evaluation compares it (Rajpurkar et al. 2016, as DSPy's `normalize_text` has it):
/// decomposed (NFD), in lower case, without ASCII punctuation, without the words a, an and the, with
/// single spaces.
pub(super) fn normalized(text: &str) -> String {
    #[expect(
        clippy::unwrap_used,
        reason = "a constant pattern, which a test compiles"
    )]
    static ARTICLES: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b(a|an|the)\b").unwrap());
    let plain: String = text
        .nfd()
        .collect::<String>()
        .to_lowercase()
        .chars()
        .filter(|c| !c.is_ascii_punctuation())
        .collect();
    let text = ARTICLES.replace_all(&plain, " ");
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

/// F1 over the words of the normalized texts, each counted as often as it occurs. If either text has no
/// words: 1 if the other has none too, else 0, as in `SQuAD` 2.0's evaluation. (DSPy gives 0 to two empty
/// texts.)
pub(super) fn token_f1(expected: &str, actual: &str) -> Unit {
    let (expected, actual) = (normalized(expected), normalized(actual));
    let expected: Vec<&str> = expected.split_whitespace().collect();
    let actual: Vec<&str> = actual.split_whitespace().collect();
    let mut left: HashMap<&str, usize> = HashMap::new();
    for word in &expected {
        *left.entry(word).or_default() += 1;
    }
    let mut common = 0;
    for word in &actual {
        if let Some(count) = left.get_mut(word).filter(|count| **count > 0) {
            *count -= 1;
            common += 1;
        }
    }
    f1(common, expected.len(), actual.len())
}

/// ROUGE-L (Lin 2004) with equal weight for precision and recall: F1 over the longest common subsequence
/// of words. Words are runs of letters and digits, in lower case. Without words as [`token_f1`].
pub(super) fn rouge_l(expected: &str, actual: &str) -> Unit {
    let (expected, actual) = (words(expected), words(actual));
    f1(
        common_subsequence(&expected, &actual),
        expected.len(),
        actual.len(),
    )
}

/// 1 - (Levenshtein distance / characters of the longer text).
pub(super) fn edit(expected: &str, actual: &str) -> Unit {
    Unit::clamped(strsim::normalized_levenshtein(expected, actual))
}

/// 2 · common / (expected + actual); 1 where there is nothing on either side.
pub(super) fn f1(common: usize, expected: usize, actual: usize) -> Unit {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    match expected + actual {
        0 => Unit::ONE,
        all => Unit::clamped(2.0 * common as f64 / all as f64),
    }
}

fn words(text: &str) -> Vec<String> {
    text.to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The length of the longest common subsequence, in the memory of one row.
pub(super) fn common_subsequence<T: PartialEq>(a: &[T], b: &[T]) -> usize {
    let mut row = vec![0_usize; b.len() + 1];
    for left in a {
        let mut diagonal = 0;
        for (at, right) in b.iter().enumerate() {
            let above = row[at + 1];
            row[at + 1] = if left == right {
                diagonal + 1
            } else {
                above.max(row[at])
            };
            diagonal = above;
        }
    }
    row[b.len()]
}
