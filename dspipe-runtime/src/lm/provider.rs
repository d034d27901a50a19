//! The providers: where they are, which variable holds the key, and how they take a schema.

use super::{Api, Limits, LmError, LmName, ServerDef};
use crate::Secret;

/// How a server is told the form of the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "http"), allow(dead_code))]
pub(super) enum Structured {
    /// In OpenAI's strict mode, where the schema is one that it takes.
    Strict,
    /// As its API has it; in OpenAI's not in strict mode: most servers hold to it anyway.
    Schema,
    /// Only by words, for servers that know no schemas.
    Words,
}

/// Where a key goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "http"), allow(dead_code))]
pub(super) enum KeyHeader {
    /// Where its API has it.
    OfApi,
    /// Into `api-key`, as Azure has it; a bearer is somebody's token there.
    ApiKey,
}

struct Known {
    name: &'static str,
    /// What its environment variables begin with.
    prefix: &'static str,
    api: Api,
    /// `None` where everybody has an own one.
    base_url: Option<&'static str>,
    needs_key: bool,
    structured: Structured,
}

const KNOWN: &[Known] = &[
    Known {
        name: "openai",
        prefix: "OPENAI",
        api: Api::OpenAiChat,
        base_url: Some("https://api.openai.com/v1"),
        needs_key: true,
        structured: Structured::Strict,
    },
    // The same servers and the same key as `openai`, by their newer API.
    Known {
        name: "openai-responses",
        prefix: "OPENAI",
        api: Api::OpenAiResponses,
        base_url: Some("https://api.openai.com/v1"),
        needs_key: true,
        structured: Structured::Strict,
    },
    Known {
        name: "anthropic",
        prefix: "ANTHROPIC",
        api: Api::AnthropicMessages,
        base_url: Some("https://api.anthropic.com/v1"),
        needs_key: true,
        structured: Structured::Schema,
    },
    Known {
        name: "gemini",
        prefix: "GEMINI",
        api: Api::GeminiGenerateContent,
        base_url: Some("https://generativelanguage.googleapis.com/v1beta"),
        needs_key: true,
        structured: Structured::Schema,
    },
    // Each resource has a URL; models are named as they were deployed there.
    Known {
        name: "azure",
        prefix: "AZURE_OPENAI",
        api: Api::OpenAiChat,
        base_url: None,
        needs_key: true,
        structured: Structured::Strict,
    },
    Known {
        name: "groq",
        prefix: "GROQ",
        api: Api::OpenAiChat,
        base_url: Some("https://api.groq.com/openai/v1"),
        needs_key: true,
        structured: Structured::Schema,
    },
    Known {
        name: "openrouter",
        prefix: "OPENROUTER",
        api: Api::OpenAiChat,
        base_url: Some("https://openrouter.ai/api/v1"),
        needs_key: true,
        structured: Structured::Strict,
    },
    Known {
        name: "ollama",
        prefix: "OLLAMA",
        api: Api::OpenAiChat,
        base_url: Some("http://127.0.0.1:11434/v1"),
        needs_key: false,
        structured: Structured::Schema,
    },
    Known {
        name: "vllm",
        prefix: "VLLM",
        api: Api::OpenAiChat,
        base_url: Some("http://127.0.0.1:8000/v1"),
        needs_key: false,
        structured: Structured::Schema,
    },
    Known {
        name: "llamacpp",
        prefix: "LLAMACPP",
        api: Api::OpenAiChat,
        base_url: Some("http://127.0.0.1:8080/v1"),
        needs_key: false,
        structured: Structured::Schema,
    },
];

/// What is needed to ask a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "http"), allow(dead_code))]
pub(super) struct Provider {
    pub(super) api: Api,
    pub(super) base_url: String,
    pub(super) key: Option<Secret>,
    pub(super) key_variable: String,
    pub(super) key_header: KeyHeader,
    pub(super) structured: Structured,
}

/// What its environment variables begin with: `OPENAI` for `openai` and `openai-responses`.
pub(super) fn prefix(provider: &str) -> String {
    KNOWN
        .iter()
        .find(|known| known.name == provider)
        .map_or_else(
            || provider.to_ascii_uppercase().replace('-', "_"),
            |known| known.prefix.to_owned(),
        )
}

/// The limits that the environment sets for providers of this prefix.
#[cfg_attr(not(feature = "http"), allow(dead_code))]
pub(super) fn limits(
    prefix: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Limits, LmError> {
    let read = |limit: &str| {
        let name = format!("{prefix}_{limit}");
        match variable(&name).as_deref().map(str::trim) {
            None | Some("") => Ok(None),
            Some(text) => match text.parse() {
                Ok(number) if number > 0 => Ok(Some(number)),
                _ => Err(LmError::Setting {
                    variable: name,
                    reason: format!("`{text}` is no whole number above 0"),
                }),
            },
        }
    };
    Ok(Limits {
        concurrency: read("MAX_CONCURRENCY")?,
        requests_per_minute: read("REQUESTS_PER_MINUTE")?,
        tokens_per_minute: read("TOKENS_PER_MINUTE")?,
    })
}

impl Provider {
    /// The provider of an LM: what is known about it, what a workflow file says, and what the environment
    /// says. `variable` looks up an environment variable.
    pub(super) fn of(
        name: &LmName,
        server: &ServerDef,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, LmError> {
        let provider = name.provider();
        let known = KNOWN.iter().find(|known| known.name == provider);
        let prefix = prefix(provider);
        let (key_variable, url_variable, api_variable, schema_variable) = (
            server
                .api_key_env
                .map_or_else(|| format!("{prefix}_API_KEY"), str::to_owned),
            format!("{prefix}_BASE_URL"),
            format!("{prefix}_API"),
            format!("{prefix}_SCHEMA"),
        );
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());

        let own_url = set(&url_variable);
        let base_url = match (&own_url, server.base_url, known) {
            (Some(url), _, _) => checked(url, &url_variable)?,
            (None, Some(url), _) => checked(url, "`base_url`")?,
            (None, None, Some(known)) => match known.base_url {
                Some(url) => url.to_owned(),
                None => {
                    return Err(LmError::Setting {
                        variable: url_variable,
                        reason: "it is not set; set it to the URL of the resource, as in \
                                 https://NAME.openai.azure.com/openai/v1"
                            .to_owned(),
                    });
                }
            },
            (None, None, None) => {
                return Err(LmError::UnknownProvider {
                    provider: provider.to_owned(),
                    known: known_names(),
                    variable: url_variable,
                });
            }
        };
        let usual_api = known.map_or(Api::OpenAiChat, |known| known.api);
        let usual_api = server.api.unwrap_or(usual_api);
        let api = match set(&api_variable) {
            // The name in the code asks for one API of the two.
            Some(_) if provider == "openai-responses" => usual_api,
            Some(api) => api_named(api.trim(), api_variable)?,
            None => usual_api,
        };
        let key = set(&key_variable).map(|key| Secret::from(key.trim().to_owned()));
        // A server of the user's own may do without.
        let everybodys = known.is_some_and(|known| known.base_url.is_some());
        let has_own_url = own_url.is_some() || server.base_url.is_some();
        let needs_key = match server.api_key_env {
            Some(_) => own_url.is_none(),
            None => {
                let is_own = has_own_url && everybodys;
                known.is_some_and(|known| known.needs_key) && !is_own
            }
        };
        if key.is_none() && needs_key {
            return Err(LmError::MissingKey {
                provider: provider.to_owned(),
                variable: key_variable,
            });
        }
        Ok(Self {
            api,
            base_url,
            key,
            key_variable,
            key_header: match provider {
                "azure" => KeyHeader::ApiKey,
                _ => KeyHeader::OfApi,
            },
            structured: match set(&schema_variable).as_deref().map(str::trim) {
                None => known.map_or(Structured::Schema, |known| known.structured),
                Some(how) => structured(how, schema_variable)?,
            },
        })
    }
}

fn api_named(name: &str, variable: String) -> Result<Api, LmError> {
    name.parse().map_err(|error| match error {
        LmError::Setting { reason, .. } => LmError::Setting { variable, reason },
        other => other,
    })
}

fn structured(how: &str, variable: String) -> Result<Structured, LmError> {
    match how {
        "strict" => Ok(Structured::Strict),
        "schema" => Ok(Structured::Schema),
        "words" => Ok(Structured::Words),
        _ => Err(LmError::Setting {
            variable,
            reason: format!("`{how}` is none; known are strict, schema, words"),
        }),
    }
}

/// A base URL without the slash at its end. The value is not shown: it may hold credentials.
fn checked(url: &str, variable: &str) -> Result<String, LmError> {
    let url = url.trim().trim_end_matches('/');
    if url.starts_with("http://") || url.starts_with("https://") {
        Ok(url.to_owned())
    } else {
        Err(LmError::Setting {
            variable: variable.to_owned(),
            reason: "it must start with http:// or https://, as in http://127.0.0.1:8000/v1"
                .to_owned(),
        })
    }
}

fn known_names() -> String {
    let mut names: Vec<String> = vec!["`local`".to_owned()];
    names.extend(KNOWN.iter().map(|known| format!("`{}`", known.name)));
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(name: &str, variables: &[(&str, &str)]) -> Result<Provider, LmError> {
        Provider::of(&name.parse().unwrap(), &ServerDef::NONE, |wanted| {
            variables
                .iter()
                .find(|(name, _)| *name == wanted)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_known_provider_needs_its_key() {
        let error = provider("anthropic/claude-sonnet-4-5", &[]).unwrap_err();
        assert!(matches!(error, LmError::MissingKey { .. }));
        let message = error.to_string();
        assert!(message.contains("ANTHROPIC_API_KEY"), "{message}");
        assert!(
            message.contains("DSPIPE_LM=local/smollm2-135m-instruct"),
            "{message}"
        );

        let found = provider("openai/gpt-5-mini", &[("OPENAI_API_KEY", " sk-1\n")]).unwrap();
        assert_eq!(found.base_url, "https://api.openai.com/v1");
        assert_eq!(found.key.unwrap().reveal(), "sk-1");
    }

    #[test]
    fn servers_of_the_users_own_need_none() {
        for name in ["ollama/qwen3", "vllm/x", "llamacpp/x"] {
            assert_eq!(provider(name, &[]).unwrap().key, None);
        }
        let found = provider("openai/x", &[("OPENAI_BASE_URL", "http://10.0.0.1:9/v1/")]).unwrap();
        assert_eq!(found.base_url, "http://10.0.0.1:9/v1");
    }

    #[test]
    fn at_azure_everybody_has_a_url_and_the_key_a_header_of_its_own() {
        let key = ("AZURE_OPENAI_API_KEY", "k-1");
        let error = provider("azure/mine", &[key]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "AZURE_OPENAI_BASE_URL cannot be used: it is not set; set it to the URL of the resource, as in \
             https://NAME.openai.azure.com/openai/v1"
        );
        let url = (
            "AZURE_OPENAI_BASE_URL",
            "https://me.openai.azure.com/openai/v1",
        );
        let error = provider("azure/mine", &[url]).unwrap_err();
        assert!(matches!(error, LmError::MissingKey { .. }), "{error}");
        let found = provider("azure/mine", &[url, key]).unwrap();
        assert_eq!(
            (found.key_header, found.structured),
            (KeyHeader::ApiKey, Structured::Strict)
        );
        let found = provider("openai/x", &[("OPENAI_API_KEY", "k-1")]).unwrap();
        assert_eq!(found.key_header, KeyHeader::OfApi);
    }

    #[test]
    fn any_name_is_a_provider_once_it_has_a_url() {
        let error = provider("my-box/x", &[]).unwrap_err();
        assert!(matches!(error, LmError::UnknownProvider { .. }));
        let message = error.to_string();
        assert!(
            message.contains("MY_BOX_BASE_URL") && message.contains("`openai`"),
            "{message}"
        );
        let found = provider("my-box/x", &[("MY_BOX_BASE_URL", "https://box/v1")]).unwrap();
        assert_eq!(found.structured, Structured::Schema);
    }

    #[test]
    fn the_name_or_a_setting_picks_the_api() {
        let api = |name: &str, variables: &[(&str, &str)]| provider(name, variables).unwrap().api;
        let key = ("OPENAI_API_KEY", "sk-1");
        assert_eq!(api("openai/x", &[key]), Api::OpenAiChat);
        assert_eq!(api("openai-responses/x", &[key]), Api::OpenAiResponses);
        assert_eq!(
            api("openai/x", &[key, ("OPENAI_API", "openai-responses")]),
            Api::OpenAiResponses
        );
        assert_eq!(
            api("openai-responses/x", &[key, ("OPENAI_API", "openai-chat")]),
            Api::OpenAiResponses
        );
        let key = ("ANTHROPIC_API_KEY", "sk-1");
        assert_eq!(api("anthropic/x", &[key]), Api::AnthropicMessages);
        let key = ("GEMINI_API_KEY", "sk-1");
        assert_eq!(api("gemini/x", &[key]), Api::GeminiGenerateContent);
        let url = ("MY_BOX_BASE_URL", "https://box");
        assert_eq!(api("my-box/x", &[url]), Api::OpenAiChat);
        assert_eq!(
            api("my-box/x", &[url, ("MY_BOX_API", "anthropic")]),
            Api::AnthropicMessages
        );
        let error = provider("my-box/x", &[url, ("MY_BOX_API", "soap")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "MY_BOX_API cannot be used: `soap` is none; known are openai-chat, openai-responses, anthropic, \
             gemini"
        );
    }

    #[test]
    fn a_setting_says_how_a_schema_is_sent() {
        let structured = |how: &str| {
            let variables = [("OLLAMA_SCHEMA", how)];
            provider("ollama/x", &variables).map(|provider| provider.structured)
        };
        assert_eq!(structured("").unwrap(), Structured::Schema);
        assert_eq!(structured("strict").unwrap(), Structured::Strict);
        assert_eq!(structured(" words\n").unwrap(), Structured::Words);
        assert_eq!(
            structured("xml").unwrap_err().to_string(),
            "OLLAMA_SCHEMA cannot be used: `xml` is none; known are strict, schema, words"
        );
    }

    #[test]
    fn limits_come_from_the_environment() {
        let limits = |variables: &[(&str, &str)]| {
            let variables: Vec<(String, String)> = variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            super::limits(&prefix("openai-responses"), move |wanted| {
                let mut found = variables.iter().filter(|(name, _)| name == wanted);
                found.next().map(|(_, value)| value.clone())
            })
        };
        assert_eq!(limits(&[]).unwrap(), Limits::default());
        let set = [
            ("OPENAI_MAX_CONCURRENCY", "8"),
            ("OPENAI_REQUESTS_PER_MINUTE", " 500\n"),
            ("OPENAI_TOKENS_PER_MINUTE", "200000"),
        ];
        let expected = Limits {
            concurrency: Some(8),
            requests_per_minute: Some(500),
            tokens_per_minute: Some(200_000),
        };
        assert_eq!(limits(&set).unwrap(), expected);
        for wrong in ["0", "-1", "many", "1.5"] {
            let error = limits(&[("OPENAI_MAX_CONCURRENCY", wrong)]).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "OPENAI_MAX_CONCURRENCY cannot be used: `{wrong}` is no whole number above 0"
                )
            );
        }
    }

    #[test]
    fn a_url_that_is_none_is_an_error_that_does_not_show_it() {
        let error = provider("openai/x", &[("OPENAI_BASE_URL", "user:secret@host")]).unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains("OPENAI_BASE_URL") && !message.contains("secret"),
            "{message}"
        );
    }
}
