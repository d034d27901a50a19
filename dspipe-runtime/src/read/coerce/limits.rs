//! The limits of a type, held against the value that was read.

use std::collections::HashMap;

use serde_json::{Number, Value};

use super::Coercer;
use crate::read::error::FieldErrorKind as Error;
use crate::read::schema::{ListType, NumberType, ObjectType, TextType};

impl Coercer<'_> {
    pub(super) fn check_number(&mut self, number: &Number, ty: &NumberType) {
        let Some(found) = number.as_f64() else {
            return;
        };
        if let Some(minimum) = ty.minimum {
            let limit = minimum.value;
            match minimum.exclusive {
                true if found <= limit => self.error(Error::NotAbove { limit, found }),
                false if found < limit => self.error(Error::BelowMinimum { limit, found }),
                _ => {}
            }
        }
        if let Some(maximum) = ty.maximum {
            let limit = maximum.value;
            match maximum.exclusive {
                true if found >= limit => self.error(Error::NotBelow { limit, found }),
                false if found > limit => self.error(Error::AboveMaximum { limit, found }),
                _ => {}
            }
        }
        if let Some(of) = ty.multiple_of {
            let times = found / of;
            // Decimal fractions are not exact in binary.
            if (times - times.round()).abs() > 1e-9 * times.abs().max(1.0) {
                self.error(Error::NotMultiple { step: of, found });
            }
        }
    }

    pub(super) fn check_text(&mut self, text: &str, ty: &TextType) {
        if ty.min.is_some() || ty.max.is_some() {
            let found = text.chars().count();
            if let Some(limit) = ty.min.filter(|limit| found < size(*limit)) {
                self.error(Error::TooShort { limit, found });
            }
            if let Some(limit) = ty.max.filter(|limit| found > size(*limit)) {
                self.error(Error::TooLong { limit, found });
            }
        }
        if let Some(pattern) = ty
            .pattern
            .as_ref()
            .filter(|pattern| !pattern.is_match(text))
        {
            let pattern = pattern.as_str().to_owned().into();
            self.error(Error::NoMatch { pattern });
        }
    }

    pub(super) fn check_list(&mut self, items: &[Value], ty: &ListType) {
        let found = items.len();
        if let Some(limit) = ty.min.filter(|limit| found < size(*limit)) {
            self.error(Error::TooFewItems { limit, found });
        }
        if let Some(limit) = ty.max.filter(|limit| found > size(*limit)) {
            self.error(Error::TooManyItems { limit, found });
        }
        if ty.unique {
            let mut seen = HashMap::new();
            for (again, item) in items.iter().enumerate() {
                if let Some(first) = seen.insert(item.to_string(), again) {
                    self.error(Error::Repeated { first, again });
                }
            }
        }
    }

    pub(super) fn check_object(&mut self, found: usize, ty: &ObjectType) {
        if let Some(limit) = ty.min.filter(|limit| found < size(*limit)) {
            self.error(Error::TooFewEntries { limit, found });
        }
        if let Some(limit) = ty.max.filter(|limit| found > size(*limit)) {
            self.error(Error::TooManyEntries { limit, found });
        }
    }
}

fn size(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}
