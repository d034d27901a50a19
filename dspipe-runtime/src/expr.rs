//! What expressions of workflows call. Generated code uses it by the module's name.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use regex_lite::Regex;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::Error;
pub use crate::generated::text;
use crate::read::{Read, read_value};

/// The text of a template, from its pieces.
pub fn concat(pieces: &[&str]) -> String {
    pieces.concat()
}

/// What has a length: texts in characters, lists, maps and objects in entries.
pub trait Length {
    /// The length.
    fn length(&self) -> usize;
}

impl Length for str {
    fn length(&self) -> usize {
        self.chars().count()
    }
}

impl<T> Length for Vec<T> {
    fn length(&self) -> usize {
        self.len()
    }
}

impl<T> Length for BTreeMap<String, T> {
    fn length(&self) -> usize {
        self.len()
    }
}

impl Length for Map<String, Value> {
    fn length(&self) -> usize {
        self.len()
    }
}

/// What has named entries.
pub trait Keys {
    /// Whether there is an entry of this name.
    fn has_key(&self, key: &str) -> bool;
}

impl<T> Keys for BTreeMap<String, T> {
    fn has_key(&self, key: &str) -> bool {
        self.contains_key(key)
    }
}

impl Keys for Map<String, Value> {
    fn has_key(&self, key: &str) -> bool {
        self.contains_key(key)
    }
}

/// Numbers of workflows, which never overflow: integers stay at the end of their range.
pub trait Number: Copy + PartialOrd {
    /// Zero.
    const ZERO: Self;
    /// The sum.
    #[must_use]
    fn plus(self, other: Self) -> Self;
    /// Without its sign.
    #[must_use]
    fn magnitude(self) -> Self;
    /// As a float; beyond 2⁵³ the nearest one.
    fn to_float(self) -> f64;
}

impl Number for i64 {
    const ZERO: Self = 0;

    fn plus(self, other: Self) -> Self {
        self.saturating_add(other)
    }

    fn magnitude(self) -> Self {
        self.saturating_abs()
    }

    fn to_float(self) -> f64 {
        float(self)
    }
}

impl Number for f64 {
    const ZERO: Self = 0.0;

    fn plus(self, other: Self) -> Self {
        self + other
    }

    fn magnitude(self) -> Self {
        self.abs()
    }

    fn to_float(self) -> f64 {
        self
    }
}

/// `length`.
pub fn length<T: Length + ?Sized>(value: &T) -> i64 {
    integer(value.length())
}

/// `contains`, in a text.
pub fn contains(text: &str, part: &str) -> bool {
    text.contains(part)
}

/// `contains`, in a list.
pub fn has<T: PartialEq<U>, U: ?Sized>(list: &[T], item: &U) -> bool {
    list.iter().any(|found| found == item)
}

/// `contains`, in a map or an object.
pub fn has_key<T: Keys>(map: &T, key: &str) -> bool {
    map.has_key(key)
}

/// `default`.
pub fn or<T: Clone>(value: Option<&T>, other: impl FnOnce() -> T) -> T {
    value.cloned().unwrap_or_else(other)
}

/// `lower`.
pub fn lower(text: &str) -> String {
    text.to_lowercase()
}

/// `upper`.
pub fn upper(text: &str) -> String {
    text.to_uppercase()
}

/// `trim`.
pub fn trim(text: &str) -> String {
    text.trim().to_owned()
}

/// `starts_with`.
pub fn starts_with(text: &str, start: &str) -> bool {
    text.starts_with(start)
}

/// `ends_with`.
pub fn ends_with(text: &str, end: &str) -> bool {
    text.ends_with(end)
}

/// `replace`.
pub fn replace(text: &str, what: &str, by: &str) -> String {
    text.replace(what, by)
}

/// `truncate`: at most so many characters.
pub fn truncate(text: &str, characters: i64) -> String {
    let characters = usize::try_from(characters).unwrap_or(0);
    text.chars().take(characters).collect()
}

/// `join`.
pub fn join<T: Serialize>(list: &[T], separator: &str) -> String {
    let texts: Vec<String> = list.iter().map(crate::generated::text).collect();
    texts.join(separator)
}

/// `json`.
pub fn json<T: Serialize + ?Sized>(value: &T) -> String {
    // Generated types always serialize.
    serde_json::to_string(value).unwrap_or_default()
}

/// `map`.
pub fn map<T, U>(list: &[T], each: impl FnMut(&T) -> U) -> Vec<U> {
    list.iter().map(each).collect()
}

/// A place in a list as an integer.
pub fn integer(place: usize) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

/// A value for an input of a workflow that is called: one that has its form, but another type.
///
/// # Errors
/// [`Error::Input`] if it is beyond a limit that the type has.
#[expect(
    clippy::result_large_err,
    reason = "as that of the steps it stands beside"
)]
pub fn given<T: Read>(
    workflow: &'static str,
    step: &'static str,
    value: &impl Serialize,
) -> Result<T, Error> {
    let refused = |reason: String| Error::Input {
        workflow,
        step,
        reason,
    };
    let value = serde_json::to_value(value).map_err(|error| refused(error.to_string()))?;
    read_value(value).map_err(|error| refused(error.to_string()))
}

/// The default of an input of a workflow that is called.
///
/// # Errors
/// None that the compiler has not found.
#[expect(
    clippy::result_large_err,
    reason = "as that of the steps it stands beside"
)]
pub fn default_of<T: Read>(
    workflow: &'static str,
    step: &'static str,
    json: &str,
) -> Result<T, Error> {
    let value = serde_json::from_str::<Value>(json).map_err(|error| Error::Input {
        workflow,
        step,
        reason: error.to_string(),
    })?;
    given(workflow, step, &value)
}

/// `first`.
pub fn first<T: Clone>(list: &[T]) -> Option<T> {
    list.first().cloned()
}

/// `last`.
pub fn last<T: Clone>(list: &[T]) -> Option<T> {
    list.last().cloned()
}

/// An integer as a number.
#[expect(clippy::cast_precision_loss, reason = "as JSON's readers do")]
pub fn float(number: i64) -> f64 {
    number as f64
}

/// `==` of numbers.
#[expect(clippy::float_cmp, reason = "what was written")]
pub fn equal(a: f64, b: f64) -> bool {
    a == b
}

/// `+` of integers.
pub fn add(a: i64, b: i64) -> i64 {
    a.saturating_add(b)
}

/// `-` of integers.
pub fn subtract(a: i64, b: i64) -> i64 {
    a.saturating_sub(b)
}

/// `*` of integers.
pub fn multiply(a: i64, b: i64) -> i64 {
    a.saturating_mul(b)
}

/// `%` of integers; 0 where it is not defined.
pub fn remainder(a: i64, b: i64) -> i64 {
    a.checked_rem(b).unwrap_or(0)
}

/// `round`, away from zero at the half.
pub fn round(number: f64) -> i64 {
    whole(number.round())
}

/// `floor`.
pub fn floor(number: f64) -> i64 {
    whole(number.floor())
}

/// `ceil`.
pub fn ceil(number: f64) -> i64 {
    whole(number.ceil())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "stays at the end of the range"
)]
fn whole(number: f64) -> i64 {
    number as i64
}

/// `abs`.
pub fn abs<T: Number>(number: T) -> T {
    number.magnitude()
}

/// `sum`.
pub fn sum<T: Number>(list: &[T]) -> T {
    list.iter().fold(T::ZERO, |sum, number| sum.plus(*number))
}

/// `average`.
pub fn average<T: Number>(list: &[T]) -> Option<f64> {
    let count = i64::try_from(list.len()).unwrap_or(i64::MAX);
    let sum: f64 = list.iter().map(|number| number.to_float()).sum();
    (count > 0).then(|| sum / float(count))
}

/// `min`.
pub fn min<T: Number>(list: &[T]) -> Option<T> {
    list.iter()
        .copied()
        .reduce(|a, b| if b < a { b } else { a })
}

/// `max`.
pub fn max<T: Number>(list: &[T]) -> Option<T> {
    list.iter()
        .copied()
        .reduce(|a, b| if b > a { b } else { a })
}

/// The regular expression of `matches`, compiled at its first use.
#[derive(Debug)]
pub struct Pattern {
    text: &'static str,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    /// A pattern that the compiler has found to be one.
    pub const fn new(text: &'static str) -> Self {
        Self {
            text,
            compiled: OnceLock::new(),
        }
    }

    /// The regular expression.
    pub const fn as_str(&self) -> &'static str {
        self.text
    }

    /// Whether it matches somewhere in a text.
    pub fn matches(&self, text: &str) -> bool {
        self.compiled
            .get_or_init(|| Regex::new(self.text).ok())
            .as_ref()
            .is_some_and(|pattern| pattern.is_match(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        assert_eq!(length("größer"), 6);
        assert_eq!(truncate("größer", 3), "grö");
        assert_eq!(truncate("größer", -1), "");
        assert_eq!(join(&["a", "b"], ", "), "a, b");
        assert_eq!(join(&[1, 2], "-"), "1-2");
        assert_eq!(json("a\"b"), "\"a\\\"b\"");
        assert!(has(&["a".to_owned()], "a") && !has(&["a".to_owned()], "b"));
    }

    #[test]
    fn integers_stay_in_their_range() {
        assert_eq!(add(i64::MAX, 1), i64::MAX);
        assert_eq!(subtract(i64::MIN, 1), i64::MIN);
        assert_eq!(multiply(i64::MIN, 2), i64::MIN);
        assert_eq!(
            (remainder(7, 4), remainder(7, 0), remainder(i64::MIN, -1)),
            (3, 0, 0)
        );
        assert_eq!(abs(i64::MIN), i64::MAX);
        assert_eq!(sum(&[i64::MAX, 1]), i64::MAX);
        assert_eq!((round(2.5), floor(-0.5), ceil(0.2)), (3, -1, 1));
        assert_eq!((round(1e300), round(f64::NAN)), (i64::MAX, 0));
    }

    #[test]
    fn lists() {
        assert_eq!((min(&[3, 1, 2]), max(&[0.5, 1.5])), (Some(1), Some(1.5)));
        assert_eq!((average(&[1, 2]), average::<i64>(&[])), (Some(1.5), None));
        assert_eq!((first(&[1, 2]), last::<i64>(&[])), (Some(1), None));
        assert_eq!(map(&["a", "bc"], |text| text.len()), [1, 2]);
        assert_eq!((or(Some(&1), || 2), or(None, || 2)), (1, 2));
    }

    #[test]
    fn patterns() {
        static PATTERN: Pattern = Pattern::new("^[a-z]+$");
        assert!(PATTERN.matches("abc") && !PATTERN.matches("a1"));
    }
}
