//! From an LM's reply to a type: the reply itself is JSON, or the answer is found in it.

use super::parse::{Strictness, parse, schema_of};
use super::repair::Repair;
use super::{Read, ReadError, read_clean, read_value};

/// Reads a reply: as JSON that is right as it is; or else as what its schema asks for, with all that
/// had to be repaired.
///
/// # Errors
/// If nothing fits: what is wrong with the candidate that comes nearest.
pub(crate) fn read_reply<T: Read>(
    schema: &'static str,
    text: &str,
) -> Result<(T, Vec<Repair>), ReadError> {
    if let Some(value) = read_clean(text) {
        return Ok((value, Vec::new()));
    }
    let Ok(schema) = schema_of(schema) else {
        // Schemas of compiled signatures are understood; others are read without being repaired.
        return Ok((super::read_json(text)?, Vec::new()));
    };
    let parsed = parse(&schema, text, Strictness::Lenient)?;
    Ok((read_value(parsed.value)?, parsed.repairs))
}
