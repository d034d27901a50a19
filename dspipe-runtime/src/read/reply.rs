//! From an LM's reply to a type: the reply itself is JSON, or the answer is found in it.

use super::parse::{Strictness, parse, schema_of};
use super::repair::Repair;
use super::{Read, ReadError, read_json, read_value};

/// Reads a reply: as JSON that is right as it is; or else as what its schema asks for, with all that
/// had to be repaired.
///
/// # Errors
/// If nothing fits: what is wrong with the candidate that comes nearest.
pub(crate) fn read_reply<T: Read>(
    schema: &'static str,
    text: &str,
) -> Result<(T, Vec<Repair>), ReadError> {
    let clean = match read_json(text) {
        Ok(value) => return Ok((value, Vec::new())),
        Err(error) => error,
    };
    // Schemas of compiled signatures are always understood.
    let Ok(schema) = schema_of(schema) else {
        return Err(clean);
    };
    let parsed = parse(&schema, text, Strictness::Lenient)?;
    Ok((read_value(parsed.value)?, parsed.repairs))
}
