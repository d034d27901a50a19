//! Keys and tokens, which show themselves only when asked.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

/// A secret: a provider's key, or the token of the local server.
///
/// It has no `Display` and no `Serialize`, and its `Debug` hides it, so that it cannot end up in a log,
/// a message or a file by accident.
///
/// ```
/// let key = dspipe_runtime::Secret::from("sk-1234".to_owned());
/// assert_eq!(format!("{key:?} {:?}", Some(&key)), "Secret(****) Some(Secret(****))");
/// ```
/// ```compile_fail,E0277
/// let key = dspipe_runtime::Secret::from("sk-1234".to_owned());
/// println!("{key}");
/// ```
/// ```compile_fail,E0277
/// let key = dspipe_runtime::Secret::from("sk-1234".to_owned());
/// serde_json::to_string(&key);
/// ```
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Secret(Arc<str>);

impl Secret {
    /// The secret itself, for the header that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    #[cfg(feature = "http")]
    /// Takes the secret out of a text that somebody else wrote.
    pub(crate) fn scrub(&self, text: &str) -> String {
        if self.0.is_empty() {
            text.to_owned()
        } else {
            text.replace(&*self.0, "****")
        }
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(****)")
    }
}

/// Ends of the names of environment variables that hold secrets.
const SECRET_NAMES: [&str; 6] = [
    "_KEY",
    "_TOKEN",
    "_SECRET",
    "_PASSWORD",
    "_PASSWD",
    "_CREDENTIALS",
];

/// Shorter values are words that occur anywhere.
const SHORTEST: usize = 8;

/// Takes every secret of the environment out of a text that is to be written down.
#[cfg_attr(
    not(feature = "cassettes"),
    expect(unreachable_pub, reason = "public with `cassettes`")
)]
pub fn scrub_all(text: &str) -> String {
    let mut scrubbed = text.to_owned();
    for (name, value) in std::env::vars_os() {
        let name = name.to_string_lossy().to_ascii_uppercase();
        let Some(value) = value.to_str() else {
            continue;
        };
        let is_secret = SECRET_NAMES.iter().any(|end| name.ends_with(end));
        if is_secret && value.trim().len() >= SHORTEST && scrubbed.contains(value.trim()) {
            scrubbed = scrubbed.replace(value.trim(), "****");
        }
    }
    scrubbed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_hides_itself() {
        let secret = Secret::from("sk-1234".to_owned());
        assert_eq!(format!("{secret:?}"), "Secret(****)");
    }

    #[cfg(feature = "http")]
    #[test]
    fn it_is_taken_out_of_texts() {
        let secret = Secret::from("sk-1234".to_owned());
        assert_eq!(secret.scrub("bad key sk-1234!"), "bad key ****!");
        assert_eq!(Secret::from(String::new()).scrub("as it is"), "as it is");
    }
}
