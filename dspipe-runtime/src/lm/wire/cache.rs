//! Where `OpenAI` is to end what it keeps of a prompt.
//!
//! From GPT-5.6 on it takes marks, and charges for what it writes into its cache. The mark stands before the
//! last turn: up to there, calls of the same step are the same. Without it the inputs of every call would be
//! written, and paid for.

use serde::Serialize;

use super::Call;
use crate::lm::{Message, Role};

/// A mark, and that there shall be none besides.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Mode {
    mode: &'static str,
}

pub(super) const BREAKPOINT: Mode = Mode { mode: "explicit" };

/// The options of a request in which a message is marked.
pub(super) fn options(marked: Option<usize>) -> Option<Mode> {
    marked.map(|_| BREAKPOINT)
}

/// The message that is marked at its end: the last one before the last turn that may be and has a text.
pub(super) fn marked(call: &Call<'_>, may_be: impl Fn(&Message) -> bool) -> Option<usize> {
    if !takes_marks(call.lm.provider(), call.lm.model()) {
        return None;
    }
    let messages = &call.request.messages;
    let last_turn = messages
        .iter()
        .rposition(|message| message.role != Role::User)?
        + 1;
    let before = messages.get(..last_turn)?;
    before
        .iter()
        .rposition(|message| may_be(message) && !message.content.is_empty())
}

fn takes_marks(provider: &str, model: &str) -> bool {
    if !matches!(provider, "openai" | "openai-responses") {
        return false;
    }
    let Some(version) = model.strip_prefix("gpt-") else {
        return false;
    };
    let number = version.split('-').next().unwrap_or_default();
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    match (major.parse::<u32>(), minor.parse::<u32>()) {
        (Ok(major), Ok(minor)) => (major, minor) >= (5, 6),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_take_marks_from_gpt_5_6_on() {
        for model in ["gpt-5.6-sol", "gpt-6-luna", "gpt-6.2-astra", "gpt-10"] {
            assert!(takes_marks("openai", model), "{model}");
            assert!(takes_marks("openai-responses", model), "{model}");
            assert!(!takes_marks("openrouter", model), "{model}");
        }
        for model in [
            "gpt-5",
            "gpt-5.4-mini",
            "gpt-4o",
            "gpt-oss-20b",
            "o3",
            "gpt-",
        ] {
            assert!(!takes_marks("openai", model), "{model}");
        }
    }
}
