//! Which LM a step calls.

use crate::diag::{Code, Diagnostics};
use crate::source::Spanned;
use crate::spec::{Lm, Step, StepType, Workflow};

use super::lms::Lms;

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
/// then the type's default; a name under `lms` as it is written. `None` leaves the choice to the runtime.
pub(super) fn name(
    step: &Step,
    workflow: &Workflow,
    lms: &Lms<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<String> {
    let step_type = step.step_type.as_ref()?;
    let own = step.lm.name.as_ref();
    // A workflow-wide `lm` is for the steps that do not name a provider in their type.
    let inherited = workflow.lm.name.as_ref().filter(|lm| {
        let model = lms.model(&lm.value).unwrap_or(&lm.value);
        provider(step_type.value).is_none_or(|p| split(model).is_some_and(|s| s.0 == p))
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
    let Some((found, _)) = split(lms.model(&lm.value).unwrap_or(&lm.value)) else {
        if lms.has(&lm.value) {
            // What is wrong with it was said there.
        } else if lms.is_empty() || lm.value.contains('/') {
            report_no_name(lm, diagnostics);
        } else {
            lms.report_unknown(lm, diagnostics);
        }
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

/// Reports a text that is not `provider/model`.
pub(super) fn report_no_name(lm: &Spanned<String>, diagnostics: &mut Diagnostics) {
    diagnostics
        .error(
            Code::InvalidLm,
            lm.span,
            format!("`{lm}` does not name an LM"),
        )
        .label("expected `provider/model`")
        .help("for example `openai/gpt-5-mini` or `local/smollm2-135m-instruct`");
}

/// Provider and model, by the rule that the runtime has for names of LMs.
pub(super) fn split(lm: &str) -> Option<(&str, &str)> {
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
    sampling(
        lm.temperature.as_ref(),
        lm.max_tokens.as_ref(),
        lm.seed.as_ref(),
        diagnostics,
    );
}

/// As [`settings`].
pub(super) fn sampling(
    temperature: Option<&Spanned<f64>>,
    max_tokens: Option<&Spanned<u32>>,
    seed: Option<&Spanned<i64>>,
    diagnostics: &mut Diagnostics,
) {
    if let Some(temperature) = temperature.filter(|t| !(0.0..=2.0).contains(&t.value)) {
        diagnostics
            .error(
                Code::InvalidSetting,
                temperature.span,
                format!("a temperature of {temperature}"),
            )
            .label("expected 0 to 2");
    }
    if let Some(tokens) = max_tokens.filter(|tokens| tokens.value == 0) {
        diagnostics
            .error(Code::InvalidSetting, tokens.span, "a reply of no tokens")
            .label("expected 1 or more");
    }
    if let Some(seed) = seed.filter(|seed| seed.value < 0) {
        diagnostics
            .error(Code::InvalidSetting, seed.span, format!("a seed of {seed}"))
            .label("expected 0 or more");
    }
}
