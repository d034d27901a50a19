//! Images and documents, and the LMs that take none.

use super::lm::split;
use crate::diag::{Code, Diagnostics};
use crate::ir::{Adapter, BoundField, MediaKind};
use crate::spec::Step;

/// Providers that read text only.
const BLIND: [&str; 1] = ["local"];
/// Providers whose API has images, but no documents.
const WITHOUT_DOCUMENTS: [&str; 4] = ["groq", "llamacpp", "ollama", "vllm"];

/// Checks that the LM of a step, `provider/model` where it is known, can be shown its inputs.
pub(super) fn check(
    (step, lm, adapter): (&Step, Option<&str>, Option<Adapter>),
    inputs: &[BoundField],
    diagnostics: &mut Diagnostics,
) {
    let provider = lm.and_then(split).map_or("", |(provider, _)| provider);
    let written = step
        .signature
        .iter()
        .flat_map(|signature| &signature.inputs);
    for (input, written) in inputs.iter().zip(written) {
        let Some(kind) = input.field.ty.media() else {
            continue;
        };
        let span = written
            .schema
            .ty
            .as_ref()
            .map_or(written.name.span, |ty| ty.span);
        let is_blind = BLIND.contains(&provider)
            || kind == MediaKind::Document && WITHOUT_DOCUMENTS.contains(&provider);
        if is_blind {
            let place = step.lm.name.as_ref().map(|name| name.span);
            let place = place.or(step.step_type.as_ref().map(|step_type| step_type.span));
            let diagnostic = diagnostics
                .error(
                    Code::MisplacedMedia,
                    span,
                    format!("`{}` cannot be shown {}", lm.unwrap_or_default(), kind.words()),
                )
                .label("the LM of the step takes none")
                .help("choose another LM for the step, such as one of `anthropic`, `gemini` or `openai`");
            if let Some(place) = place {
                diagnostic.also(place, "the LM");
            }
        }
        if adapter.unwrap_or_default() != Adapter::Dspipe {
            diagnostics
                .error(
                    Code::MisplacedMedia,
                    span,
                    format!(
                        "the prompts of DSPy's adapters have no place for {}",
                        kind.words()
                    ),
                )
                .label("only `adapter: dspipe` shows it")
                .help("remove `adapter` from the step, or from the workflow");
        }
    }
}
