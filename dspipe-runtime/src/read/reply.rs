//! From an LM's reply to a type: the reply itself is JSON, or there is JSON in it.

use serde_json::Value;

use super::{Read, ReadError, read_value};

/// How many places of a reply are tried.
const TRIES: usize = 64;

/// Reads a reply: as strict JSON, or else as the first object in it that fits, so that fences and prose
/// around the answer do no harm.
pub(crate) fn read_reply<T: Read>(text: &str) -> Result<T, ReadError> {
    let strict = match serde_json::from_str::<Value>(text) {
        Ok(value) => return read_value(value),
        Err(error) => ReadError::syntax(&error),
    };
    let mut first = None;
    for candidate in objects(text) {
        match read_value(candidate) {
            Ok(value) => return Ok(value),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(match first {
        Some(error) => error,
        None if text.contains('{') => strict,
        None => ReadError::NoObject,
    })
}

/// The whole objects in a text, none of them inside another. An object that the text ends in is
/// cut off: what it holds is not taken for the answer.
fn objects(text: &str) -> impl Iterator<Item = Value> {
    let mut rest = text;
    let mut tries = 0;
    std::iter::from_fn(move || {
        loop {
            tries += 1;
            if tries > TRIES {
                return None;
            }
            rest = &rest[rest.find('{')?..];
            let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
            match values.next() {
                Some(Ok(value)) => {
                    rest = &rest[values.byte_offset()..];
                    return Some(value);
                }
                Some(Err(error)) if error.is_eof() => return None,
                _ => rest = &rest[1..],
            }
        }
    })
}
