//! Numbers that are written in English words: `forty-two`, `one hundred and five`.

use crate::read::fold;

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];

const TENS: [&str; 8] = [
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];

/// Longer texts are no numbers.
const LONGEST: usize = 120;

/// The whole number that a text is, if it is nothing else.
pub(super) fn number(text: &str) -> Option<i64> {
    if text.len() > LONGEST {
        return None;
    }
    let words = fold::words(text);
    if words.is_empty() || text.contains([',', '.', '/', ';']) {
        return None;
    }
    let mut total = 0_i64;
    // Below the next thousand, and what a further thousand must be below.
    let mut group = 0_i64;
    let mut below = i64::MAX;
    for (index, (word, _)) in words.iter().enumerate() {
        if let Some(value) = position(&SMALL, word) {
            let fits = match value {
                0 => words.len() == 1,
                1..=9 => group % 10 == 0 && group % 100 != 10,
                _ => group % 100 == 0,
            };
            if !fits {
                return None;
            }
            group += value;
        } else if let Some(tens) = position(&TENS, word) {
            if group % 100 != 0 {
                return None;
            }
            group += (tens + 2) * 10;
        } else if word == "hundred" {
            if !(1..=99).contains(&group) {
                return None;
            }
            group *= 100;
        } else if let Some(scale) = scale(word) {
            if group == 0 || scale >= below {
                return None;
            }
            total = total.checked_add(group.checked_mul(scale)?)?;
            below = scale;
            group = 0;
        } else if word == "a" && index == 0 {
            let next = words.get(1).map(|(word, _)| word.as_str())?;
            if next != "hundred" && scale(next).is_none() {
                return None;
            }
            group = 1;
        } else if word == "and" {
            let is_last = index + 1 == words.len();
            if is_last || group % 100 != 0 || group + total == 0 {
                return None;
            }
        } else {
            return None;
        }
    }
    total.checked_add(group)
}

fn scale(word: &str) -> Option<i64> {
    Some(match word {
        "thousand" => 1_000,
        "million" => 1_000_000,
        "billion" => 1_000_000_000,
        _ => return None,
    })
}

fn position(words: &[&str], word: &str) -> Option<i64> {
    let at = words.iter().position(|known| *known == word)?;
    i64::try_from(at).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_numbers_or_not() {
        for (text, expected) in [
            ("zero", Some(0)),
            ("Forty-Two", Some(42)),
            ("one hundred", Some(100)),
            ("a thousand", Some(1_000)),
            ("nineteen hundred", Some(1_900)),
            ("one hundred and five", Some(105)),
            (
                "two million three hundred thousand and seven",
                Some(2_300_007),
            ),
            ("two and a half", None),
            ("one two", None),
            ("ten one", None),
            ("twenty thirty", None),
            ("thousand", None),
            ("a", None),
            ("five apples", None),
            ("and five", None),
            ("one thousand million", None),
            ("", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }
}
