//! The wire formats by name.

use std::fmt;
use std::str::FromStr;

use super::LmError;

/// A wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Api {
    /// `openai-chat`: OpenAI chat completions, which most servers speak.
    OpenAiChat,
    /// `openai-responses`: OpenAI responses.
    OpenAiResponses,
    /// `anthropic`: Anthropic Messages.
    AnthropicMessages,
    /// `gemini`: Google Gemini `generateContent`.
    GeminiGenerateContent,
}

impl Api {
    const ALL: [Self; 4] = [
        Self::OpenAiChat,
        Self::OpenAiResponses,
        Self::AnthropicMessages,
        Self::GeminiGenerateContent,
    ];

    /// Its name in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai-chat",
            Self::OpenAiResponses => "openai-responses",
            Self::AnthropicMessages => "anthropic",
            Self::GeminiGenerateContent => "gemini",
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Api {
    type Err = LmError;

    fn from_str(text: &str) -> Result<Self, LmError> {
        Self::ALL
            .into_iter()
            .find(|api| api.name() == text)
            .ok_or_else(|| LmError::Setting {
                variable: "the API of the provider".to_owned(),
                reason: format!(
                    "`{text}` is none; known are {}",
                    Self::ALL.map(Self::name).join(", ")
                ),
            })
    }
}
