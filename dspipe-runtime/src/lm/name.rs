//! `provider/model`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of an LM: a provider and one of its models, as in `anthropic/claude-sonnet-4-5`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct LmName {
    provider: String,
    model: String,
}

impl LmName {
    /// The provider: lower-case letters, digits, `_` and `-`.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The model, in the provider's words. It may have slashes.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Whether this text is its name.
    pub(crate) fn is(&self, text: &str) -> bool {
        text.split_once('/') == Some((&self.provider, &self.model))
    }

    /// The embedded model that runs where no LM is named.
    pub fn embedded() -> Self {
        Self {
            provider: "local".to_owned(),
            model: "smollm2-135m-instruct".to_owned(),
        }
    }
}

impl fmt::Display for LmName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

impl From<LmName> for String {
    fn from(name: LmName) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for LmName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl FromStr for LmName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        match text.split_once('/') {
            Some((provider, model))
                if !provider.is_empty()
                    && provider.chars().all(plain)
                    && !model.is_empty()
                    && !model.contains(|c: char| c.is_whitespace() || c.is_control()) =>
            {
                Ok(Self {
                    provider: provider.to_owned(),
                    model: model.to_owned(),
                })
            }
            _ => Err(NameError {
                text: text.to_owned(),
            }),
        }
    }
}

/// A text that is not the name of an LM.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not the name of an LM; write `provider/model`, as in `openai/gpt-5-mini` or \
     `local/smollm2-135m-instruct`"
)]
pub struct NameError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_provider_and_a_model() {
        let name: LmName = "openrouter/meta-llama/llama-3.3-70b:free".parse().unwrap();
        assert_eq!(name.provider(), "openrouter");
        assert_eq!(name.model(), "meta-llama/llama-3.3-70b:free");
        assert_eq!(name.to_string(), "openrouter/meta-llama/llama-3.3-70b:free");
        for wrong in [
            "",
            "gpt-5",
            "/x",
            "openai/",
            "Open AI/x",
            "openai/a b",
            "OpenAI/x",
        ] {
            let message = wrong.parse::<LmName>().unwrap_err().to_string();
            assert!(message.contains(&format!("`{wrong}`")), "{message}");
        }
    }

    #[test]
    fn the_embedded_model_has_a_name_that_parses() {
        let name = LmName::embedded();
        assert_eq!(name.to_string().parse(), Ok(name));
    }
}
