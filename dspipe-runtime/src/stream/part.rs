//! Where a piece of a reply goes in a partial output.

use std::collections::BTreeMap;

use crate::read::{Read, read_clean};

/// What has come of a step's output so far. The compiler writes an implementation for each type that needs
/// one.
pub trait Partial: Clone + Default + Send + Sync + 'static {
    /// Takes in a piece of the field with this name; whether there is such a field, and the piece fits it.
    fn field(&mut self, key: &str, part: Part<'_>) -> bool;
}

/// Takes in a piece of a value.
pub type Take<'a, T> = fn(Part<'a>, &mut Option<T>) -> bool;

/// A piece of a reply, on its way to the value that it belongs to. Each method takes it one level down, and
/// says whether it fits.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    pub(super) path: &'a [Step],
    pub(super) event: Event<'a>,
}

/// A level of nesting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    /// The item of a list at this index.
    Item(usize),
}

/// What happens to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event<'a> {
    Begin(Kind),
    /// A text goes on.
    Text(&'a str),
    /// What was begun is whole: this, in JSON.
    End(&'a str),
    /// A number or a word, which is whole at once.
    Scalar(&'a str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    List,
    Object,
}

impl<'a> Part<'a> {
    /// Into a text, which grows.
    pub fn text(self, to: &mut Option<String>) -> bool {
        match (self.path, self.event) {
            ([], Event::Begin(Kind::Text)) => *to = Some(String::new()),
            ([], Event::Text(more)) => to.get_or_insert_default().push_str(more),
            _ => return false,
        }
        true
    }

    /// Into a value that is there only when it is whole, and right as it is.
    pub fn whole<T: Read>(self, to: &mut Option<T>) -> bool {
        match (self.path, self.event) {
            ([], Event::End(json) | Event::Scalar(json)) => {
                let value = read_clean(json);
                let is_right = value.is_some();
                *to = value.or(to.take());
                is_right
            }
            _ => false,
        }
    }

    /// Into an object, field by field.
    pub fn object<P: Partial>(self, to: &mut Option<P>) -> bool {
        match (self.path, self.event) {
            ([], Event::Begin(Kind::Object)) => *to = Some(P::default()),
            ([Step::Key(key), path @ ..], event) => {
                return to
                    .as_mut()
                    .is_some_and(|object| object.field(key, Part { path, event }));
            }
            _ => return false,
        }
        true
    }

    /// Into a value on the heap.
    pub fn boxed<T>(self, to: &mut Option<Box<T>>, take: Take<'a, T>) -> bool {
        let mut value = to.take().map(|value| *value);
        let fits = take(self, &mut value);
        *to = value.map(Box::new);
        fits
    }

    /// Into what may also be null.
    pub fn optional<T>(self, to: &mut Option<Option<T>>, take: Take<'a, T>) -> bool {
        if self.path.is_empty() && self.event == Event::Scalar("null") {
            *to = Some(None);
            return true;
        }
        let mut value = to.take().flatten();
        let fits = take(self, &mut value);
        *to = value.map(Some);
        fits
    }

    /// Into an item of a list. One that does not fit ends the list, as all behind it would stand in the wrong
    /// place.
    pub fn list<T>(self, to: &mut Option<Vec<T>>, take: Take<'a, T>) -> bool {
        match (self.path, self.event) {
            ([], Event::Begin(Kind::List)) => {
                *to = Some(Vec::new());
                true
            }
            ([Step::Item(index), path @ ..], event) => {
                let Some(items) = to else { return false };
                let mut item = match items.len().checked_sub(*index) {
                    Some(0) => None,
                    Some(_) => items.pop(),
                    None => return false,
                };
                let fits = take(Part { path, event }, &mut item);
                items.extend(item);
                fits
            }
            _ => false,
        }
    }

    /// Into an entry of a map.
    pub fn map<T>(self, to: &mut Option<BTreeMap<String, T>>, take: Take<'a, T>) -> bool {
        match (self.path, self.event) {
            ([], Event::Begin(Kind::Object)) => {
                *to = Some(BTreeMap::new());
                true
            }
            ([Step::Key(key), path @ ..], event) => {
                let Some(entries) = to else { return false };
                let (key, mut entry) = match entries.remove_entry(key) {
                    Some((key, entry)) => (key, Some(entry)),
                    None => (key.clone(), None),
                };
                let fits = take(Part { path, event }, &mut entry);
                if let Some(entry) = entry {
                    entries.insert(key, entry);
                }
                fits
            }
            _ => false,
        }
    }
}
