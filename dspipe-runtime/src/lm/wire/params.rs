//! Which sampling parameters a model takes.
//!
//! Models that think choose their own sampling: `OpenAI`'s refuse a `temperature` other than 1, Anthropic's
//! from Opus 4.7 on any. They are asked without it; a model of which nobody here knows says so itself, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::Api;
use super::failure::Said;
use crate::lm::Params;

/// What the model of an endpoint does not take. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Refuses(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    temperature: Flag,
    seed: Flag,
}

#[derive(Debug, Default)]
struct Flag {
    refused: AtomicBool,
    /// The log was told that it is left out.
    told: AtomicBool,
}

impl Flag {
    fn kept<T>(&self, model: &str, name: &str, value: Option<T>) -> Option<T> {
        if value.is_none() || !self.refused.load(Relaxed) {
            return value;
        }
        if !self.told.swap(true, Relaxed) {
            tracing::warn!(
                model,
                parameter = name,
                "the model does not take it; asked without"
            );
        }
        None
    }
}

impl Refuses {
    pub(super) fn of(api: Api, model: &str) -> Self {
        let refuses = Self::default();
        let is_fixed = match api {
            Api::OpenAiChat | Api::OpenAiResponses => is_fixed_at_openai(model),
            Api::AnthropicMessages => is_fixed_at_anthropic(model),
            Api::GeminiGenerateContent => false,
        };
        refuses.0.temperature.refused.store(is_fixed, Relaxed);
        refuses
    }

    /// The parameters that the model takes.
    pub(super) fn kept(&self, model: &str, params: Params) -> Params {
        let Flags { temperature, seed } = &*self.0;
        Params {
            temperature: temperature.kept(model, "temperature", params.temperature),
            seed: seed.kept(model, "seed", params.seed),
            ..params
        }
    }

    /// Learns from a refusal.
    pub(super) fn learn(&self, said: &Said) {
        for (name, flag) in [("temperature", &self.0.temperature), ("seed", &self.0.seed)] {
            if said.refuses(name) {
                flag.refused.store(true, Relaxed);
            }
        }
    }
}

/// `OpenAI`'s models that think, whatever they are asked.
fn is_fixed_at_openai(model: &str) -> bool {
    // As `OpenRouter` names them.
    let model = model.strip_prefix("openai/").unwrap_or(model);
    let is_o = ["o1", "o3", "o4"].iter().any(|name| {
        let rest = model.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    });
    let is_gpt_5 = model
        .strip_prefix("gpt-5")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-') && rest != "-chat-latest");
    is_o || is_gpt_5
}

/// All of Anthropic's since Opus 4.7.
fn is_fixed_at_anthropic(model: &str) -> bool {
    let Some(name) = model.strip_prefix("claude-") else {
        // Another's model, or a name that a gateway gives it.
        return false;
    };
    let is_before = |family: &str| {
        name.strip_prefix(family).is_some_and(|version| {
            let minor = version.strip_prefix('-').unwrap_or_default();
            // As in `opus-4`, `opus-4-20250514` and `opus-4-6`.
            version.is_empty()
                || minor.starts_with("20")
                || matches!(minor.split('-').next(), Some("0" | "1" | "5" | "6"))
        })
    };
    !(name.starts_with('2')
        || name.starts_with("instant")
        || name.starts_with("3-")
        || ["opus-4", "sonnet-4", "haiku-4"].into_iter().any(is_before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_that_think_take_no_temperature() {
        use Api::{AnthropicMessages, GeminiGenerateContent, OpenAiChat, OpenAiResponses};
        let params = Params {
            temperature: Some(0.5),
            max_tokens: Some(1),
            seed: Some(2),
            repetition: 3,
        };
        let takes = |api, model| {
            let kept = Refuses::of(api, model).kept(model, params);
            let expected = Params {
                temperature: kept.temperature,
                ..params
            };
            assert_eq!(kept, expected);
            kept.temperature.is_some()
        };
        for model in [
            "o1",
            "o3-mini",
            "o4-mini-2025-04-16",
            "gpt-5",
            "gpt-5-mini",
            "gpt-5-2025-08-07",
            "openai/gpt-5-nano",
        ] {
            assert!(!takes(OpenAiChat, model), "{model}");
            assert!(!takes(OpenAiResponses, model), "{model}");
        }
        for model in [
            "gpt-4.1",
            "gpt-4o-mini",
            "gpt-5-chat-latest",
            "gpt-5.2",
            "gpt-oss-20b",
            "olmo",
        ] {
            assert!(takes(OpenAiChat, model), "{model}");
        }
        for model in [
            "claude-opus-4-7",
            "claude-opus-4-8",
            "claude-sonnet-5",
            "claude-haiku-5-5",
            "claude-fable-5-1",
            "claude-mythos-preview",
        ] {
            assert!(!takes(AnthropicMessages, model), "{model}");
        }
        for model in [
            "claude-3-haiku-20240307",
            "claude-opus-4",
            "claude-opus-4-1-20250805",
            "claude-sonnet-4-20250514",
            "claude-sonnet-4-6",
            "claude-haiku-4-5-20251001",
            "my-proxy",
        ] {
            assert!(takes(AnthropicMessages, model), "{model}");
        }
        assert!(takes(GeminiGenerateContent, "gemini-3.5-flash"));
    }
}
