//! One value of a reply, and the place where it stands.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::error::{Errors, Kind, Segment};
use super::{Checks, Read};

/// A value that is to be read.
#[derive(Debug)]
pub struct Reader<'a> {
    value: Value,
    errors: &'a mut Errors,
}

impl<'a> Reader<'a> {
    pub(super) fn new(value: Value, errors: &'a mut Errors) -> Self {
        Self { value, errors }
    }

    pub(super) fn value(self) -> (Value, &'a mut Errors) {
        (self.value, self.errors)
    }

    pub(super) fn is_null(&self) -> bool {
        self.value.is_null()
    }

    /// The value as an object. Keys that nobody asks for are ignored.
    pub fn object(self) -> Option<ObjectReader<'a>> {
        match self.value {
            Value::Object(map) => Some(ObjectReader {
                map,
                errors: self.errors,
            }),
            other => self.errors.wrong_kind(Kind::Object, &other),
        }
    }

    /// The value as one of a fixed set of strings.
    pub fn one_of<T: Copy>(self, choices: &[(&'static str, T)]) -> Option<T> {
        let found = self.value.as_str();
        match choices.iter().find(|(text, _)| found == Some(text)) {
            Some((_, choice)) => Some(*choice),
            None => {
                let choices = choices.iter().map(|(text, _)| *text).collect();
                self.errors.not_one_of(choices, &self.value)
            }
        }
    }

    /// The value as the type, and held against limits if it can be read.
    pub fn checked<T: Read>(self, check: impl FnOnce(&mut Checks<'_>, &T)) -> Option<T> {
        let value = T::read(Reader::new(self.value, &mut *self.errors))?;
        check(&mut Checks::new(self.errors), &value);
        Some(value)
    }

    /// The value as one of several types: of those that it fits, the one that leaves the fewest keys unread,
    /// of these the first. Where none fits, what keeps it from the closest one is recorded.
    pub fn alternatives<T>(self, all: &[Alternative<T>]) -> Option<T> {
        let mut best: Option<(T, Errors)> = None;
        let mut closest: Option<Errors> = None;
        for (_, read) in all {
            let value = self.value.clone();
            let (read, trial) = self.errors.trial(|errors| read(Reader::new(value, errors)));
            match read {
                Some(value) if trial.found().is_empty() => {
                    let ignored = trial.ignored();
                    if best
                        .as_ref()
                        .is_none_or(|(_, best)| ignored < best.ignored())
                    {
                        best = Some((value, trial));
                    }
                    if ignored == 0 {
                        break;
                    }
                }
                _ => {
                    // One of another kind altogether says little about what was meant.
                    let here = self.errors.path();
                    let inside = trial.found().iter().all(|error| error.path != here);
                    let fewer = |known: &Errors| trial.found().len() < known.found().len();
                    if inside && closest.as_ref().is_none_or(fewer) {
                        closest = Some(trial);
                    }
                }
            }
        }
        if let Some((value, trial)) = best {
            self.errors.adopt(trial);
            return Some(value);
        }
        if let Some(closest) = closest {
            self.errors.adopt(closest);
            return None;
        }
        let names = all.iter().map(|(name, _)| *name).collect();
        self.errors.no_alternative(names, &self.value)
    }

    pub(super) fn items<T: Read>(self) -> Option<Vec<T>> {
        let Value::Array(items) = self.value else {
            return self.errors.wrong_kind(Kind::List, &self.value);
        };
        let mut read = Some(Vec::with_capacity(items.len()));
        for (index, item) in items.into_iter().enumerate() {
            let item = self.errors.within(Segment::Index(index), |errors| {
                T::read(Reader::new(item, errors))
            });
            read = push(read, item, Vec::push);
        }
        read
    }

    pub(super) fn entries<T: Read>(self) -> Option<BTreeMap<String, T>> {
        let Value::Object(map) = self.value else {
            return self.errors.wrong_kind(Kind::Object, &self.value);
        };
        let mut read = Some(BTreeMap::new());
        for (key, value) in map {
            let value = self.errors.within(Segment::Key(key.clone()), |errors| {
                T::read(Reader::new(value, errors))
            });
            read = push(read, value, |map, value| {
                map.insert(key, value);
            });
        }
        read
    }
}

/// The name of an alternative, and how to read it.
pub type Alternative<T> = (&'static str, fn(Reader<'_>) -> Option<T>);

/// Adds a part to a whole; either missing, there is no whole.
fn push<W, T>(whole: Option<W>, part: Option<T>, add: impl FnOnce(&mut W, T)) -> Option<W> {
    let mut whole = whole?;
    add(&mut whole, part?);
    Some(whole)
}

/// The fields of an object that is to be read.
#[derive(Debug)]
pub struct ObjectReader<'a> {
    map: Map<String, Value>,
    errors: &'a mut Errors,
}

impl Drop for ObjectReader<'_> {
    fn drop(&mut self) {
        self.errors.ignore(self.map.len());
    }
}

impl ObjectReader<'_> {
    /// A field that must be there.
    pub fn required<T: Read>(&mut self, key: &'static str) -> Option<T> {
        let value = self.map.swap_remove(key);
        self.errors
            .within(Segment::Field(key), |errors| match value {
                Some(value) => T::read(Reader::new(value, errors)),
                None => errors.missing(),
            })
    }

    /// A field that may be absent or null. The outer `None` means that an error was recorded.
    pub fn optional<T: Read>(&mut self, key: &'static str) -> Option<Option<T>> {
        match self.map.swap_remove(key) {
            None => Some(None),
            Some(value) => self.errors.within(Segment::Field(key), |errors| {
                Option::read(Reader::new(value, errors))
            }),
        }
    }

    /// A field that may be absent if its type takes null.
    #[cfg(feature = "structs")]
    pub(crate) fn field<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(Reader<'_>) -> Option<T>,
    ) -> Option<T> {
        let value = self.map.swap_remove(key);
        self.errors
            .within(Segment::Field(key), |errors| match value {
                Some(value) => read(Reader::new(value, errors)),
                None => read(Reader::new(Value::Null, &mut Errors::default()))
                    .or_else(|| errors.missing()),
            })
    }

    /// A field for which a default stands where it is absent or null; `default` is JSON.
    pub fn or_default<T: Read>(&mut self, key: &'static str, default: &'static str) -> Option<T> {
        let value = match self.map.swap_remove(key) {
            None | Some(Value::Null) => serde_json::from_str(default).unwrap_or_default(),
            Some(value) => value,
        };
        self.errors.within(Segment::Field(key), |errors| {
            T::read(Reader::new(value, errors))
        })
    }

    /// Holds a field against the limits of its type, if it could be read.
    pub fn check<T>(
        &mut self,
        key: &'static str,
        value: &Option<T>,
        check: impl FnOnce(&mut Checks<'_>, &T),
    ) {
        if let Some(value) = value {
            self.errors.within(Segment::Field(key), |errors| {
                check(&mut Checks::new(errors), value);
            });
        }
    }
}
