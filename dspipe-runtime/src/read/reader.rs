//! One value of a reply, and the place where it stands.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::error::{Errors, FieldErrorKind, Kind, Segment};
use super::json::{Json, Place};
use super::{Checks, Read};

/// A value that is to be read.
#[derive(Debug)]
pub struct Reader<'a> {
    /// `None`: the value is the next one in the text.
    value: Option<Value>,
    errors: &'a mut Errors,
}

/// Where a value comes from.
pub(super) enum Source<'a> {
    Value(Value, &'a mut Errors),
    /// Here nothing is recorded of what is wrong: who finds it reads again, with values.
    Text(&'a mut Json),
}

impl<'a> Reader<'a> {
    pub(super) fn new(value: Value, errors: &'a mut Errors) -> Self {
        Self {
            value: Some(value),
            errors,
        }
    }

    /// For the next value in the text.
    pub(super) fn of_text(errors: &'a mut Errors) -> Self {
        Self {
            value: None,
            errors,
        }
    }

    pub(super) fn value(self) -> Source<'a> {
        match self.value {
            Some(value) => Source::Value(value, self.errors),
            None => Source::Text(&mut self.errors.json),
        }
    }

    /// Whether it is null; in a text, it is taken then.
    pub(super) fn is_null(&mut self) -> bool {
        match &self.value {
            Some(value) => value.is_null(),
            None => self.errors.json.null(),
        }
    }

    /// A value that is read from JSON in a way of its own.
    pub(crate) fn value_by<T>(self, read: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        match self.value() {
            Source::Text(json) => {
                let value: Value = json.value()?;
                read(&value).ok().or_else(|| json.fail())
            }
            Source::Value(value, errors) => match read(&value) {
                Ok(read) => Some(read),
                Err(reason) => {
                    errors.record(FieldErrorKind::Refused { reason });
                    None
                }
            },
        }
    }

    /// The value as an object. Keys that nobody asks for are ignored.
    pub fn object(self) -> Option<ObjectReader<'a>> {
        let fields = match self.value {
            None => {
                self.errors.json.open(b'{')?;
                Fields::Text {
                    mark: self.errors.json.mark(),
                    ended: false,
                }
            }
            Some(Value::Object(map)) => Fields::Map(map),
            Some(other) => return self.errors.wrong_kind(Kind::Object, &other),
        };
        Some(ObjectReader {
            fields,
            errors: self.errors,
        })
    }

    /// As [`object`](Self::object), but not out of a text: a reply is then read by its schema, which holds it to
    /// the limits that types of the user's have only there.
    #[cfg(feature = "tools")]
    pub(crate) fn object_of_value(self) -> Option<ObjectReader<'a>> {
        match &self.value {
            Some(_) => self.object(),
            None => self.errors.json.fail(),
        }
    }

    /// The value as one of a fixed set of strings.
    pub fn one_of<T: Copy>(self, choices: &[(&'static str, T)]) -> Option<T> {
        let Some(value) = self.value else {
            return self.errors.json.one_of(choices);
        };
        let found = value.as_str();
        match choices.iter().find(|(text, _)| found == Some(text)) {
            Some((_, choice)) => Some(*choice),
            None => {
                let choices = choices.iter().map(|(text, _)| *text).collect();
                self.errors.not_one_of(choices, &value)
            }
        }
    }

    /// The value as the type, and held against limits if it can be read.
    pub fn checked<T: Read>(self, check: impl FnOnce(&mut Checks<'_>, &T)) -> Option<T> {
        let value = T::read(Reader {
            value: self.value,
            errors: &mut *self.errors,
        })?;
        check(&mut Checks::new(self.errors), &value);
        Some(value)
    }

    /// The value as one of several types: of those that it fits, the one that leaves the fewest keys unread,
    /// of these the first. Where none fits, what keeps it from the closest one is recorded.
    pub fn alternatives<T>(self, all: &[Alternative<T>]) -> Option<T> {
        let value = match self.value {
            Some(value) => value,
            None => self.errors.json.value()?,
        };
        let mut best: Option<(T, Errors)> = None;
        let mut closest: Option<Errors> = None;
        for (_, read) in all {
            let value = value.clone();
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
        self.errors.no_alternative(names, &value)
    }

    pub(super) fn items<T: Read>(self) -> Option<Vec<T>> {
        let items = match self.value {
            None => return next_items(self.errors),
            Some(Value::Array(items)) => items,
            Some(other) => return self.errors.wrong_kind(Kind::List, &other),
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
        let map = match self.value {
            None => return next_entries(self.errors),
            Some(Value::Object(map)) => map,
            Some(other) => return self.errors.wrong_kind(Kind::Object, &other),
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

fn next_items<T: Read>(errors: &mut Errors) -> Option<Vec<T>> {
    errors.json.open(b'[')?;
    let mut items = Vec::new();
    while errors.json.more(b']', items.is_empty())? {
        items.push(T::read(Reader::of_text(errors))?);
    }
    Some(items)
}

fn next_entries<T: Read>(errors: &mut Errors) -> Option<BTreeMap<String, T>> {
    errors.json.open(b'{')?;
    let mut entries = BTreeMap::new();
    while errors.json.more(b'}', entries.is_empty())? {
        let key = errors.json.key()?;
        let value = T::read(Reader::of_text(errors))?;
        if entries.insert(key, value).is_some() {
            // Twice: which one is meant?
            return errors.json.fail();
        }
    }
    Some(entries)
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
    fields: Fields,
    errors: &'a mut Errors,
}

/// A field that was looked for.
enum Found<T> {
    Nothing,
    Value(T),
}

#[derive(Debug)]
enum Fields {
    Map(Map<String, Value>),
    /// In the text: where its keys begin among those that are known, and whether all of them are.
    Text {
        mark: usize,
        ended: bool,
    },
}

impl Drop for ObjectReader<'_> {
    fn drop(&mut self) {
        match &self.fields {
            Fields::Map(map) => self.errors.ignore(map.len()),
            Fields::Text { mark, ended } => self.errors.json.finish(*mark, *ended),
        }
    }
}

impl ObjectReader<'_> {
    /// Reads a field. `None` means that something is wrong with it.
    fn field<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(Reader<'_>) -> Option<T>,
    ) -> Option<Found<T>> {
        match &mut self.fields {
            Fields::Map(map) => match map.swap_remove(key) {
                None => Some(Found::Nothing),
                Some(value) => self
                    .errors
                    .within(Segment::Field(key), |errors| {
                        read(Reader::new(value, errors))
                    })
                    .map(Found::Value),
            },
            Fields::Text { mark, ended } => {
                let json = &mut self.errors.json;
                if json.failed() {
                    return None;
                }
                let place = json.field(*mark, key, ended)?;
                if let Place::Nowhere = place {
                    return Some(Found::Nothing);
                }
                let value = read(Reader::of_text(self.errors))?;
                if let Place::Before { back } = place {
                    self.errors.json.go_to(back);
                }
                Some(Found::Value(value))
            }
        }
    }

    /// A field that must be there.
    pub fn required<T: Read>(&mut self, key: &'static str) -> Option<T> {
        match self.field(key, T::read)? {
            Found::Value(value) => Some(value),
            Found::Nothing => match self.fields {
                Fields::Text { .. } => self.errors.json.fail(),
                Fields::Map(_) => self.errors.within(Segment::Field(key), Errors::missing),
            },
        }
    }

    /// A field that may be absent or null. The outer `None` means that an error was recorded.
    pub fn optional<T: Read>(&mut self, key: &'static str) -> Option<Option<T>> {
        match self.field(key, Option::<T>::read)? {
            Found::Value(value) => Some(value),
            Found::Nothing => Some(None),
        }
    }

    /// A field that is null where it is absent, if its type takes that.
    #[cfg(feature = "tools")]
    pub(crate) fn or_null<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(Reader<'_>) -> Option<T>,
    ) -> Option<T> {
        if let Found::Value(value) = self.field(key, &read)? {
            return Some(value);
        }
        read(Reader::new(Value::Null, &mut Errors::default()))
            .or_else(|| self.errors.within(Segment::Field(key), Errors::missing))
    }

    /// A field for which a default stands where it is absent or null; `default` is JSON.
    pub fn or_default<T: Read>(&mut self, key: &'static str, default: &'static str) -> Option<T> {
        if let Some(value) = self.optional(key)? {
            return Some(value);
        }
        let value = serde_json::from_str(default).unwrap_or_default();
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
