//! Keys and tokens, which show themselves only when asked.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

/// A secret: a provider's key, or the token of the local server.
///
/// It has no `Display` and no `Serialize`, and its `Debug` hides it, so that it cannot end up in a log,
/// a message or a file by accident.
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
