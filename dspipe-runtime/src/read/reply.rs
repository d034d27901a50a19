//! From an LM's reply to a type: the reply itself is JSON, or there is something like JSON in it.

use serde_json::Value;

use super::repair::{self, Repair};
use super::{Read, ReadError, read_value};

/// Reads a reply: as strict JSON; or else as the first object in it that fits once its form is repaired,
/// so that fences, prose and slips of the form do no harm. Tells what had to be repaired.
///
/// # Errors
/// If nothing fits: what is wrong with the object that comes nearest, the one with the fewest errors.
pub(crate) fn read_reply<T: Read>(text: &str) -> Result<(T, Vec<Repair>), ReadError> {
    let strict = match serde_json::from_str::<Value>(text) {
        Ok(value) => return read_value(value).map(|value| (value, Vec::new())),
        Err(error) => ReadError::syntax(&error),
    };
    let mut nearest: Option<ReadError> = None;
    for candidate in repair::objects(text) {
        match read_value(candidate.value) {
            Ok(value) => return Ok((value, candidate.repairs)),
            Err(error) => {
                let is_nearer = nearest
                    .as_ref()
                    .is_none_or(|known| error.lines().len() < known.lines().len());
                if is_nearer {
                    nearest = Some(error);
                }
            }
        }
    }
    Err(match nearest {
        Some(error) => error,
        None if text.contains('{') => strict,
        None => ReadError::NoObject,
    })
}
