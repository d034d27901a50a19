//! What is run.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Names a case within its suite. It is part of a test's name: one line, not empty, no white space at the
/// ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CaseId(String);

impl CaseId {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CaseId {
    type Err = NoCaseId;

    fn from_str(text: &str) -> Result<Self, NoCaseId> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for CaseId {
    type Error = NoCaseId;

    fn try_from(text: String) -> Result<Self, NoCaseId> {
        if text.is_empty() || text.trim() != text || text.chars().any(char::is_control) {
            Err(NoCaseId(text))
        } else {
            Ok(Self(text))
        }
    }
}

impl From<CaseId> for String {
    fn from(id: CaseId) -> Self {
        id.0
    }
}

/// A text that cannot name a case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} cannot name a case: a name is one line, not empty, without white space at its ends")]
pub struct NoCaseId(pub String);

/// An input, and what should come of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Its name.
    pub id: CaseId,
    /// What goes in.
    pub input: Value,
    /// What should come out; `None` where metrics do not need it.
    pub expected: Option<Value>,
}

/// Identifies the content of a case: runs of the same name with other content cannot be compared.
pub(crate) fn fingerprint(input: &Value, expected: Option<&Value>) -> String {
    let expected = expected.map(Value::to_string);
    fingerprint_of(&input.to_string(), expected.as_deref())
}

/// The same of its JSON.
pub(crate) fn fingerprint_of(input: &str, expected: Option<&str>) -> String {
    let mut hash = Sha256::new();
    // The length keeps input and expected output apart.
    hash.update((input.len() as u64).to_le_bytes());
    hash.update(input);
    hash.update(expected.unwrap_or_default());
    hex(&hash.finalize()[..4])
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut digits = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}
