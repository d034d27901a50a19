//! Which LM a step calls.

use crate::diag::{Code, Diagnostics};
use crate::spec::{Lm, Step, StepType, Workflow};

/// The LM of a step type when no `lm` is written.
fn default_name(step_type: StepType) -> Option<&'static str> {
    match step_type {
        StepType::Any | StepType::Ollama => None,
        StepType::Claude => Some("anthropic/claude-sonnet-4-5"),
        StepType::Gemini => Some("gemini/gemini-2.5-flash"),
        StepType::OpenAi => Some("openai/gpt-5-mini"),
        StepType::Local => Some("local/smollm2-135m-instruct"),
    }
}

fn provider(step_type: StepType) -> Option<&'static str> {
    match step_type {
        StepType::Any => None,
        StepType::Claude => Some("anthropic"),
        StepType::Gemini => Some("gemini"),
        StepType::OpenAi => Some("openai"),
        StepType::Ollama => Some("ollama"),
        StepType::Local => Some("local"),
    }
}

/// The LM of a step: its own `lm`, then the workflow's where the type allows it,
/// then the type's default. `None` leaves the choice to the runtime.
pub(super) fn name(
    step: &Step,
    workflow: &Workflow,
    diagnostics: &mut Diagnostics,
) -> Option<String> {
    let step_type = step.step_type.as_ref()?;
    let own = step.lm.name.as_ref();
    // A workflow-wide `lm` is for the steps that do not name a provider in their type.
    let inherited = workflow.lm.name.as_ref().filter(|lm| {
        provider(step_type.value).is_none_or(|p| split(&lm.value).is_some_and(|s| s.0 == p))
    });
    let written = own.or(inherited);
    let Some(lm) = written else {
        if step_type.value == StepType::Ollama {
            diagnostics
                .error(
                    Code::InvalidLm,
                    step_type.span,
                    format!("step `{}` does not say which Ollama model", step.name),
                )
                .help("add `lm: ollama/<model>`, for example `lm: ollama/llama3.2`");
        }
        return default_name(step_type.value).map(str::to_owned);
    };
    let Some((found, _)) = split(&lm.value) else {
        diagnostics
            .error(
                Code::InvalidLm,
                lm.span,
                format!("`{lm}` does not name an LM"),
            )
            .label("expected `provider/model`")
            .help("for example `openai/gpt-5-mini` or `local/smollm2-135m-instruct`");
        return None;
    };
    match provider(step_type.value) {
        Some(wanted) if wanted != found => {
            diagnostics
                .error(
                    Code::InvalidLm,
                    lm.span,
                    format!(
                        "a step of type `{}` cannot use `{lm}`",
                        step_type.value.name()
                    ),
                )
                .label(format!("expected `{wanted}/…`"))
                .also(step_type.span, "the type names the provider")
                .help("a step of type `dspy` takes any `lm`");
            None
        }
        _ => Some(lm.value.clone()),
    }
}

/// Provider and model, by the rule that the runtime has for names of LMs.
fn split(lm: &str) -> Option<(&str, &str)> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    lm.split_once('/').filter(|(provider, model)| {
        !provider.is_empty()
            && provider.chars().all(plain)
            && !model.is_empty()
            && !model.contains(|c: char| c.is_whitespace() || c.is_control())
    })
}

/// Whether a text names an LM as `provider/model`.
pub(crate) fn is_name(lm: &str) -> bool {
    split(lm).is_some()
}

/// The values that no LM takes.
pub(super) fn settings(lm: &Lm, diagnostics: &mut Diagnostics) {
    if let Some(temperature) = lm
        .temperature
        .as_ref()
        .filter(|t| !(0.0..=2.0).contains(&t.value))
    {
        diagnostics
            .error(
                Code::InvalidSetting,
                temperature.span,
                format!("a temperature of {temperature}"),
            )
            .label("expected 0 to 2");
    }
    if let Some(tokens) = lm.max_tokens.as_ref().filter(|tokens| tokens.value == 0) {
        diagnostics
            .error(Code::InvalidSetting, tokens.span, "a reply of no tokens")
            .label("expected 1 or more");
    }
}
