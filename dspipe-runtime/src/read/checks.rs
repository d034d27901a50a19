//! The limits of a type that JSON's own types do not have.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::expr::Pattern;

use super::error::{Errors, FieldErrorKind as Kind, Segment};

/// Holds a value that was read against the limits in the workflow file.
///
/// The names are those of JSON Schema's keywords. What does not hold is recorded.
#[derive(Debug)]
pub struct Checks<'a> {
    errors: &'a mut Errors,
}

/// A number of a workflow: `i64` or `f64`.
pub trait Number: Copy + sealed::Sealed {
    /// As a float; beyond 2⁵³ the nearest one.
    fn to_f64(self) -> f64;
}

impl Number for i64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "limits are floats in the workflow file, too"
    )]
    fn to_f64(self) -> f64 {
        self as f64
    }
}

impl Number for f64 {
    fn to_f64(self) -> f64 {
        self
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for i64 {}
    impl Sealed for f64 {}
}

impl<'a> Checks<'a> {
    pub(super) fn new(errors: &'a mut Errors) -> Self {
        Self { errors }
    }

    /// The number is not below the limit.
    pub fn minimum<N: Number>(&mut self, value: &N, limit: f64) {
        let found = value.to_f64();
        if found < limit {
            self.errors.record(Kind::BelowMinimum { limit, found });
        }
    }

    /// The number is not above the limit.
    pub fn maximum<N: Number>(&mut self, value: &N, limit: f64) {
        let found = value.to_f64();
        if found > limit {
            self.errors.record(Kind::AboveMaximum { limit, found });
        }
    }

    /// The number is above the limit.
    pub fn exclusive_minimum<N: Number>(&mut self, value: &N, limit: f64) {
        let found = value.to_f64();
        if found <= limit {
            self.errors.record(Kind::NotAbove { limit, found });
        }
    }

    /// The number is below the limit.
    pub fn exclusive_maximum<N: Number>(&mut self, value: &N, limit: f64) {
        let found = value.to_f64();
        if found >= limit {
            self.errors.record(Kind::NotBelow { limit, found });
        }
    }

    /// The number is a multiple of another, rounding aside: 0.3 is one of 0.1.
    pub fn multiple_of<N: Number>(&mut self, value: &N, step: f64) {
        let found = value.to_f64();
        let times = found / step;
        if (times - times.round()).abs() > 1e-9 * times.abs().max(1.0) {
            self.errors.record(Kind::NotMultiple { step, found });
        }
    }

    /// The number is one of these.
    pub fn numbers<N: Number>(&mut self, value: &N, choices: &'static [f64]) {
        let found = value.to_f64();
        if !choices.contains(&found) {
            self.errors.record(Kind::NotANumberOf { choices, found });
        }
    }

    /// The boolean is this one.
    pub fn boolean(&mut self, value: &bool, expected: bool) {
        if *value != expected {
            self.errors.record(Kind::NotThis { expected });
        }
    }

    /// The text has at least so many characters.
    pub fn min_length(&mut self, value: &str, limit: u32) {
        let found = value.chars().count();
        if found < size(limit) {
            self.errors.record(Kind::TooShort { limit, found });
        }
    }

    /// The text has at most so many characters.
    pub fn max_length(&mut self, value: &str, limit: u32) {
        let found = value.chars().count();
        if found > size(limit) {
            self.errors.record(Kind::TooLong { limit, found });
        }
    }

    /// The text matches somewhere.
    pub fn pattern(&mut self, value: &str, pattern: &Pattern) {
        if !pattern.matches(value) {
            let pattern = pattern.as_str().into();
            self.errors.record(Kind::NoMatch { pattern });
        }
    }

    /// The list has at least so many items.
    pub fn min_items<T>(&mut self, value: &[T], limit: u32) {
        let found = value.len();
        if found < size(limit) {
            self.errors.record(Kind::TooFewItems { limit, found });
        }
    }

    /// The list has at most so many items.
    pub fn max_items<T>(&mut self, value: &[T], limit: u32) {
        let found = value.len();
        if found > size(limit) {
            self.errors.record(Kind::TooManyItems { limit, found });
        }
    }

    /// No two items are equal.
    pub fn unique_items<T: Serialize>(&mut self, value: &[T]) {
        let mut seen: HashMap<String, usize> = HashMap::with_capacity(value.len());
        for (again, item) in value.iter().enumerate() {
            // Generated types always serialize.
            let text = serde_json::to_string(item).unwrap_or_default();
            if let Some(first) = seen.insert(text, again) {
                self.errors.record(Kind::Repeated { first, again });
                return;
            }
        }
    }

    /// Each item of a list.
    pub fn each<T>(&mut self, items: &[T], mut check: impl FnMut(&mut Checks<'_>, &T)) {
        for (index, item) in items.iter().enumerate() {
            self.within(Segment::Index(index), |at| check(at, item));
        }
    }

    /// Each value of a map.
    pub fn each_entry<T>(
        &mut self,
        entries: &BTreeMap<String, T>,
        mut check: impl FnMut(&mut Checks<'_>, &T),
    ) {
        for (key, value) in entries {
            self.within(Segment::Key(key.clone()), |at| check(at, value));
        }
    }

    /// A value that may be absent, if it is there.
    pub fn some<T>(&mut self, value: &Option<T>, check: impl FnOnce(&mut Checks<'_>, &T)) {
        if let Some(value) = value {
            check(self, value);
        }
    }

    fn within(&mut self, segment: Segment, check: impl FnOnce(&mut Checks<'_>)) {
        self.errors
            .within(segment, |errors| check(&mut Checks::new(errors)));
    }
}

fn size(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}
